"""Requests of their own as points: the energy reset of a PZEM, whose function is not in the specification. What is on the wire
is compared byte by byte; F8 42 C2 41 is the frame in the maker's manual."""
import json
import struct
import subprocess
import time

import pytest

from conftest import PROGRAM, ROOT, free_port, make_config, write_config
from modbus_tcp import ModbusTcpServer
from test_commands import online, operator  # noqa: F401 (a fixture)
from test_relay import READS, LineBoard
from test_simulate import Simulator

class Meter(LineBoard):
    """A PZEM on a line: 0x42 sets the energy to 0 and is answered with the same bytes, unless `rule` says otherwise."""

    def __init__(self, rule="good", echoes=False):
        self.energy, self.rule, self.echoes = 1234, rule, echoes
        super().__init__()

    def request_len(self, frame):
        return 4 if len(frame) > 1 and frame[1] == 0x42 else 8

    def heard(self, frame):
        return frame if self.echoes else b""  # an adapter that hears itself

    def answer(self, pdu):
        if pdu == b"\x42":
            if self.rule in ("good", "silent"):
                self.energy = 0
            return {"good": pdu, "silent": None, "lost": None, "refused": b"\xc2\x01", "other": b"\x43",
                    "long": b"\x42\x00"}[self.rule]
        function, first, count = struct.unpack(">BHH", pdu)
        words = [0] * 65536
        words[0], words[5] = 2301, self.energy
        words = words if function == 4 else [0] * 65536
        return bytes([function, 2 * count]) + struct.pack(f">{count}H", *words[first:first + count])


def start(broker, gateway, subscriber, tmp_path, meter, unit=248, device=None, enabled=True):
    is_heard = meter.rule in ("good", "refused", "long")  # then it may take its time
    device = {"name": "meter", "template": "peacefair-pzem-016", "unit": unit, "interval": "200ms",
              "timeout": "30s" if is_heard else "2s", **(device or {})}
    process = gateway(make_config(
        broker, [{"name": "line", "driver": "modbus-rtu", "port": meter.port, "devices": [device]}],
        commands={"enabled": enabled, "rate": "1000/s", "ids_file": str(tmp_path / "ids"), "audit_file": str(tmp_path / "log")},
        write={"rate": "1000/s"}))
    online(subscriber)
    subscriber.wait_for_json("gw/meter/energy", lambda m: m["value"] == 1234)
    return process


@pytest.mark.parametrize("unit, frame", [(248, "f8 42 c2 41"), (1, "01 42 80 11")])
@pytest.mark.parametrize("echoes", [False, True])
def test_the_energy_of_a_meter_is_reset(broker, gateway, subscriber, operator, started, tmp_path, unit, frame, echoes):
    meter = started.add(Meter(echoes=echoes))
    start(broker, gateway, subscriber, tmp_path, meter, unit)
    mark = subscriber.mark()

    result = operator.ask("gw/meter/reset_energy/set", "true")

    assert (result["ok"], result["code"]) == (True, "ok")
    assert meter.writes == [frame]
    subscriber.wait_for_json("gw/meter/energy", lambda m: m["value"] == 0, since=mark)


@pytest.mark.parametrize("payload, code", [
    ("false", "out_of_range"), ("0", "out_of_range"), ("2", "out_of_range"), ('"raw:43"', "wrong_type"),
    ("raw:06 00 01 00 01", "bad_payload"), ("null", "wrong_type"), ('{"value":true,"raw":"43"}', "unknown_key"),
])
def test_nothing_but_true_sends_it_and_no_payload_changes_it(broker, gateway, subscriber, operator, started, tmp_path, payload,
                                                             code):
    meter = started.add(Meter())
    start(broker, gateway, subscriber, tmp_path, meter)

    assert operator.ask("gw/meter/reset_energy/set", payload)["code"] == code

    assert not meter.writes and meter.energy == 1234


def test_it_is_off_unless_commands_are_enabled(broker, gateway, subscriber, started, tmp_path):
    meter = started.add(Meter())
    start(broker, gateway, subscriber, tmp_path, meter, enabled=False)

    subscriber.client.publish("gw/meter/reset_energy/set", "true", qos=1).wait_for_publish(60)

    subscriber.wait_for("gw/meter/energy", since=subscriber.mark(), count=3)
    assert not meter.writes and meter.energy == 1234


@pytest.mark.parametrize("rule, code, reason, energy", [
    ("refused", "refused_by_device", "illegal_function", 1234),
    ("lost", "unknown", "timeout", 1234),
    ("silent", "unknown", "timeout", 0),
    ("other", "unknown", None, 1234),
    ("long", "unknown", None, 1234),
])
def test_what_does_not_confirm_it_is_told_and_it_is_not_sent_again(broker, gateway, subscriber, operator, started, tmp_path, rule,
                                                                 code, reason, energy):
    meter = started.add(Meter(rule))
    start(broker, gateway, subscriber, tmp_path, meter)

    result = operator.ask("gw/meter/reset_energy/set", "true")

    assert (result["ok"], result["code"]) == (False, code), result
    assert reason in (None, result["reason"])
    subscriber.wait_for_json("gw/meter/energy", lambda m: m["value"] == energy, since=subscriber.mark(), deadline_s=30)  # it goes on
    assert meter.writes == ["f8 42 c2 41"] and meter.energy == energy


def test_a_reply_of_its_own_is_expected_where_it_is_told(broker, gateway, subscriber, operator, started, tmp_path):
    meter = started.add(Meter("long"))
    start(broker, gateway, subscriber, tmp_path, meter, device={"points": [{"name": "reset_energy", "reply": "raw:42 00"}]})

    assert operator.ask("gw/meter/reset_energy/set", "true")["code"] == "ok"
    assert meter.writes == ["f8 42 c2 41"]


class TcpMeter(ModbusTcpServer):
    """The same behind a gateway of Modbus TCP, which hands out each answer in pieces."""

    def __init__(self):
        self.writes = []
        super().__init__()

    def answer(self, unit, pdu):
        if pdu[0] not in READS:
            self.writes.append(pdu.hex(" "))
        return pdu if pdu[0] == 0x42 else pdu[:1] + b"\x03\x00\x00" if pdu[0] == 0x65 else \
            bytes([pdu[0], 2 * pdu[4]]) + bytes(2 * pdu[4])

    def send(self, connection, frame):
        for at in range(0, len(frame), 3):
            connection.sendall(frame[at:at + 3])
            time.sleep(0.002)  # so that they arrive apart


def test_over_tcp_the_length_of_the_header_counts(broker, gateway, subscriber, operator, started, tmp_path):
    meter = started.add(TcpMeter())
    points = [{"name": "level", "register": "input:0"},
              {"name": "reset", "register": "raw:42", "access": "w"},
              {"name": "clear", "register": "raw:65 01", "reply": "raw:65 03 00 00", "access": "w"},
              {"name": "wrong", "register": "raw:65 02", "reply": "raw:65 03", "access": "w"}]
    gateway(make_config(
        broker, [{"name": "plc", "driver": "modbus-tcp", "host": "127.0.0.1", "port": meter.port,
                  "devices": [{"name": "meter", "unit": 1, "interval": "200ms", "points": points}]}],
        commands={"enabled": True, "ids_file": str(tmp_path / "ids"), "audit_file": str(tmp_path / "log")}))
    online(subscriber)
    subscriber.wait_for_json("gw/meter/level", lambda m: m["value"] == 0)

    codes = {name: operator.ask(f"gw/meter/{name}/set", "true")["code"] for name in ("reset", "clear", "wrong")}

    assert codes == {"reset": "ok", "clear": "ok", "wrong": "unknown"}
    assert meter.writes == ["42", "65 01", "65 02"]
    subscriber.wait_for_json("gw/meter/level", lambda m: m["value"] == 0, since=subscriber.mark())


@pytest.mark.parametrize("driver", ["modbus-rtu", "modbus-tcp"])
def test_the_simulated_meter_answers_it(started, tmp_path, driver):
    place = {"port": "/dev/ttyUSB7"} if driver == "modbus-rtu" else {"host": "127.0.0.1", "port": free_port()}
    file = write_config(tmp_path, {
        "gateway": {"name": "gw"}, "mqtt": {"servers": "mqtt://127.0.0.1:1"}, "timeout": "30s",
        "commands": {"enabled": True, "audit_file": str(tmp_path / "log")},
        "buses": [{"name": "line", "driver": driver, **place,
                   "devices": [{"name": "meter", "template": "peacefair-pzem-016", "unit": 1}]}]})
    started.add(Simulator(file, "--dir", str(tmp_path), buses=1))

    done = subprocess.run([PROGRAM, "write", "-c", str(file), "--simulated", str(tmp_path), "meter", "reset_energy=true"],
                          cwd=ROOT, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["code"] == "ok"
