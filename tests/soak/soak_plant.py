"""The plant of the soak: devices and sink in processes of their own, a broker behind a proxy, the gateway, and what is done to it."""
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from conftest import Broker, Gateway, Subscriber, free_port, make_config, wait_until, write_config  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from modbus_slave import TcpSlave  # noqa: E402
from shim import Shim  # noqa: E402

SEED = int(os.environ.get("FIELD2MQTT_SEED", str(random.randrange(1 << 30))))
HERE = Path(__file__).resolve().parent
TCP_POINTS, RTU_POINTS, WINDOW = 20, 8, 100
COMMANDS = "soak-commands/setpoint"
METRIC = r"(?m)^field2mqtt_outbox_{} (\S+)$"

Sample = namedtuple("Sample", "at_s rss_kb heap_kb files threads rows bytes p50 p95 p99 is_calm has_spare")


class Helper:
    """One of the other processes: a line in, a line of JSON out."""

    def __init__(self, script, *argv):
        self.popen = subprocess.Popen([sys.executable, "-B", str(HERE / script), *map(str, argv)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        self.first = json.loads(self.popen.stdout.readline())

    def ask(self):
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()
        return json.loads(self.popen.stdout.readline())

    def stop(self):
        self.popen.stdin.close()
        self.popen.wait(20)


def counting(name, unit, n_points, interval):
    return {"name": name, "unit": unit, "interval": interval, "timeout": "10s", "points": [
        {"name": f"p{n}", "register": f"holding:{2 * n}", "type": "uint32"} for n in range(n_points)]}


class Plant:
    def __init__(self, folder):
        self.folder, self.parts = Path(folder), []
        self.samples, self.outages, self.last = [], [], {}
        self.commands, self.answered, self.reloads = 0, 0, 0
        self.is_cut, self.n_drained = False, 0  # samples in a row with no outage and nothing left of one
        self.begin = self.gateway = None

    def _add(self, part):
        self.parts.append(part)
        return part

    def now_s(self):
        return time.monotonic() - self.begin

    def start(self):
        self.broker = Broker(self.folder)
        text = self.broker.file.read_text()
        self.broker.file.write_text(text.replace("log_type all", "log_type error\nlog_type information"))  # else its log grows
        self._add(self.broker).start()
        self.proxy = self._add(FaultProxy(self.broker.port))
        self.field = self._add(Helper("soak_field.py", self.folder))
        self.spare = self._add(TcpSlave()).start()
        self.spare.unit(1)
        self.sink = self._add(Helper("soak_sink.py", self.broker.port))
        self.results = self._add(Subscriber(self.broker, f"{COMMANDS}/result"))
        self.http = free_port()
        self.shim = self._add(Shim(self.folder))
        self.gateway = self._add(Gateway(write_config(self.folder, self._config()), env=self.shim.env))
        self.gateway.wait_for_log("mqtt: connected")
        wait_until(lambda: len(self.sink.ask()["newest"]) == self.n_topics)
        self.begin = time.monotonic()

    @property
    def n_topics(self):
        return TCP_POINTS * len(self.field.first["tcp"]) + 2 * RTU_POINTS + 1

    def _config(self):
        where = self.field.first
        buses = [{"name": f"plc{n}", "driver": "modbus-tcp", "host": "127.0.0.1", "port": port, "devices": [
            counting(f"tcp{n}", 1, TCP_POINTS, "100ms")]} for n, port in enumerate(where["tcp"])]
        buses[0]["devices"][0]["points"].append({
            "name": "setpoint", "register": "holding:1000", "access": "rw", "interval": "1s", "publish": {"topic": COMMANDS}})
        buses.append({"name": "line", "driver": "modbus-rtu", "port": where["rtu"], "baud": 115200, "devices": [
            counting(f"rtu{unit}", unit, RTU_POINTS, "200ms") for unit in (1, 2)]})
        buses.append({"name": "scale", "driver": "serial", "port": where["serial"], "devices": [{
            "name": "balance", "interval": "500ms", "timeout": "10s", "frame": {"end": r"\r\n"}, "poll": {"send": r"SI\r\n"},
            "points": [{"name": "weight", "match": "^S S +(?<w>[0-9.]+) g$", "from": "group:w"}]}]})
        if self.reloads % 2:  # comes and goes; the others stay as they are
            buses.append({"name": "spare", "driver": "modbus-tcp", "host": "127.0.0.1", "port": self.spare.port, "devices": [
                {**counting("spare", 1, 5, "100ms"), "publish": {"topic": "spare/${point}"}}]})
        config = make_config(self.broker, buses, http={"enabled": True, "port": self.http},
                             buffer={"durability": "outage", "path": str(self.folder / "outbox.db"), "max_size": "1GiB"},
                             mqtt={"servers": [self.proxy.url]}, commands={"enabled": True, "rate": "100/s", **{
                                 key: str(self.folder / key) for key in ("ids_file", "audit_file")}})
        config["publish"] = {"when": "every", "qos": 1, "seq": True, "topic": "soak/${device}/${point}"}
        return config

    def cut(self):
        self.is_cut, self.n_drained = True, 0
        self.outages.append((self.now_s(), self.now_s()))
        self.proxy.cut()

    def heal(self):
        self.proxy.heal()
        self.is_cut = False
        self.outages[-1] = (self.outages[-1][0], self.now_s())

    def reload(self):
        self.reloads += 1
        seen = len(self.gateway.lines)
        write_config(self.folder, self._config())
        self.gateway.signal(signal.SIGHUP)
        self.gateway.wait_for_log("reload: applied", 60, since=seen)
        self.spare.clear()

    def command(self):
        """Only when the gateway is connected and has told all: those of an outage are not kept by anybody."""
        if not self.n_drained:
            return
        self.commands += 1
        name = f"soak-{self.commands}"
        self.results.client.publish(f"{COMMANDS}/set", json.dumps({"value": self.commands % 1000, "id": name}), qos=1)
        answer = self.results.wait_for_json(f"{COMMANDS}/result", lambda m: m["id"] == name, deadline_s=60)
        self.answered += answer["ok"]
        self.results.messages.clear()

    def _outbox(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=30)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return [float(re.search(METRIC.format(name), text).group(1)) for name in ("messages", "bytes")]

    def sample(self):
        assert self.gateway.running(), f"the gateway has ended:\n{self.gateway.log}"
        process = Path(f"/proc/{self.gateway.pid}")
        rss_kb = int(re.search(r"VmRSS:\s+(\d+)", (process / "status").read_text()).group(1))
        heap_kb = self.shim.heap_bytes() // 1024
        files, threads = len(os.listdir(process / "fd")), len(os.listdir(process / "task"))
        rows, n_bytes = self._outbox()
        self.last = self.sink.ask()
        self.field.ask()
        self.n_drained = self.n_drained + 1 if not self.is_cut and rows <= WINDOW else 0
        self.samples.append(Sample(self.now_s(), rss_kb, heap_kb, files, threads, rows, n_bytes, self.last["p50"],
                                   self.last["p95"], self.last["p99"], self.n_drained > 2, self.reloads % 2 == 1))

    def settle(self):
        """Until all that the devices have been asked for by now has arrived."""
        asked = self.field.ask()

        def is_there():
            self.last = self.sink.ask()
            return all(value >= asked[name.split("/")[1]] for name, value in self.last["newest"].items())
        wait_until(is_there, 120)
        self.gateway.stop()

    def stop(self):
        for part in reversed(self.parts):
            part.kill() if isinstance(part, Gateway) else part.stop() if hasattr(part, "stop") else part.close()
