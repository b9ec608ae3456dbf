"""Each part of the gateway at work once, in one run: made for `make valgrind`, which puts memcheck around it."""
import json
import signal
import subprocess

from conftest import Broker, Gateway, Subscriber, free_port, make_config, rtu_bus, tcp_bus, write_config
from fault_proxy import FaultProxy
from serial_instruments import MtSics
from test_flaps_tls import CERTIFICATE


def tls_broker(folder):
    subprocess.run(CERTIFICATE, cwd=folder, check=True, capture_output=True)
    broker, port = Broker(folder), free_port()
    broker.file.write_text(f"{broker.file.read_text()}\nlistener {port} 127.0.0.1\ncertfile {folder}/broker.pem\n"
                           f"keyfile {folder}/broker.key\n")
    return broker, port


def points(count):
    return [{"name": f"p{n}", "register": f"holding:{3 * n}", "type": "uint16"} for n in range(count)]


def buses(tcp, rtu, scale):
    """The first register is read-write, one is refused, and a unit is silent."""
    pump = {"name": "pump", "unit": 1, "points": [
        {"name": "speed", "register": "holding:0", "access": "rw"}, {"name": "hole", "register": "holding:1"},
        {"name": "flow", "register": "holding:2", "type": "float32"}]}
    return [tcp_bus(tcp, [pump, {"name": "absent", "unit": 9, "timeout": "200ms", "points": points(1)}]),
            rtu_bus(rtu, [{"name": "meter", "unit": 1, "timeout": "1s", "points": points(8)}]),
            {"name": "scale", "driver": "serial", "port": scale.port, "devices": [{
                "name": "scale", "timeout": "1s", "frame": {"end": r"\r\n"}, "poll": {"send": r"SI\r\n"},
                "points": [{"name": "weight", "match": "^S S +(?<w>[0-9.]+) g$", "from": "group:w"}]}]}]


def test_polls_commands_outages_reloads_and_an_end_under_tls(tmp_path, started, modbus_tcp_slave, modbus_rtu_slave):
    broker, tls_port = tls_broker(tmp_path)
    started.add(broker).start()
    subscriber = started.add(Subscriber(broker))
    proxy, scale, http = started.add(FaultProxy(tls_port)), started.add(MtSics(tmp_path / "scale")), free_port()
    for slave in (modbus_tcp_slave, modbus_rtu_slave):
        slave.unit(1)
    modbus_tcp_slave.unit(1).refuse("holding:1")
    modbus_tcp_slave.unit(9).silent = True
    config = make_config(
        broker, buses(modbus_tcp_slave, modbus_rtu_slave, scale), http={"enabled": True, "port": http},
        buffer={"durability": "outage", "path": f"{tmp_path}/outbox.db"}, publish={"when": "every", "qos": 1},
        commands={"enabled": True, "ids_file": f"{tmp_path}/ids", "audit_file": f"{tmp_path}/audit"},
        mqtt={"servers": [f"mqtts://localhost:{proxy.port}"], "tls": {"ca_file": f"{tmp_path}/broker.pem"}})
    gateway = started.add(Gateway(write_config(tmp_path, config)))

    def all_arrive(devices=("pump/speed", "meter/p7", "scale/weight")):
        mark = subscriber.mark()
        for device in devices:
            subscriber.wait_for_json(f"gw/{device}", lambda m: m["quality"] == "good", since=mark, deadline_s=30)

    all_arrive()
    for n in range(5):  # commands: carried out, refused, nonsense
        for payload in (json.dumps({"value": n, "id": f"c{n}"}), '{"value": 99999}', '{"val'):
            subscriber.client.publish("gw/pump/speed/set", payload, qos=1)
        subscriber.wait_for_json("gw/pump/speed/result", lambda m, n=n: m.get("id") == f"c{n}" and m["ok"])
    for path in ("/metrics", "/healthz", "/", "/none"):
        subprocess.run(["/usr/bin/python3", "-c", "import sys, http.client as h; c = h.HTTPConnection('127.0.0.1', int(sys.argv[1]));"
                        "c.request('GET', sys.argv[2]); c.getresponse().read()", str(http), path], check=True, timeout=60)
    for _ in range(3):
        seen = len(gateway.lines)
        proxy.cut()
        gateway.wait_for_log("mqtt: .*(lost|closed|refused)", since=seen)
        proxy.heal()
        all_arrive()
    for changed in (config["buses"][:2], [*config["buses"][:1], {**config["buses"][1], "name": "other"}, config["buses"][2]], "no: ["):
        seen = len(gateway.lines)
        write_config(tmp_path, changed if isinstance(changed, str) else {**config, "buses": changed})
        gateway.signal(signal.SIGHUP)
        gateway.wait_for_log("reload: (applied|refused)", since=seen, deadline_s=30)
    all_arrive()

    gateway.stop(30)
