"""field2mqtt simulate, looked at from outside: by mbpoll over TCP and through the pty, by a bare socket for faults,
and by the gateway itself."""
import collections
import json
import os
import queue
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
import yaml

from conftest import COMPLAINTS, PROGRAM, ROOT, SLOW, free_port, write_config

TCP_DEVICE = {
    "name": "tank", "unit": 1, "points": [
        {"name": "level", "register": "input:0", "type": "float32", "unit": "m", "min": 1, "max": 2.5},
        {"name": "volume", "register": "input:2", "type": "uint32", "scale": 0.001, "unit": "m3", "min": 10, "max": 40},
        {"name": "frequency", "register": "holding:0", "type": "uint16", "scale": 0.01, "unit": "Hz"},
        {"name": "setpoint", "register": "holding:10", "type": "uint16", "scale": 0.1, "access": "rw",
         "min": 5, "max": 50, "step": 0.5},
        {"name": "gain", "register": "holding:11", "type": "float32", "access": "rw"},
        {"name": "state", "register": "holding:20", "type": "uint16", "enum": {0: "stopped", 1: "running", 7: "fault"}},
        {"name": "valve", "register": "coil:3", "access": "rw"},
        {"name": "energy", "register": "input:10", "type": "uint32", "unit": "kWh", "scale": 0.01},
    ]}
RTU_DEVICES = [
    {"name": "meter", "unit": 1, "points": [
        {"name": "voltage", "register": "input:0", "type": "float32", "unit": "V", "min": 220, "max": 240}]},
    {"name": "climate", "unit": 2, "points": [
        {"name": "temperature", "register": "input:1", "type": "int16", "scale": 0.1, "unit": "°C", "min": 18, "max": 25}]},
]


def plant(port, **tcp_keys):
    return {
        "gateway": {"name": "gw"},
        "mqtt": {"servers": "mqtt://127.0.0.1:1"},
        "interval": "200ms", "timeout": "30s",
        "buses": [
            {"name": "line", "driver": "modbus-rtu", "port": "/dev/ttyUSB7", "baud": 19200, "devices": RTU_DEVICES},
            {"name": "plc", "driver": "modbus-tcp", "host": "127.0.0.1", "port": port, **tcp_keys, "devices": [TCP_DEVICE]},
        ],
    }


class Simulator:
    """field2mqtt simulate; `where` has the place of each bus as printed."""

    def __init__(self, file, *options, buses=2, env=None):
        self._popen = subprocess.Popen([PROGRAM, "simulate", *options, "-c", str(file)], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=str(ROOT),
                                       env={**os.environ, **(env or {})})
        self._lines = queue.Queue()
        self._errors = []
        self._readers = [threading.Thread(target=self._read_out, daemon=True),
                         threading.Thread(target=self._read_err, daemon=True)]
        for reader in self._readers:
            reader.start()
        self.comments = []
        self.where = {}
        self._wait_ready(buses)

    def _read_out(self):
        for line in self._popen.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _read_err(self):
        self._errors.extend(self._popen.stderr)

    def _wait_ready(self, buses):
        end = time.monotonic() + 60 * SLOW
        while len(self.where) < buses:
            try:
                line = self._lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                self._popen.kill()
                pytest.fail(f"not ready: {self.where} {self._errors}")
            if line is None:
                self._popen.wait()
                pytest.fail(f"ended: {''.join(self._errors)}")
            if line.startswith("#"):
                self.comments.append(line)
            else:
                name, _, place = line.partition(": ")
                self.where[name] = place

    def tcp(self, name="plc"):
        host, _, port = self.where[name].rpartition(":")
        return host, int(port)

    def stop(self, number=signal.SIGTERM):
        if self._popen.poll() is None:
            self._popen.send_signal(number)
        try:
            code = self._popen.wait(30 * SLOW)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            pytest.fail("did not end")
        for reader in self._readers:
            reader.join(5)
        log = "".join(self._errors)
        assert code == 0, log
        assert not COMPLAINTS.search(log), log


def mbpoll(place, kind, register, *values, unit=1, count=1):
    """Reads registers or writes values with mbpoll; returns the numbers that it prints. -B: big words first."""
    argv = ["mbpoll", "-q", "-1", "-0", "-B", "-o", "10", "-a", str(unit), "-t", kind, "-r", str(register)]
    if isinstance(place, tuple):
        argv += ["-m", "tcp", "-p", str(place[1])]
        target = place[0]
    else:
        argv += ["-m", "rtu", "-b", "19200", "-P", "none"]
        target = place
    if not values:
        argv += ["-c", str(count)]
    result = subprocess.run([*argv, target, *map(str, values)], capture_output=True, text=True, timeout=60 * SLOW)
    assert result.returncode == 0, f"{' '.join(argv)}: {result.stdout} {result.stderr}"
    return [float(n) for n in re.findall(r"^\[\d+\]:\s+(-?[0-9.e+-]+)", result.stdout, re.MULTILINE)]


def poll_until(read, predicate, deadline_s=30):
    end = time.monotonic() + deadline_s * SLOW
    while True:
        value = read()
        if predicate(value):
            return value
        assert time.monotonic() < end, f"still {value}"
        time.sleep(0.05)


@pytest.fixture
def simulate(tmp_path, started):
    def start(*options, config=None, **kwargs):
        file = write_config(tmp_path, config or plant(free_port()))
        if "--dir" not in options:
            options = ("--dir", str(tmp_path), *options)
        return started.add(Simulator(file, *options, **kwargs))
    return start


def test_tcp_registers_read_within_their_limits_and_move(simulate):
    place = simulate().tcp()

    first = mbpoll(place, "3:float", 0)[0]
    for _ in range(5):
        assert 1 <= mbpoll(place, "3:float", 0)[0] <= 2.5
        assert 10_000 <= mbpoll(place, "3:int", 2)[0] <= 40_000
        assert 4995 <= mbpoll(place, "4", 0)[0] <= 5005
        assert mbpoll(place, "4", 20)[0] in (0, 1, 7)
    poll_until(lambda: mbpoll(place, "3:float", 0)[0], lambda value: value != first)


def test_rtu_registers_read_through_the_pty(simulate, tmp_path):
    simulator = simulate()
    port = str(tmp_path / "line")

    assert os.path.exists(port)
    assert simulator.where["line"] == port
    first = mbpoll(port, "3:float", 0, unit=1)[0]
    assert 220 <= first <= 240
    assert 180 <= mbpoll(port, "3", 1, unit=2)[0] <= 250
    poll_until(lambda: mbpoll(port, "3:float", 0, unit=1)[0], lambda value: value != first)


def test_a_written_value_sticks(simulate):
    place = simulate().tcp()

    setting = mbpoll(place, "4", 10)[0]
    assert 50 <= setting <= 500 and setting % 5 == 0  # 5 to 50 in steps of 0.5, in tenths
    for value in (55, 490, 123):
        mbpoll(place, "4", 10, value)
        for _ in range(3):
            assert mbpoll(place, "4", 10)[0] == value
    mbpoll(place, "4:float", 11, 2.75)
    for state in (1, 0, 1):
        mbpoll(place, "0", 3, state)
        assert mbpoll(place, "0", 3)[0] == state
    assert mbpoll(place, "4:float", 11)[0] == 2.75
    assert mbpoll(place, "4", 10)[0] == 123


def test_a_register_that_no_point_has_is_refused(simulate):
    host, port = simulate().tcp()
    with socket.create_connection((host, port), 60) as link:
        link.sendall(struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 5000, 1))
        reply = link.recv(260)
    assert reply == struct.pack(">HHHBBB", 7, 0, 3, 1, 0x83, 2)


def take_replies(data, sent, answered):
    """Notes the whole frames at the front of data by their numbers; returns the rest."""
    while len(data) >= 9:
        tid, protocol, length, unit, function = struct.unpack(">HHHBB", data[:8])
        assert (protocol, unit) == (0, 1) and 3 <= length <= 254 and 1 <= tid <= sent and tid not in answered
        if len(data) < 6 + length:
            break
        answered[tid] = "exception" if function & 0x80 else "good"
        data = data[6 + length:]
    return data


AHEAD = 32  # with 30 % of drops, all of so many are lost once in 10^16 times


def outcomes(place, requests):
    """Sends requests over one connection, some ahead of the answers; counts what came back. Answers keep the order of the
    requests, so what is left out before one that came is lost: no silence has to be judged, and the last ones are followed by
    some that do not count."""
    answered, data, sent, last = {}, b"", 0, 0
    with socket.create_connection(place, 60 * SLOW) as link:
        while last < requests:
            while sent < last + AHEAD:
                sent += 1
                link.sendall(struct.pack(">HHHBBHH", sent, 0, 6, 1, 3, 0, 1))
            more = link.recv(65536)
            assert more, "the connection was closed"
            data = take_replies(data + more, sent, answered)
            last = max(answered, default=0)
    return collections.Counter(kind for number, kind in answered.items() if number <= requests)


def test_without_faults_every_request_is_answered(simulate):
    assert outcomes(simulate().tcp(), 500) == {"good": 500}


# Of 1000 requests with 30 % faults a fair draw has 300 +- 14.5; 60 more or less is one in 30,000.
def test_exceptions_come_in_their_share(simulate):
    seen = outcomes(simulate("--exception", "30%", "--seed", "5").tcp(), 1000)
    assert seen["good"] + seen["exception"] == 1000
    assert 240 <= seen["exception"] <= 360


def test_drops_come_in_their_share(simulate):
    seen = outcomes(simulate("--drop", "30", "--seed", "5").tcp(), 1000)
    assert set(seen) == {"good"}
    assert 640 <= seen["good"] <= 760


def test_delays_come_late_and_other_answers_do_not(simulate):
    place = simulate("--delay", "50", "--delay-time", "400ms", "--seed", "5").tcp()
    late = 0
    with socket.create_connection(place, 60) as link:
        link.settimeout(60 * SLOW)
        for tid in range(1, 31):
            start = time.monotonic()
            link.sendall(struct.pack(">HHHBBHH", tid, 0, 6, 1, 3, 0, 1))
            assert link.recv(260)[:2] == struct.pack(">H", tid)
            late += time.monotonic() - start >= 0.4
    assert 5 <= late <= 25 if SLOW == 1 else late >= 5


def test_the_same_seed_gives_the_same_faults(simulate):
    def draw(seed):
        simulator = simulate("--exception", "50", "--seed", str(seed))
        with socket.create_connection(simulator.tcp(), 60) as link:
            link.settimeout(60 * SLOW)
            pattern = []
            for tid in range(1, 41):
                link.sendall(struct.pack(">HHHBBHH", tid, 0, 6, 1, 3, 0, 1))
                pattern.append(link.recv(260)[7])
        simulator.stop()
        return pattern

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_it_ends_in_order_and_takes_its_ports_away(simulate, tmp_path):
    for number in (signal.SIGTERM, signal.SIGINT):
        simulator = simulate()
        assert os.path.lexists(tmp_path / "line")
        with socket.create_connection(simulator.tcp(), 60):  # a client that is still there
            simulator.stop(number)
        assert not os.path.lexists(tmp_path / "line")


def test_without_dir_it_makes_and_removes_a_folder(tmp_path, started):
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    simulator = started.add(Simulator(write_config(tmp_path, plant(free_port())), env={"XDG_RUNTIME_DIR": str(runtime)}))
    folder = simulator.comments[0].split()[-1]

    assert os.path.dirname(folder) == str(runtime)
    assert simulator.where["line"] == f"{folder}/line"
    simulator.stop()
    assert os.listdir(runtime) == []


def test_a_port_in_use_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        file = write_config(tmp_path, plant(taken.getsockname()[1]))
        result = subprocess.run([PROGRAM, "simulate", "--dir", str(tmp_path), "-c", str(file)], capture_output=True,
                                text=True, timeout=60 * SLOW)
    assert result.returncode == 1
    assert "bus plc: " in result.stderr and "in use" in result.stderr


@pytest.mark.parametrize("options, sentence", [
    (["--drop", "101"], "--drop 101 is not a percentage (0-100)"),
    (["--drop", "many"], "--drop many is not a percentage (0-100)"),
    (["--delay-time", "5"], "--delay-time 5 is not a time up to 1h, such as 500ms"),
    (["--port-offset", "70000"], "--port-offset 70000 is not a port offset (0-65535)"),
    (["--seed", "-1"], "--seed -1 is not a seed (0-4294967295)"),
    (["--drop", "60", "--garbage", "60"], "the faults are more than 100 % together"),
    (["--sead", "1"], "unknown option --sead"),
    (["--seed"], "--seed needs an argument"),
])
def test_a_wrong_option_is_named(options, sentence):
    result = subprocess.run([PROGRAM, "simulate", *options], capture_output=True, text=True, timeout=60 * SLOW)
    assert result.returncode == 64
    assert result.stderr.splitlines()[0] == f"field2mqtt simulate: {sentence}"


@pytest.mark.quick
def test_the_gateway_publishes_what_is_simulated(simulate, gateway, subscriber, broker, tmp_path):
    config = plant(502)
    config["mqtt"] = {"servers": broker.url}
    config["buses"][1]["host"] = "plc-3.plant.example"  # not of this machine: served on the loopback
    offset = free_port() - 502
    simulate("--port-offset", str(offset), config=config)
    process = gateway(config, options=("--simulated", f"{tmp_path},{offset}"))

    for topic, low, high in (("gw/tank/level", 1, 2.5), ("gw/tank/volume", 10, 40), ("gw/meter/voltage", 220, 240),
                             ("gw/climate/temperature", 18, 25), ("gw/tank/frequency", 49.95, 50.05)):
        for message in range(1, 4):
            value = subscriber.wait_for_json(topic, count=message)
            assert value["quality"] == "good"
            assert low <= value["value"] <= high
    assert subscriber.wait_for_json("gw/tank/state")["value"] in ("stopped", "running", "fault")
    assert isinstance(subscriber.wait_for_json("gw/tank/valve")["value"], bool)
    process.stop()
    seen = [json.loads(m.payload) for m in subscriber.of("gw/tank/energy")]
    energies = [m["value"] for m in seen if m["quality"] == "good"]
    assert energies == sorted(energies)


def plant_of_templates(broker):
    """One device of each Modbus template, on the emptier of the buses that it is made for."""
    devices = {"modbus-tcp": [], "modbus-rtu": []}
    for unit, file in enumerate(sorted((ROOT / "config" / "devices").glob("*.yaml")), 1):
        drivers = set(yaml.safe_load(file.read_text())["drivers"]) & set(devices)
        if drivers:
            devices[min(sorted(drivers), key=lambda driver: len(devices[driver]))].append(
                {"name": file.stem, "template": file.stem, "unit": unit, "interval": "1s"})
    assert all(devices.values())
    return {
        "gateway": {"name": "gw"}, "mqtt": {"servers": broker.url}, "publish": {"when": "change"}, "timeout": "30s",
        "buses": [
            {"name": "plc", "driver": "modbus-tcp", "host": "127.0.0.1", "port": free_port(),
             "devices": devices["modbus-tcp"]},
            {"name": "line", "driver": "modbus-rtu", "port": "/dev/ttyUSB7", "baud": 115200,
             "devices": devices["modbus-rtu"]},
        ]}


def test_every_template_comes_alive_with_good_values(simulate, gateway, subscriber, broker, tmp_path):
    config = plant_of_templates(broker)
    simulate(config=config)
    gateway(config, options=("--simulated", str(tmp_path)))

    wanted = {}
    for bus in config["buses"]:
        for device in bus["devices"]:
            template = yaml.safe_load((ROOT / "config" / "devices" / f"{device['template']}.yaml").read_text())
            for point in template["points"]:
                if point.get("access") != "w" and point.get("enabled") is not False:
                    wanted[f"gw/{device['name']}/{point['name']}"] = None
    assert len(wanted) > 500
    poll_until(lambda: wanted.keys() - {m.topic for m in subscriber.messages}, lambda missing: not missing, 120)
    for message in subscriber.messages:
        if message.topic in wanted:
            wanted[message.topic] = json.loads(message.payload)
    assert {topic: value for topic, value in wanted.items() if value["quality"] != "good"} == {}
