"""SIGHUP with other devices on a bus that stays: it keeps its connection, and whoever did not change notices nothing.

What happened on the wire is told by the slave's record of requests, by inotify on the port, and by the instrument."""
import ctypes
import json
import os
import struct
import time

import pytest

from conftest import applied, free_port, make_config, rtu_bus, tcp_bus, wait_until
from serial_instruments import Talker
from test_reload import device, points

GOES_ON = "0 new, 1 changed, 0 removed, 0 go on undisturbed; 1 of the changed with the connection kept: devices: "


class Opens:
    """How often anybody opened a file since now; Linux tells (inotify)."""
    IN_OPEN = 0x20  # Source: linux/inotify.h

    def __init__(self, path):
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK)
        assert self._fd >= 0 and libc.inotify_add_watch(self._fd, os.fsencode(os.path.realpath(path)), self.IN_OPEN) >= 0

    def count(self):
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return 0
        n = at = 0
        while at < len(data):
            n, at = n + 1, at + 16 + struct.unpack_from("I", data, at + 12)[0]
        return n

    def close(self):
        os.close(self._fd)


def assert_in_phase(times, interval_s):
    """Each poll has its own interval: none is missing or doubled, and what a reload in the middle would shift, always the same
    way, has not come to an interval after several of them. A poll that a busy machine holds up does not shift the next one."""
    late = [t - times[0] - n * interval_s for n, t in enumerate(times)]
    assert max(late) - min(late) < interval_s, late


def wait_for_middle(slave, unit, interval_s):
    """Waits for a point of time between two polls of this unit."""
    slave.wait_for_requests(len(slave.recorded(unit)) + 1, unit)
    wait_until(lambda: time.monotonic() >= slave.recorded(unit)[-1].time + 0.6 * interval_s)


STEADY_S = 2
CHANGES = [  # what stands beside the device that stays, one after the other
    ("1 new, 0 changed, 0 removed, 2 go on", [device("fast", 2), device("third", 3)]),
    ("0 new, 1 changed, 0 removed, 2 go on", [device("fast", 2, count=5), device("third", 3)]),
    ("0 new, 1 changed, 1 removed, 1 go on", [device("fast", 2, interval="90ms")]),
    ("1 new, 0 changed, 0 removed, 2 go on", [device("third", 3), device("fast", 2, interval="90ms")]),
]


@pytest.mark.quick
@pytest.mark.parametrize("kind", ["tcp", "rtu"])
def test_an_unchanged_device_of_a_changed_bus_keeps_connection_and_phase(
        request, broker, site, subscriber, started, kind):
    slave = request.getfixturevalue(f"modbus_{kind}_slave")
    for unit in (1, 2, 3):
        slave.unit(unit)
    make_bus = tcp_bus if kind == "tcp" else rtu_bus

    def config(others, steady_first):
        steady = [device("steady", 1, interval=f"{STEADY_S}s", publish={"when": "change"})]
        return make_config(broker, [make_bus(slave, steady + others if steady_first else others + steady)])

    running = site(config([device("fast", 2)], True))
    subscriber.wait_for("gw/steady/p1")
    subscriber.wait_for("gw/fast/p1")
    opens = started.add(Opens(slave.port)) if kind == "rtu" else None

    for n, (what, others) in enumerate(CHANGES):
        wait_for_middle(slave, 1, STEADY_S)
        mark = subscriber.mark()
        assert GOES_ON + what in running.reload(config(others, n % 2 == 0))
        for other in others:
            if "0 new, 0 changed" not in what:
                subscriber.wait_for(f"gw/{other['name']}/p{len(other['points']) - 1}", since=mark)
    slave.wait_for_requests(len(slave.recorded(1)) + 2, 1)

    assert_in_phase([r.time for r in slave.recorded(1)], STEADY_S)
    assert {(r.address, r.count) for r in slave.recorded(1)} == {(0, 2)}
    assert len(subscriber.of("gw/steady/p0")) == len(subscriber.of("gw/steady/p1")) == 1
    assert slave.connections == 1 if kind == "tcp" else opens.count() == 0
    running.running.stop()


def test_a_device_that_goes_is_asked_no_more_and_one_that_changed_says_all_anew(broker, modbus_tcp_slave, site, subscriber):
    slave = modbus_tcp_slave
    for unit in (1, 2, 3):
        slave.unit(unit)
    change = {"publish": {"when": "change"}, "mqtt": {"device_states": True}}
    running = site(make_config(broker, [tcp_bus(slave, [device("a"), device("b", 2), device("c", 3)])], **change))
    for name in "abc":
        subscriber.wait_for(f"field2mqtt/gw/plc/{name}/state", lambda p: p == "online")
        for n in range(2):
            subscriber.wait_for(f"gw/{name}/p{n}")

    mark = subscriber.mark()
    assert GOES_ON + "0 new, 1 changed, 1 removed, 1 go on" in running.reload(
        make_config(broker, [tcp_bus(slave, [device("a"), device("b", 2, count=3)])], **change))
    slave.clear()
    subscriber.wait_for("gw/b/p2", since=mark)
    subscriber.wait_for("field2mqtt/gw/plc/c/state", lambda p: p == "", since=mark)
    slave.wait_for_requests(len(slave.recorded(1)) + 3, 1)
    subscriber.catch_up()

    assert not slave.recorded(3)
    assert len(subscriber.of("gw/b/p0", since=mark)) == 1 and not subscriber.of("gw/a/p0", since=mark)
    assert not subscriber.of("field2mqtt/gw/plc/a/state", since=mark)[1:]  # all states are said once more, none has changed
    assert slave.connections == 1


def test_silent_devices_keep_their_pauses_and_holes_are_not_looked_for_again(broker, modbus_tcp_slave, site, subscriber):
    slave = modbus_tcp_slave
    for unit in (1, 2, 3):
        slave.unit(unit)
    slave.unit(1).refuse("holding:3")
    slave.unit(3).silent = True

    def config(count):
        silent = device("silent", 3, timeout="50ms", offline_after="200ms", retries=0, retry_max="1h")
        return make_config(broker, [tcp_bus(slave, [device("holed", 1, count=6), device("b", 2, count=count), silent])],
                           publish={"when": "change"})

    running = site(config(1))
    running.running.wait_for_log(r"silent \(plc\): offline")
    running.running.wait_for_log(r"holed \(plc\): 1 point cannot be read")
    slave.wait_for_requests(len(slave.recorded(3)) + 2, 3)  # its pause has grown to 4 s
    learned = len(slave.recorded(1))
    for count in (2, 3, 4):
        wait_for_middle(slave, 1, 0.1)
        assert GOES_ON + "0 new, 1 changed, 0 removed, 2 go on" in running.reload(config(count))
    slave.wait_for_requests(len(slave.recorded(3)) + 1, 3)

    times = [r.time for r in slave.recorded(3)]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert gaps[-1] > gaps[-3]  # 1, 2, 4 s and so on: no reload has asked it earlier
    assert len(subscriber.of("gw/silent/p0")) == 1
    assert running.running.log.count("silent (plc): offline") == 1
    since = slave.recorded(1)[learned:]
    tries = [r for r in since if r.address <= 3 < r.address + r.count]
    assert len(tries) <= 1 + (since[-1].time - since[0].time) // 10  # one is due after 10 s, the next one after 20 s


@pytest.mark.quick
def test_commands_reach_the_right_device_after_it_has_moved_and_those_under_way_are_answered(
        broker, modbus_tcp_slave, site, subscriber, started):
    from test_commands import Operator, online
    slave = modbus_tcp_slave
    for unit in (1, 2, 3):
        slave.unit(unit)

    def config(*devices):
        rw = [{"name": name, "unit": unit, "points": [{**p, "access": "rw"} for p in points()]} for name, unit in devices]
        return make_config(broker, [tcp_bus(slave, rw)], commands={"enabled": True}, write={"rate": "1000/s"})

    running = site(config(("a", 1), ("b", 2), ("c", 3)))
    online(subscriber)
    operator = started.add(Operator(broker))
    assert operator.ask("gw/c/p0/set", {"value": 5})["ok"]

    for unit in (1, 3):
        slave.unit(unit).delay_s = 0.3
    seen = len(slave.recorded())
    for topic, ident in (("gw/a/p1/set", "goes"), ("gw/c/p1/set", "stays")):
        operator.client.publish(topic, json.dumps({"value": 9, "id": ident}), qos=1)
    wait_until(lambda: any(r.unit == 1 and r.function in (6, 16) for r in slave.recorded()[seen:]))
    mark = subscriber.mark()
    running.reload(config(("c", 3), ("b", 2)))
    assert subscriber.wait_for_json("gw/a/p1/result", lambda r: r.get("id") == "goes")["ok"]
    assert subscriber.wait_for_json("gw/c/p1/result", lambda r: r.get("id") == "stays")["ok"]

    applied(subscriber, mark)
    assert operator.ask("gw/c/p0/set", {"value": 6})["ok"]
    assert operator.ask("gw/b/p0/set", {"value": 7})["ok"]
    assert [slave.unit(n).get("holding:0")[0] for n in (1, 2, 3)] == [0, 7, 6]
    assert slave.connections == 1


def test_the_status_page_shows_the_new_devices_and_what_the_others_said(broker, modbus_tcp_slave, site, subscriber):
    import urllib.request
    slave = modbus_tcp_slave
    for unit in (1, 2):
        slave.unit(unit)
    slave.unit(1).set("holding:0", [4711])
    port = free_port()
    http = {"http": {"enabled": True, "port": port}}

    def seen():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/points", timeout=60) as answer:
            return {(p["device"], p["name"]): p["value"] for p in json.load(answer)["points"]}

    slow = device("a", interval="1h")
    running = site(make_config(broker, [tcp_bus(slave, [device("b", 2), slow])], **http))
    subscriber.wait_for("gw/a/p1")
    assert GOES_ON + "1 new, 0 changed, 1 removed, 1 go on" in running.reload(
        make_config(broker, [tcp_bus(slave, [slow, device("d", 2, count=1)])], **http))
    subscriber.wait_for("gw/d/p0")
    wait_until(lambda: seen().get(("d", "p0")) == 0)

    assert set(seen()) == {("a", "p0"), ("a", "p1"), ("d", "p0")}
    assert seen()[("a", "p0")] == 4711


def test_a_bus_that_is_down_keeps_its_pause_and_takes_other_devices(broker, modbus_tcp_slave, site, subscriber):
    slave = modbus_tcp_slave
    for unit in (1, 2):
        slave.unit(unit)
    running = site(make_config(broker, [tcp_bus(slave, [device("a")])]))
    subscriber.wait_for("gw/a/p0")
    slave.stop()
    subscriber.wait_for("gw/a/p0", lambda p: "link_down" in p)
    running.reload(make_config(broker, [tcp_bus(slave, [device("b", 2), device("a")])]))
    subscriber.wait_for("gw/b/p0", lambda p: "link_down" in p)
    mark = subscriber.mark()
    slave.start()
    for name in "ab":
        subscriber.wait_for(f"gw/{name}/p0", lambda p: '"good"' in p, since=mark)
    assert len([m for m in subscriber.of("gw/a/p0") if "link_down" in m.payload]) == 1


def test_a_driver_that_does_not_come_back_is_no_reason_to_wait_for_ever(broker, modbus_tcp_slave, site, subscriber):
    """A request that may take a minute: after 10 s the bus is ended, and begins anew."""
    slave = modbus_tcp_slave
    for unit in (1, 2):
        slave.unit(unit)
    running = site(make_config(broker, [tcp_bus(slave, [device("a", timeout="60s")])]))
    subscriber.wait_for("gw/a/p0")
    slave.unit(1).silent = True
    slave.clear()
    slave.wait_for_requests(1, 1)
    running.reload(make_config(broker, [tcp_bus(slave, [device("b", 2), device("a", timeout="60s")])]), deadline_s=60)
    subscriber.wait_for("gw/b/p0")
    assert slave.connections == 2


def test_instruments_that_talk_are_heard_on_while_others_come_and_go(tmp_path, broker, site, subscriber, started):
    talker = started.add(Talker(tmp_path / "line", b"W 12.5\r\nT 7\r\n"))

    def config(*devices):
        listed = []
        for name, keys in devices:
            value = {"name": "v", "match": f"^{name[0].upper()} (?<v>[0-9.]+)$", "from": "group:v", **keys}
            steps = {key: {"send": f"{word} {name}\\r\\n"} for key, word in (("on_open", "HELLO"), ("on_close", "BYE"))}
            listed.append({"name": name, "stale_after": "10s", "frame": {"end": r"\r\n"}, **steps, "points": [value]})
        return make_config(broker, [{"name": "line", "driver": "serial", "port": talker.port, "devices": listed}])

    running = site(config(("weight", {}), ("temperature", {})))
    subscriber.wait_for("gw/weight/v", lambda p: "12.5" in p)
    subscriber.wait_for("gw/temperature/v", lambda p: "7" in p)
    opens = started.add(Opens(talker.port))

    mark = subscriber.mark()
    assert GOES_ON + "0 new, 0 changed, 1 removed, 1 go on" in running.reload(config(("weight", {})))
    talker.wait_heard(b"BYE temperature\r\n")
    gone_ms = time.time() * 1000
    subscriber.wait_for_json("gw/weight/v", lambda m: m["ts"] > gone_ms, count=5)
    assert all(json.loads(m.payload)["ts"] <= gone_ms for m in subscriber.of("gw/temperature/v"))
    assert GOES_ON + "1 new, 1 changed, 0 removed, 0 go on" in running.reload(
        config(("temperature", {}), ("weight", {"scale": 2})))
    subscriber.wait_for("gw/temperature/v", since=mark, count=3)
    subscriber.wait_for("gw/weight/v", lambda p: "25" in p, since=mark)
    talker.wait_heard(b"HELLO temperature\r\n", count=2)
    assert opens.count() == 0
