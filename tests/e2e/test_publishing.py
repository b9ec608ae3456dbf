"""How values become messages: per point or per device, when, how often, with which QoS, retained or not."""
import json
import re
import signal
import time
from decimal import Decimal

import pytest

import vectors
from conftest import Subscriber, make_config, tcp_bus


def point(address, **keys):
    return {"register": f"holding:{address}", "name": f"p{address}", **keys}


@pytest.fixture
def plant(broker, modbus_tcp_slave, gateway):
    """plant(points, **device keys) starts a gateway with one device `dev`, unit 1, and gives the gateway."""
    def start(points, sections=None, **keys):
        modbus_tcp_slave.unit(1)
        device = {"name": "dev", "unit": 1, "interval": "50ms", **keys, "points": points}
        config = make_config(broker, [tcp_bus(modbus_tcp_slave, [device])], **(sections or {}))
        return gateway(config)
    return start


def fill(slave, values):
    for address, value in values.items():
        slave.unit(1).set(f"holding:{address}", [value])


@pytest.mark.quick
def test_json_payload_has_value_time_quality_and_unit(plant, modbus_tcp_slave, subscriber):
    fill(modbus_tcp_slave, {0: 2301})

    plant([point(0, scale=0.1, unit="V")])
    body = vectors.parse(subscriber.wait_for("gw/dev/p0").payload)

    assert set(body) == {"value", "ts", "quality", "unit"}
    assert Decimal(body["value"]) == Decimal("230.1") and body["quality"] == "good" and body["unit"] == "V"


def test_value_payload_is_the_bare_value(plant, modbus_tcp_slave, subscriber):
    fill(modbus_tcp_slave, {0: 2301, 1: 7, 2: 1})

    plant([point(0, scale=0.1), point(1, enum={7: "fault"}), point(2, type="bool")], publish={"payload": "value"})

    assert subscriber.wait_for("gw/dev/p0").payload == "230.1"
    assert subscriber.wait_for("gw/dev/p1").payload == "fault"
    assert subscriber.wait_for("gw/dev/p2").payload == "true"


def test_template_payload_is_filled_in(plant, modbus_tcp_slave, subscriber):
    fill(modbus_tcp_slave, {0: 2301})

    plant([point(0, scale=0.1, unit="V", payload="${device}.${point}=${value} ${unit} (${quality})")])

    assert subscriber.wait_for("gw/dev/p0").payload == "dev.p0=230.1 V (good)"


def test_time_can_be_iso_8601(plant, subscriber):
    plant([point(0, time="iso8601")])

    ts = subscriber.wait_for_json("gw/dev/p0")["ts"]

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", ts)


@pytest.mark.quick
def test_one_message_per_device_holds_all_points(plant, modbus_tcp_slave, subscriber):
    fill(modbus_tcp_slave, {0: 2301, 1: 499, 5: 3})
    modbus_tcp_slave.unit(1).refuse("holding:9", 2)

    plant([point(0, scale=0.1), point(1, scale=0.1), point(5, enum={3: "running"}), point(9)],
          publish={"per": "device", "topic": "plant/${device}"})
    body = vectors.parse(subscriber.wait_for(
        "plant/dev", lambda p: json.loads(p).get("bad") == {"p9": "illegal_data_address"}).payload)

    assert Decimal(body["p0"]) == Decimal("230.1") and Decimal(body["p1"]) == Decimal("49.9")
    assert body["p5"] == "running" and body["p9"] is None
    assert not [m.topic for m in subscriber.messages if m.topic.startswith("gw/dev")]


def test_unchanged_values_are_silent_when_changes_are_asked_for(plant, modbus_tcp_slave, subscriber):
    fill(modbus_tcp_slave, {0: 5})

    plant([point(0)], publish={"when": "change"})
    subscriber.wait_for("gw/dev/p0")
    modbus_tcp_slave.wait_for_requests(len(modbus_tcp_slave.recorded()) + 5)
    fill(modbus_tcp_slave, {0: 6})
    subscriber.wait_for_json("gw/dev/p0", lambda m: m["value"] == 6)

    assert [json.loads(m.payload)["value"] for m in subscriber.of("gw/dev/p0")] == [5, 6]


@pytest.mark.parametrize("deadband, steps", [
    ("10", [(1000, True), (1009, False), (991, False), (1011, True), (1002, False), (1000, True)]),
    ("5%", [(1000, True), (1049, False), (951, False), (1051, True), (1100, False), (990, True)]),
    ("2 V", [(100, True), (101, False), (103, True)]),
], ids=["absolute", "percent", "with_unit"])
def test_only_changes_beyond_the_deadband_are_published(plant, modbus_tcp_slave, subscriber, deadband, steps):
    fill(modbus_tcp_slave, {0: steps[0][0], 1: 0})
    plant([point(0, deadband=deadband, unit="V"), point(1)], publish={"when": "change"})

    for n, (value, _) in enumerate(steps):
        # Both in one request: when the counter beside it has arrived, the value was looked at too.
        modbus_tcp_slave.unit(1).set("holding:0", [value, n])
        subscriber.wait_for_json("gw/dev/p1", lambda m, n=n: m["value"] == n)
    modbus_tcp_slave.unit(1).set("holding:0", [steps[-1][0], 99])
    subscriber.wait_for_json("gw/dev/p1", lambda m: m["value"] == 99)

    seen = [json.loads(m.payload)["value"] for m in subscriber.of("gw/dev/p0")]
    assert seen == [value for value, published in steps if published]


def assert_seldom(messages, ms, begin):
    """At least so long from one to the next, all of them together: single ones may be held up on their way."""
    assert messages[-1].time - begin >= (len(messages) - 1) * ms / 1000, [m.time - begin for m in messages]


def test_silence_is_broken_after_max_silence(plant, modbus_tcp_slave, subscriber):
    fill(modbus_tcp_slave, {0: 5})

    begin = time.monotonic()
    plant([point(0)], publish={"when": "change", "max_silence": "300ms"})
    subscriber.wait_for("gw/dev/p0", count=6)

    assert_seldom(subscriber.of("gw/dev/p0"), 300, begin)  # a heartbeat, not every poll


def test_min_interval_holds_a_busy_value_back(plant, modbus_tcp_slave, subscriber):
    begin = time.monotonic()
    plant([point(0)], publish={"when": "change", "min_interval": "400ms"})
    subscriber.wait_for("gw/dev/p0")

    value = 0
    while len(subscriber.of("gw/dev/p0")) < 6:
        value += 1
        fill(modbus_tcp_slave, {0: value})
        modbus_tcp_slave.wait_for_requests(len(modbus_tcp_slave.recorded()) + 1)

    subscriber.wait_for_json("gw/dev/p0", lambda m: m["value"] == value)  # the last change is not lost
    assert_seldom(subscriber.of("gw/dev/p0"), 400, begin)


@pytest.mark.quick
def test_qos_and_retain_are_as_asked_for(plant, broker, subscriber, started):
    plant([point(n, qos=qos, retain=retain, when="change")
           for n, (qos, retain) in enumerate([(0, False), (1, False), (2, False), (0, True), (1, True), (2, True)])])

    got = [subscriber.wait_for(f"gw/dev/p{n}") for n in range(6)]
    late = started.add(Subscriber(broker, "gw/dev/#"))
    late.wait_for("gw/dev/p5")
    late.catch_up()

    assert [(m.qos, m.retain) for m in got] == [(0, False), (1, False), (2, False), (0, True), (1, True), (2, True)]
    assert {m.topic for m in late.messages} == {"gw/dev/p3", "gw/dev/p4", "gw/dev/p5"}


def test_topics_take_variables_of_every_level(plant, subscriber):
    plant([point(0), point(1, topic="special/${site}/${point}")],
          sections={"gateway": {"name": "gw", "variables": {"site": "north"}},
                    "publish": {"topic": "${site}/${gateway}/${bus}/${device}/${point}"}})

    subscriber.wait_for("north/gw/plc/dev/p0")
    subscriber.wait_for("special/north/p1")


def test_bad_values_can_be_left_out(plant, modbus_tcp_slave, subscriber):
    modbus_tcp_slave.unit(1).refuse("holding:0", 2)

    plant([point(0, on_bad="skip"), point(1)])
    subscriber.wait_for("gw/dev/p1", count=10)

    assert not subscriber.of("gw/dev/p0")


@pytest.mark.quick
def test_state_topic_tells_online_and_offline(plant, broker, subscriber, started):
    gateway = plant([point(0)])
    online = subscriber.wait_for("field2mqtt/gw/state")
    mark = subscriber.mark()
    gateway.stop()
    offline = subscriber.wait_for("field2mqtt/gw/state", since=mark)

    assert (online.payload, online.retain) == ("online", True)
    assert (offline.payload, offline.retain) == ("offline", True)


def test_state_topic_tells_of_a_killed_gateway(plant, subscriber):
    gateway = plant([point(0)])
    subscriber.wait_for("field2mqtt/gw/state", lambda p: p == "online")

    gateway.signal(signal.SIGKILL)
    gateway.wait()

    assert subscriber.wait_for("field2mqtt/gw/state", lambda p: p == "offline").retain
