"""Commands from MQTT to registers: what is written, what is refused and leaves no trace on the wire, and what is answered.

Sent with mosquitto_pub and an MQTT 5 client; the registers of a pymodbus slave are looked at after each command.
"""
import json
import signal
import subprocess
import threading
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from conftest import PROGRAM, SLOW, applied, make_config, rtu_bus, tcp_bus, wait_until, write_config

WRITES = {5, 6, 15, 16, 22, 23}

POINTS = [
    {"name": "speed", "register": "holding:0", "scale": 0.01, "unit": "Hz", "access": "rw", "min": 0, "max": 50,
     "step": 0.1},
    {"name": "mode", "register": "holding:1", "access": "rw", "enum": {0: "off", 1: "manual", 7: "auto"}},
    {"name": "valve", "register": "coil:3", "access": "rw"},
    {"name": "flow", "register": "holding:4", "type": "float32", "order": "CDAB", "access": "rw"},
    {"name": "total", "register": "holding:6", "type": "uint32", "access": "rw"},
    {"name": "label", "register": "holding:10", "type": "string[4]", "access": "rw"},
    {"name": "level", "register": "holding:20"},
    {"name": "bit_2", "register": "holding:30", "type": "bits[2:1]", "access": "rw"},
    {"name": "bit_5", "register": "holding:30", "type": "bits[5:1]", "access": "rw"},
    {"name": "dose", "register": "holding:40", "access": "rw", "write": {"allowed": [0, 25, 50], "max_change": 25}},
    {"name": "reset", "register": "holding:50", "access": "w"},
    {"name": "outdoor", "register": "holding:60", "type": "int16", "scale": 0.1, "offset": -40, "access": "rw"},
    {"name": "energy", "register": "holding:64", "type": "uint64", "access": "rw"},
    {"name": "power", "register": "holding:68", "type": "float64", "access": "rw"},
]


def config(broker, slave, tmp_path, points=None, commands=None, device=None, **sections):
    commands = {"enabled": True, "rate": "1000/s", "timeout": "60s", "ids_file": str(tmp_path / "commands.ids"),
                "audit_file": str(tmp_path / "commands.log"), **(commands or {})}
    sections.setdefault("write", {"rate": "1000/s"})
    slave.unit()  # it is there
    return make_config(broker, [tcp_bus(slave, [{"name": "pump", "unit": 1, **(device or {}),
                                                 "points": points or POINTS}])],
                       commands=commands, **sections)


def online(subscriber, since=0):
    """Subscribed, since "online" is sent behind the subscriptions."""
    subscriber.wait_for("field2mqtt/gw/state", lambda p: p == "online", since=since)


def publish(broker, topic, payload, *options):
    subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), "-q", "1", "-t", topic, "-m", payload,
                    *options], check=True, timeout=60)


def writes(slave):
    return [r for r in slave.recorded() if r.function in WRITES]


class Operator:
    """An MQTT 5 client that asks and waits for its answers."""

    def __init__(self, broker):
        self._changed = threading.Condition()
        self.answers = []
        self.client = mqtt.Client(client_id="", protocol=mqtt.MQTTv5)
        ready = threading.Event()
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", broker.port, clean_start=True)
        self.client.loop_start()
        self.client.subscribe([("field2mqtt/gw/response/#", 1), ("+/+/result", 1), ("+/+/+/result", 1)])
        assert ready.wait(30 * SLOW)

    def _on_message(self, client, userdata, message):
        with self._changed:
            self.answers.append(message)
            self._changed.notify_all()

    def send(self, topic, payload, retain=False, **properties):
        given = Properties(PacketTypes.PUBLISH)
        for name, value in properties.items():
            setattr(given, name, value)
        self.client.publish(topic, payload if isinstance(payload, (str, bytes)) else json.dumps(payload), qos=1,
                            retain=retain, properties=given).wait_for_publish(30 * SLOW)

    def wait(self, topic, count=1, deadline_s=30):
        """The count-th answer on the topic: the message, and what it says."""
        end = time.monotonic() + deadline_s * SLOW
        with self._changed:
            while True:
                found = [m for m in self.answers if m.topic == topic]
                if len(found) >= count:
                    return found[count - 1], json.loads(found[count - 1].payload)
                assert self._changed.wait(end - time.monotonic()), f"{len(found)} answers on {topic}"

    def ask(self, topic, payload, **properties):
        result = topic.removesuffix("/set") + "/result"
        with self._changed:
            count = len([m for m in self.answers if m.topic == result]) + 1
        self.send(topic, payload, **properties)
        return self.wait(result, count)[1]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def operator(broker, started):
    return started.add(Operator(broker))


# ---- what is written ---------------------------------------------------------------------------------


@pytest.mark.quick
def test_a_setpoint_is_written_read_back_published_and_answered(broker, modbus_tcp_slave, gateway, subscriber, tmp_path):
    gateway(config(broker, modbus_tcp_slave, tmp_path, interval="3600s"))
    online(subscriber)
    subscriber.wait_for("gw/pump/speed")
    mark = subscriber.mark()

    publish(broker, "gw/pump/speed/set", "40.1")

    result = subscriber.wait_for_json("gw/pump/speed/result")
    assert (result["ok"], result["code"], result["value"], result["read_back"]) == (True, "ok", 40.1, 40.1)
    assert (result["device"], result["point"]) == ("pump", "speed")
    assert result["received"] <= result["written"] <= result["verified"]
    assert abs(result["received"] - time.time() * 1000) < 60000
    assert modbus_tcp_slave.unit().get("holding:0") == [4010]
    assert [r.function for r in writes(modbus_tcp_slave)] == [6]
    assert subscriber.wait_for_json("gw/pump/speed", since=mark)["value"] == 40.1
    message = subscriber.of("gw/pump/speed/result")[0]
    assert message.qos == 1 and not message.retain


# Expected words: IEEE 754 and ASCII by hand. 12.5 is 0x41480000, CDAB puts the low word first.
@pytest.mark.parametrize("point, payload, register, words, function", [
    ("mode", "auto", "holding:1", [7], 6),
    ("mode", '{"value":"manual","id":"a"}', "holding:1", [1], 6),
    ("mode", "7", "holding:1", [7], 6),
    ("valve", "true", "coil:3", [True], 5),
    ("flow", "12.5", "holding:4", [0x0000, 0x4148], 16),
    ("total", "4294967295", "holding:6", [0xFFFF, 0xFFFF], 16),
    ("label", "P-17", "holding:10", [0x502D, 0x3137, 0, 0], 16),
    ("reset", "1", "holding:50", [1], 6),
    ("outdoor", "21.5", "holding:60", [615], 6),  # (21.5 + 40) / 0.1
    ("outdoor", "-40.1", "holding:60", [0xFFFF], 6),
    ("energy", "12345678901", "holding:64", [0x0000, 0x0002, 0xDFDC, 0x1C35], 16),
    ("energy", "18446744073709551615", "holding:64", [0xFFFF] * 4, 16),
    ("power", "1234.5678", "holding:68", [0x4093, 0x4A45, 0x6D5C, 0xFAAD], 16),
    ("bit_2", "true", "holding:30", [0x0004], 6),
])
def test_every_kind_of_value_reaches_its_registers(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path,
                                                   point, payload, register, words, function):
    gateway(config(broker, modbus_tcp_slave, tmp_path))
    online(subscriber)

    result = operator.ask(f"gw/pump/{point}/set", payload)

    assert result["code"] == "ok", result
    assert modbus_tcp_slave.unit().get(register, len(words)) == words
    assert [(r.function, r.count) for r in writes(modbus_tcp_slave)] == [(function, len(words))]  # one request for all of it


@pytest.mark.parametrize("keys, functions, values", [
    ({"write_registers_with": "16"}, {16}, {"speed": 1}),
    ({"write_coils_with": "15"}, {15}, {"valve": True}),
    ({"mask_write": True}, {22}, {"bit_5": True}),
    ({"write_registers_with": "23"}, {23}, {"speed": 1}),
])
def test_functions_can_be_forced(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path, keys, functions, values):
    modbus_tcp_slave.unit().set("holding:30", [0x8001])
    gateway(config(broker, modbus_tcp_slave, tmp_path, device=keys))
    online(subscriber)

    result = operator.ask("gw/pump/set", values)

    assert result["code"] == "ok", result
    assert {r.function for r in writes(modbus_tcp_slave)} == functions
    if "bit_5" in values:
        assert modbus_tcp_slave.unit().get("holding:30") == [0x8021]


def test_contiguous_points_of_one_object_go_out_in_one_request(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    gateway(config(broker, modbus_tcp_slave, tmp_path))
    online(subscriber)

    result = operator.ask("gw/pump/set", {"values": {"speed": 20, "mode": "auto"}, "id": "block"})

    assert result["code"] == "ok" and result["id"] == "block"
    assert result["values"] == result["read_back"] == {"speed": 20, "mode": "auto"}
    assert [(r.function, r.address, r.count) for r in writes(modbus_tcp_slave)] == [(16, 0, 2)]
    assert modbus_tcp_slave.unit().get("holding:0", 2) == [2000, 7]


def test_an_object_stops_at_the_first_failure_and_says_what_was_written(broker, modbus_tcp_slave, gateway, subscriber,
                                                                        operator, tmp_path):
    modbus_tcp_slave.unit().refuse("holding:50")
    gateway(config(broker, modbus_tcp_slave, tmp_path))
    online(subscriber)

    result = operator.ask("gw/pump/set", {"total": 5, "reset": 1, "valve": True})

    assert (result["code"], result["reason"]) == ("refused_by_device", "illegal_data_address")
    assert result["written_points"] == ["total"]
    assert modbus_tcp_slave.unit().get("holding:6", 2) == [0, 5]
    assert modbus_tcp_slave.unit().get("coil:3") == [0]


@pytest.mark.parametrize("keys", [{}, {"mask_write": True}])
def test_bits_of_one_register_keep_each_other(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path, keys):
    modbus_tcp_slave.unit().set("holding:30", [0x8001])
    gateway(config(broker, modbus_tcp_slave, tmp_path, device=keys, write={"rate": "1000/s", "verify": False},
                   commands={"max_waiting": 64}))  # none of the 42 is refused
    online(subscriber)

    for _ in range(10):
        operator.send("gw/pump/bit_2/set", "true")
        operator.send("gw/pump/bit_5/set", "true")
        operator.send("gw/pump/bit_2/set", "false")
        operator.send("gw/pump/bit_5/set", "false")
    operator.send("gw/pump/bit_2/set", "true")
    operator.send("gw/pump/bit_5/set", "true")
    operator.wait("gw/pump/bit_2/result", 21)
    operator.wait("gw/pump/bit_5/result", 21)

    assert {json.loads(m.payload)["code"] for m in operator.answers} <= {"ok", "superseded"}
    assert modbus_tcp_slave.unit().get("holding:30") == [0x8025]


@pytest.mark.parametrize("keys", [{}, {"mask_write": True}])
def test_two_operators_at_once_keep_each_others_bits(broker, modbus_tcp_slave, gateway, subscriber, operator, started, tmp_path, keys):
    """Each has a bit of its own, and waits for each of its answers; the register is slow, so that they meet in it."""
    modbus_tcp_slave.unit().set("holding:30", [0x8001])
    modbus_tcp_slave.unit().delay_s = 0.01
    gateway(config(broker, modbus_tcp_slave, tmp_path, device=keys))
    online(subscriber)
    other = started.add(Operator(broker))
    codes = []

    def switch(who, bit):
        codes.extend(who.ask(f"gw/pump/{bit}/set", state)["code"] for state in ["true", "false"] * 15 + ["true"])

    threads = [threading.Thread(target=switch, args=args) for args in ((operator, "bit_2"), (other, "bit_5"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert codes == ["ok"] * 62
    assert modbus_tcp_slave.unit().get("holding:30") == [0x8025]


def test_commands_work_over_a_serial_line(broker, modbus_rtu_slave, gateway, subscriber, operator, tmp_path):
    modbus_rtu_slave.unit()
    gateway(make_config(broker, [rtu_bus(modbus_rtu_slave, [{"name": "pump", "unit": 1, "points": POINTS}])],
                        commands={"enabled": True, "ids_file": str(tmp_path / "ids"), "audit_file": str(tmp_path / "log")}))
    online(subscriber)

    assert operator.ask("gw/pump/speed/set", "12.5")["code"] == "ok"
    assert modbus_rtu_slave.unit().get("holding:0") == [1250]


def test_a_device_message_has_topics_for_its_points(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    gateway(config(broker, modbus_tcp_slave, tmp_path, publish={"per": "device", "topic": "plant/${device}"}))
    online(subscriber)
    mark = subscriber.mark()

    assert operator.ask("plant/pump/speed/set", "30")["code"] == "ok"

    subscriber.wait_for_json("plant/pump", lambda m: m["speed"] == 30, since=mark)
    assert operator.ask("plant/pump/set", {"speed": 31})["code"] == "ok"


def test_a_scale_that_the_device_tells_is_undone(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    """SunSpec: the value is the register x 10^sunssf."""
    points = [{"name": "limit", "register": "holding:0", "scale_register": "holding:1", "access": "rw", "max": 100}]
    modbus_tcp_slave.unit().set("holding:0", [500, 0xFFFF])  # 50.0
    gateway(config(broker, modbus_tcp_slave, tmp_path, points=points))
    online(subscriber)
    subscriber.wait_for_json("gw/pump/limit", lambda m: m["value"] == 50)

    result = operator.ask("gw/pump/limit/set", "72.5")

    assert (result["code"], result["read_back"]) == ("ok", 72.5)
    assert modbus_tcp_slave.unit().get("holding:0", 2) == [725, 0xFFFF]
    assert operator.ask("gw/pump/limit/set", "72.55")["code"] == "not_exact"
    modbus_tcp_slave.unit().set("holding:1", [0x8000])
    subscriber.wait_for_json("gw/pump/limit", lambda m: m["value"] is None)
    assert operator.ask("gw/pump/limit/set", "60")["code"] == "present_value_unknown"
    assert len(writes(modbus_tcp_slave)) == 1


def test_topics_can_be_chosen_and_results_share_one(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    points = [{"name": "a", "register": "holding:0", "access": "rw"},
              {"name": "b", "register": "holding:1", "access": "rw", "write": {"set_topic": "plant/valve/b"}}]
    gateway(config(broker, modbus_tcp_slave, tmp_path, points=points,
                   write={"set_topic": "cmd/${topic}", "result_topic": "cmd/all/result", "rate": "9/s"}))
    online(subscriber)

    operator.send("cmd/gw/pump/a", "3")
    assert operator.wait("cmd/all/result")[1]["point"] == "a"
    operator.send("plant/valve/b", "4")
    assert operator.wait("cmd/all/result", 2)[1]["point"] == "b"
    assert modbus_tcp_slave.unit().get("holding:0", 2) == [3, 4]


def test_check_says_how_much_can_be_written(broker, modbus_tcp_slave, tmp_path):
    settings = config(broker, modbus_tcp_slave, tmp_path)
    check = [PROGRAM, "check", "-c", str(write_config(tmp_path, settings))]
    assert "commands: enabled, 13 points can be written from MQTT" in subprocess.run(
        check, check=True, capture_output=True, text=True).stdout
    settings["commands"]["enabled"] = False
    write_config(tmp_path, settings)
    assert "commands: off, 13 points could be written" in subprocess.run(
        check, check=True, capture_output=True, text=True).stdout


# ---- what is refused ---------------------------------------------------------------------------------

REFUSED = [
    ("speed", "fast", "bad_payload"),
    ("speed", "x" * 4097, "too_large"),
    ("speed", "[[[[[[[[[1]]]]]]]]]", "too_deep"),
    ("speed", '{"value":1,"value":2}', "duplicate_key"),
    ("speed", '{"value":1,"ttl":2}', "unknown_key"),
    ("speed", '{"value":1,"id":""}', "bad_id"),
    ("speed", '{"value":1,"expires":"soon"}', "bad_expiry"),
    ("speed", '{"value":1,"expires":1}', "expired"),
    ("speed", '{"value":1,"expires":"2020-01-01T00:00:00Z"}', "expired"),
    ("speed", '"40"', "wrong_type"),
    ("speed", "50.1", "out_of_range"),
    ("speed", "-0.1", "out_of_range"),
    ("total", "4294967296", "out_of_range"),
    ("outdoor", "21.55", "not_exact"),
    ("label", '"longer than 8"', "out_of_range"),
    ("speed", "40.05", "off_step"),
    ("mode", "on", "unknown_name"),
    ("total", "1.5", "not_exact"),
    ("dose", "10", "not_allowed"),
    ("dose", "50", "change_too_large"),
]


@pytest.mark.quick
def test_what_is_refused_never_reaches_the_wire(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    gateway(config(broker, modbus_tcp_slave, tmp_path))
    online(subscriber)
    subscriber.wait_for("gw/pump/dose")

    for point, payload, code in REFUSED:
        result = operator.ask(f"gw/pump/{point}/set", payload)
        assert (result["ok"], result["code"]) == (False, code), (payload, result)
        assert result["message"], payload
    for payload, code in (('{"speed":1,"sped":2}', "unknown_point"), ('{"speed":1,"level":2}', "read_only"),
                          ('{"speed":1,"speed":2}', "duplicate_key"), ("40", "bad_payload")):
        assert operator.ask("gw/pump/set", payload)["code"] == code
    operator.send("gw/pump/level/set", "1")  # nobody listens there
    assert operator.ask("gw/pump/speed/set", "1")["code"] == "ok"

    assert len(writes(modbus_tcp_slave)) == 1
    lines = [json.loads(line) for line in (tmp_path / "commands.log").read_text().splitlines()]
    assert [line["result"]["code"] for line in lines if not line.get("result", {"ok": True})["ok"]] == [
        code for _, _, code in REFUSED] + ["unknown_point", "read_only", "duplicate_key", "bad_payload"]


def test_a_change_from_an_unknown_value_is_refused(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    modbus_tcp_slave.unit().refuse("holding:40")
    gateway(config(broker, modbus_tcp_slave, tmp_path))
    online(subscriber)
    subscriber.wait_for_json("gw/pump/dose", lambda m: m["quality"] == "bad")

    result = operator.ask("gw/pump/dose/set", "25")

    assert (result["code"], result["reason"]) == ("present_value_unknown", "illegal_data_address")
    assert not writes(modbus_tcp_slave)


@pytest.mark.parametrize("sections", [{}, {"commands": {"enabled": False}}])
def test_without_enabled_there_is_not_even_a_subscription(broker, modbus_tcp_slave, gateway, subscriber, sections):
    modbus_tcp_slave.unit()
    gateway(make_config(broker, [tcp_bus(modbus_tcp_slave, [{"name": "pump", "unit": 1, "points": POINTS}])], **sections))
    online(subscriber)
    subscriber.wait_for("gw/pump/speed")

    publish(broker, "gw/pump/speed/set", "40")

    subscriber.wait_for("gw/pump/speed", since=subscriber.mark(), count=3)
    assert not writes(modbus_tcp_slave)
    assert not subscriber.of("gw/pump/speed/result")
    assert not [line for line in broker.process.lines if "SUBSCRIBE from field2mqtt-gw" in line]


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_retained_commands_are_refused(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path, version):
    publish(broker, "gw/pump/speed/set", "40", "-r")
    gateway(config(broker, modbus_tcp_slave, tmp_path, mqtt={"version": version}))

    assert operator.wait("gw/pump/speed/result")[1]["code"] == "retained"

    subscriber.wait_for("gw/pump/speed", since=subscriber.mark(), count=3)
    assert not writes(modbus_tcp_slave)
    if version == "5":  # the flag is seen also when it was just published
        operator.send("gw/pump/mode/set", "auto", retain=True)
        assert operator.wait("gw/pump/mode/result")[1]["code"] == "retained"
        assert not writes(modbus_tcp_slave)


def test_a_command_that_was_sent_while_the_gateway_was_away_is_not_written_later(broker, modbus_tcp_slave, gateway, subscriber,
                                                                              operator, tmp_path):
    """There is no session in which the broker would keep it, neither over a restart nor over a lost connection."""
    settings = config(broker, modbus_tcp_slave, tmp_path)
    process = gateway(settings)
    online(subscriber)
    assert operator.ask("gw/pump/speed/set", "1")["code"] == "ok"
    process.kill()
    subscriber.wait_for("field2mqtt/gw/state", lambda p: p == "offline")

    publish(broker, "gw/pump/speed/set", "2")
    publish(broker, "gw/pump/mode/set", '{"value":"auto","id":"late"}')
    mark = subscriber.mark()
    gateway(settings)
    online(subscriber, since=mark)

    assert operator.ask("gw/pump/total/set", "3")["code"] == "ok"  # what the broker had kept would have come before it
    assert modbus_tcp_slave.unit().get("holding:0", 2) == [100, 0]
    assert len(writes(modbus_tcp_slave)) == 2
    assert len(subscriber.of("gw/pump/speed/result")) == 1 and not subscriber.of("gw/pump/mode/result")


def test_only_exact_topics_are_subscribed_again_at_every_connection(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    gateway(config(broker, modbus_tcp_slave, tmp_path))
    online(subscriber)
    assert operator.ask("gw/pump/speed/set", "1")["code"] == "ok"

    mark = subscriber.mark()
    broker.restart()
    subscriber.wait_subscribed(2)
    online(subscriber, since=mark)
    publish(broker, "gw/pump/speed/set", "2")

    subscriber.wait_for_json("gw/pump/speed/result", lambda m: m["value"] == 2 and m["ok"])
    broker.process.wait_for_log("Received PUBLISH .*'gw/pump/speed/result'")  # what it said before was read, too
    topics = {line.split()[-2].rstrip(")") for line in broker.process.lines if "\t" in line and "/set" in line}
    asked = [line for line in broker.process.lines if "/set (QoS" in line]
    assert len(asked) == 1 + sum(p.get("access", "r") != "r" for p in POINTS), topics
    assert not any("+" in line or "#" in line for line in asked)


# ---- who may, and when -------------------------------------------------------------------------------


def test_the_lock_file_makes_the_gateway_read_only_at_once(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    lock = tmp_path / "read-only"
    gateway(config(broker, modbus_tcp_slave, tmp_path, commands={"lock_file": str(lock)}))
    online(subscriber)
    assert operator.ask("gw/pump/speed/set", "1")["code"] == "ok"

    lock.touch()
    assert operator.ask("gw/pump/speed/set", "2")["code"] == "locked"
    assert len(writes(modbus_tcp_slave)) == 1
    lock.unlink()
    assert operator.ask("gw/pump/speed/set", "3")["code"] == "ok"


def test_commands_wait_for_arming(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    process = gateway(config(broker, modbus_tcp_slave, tmp_path, commands={"arm_topic": "gw/arm", "arm_time": "1s"}))
    online(subscriber)

    assert operator.ask("gw/pump/speed/set", "1")["code"] == "not_armed"
    operator.send("gw/arm", "please")
    assert operator.ask("gw/pump/speed/set", "1")["code"] == "not_armed"
    assert not writes(modbus_tcp_slave)
    operator.send("gw/arm", "arm")
    process.wait_for_log("is armed")
    assert operator.ask("gw/pump/speed/set", "2")["code"] in ("ok", "not_armed")  # a second is short on a busy machine
    operator.send("gw/arm", "disarm")
    process.wait_for_log("is not armed", since=len(process.lines) - 3)
    before = len(writes(modbus_tcp_slave))
    assert operator.ask("gw/pump/speed/set", "3")["code"] == "not_armed"
    assert len(writes(modbus_tcp_slave)) == before


def test_rates_are_limited_per_point_and_in_all(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    gateway(config(broker, modbus_tcp_slave, tmp_path, commands={"rate": "4/h"}, write={"rate": "2/h"}))
    online(subscriber)

    assert [operator.ask("gw/pump/speed/set", "1")["code"] for _ in range(3)] == ["ok", "ok", "rate_limited"]
    assert operator.ask("gw/pump/mode/set", "auto")["code"] == "ok"
    assert operator.ask("gw/pump/total/set", "1")["code"] == "rate_limited"
    assert len(writes(modbus_tcp_slave)) == 3


def test_a_flood_is_refused_with_an_answer_for_each_and_polling_goes_on(broker, modbus_tcp_slave, gateway, subscriber,
                                                                       operator, tmp_path):
    modbus_tcp_slave.unit().delay_s = 0.02
    gateway(config(broker, modbus_tcp_slave, tmp_path, commands={"max_waiting": 4}, interval="50ms"))
    online(subscriber)
    mark, n, end = subscriber.mark(), 0, time.monotonic() + 60 * SLOW

    modbus_tcp_slave.unit().hold(6, 16)  # however slowly they are sent, more come than may wait
    while n < 400 or len(subscriber.of("gw/pump/level", mark)) < 3:  # polling goes on before the flood ends
        operator.send("gw/pump/speed/set" if n % 2 else "gw/pump/total/set", str(n % 50))
        n += 1
        wait_until(lambda: len(operator.answers) > n - 100)  # 128 may wait to be looked at, what comes beyond is lost
        if n == 20:
            wait_until(lambda: operator.answers)
            modbus_tcp_slave.unit().release()
        assert time.monotonic() < end, "no polling"

    _, _ = operator.wait("gw/pump/speed/result", n // 2), operator.wait("gw/pump/total/result", (n + 1) // 2)
    codes = [json.loads(m.payload)["code"] for m in operator.answers]
    assert len(codes) == n
    assert set(codes) <= {"ok", "busy", "superseded"} and "busy" in codes
    assert codes.count("ok") == len(writes(modbus_tcp_slave))


def test_a_repeated_id_is_answered_again_and_written_once_also_after_a_restart(broker, modbus_tcp_slave, gateway, subscriber,
                                                                              operator, tmp_path):
    settings = config(broker, modbus_tcp_slave, tmp_path)
    process = gateway(settings)
    online(subscriber)
    command = {"value": 12, "id": "shift-7"}

    first = operator.ask("gw/pump/speed/set", command)
    second = operator.ask("gw/pump/speed/set", command)

    assert first["ok"] and second == {**first, "repeated": True}
    assert operator.ask("gw/pump/speed/set", {"value": 13, "id": "shift-7"})["code"] == "id_reused"
    assert operator.ask("gw/pump/total/set", {"value": 12, "id": "shift-7"})["code"] == "ok"  # another topic
    process.kill()
    mark = subscriber.mark()
    gateway(settings)
    online(subscriber, since=mark)
    assert operator.ask("gw/pump/speed/set", command) == {**first, "repeated": True}
    assert len(writes(modbus_tcp_slave)) == 2


# ---- MQTT 5 ------------------------------------------------------------------------------------------


@pytest.mark.quick
def test_the_response_topic_gets_the_answer_with_its_correlation(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    gateway(config(broker, modbus_tcp_slave, tmp_path, mqtt={"version": "5"}))
    online(subscriber)

    operator.send("gw/pump/speed/set", "25", ResponseTopic="field2mqtt/gw/response/scada-1", CorrelationData=b"\x00\xff7",
                  UserProperty=[("operator", "eve"), ("api-token", "hunter2")])

    message, result = operator.wait("field2mqtt/gw/response/scada-1")
    assert result["code"] == "ok"
    assert message.properties.CorrelationData == b"\x00\xff7"
    assert not subscriber.of("gw/pump/speed/result")
    audit = (tmp_path / "commands.log").read_text()
    assert "operator=eve" in audit and "hunter2" not in audit


def test_another_response_topic_is_refused(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    gateway(config(broker, modbus_tcp_slave, tmp_path, mqtt={"version": "5"}))
    online(subscriber)

    for n, topic in enumerate(("plant/other/set", "field2mqtt/gw/state", "f" * 300), 1):
        operator.send("gw/pump/speed/set", "25", ResponseTopic=topic)
        assert operator.wait("gw/pump/speed/result", n)[1]["code"] == "bad_response_topic"
    operator.send("gw/pump/speed/set", "25", CorrelationData=b"x" * 129)
    assert operator.wait("gw/pump/speed/result", 4)[1]["code"] == "bad_response_topic"
    assert not writes(modbus_tcp_slave)


# ---- outcomes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("exception, code, reason", [
    (1, "refused_by_device", "illegal_function"), (3, "refused_by_device", "illegal_data_value"),
    (4, "refused_by_device", "server_device_failure"), (6, "device_busy", "server_device_busy"),
])
def test_the_refusal_of_a_device_is_answered_with_its_reason(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path,
                                                             exception, code, reason):
    modbus_tcp_slave.unit().functions[6] = exception
    gateway(config(broker, modbus_tcp_slave, tmp_path))
    online(subscriber)

    result = operator.ask("gw/pump/speed/set", "1")

    assert (result["code"], result["reason"]) == (code, reason)
    assert len(writes(modbus_tcp_slave)) == 1
    assert "written" not in result


@pytest.mark.parametrize("rule, verify, code", [
    ("silent", True, "ok"), ("lost", True, "timeout"), ("lost", False, "unknown"), ("silent", False, "unknown"),
])
def test_a_write_without_an_answer_is_not_repeated(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path,
                                                   rule, verify, code):
    modbus_tcp_slave.unit().functions[6] = rule
    gateway(config(broker, modbus_tcp_slave, tmp_path, device={"timeout": "2s"},
                   write={"rate": "9/s", "verify": verify}))
    online(subscriber)

    result = operator.ask("gw/pump/speed/set", "7")

    assert result["code"] == code, result
    assert len(writes(modbus_tcp_slave)) == 1
    assert modbus_tcp_slave.unit().get("holding:0") == [700 if rule == "silent" else 0]


def test_an_idempotent_write_is_repeated_once(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    modbus_tcp_slave.unit().functions[6] = "lost"
    gateway(config(broker, modbus_tcp_slave, tmp_path, device={"timeout": "2s"},
                   write={"rate": "9/s", "idempotent": True}))
    online(subscriber)

    assert operator.ask("gw/pump/speed/set", "7")["code"] == "timeout"

    assert len(writes(modbus_tcp_slave)) == 2


def test_a_register_that_keeps_its_value_is_a_mismatch(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    points = [{"name": "speed", "register": "holding:0", "write_register": "holding:100", "access": "rw"}]
    modbus_tcp_slave.unit().set("holding:0", [5])
    gateway(config(broker, modbus_tcp_slave, tmp_path, points=points))
    online(subscriber)

    result = operator.ask("gw/pump/speed/set", "7")

    assert (result["code"], result["value"], result["read_back"]) == ("mismatch", 7, 5)
    assert modbus_tcp_slave.unit().get("holding:100") == [7]


def test_a_value_that_cannot_be_read_back_is_unverified(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    modbus_tcp_slave.unit().functions[3] = 2
    gateway(config(broker, modbus_tcp_slave, tmp_path))
    online(subscriber)

    result = operator.ask("gw/pump/speed/set", "7")

    assert (result["code"], result["reason"]) == ("unverified", "illegal_data_address")
    assert modbus_tcp_slave.unit().get("holding:0") == [700]


def test_a_dead_device_and_a_dead_link_are_answered_at_once(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    modbus_tcp_slave.unit().silent = True
    gateway(config(broker, modbus_tcp_slave, tmp_path, device={"timeout": "100ms", "offline_after": "200ms"}))
    online(subscriber)
    subscriber.wait_for_json("gw/pump/speed", lambda m: m["quality"] == "bad")
    end = time.monotonic() + 60
    while (code := operator.ask("gw/pump/speed/set", "7")["code"]) != "device_offline":
        assert code in ("unknown", "timeout", "expired") and time.monotonic() < end, code
    assert operator.ask("gw/pump/total/set", "7")["code"] == "device_offline"

    modbus_tcp_slave.stop()
    while (code := operator.ask("gw/pump/speed/set", "7")["code"]) != "link_down":
        assert time.monotonic() < end + 60, code
    assert operator.ask("gw/pump/total/set", "7")["code"] == "link_down"
    asked = len(writes(modbus_tcp_slave))
    assert 16 not in {r.function for r in writes(modbus_tcp_slave)}  # none of `total`; some of `speed` may have come late
    modbus_tcp_slave.unit().silent = False
    modbus_tcp_slave.start()  # what was refused is not written when the link is there again
    online_again = subscriber.mark()
    subscriber.wait_for_json("gw/pump/speed", lambda m: m["quality"] == "good", since=online_again, deadline_s=60)
    assert modbus_tcp_slave.unit().get("holding:0") == [0]
    assert len(writes(modbus_tcp_slave)) == asked


def test_a_device_that_is_only_written_is_as_online_as_its_link(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    """Nothing is polled that could show that the link works again; the first command does not wait for that."""
    points = [{"name": "lamp", "register": "coil:0", "access": "w"}]
    states = [f"field2mqtt/gw/{key}/state" for key in ("plc", "plc/pump")]
    slave_config = config(broker, modbus_tcp_slave, tmp_path, points=points, mqtt={"device_states": True})
    slave_config["buses"][0].update(reopen_min="100ms", reopen_max="500ms")
    modbus_tcp_slave.stop()
    process = gateway(slave_config)
    online(subscriber)
    for topic in states:
        subscriber.wait_for(topic, lambda state: state == "offline")
    assert operator.ask("gw/pump/lamp/set", "true")["code"] == "link_down"

    mark = subscriber.mark()
    modbus_tcp_slave.start()
    for topic in states:
        subscriber.wait_for(topic, lambda state: state == "online", since=mark)
    assert process.wait_for_log("plc: open again")
    assert operator.ask("gw/pump/lamp/set", "true")["code"] == "ok"
    assert modbus_tcp_slave.unit().get("coil:0") == [1]


def test_results_survive_an_outage_of_the_broker(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    points = [{"name": "speed", "register": "holding:0", "access": "rw"}]
    process = gateway(config(broker, modbus_tcp_slave, tmp_path, points=points))
    online(subscriber)
    modbus_tcp_slave.unit().hold(6)
    publish(broker, "gw/pump/speed/set", "9")
    wait_until(lambda: modbus_tcp_slave.unit().n_held)

    broker.stop()
    modbus_tcp_slave.unit().release()
    wait_until(lambda: '"event":"done"' in (tmp_path / "commands.log").read_text())
    process.signal(signal.SIGSTOP)  # who waits for the result has to be there first
    broker.start()
    subscriber.wait_subscribed(2)
    process.signal(signal.SIGCONT)

    assert subscriber.wait_for_json("gw/pump/speed/result")["code"] == "ok"


def test_results_that_wait_survive_a_restart_of_the_gateway(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    """With their correlation: the broker went away while the command was under way."""
    points = [{"name": "speed", "register": "holding:0", "access": "rw"}]
    settings = config(broker, modbus_tcp_slave, tmp_path, points=points, mqtt={"version": "5"},
                      buffer={"path": str(tmp_path / "outbox.db"), "durability": "always"})
    process = gateway(settings)
    online(subscriber)
    modbus_tcp_slave.unit().hold(6)
    operator.send("gw/pump/speed/set", "9", ResponseTopic="field2mqtt/gw/response/me", CorrelationData=b"42")
    wait_for_register(modbus_tcp_slave, "holding:0", [9])
    broker.stop()
    modbus_tcp_slave.unit().release()
    wait_until(lambda: '"event":"done"' in (tmp_path / "commands.log").read_text())
    process.stop()
    broker.start()
    subscriber.wait_subscribed(2)
    answers = Operator(broker)
    gateway(settings)

    message, result = answers.wait("field2mqtt/gw/response/me")
    assert result["code"] == "ok" and message.properties.CorrelationData == b"42"
    answers.close()


@pytest.mark.parametrize("change", ["off", "read only", "limits"])
def test_a_reload_changes_what_may_be_written(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path, change):
    settings = config(broker, modbus_tcp_slave, tmp_path)
    process = gateway(settings)
    online(subscriber)
    assert operator.ask("gw/pump/speed/set", "40")["code"] == "ok"
    mark = subscriber.mark()

    if change == "off":
        settings["commands"]["enabled"] = False
    elif change == "limits":
        settings["commands"]["rate"] = "1/h"
    else:
        settings["buses"][0]["devices"][0]["points"] = [{"name": "speed", "register": "holding:0"}]
    write_config(tmp_path, settings)
    process.signal(signal.SIGHUP)
    applied(subscriber, mark)

    if change == "limits":
        assert operator.ask("gw/pump/speed/set", "41")["code"] == "ok"
        assert operator.ask("gw/pump/speed/set", "42")["code"] == "rate_limited"
        return
    operator.send("gw/pump/speed/set", "41")
    subscriber.wait_for("gw/pump/speed", since=subscriber.mark(), count=10)
    assert modbus_tcp_slave.unit().get("holding:0") == [4000]
    assert len(writes(modbus_tcp_slave)) == 1


# ---- safe values -------------------------------------------------------------------------------------

SAFE = [{"name": "speed", "register": "holding:0", "access": "rw",
         "write": {"on_disconnect": 5, "on_disconnect_after": "1s", "on_stop": 1}},
        {"name": "other", "register": "holding:1", "access": "rw"}]


def wait_for_register(slave, register, words):
    wait_until(lambda: slave.unit().get(register, len(words)) == words)


def test_safe_values_are_written_when_the_broker_is_away_and_at_the_stop(broker, modbus_tcp_slave, gateway, subscriber,
                                                                        operator, tmp_path):
    modbus_tcp_slave.unit().set("holding:0", [77, 88])
    process = gateway(config(broker, modbus_tcp_slave, tmp_path, points=SAFE))
    online(subscriber)
    assert operator.ask("gw/pump/speed/set", "40")["code"] == "ok"
    subscriber.wait_for("gw/pump/other", since=subscriber.mark(), count=20)  # nothing happens as long as it is there
    assert modbus_tcp_slave.unit().get("holding:0") == [40]

    broker.stop()
    wait_for_register(modbus_tcp_slave, "holding:0", [5])
    process.wait_for_log("on_disconnect of speed.*safe value is written")
    assert len(writes(modbus_tcp_slave)) == 2
    broker.start()
    process.stop()

    assert modbus_tcp_slave.unit().get("holding:0", 2) == [1, 88]


def test_a_lock_file_holds_for_safe_values_too(broker, modbus_tcp_slave, gateway, subscriber, tmp_path):
    lock = tmp_path / "read-only"
    lock.touch()
    process = gateway(config(broker, modbus_tcp_slave, tmp_path, points=SAFE, commands={"lock_file": str(lock)}))
    online(subscriber)
    subscriber.wait_for("gw/pump/speed")
    process.stop()

    assert not writes(modbus_tcp_slave)
