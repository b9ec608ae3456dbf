"""SIGHUP: the difference is applied, what did not change is not touched, and a wrong file changes nothing."""
import json
import os
import random
import re
import signal

import pytest
import yaml

from conftest import RELOAD_DONE, Broker, Subscriber, applied, make_config, tcp_bus, wait_until, write_config
from modbus_slave import TcpSlave


def points(count=2, first=0):
    return [{"name": f"p{n}", "register": f"holding:{n}"} for n in range(first, first + count)]


def device(name, unit=1, count=2, **keys):
    return {"name": name, "unit": unit, "points": points(count), **keys}


@pytest.fixture
def slaves(started):
    made = []
    for _ in range(3):
        slave = started.add(TcpSlave()).start()
        slave.unit(1)
        slave.unit(2)
        made.append(slave)
    return made


def count_up(unit):
    """Holding register 0 counts the times that it was read: a reading that is missing shows."""
    read = unit.getValues

    def counting(function, address, count=1):
        with unit.lock:
            unit.cells["holding"][0] = (unit.cells["holding"][0] + 1) % 65536
        return read(function, address, count)
    unit.getValues = counting


def values(subscriber, topic, since=0):
    return [json.loads(m.payload)["value"] for m in subscriber.of(topic, since)]


@pytest.mark.quick
def test_an_unchanged_bus_keeps_its_connection_and_loses_no_reading(broker, slaves, site, subscriber):
    count_up(slaves[0].unit(1))
    steady = tcp_bus(slaves[0], [device("s", count=1, timeout="30s")], name="steady", interval="50ms")
    before = [steady, tcp_bus(slaves[1], [device("a")], name="changing"), tcp_bus(slaves[2], [device("r")], name="going")]
    running = site(make_config(broker, before, publish={"when": "every"}))
    for name in "sar":
        subscriber.wait_for(f"gw/{name}/p0")
    running.running.wait_for_log("mqtt: connected to")  # the log is read by a thread of its own

    after = [tcp_bus(slaves[1], [device("a", count=3), device("new", unit=2)], name="changing"), steady]
    assert "buses: 0 new, 1 changed, 1 removed, 1 go on" in running.reload(make_config(broker, after, publish={"when": "every"}))

    subscriber.wait_for("gw/a/p2")
    subscriber.wait_for("gw/new/p0")
    subscriber.wait_for("gw/s/p0", count=len(subscriber.of("gw/s/p0")) + 5)
    seen = values(subscriber, "gw/s/p0")
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    assert slaves[0].connections == 1 and slaves[1].connections == 1  # its devices changed, the bus did not
    assert running.running.log.count("connected to") == 1
    gone = len(subscriber.of("gw/r/p0"))
    subscriber.wait_for("gw/s/p0", count=len(subscriber.of("gw/s/p0")) + 5)
    assert len(subscriber.of("gw/r/p0")) == gone and slaves[2].connections == 1


def test_a_wrong_file_is_refused_with_its_mistakes_and_changes_nothing(broker, slaves, site, subscriber):
    config = make_config(broker, [tcp_bus(slaves[0], [device("a")])], publish={"when": "every"})
    running = site(config)
    subscriber.wait_for("gw/a/p0")

    wrong = make_config(broker, [tcp_bus(slaves[0], [device("a", unit=300), device("b")], intervall="1s")])
    line = running.reload(wrong)

    assert "refused: 2 mistakes in the configuration; the old one stays in force" in line
    assert re.search(r"reload: \S+field2mqtt.yaml:\d+:\d+: .*intervall", running.running.log)
    assert re.search(r"reload: \S+field2mqtt.yaml:\d+:\d+: .*300", running.running.log)
    mark = subscriber.mark()
    subscriber.wait_for("gw/a/p1", since=mark, count=3)
    assert slaves[0].connections == 1
    assert "refused" in running.reload("buses: [")
    (running.folder / "field2mqtt.yaml").unlink()
    assert "refused" in running.ask()
    assert "nothing has changed" in running.reload(config)
    assert slaves[0].connections == 1


def test_moved_lines_and_comments_are_no_change(broker, slaves, site, subscriber):
    config = make_config(broker, [tcp_bus(slaves[0], [device("a")]), tcp_bus(slaves[1], [device("b")], name="two")])
    running = site(config)
    for name in "ab":
        subscriber.wait_for(f"gw/{name}/p0")

    config["buses"].reverse()
    text = "# a new first line\n\n" + yaml.safe_dump(config, sort_keys=True)

    assert "nothing has changed" in running.reload(text)
    assert slaves[0].connections == slaves[1].connections == 1


def test_templates_and_includes_count_as_changed_when_they_did(tmp_path, broker, slaves, site, subscriber):
    (tmp_path / "devices").mkdir()
    template = tmp_path / "devices/mine.yaml"
    part = tmp_path / "part.yaml"
    head = {"description": "d", "source": "s", "drivers": ["modbus-tcp"]}
    template.write_text(yaml.safe_dump({**head, "points": points(1)}))
    part.write_text(yaml.safe_dump({"buses": [tcp_bus(slaves[1], [device("b", count=1)], name="two")]}))
    config = make_config(broker, [tcp_bus(slaves[0], [{"name": "a", "unit": 1, "template": "mine"}])])
    running = site({**config, "include": "part.yaml"})
    subscriber.wait_for("gw/a/p0")
    subscriber.wait_for("gw/b/p0")

    template.write_text(yaml.safe_dump({**head, "points": points(2)}))
    assert "0 new, 1 changed, 0 removed, 1 go on" in running.ask()
    subscriber.wait_for("gw/a/p1")
    assert (slaves[0].connections, slaves[1].connections) == (1, 1)

    part.write_text(yaml.safe_dump({"buses": [tcp_bus(slaves[1], [device("b", count=3)], name="two")]}))
    assert "0 new, 1 changed, 0 removed, 1 go on" in running.ask()
    subscriber.wait_for("gw/b/p2")
    assert (slaves[0].connections, slaves[1].connections) == (1, 1)


def test_a_default_of_the_file_changes_every_bus(broker, slaves, site, subscriber):
    buses = [tcp_bus(slaves[0], [device("a")]), tcp_bus(slaves[1], [device("b")], name="two")]
    running = site(make_config(broker, buses))
    subscriber.wait_for("gw/b/p0")
    assert "0 new, 2 changed" in running.reload(make_config(broker, buses, publish={"payload": "value"}))
    subscriber.wait_for("gw/a/p0", lambda p: p == "0")
    subscriber.wait_for("gw/b/p0", lambda p: p == "0")


def test_a_port_passes_from_a_bus_that_goes_to_one_that_comes(broker, modbus_rtu_slave, site, subscriber):
    """A serial port is open once only: the old bus has to have let go of it."""
    from conftest import rtu_bus
    modbus_rtu_slave.unit(1)
    running = site(make_config(broker, [rtu_bus(modbus_rtu_slave, [device("a")], name="old")]))
    subscriber.wait_for("gw/a/p0")
    assert "1 new, 0 changed, 1 removed" in running.reload(
        make_config(broker, [rtu_bus(modbus_rtu_slave, [device("b")], name="young")]))
    subscriber.wait_for("gw/b/p0", lambda p: '"quality":"good"' in p)
    assert "is used by another program" not in running.running.log


def test_changed_settings_of_the_broker_connect_again_and_leave_the_buses_alone(tmp_path, broker, slaves, site, subscriber, started):
    count_up(slaves[0].unit(1))
    buses = [tcp_bus(slaves[0], [device("s", count=1, timeout="30s")], interval="50ms")]
    running = site(make_config(broker, buses, publish={"when": "every", "qos": 1}))
    subscriber.wait_for("gw/s/p0", count=5)
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    other = started.add(Broker(other_folder)).start()
    second = started.add(Subscriber(other))

    assert "0 new, 0 changed, 0 removed, 1 go on" in running.reload(make_config(other, buses, publish={"when": "every", "qos": 1}))

    second.wait_for("gw/s/p0", count=10)
    subscriber.wait_for("field2mqtt/gw/state", lambda p: p == "offline")
    second.wait_for("field2mqtt/gw/state", lambda p: p == "online")
    seen = values(subscriber, "gw/s/p0") + values(second, "gw/s/p0")
    assert set(seen) >= set(range(seen[0], seen[-1]))
    assert slaves[0].connections == 1


def test_a_renewed_certificate_file_counts_as_a_change(tmp_path, broker, slaves, site, subscriber):
    """Which stands in the content of the file, not in the configuration."""
    ca = tmp_path / "ca.pem"
    ca.write_text("one")
    config = make_config(broker, [tcp_bus(slaves[0], [device("a")])], mqtt={"tls": {"ca_file": str(ca)}})
    running = site(config)
    subscriber.wait_for("gw/a/p0")
    assert "nothing has changed" in running.ask()
    ca.write_text("two")
    assert "0 new, 0 changed, 0 removed, 1 go on" in running.ask()
    assert running.running.log.count("connecting again") == 1


@pytest.mark.parametrize("asked", [True, False])
def test_retained_topics_of_removed_points_are_cleared_when_asked(broker, slaves, site, subscriber, started, asked):
    bus = tcp_bus(slaves[0], [device("a", count=3), device("b", unit=2, publish={"per": "device", "topic": "gw/whole"})])
    extra = {"publish": {"retain": True}, "mqtt": {"clear_removed": asked}}
    running = site(make_config(broker, [bus], **extra))
    for topic in ("gw/a/p0", "gw/a/p1", "gw/a/p2", "gw/whole"):
        subscriber.wait_for(topic)

    running.reload(make_config(broker, [tcp_bus(slaves[0], [device("a", count=1), device("c", unit=2)])], **extra))
    subscriber.wait_for("gw/c/p0")
    if asked:
        for topic in ("gw/a/p1", "gw/a/p2", "gw/whole"):
            assert subscriber.wait_for(topic, lambda p: p == "").retain
    late = started.add(Subscriber(broker))
    late.catch_up()
    kept = {m.topic for m in late.messages if m.topic.startswith("gw/")}
    assert "gw/a/p0" in kept
    assert ({"gw/a/p1", "gw/a/p2", "gw/whole"} <= kept) == (not asked)
    assert not any(m.payload == "" for m in subscriber.of("gw/a/p0"))


def test_the_service_manager_hears_of_a_reload(tmp_path, broker, slaves, site, subscriber):
    from test_service import Manager
    manager = Manager(tmp_path)
    config = make_config(broker, [tcp_bus(slaves[0], [device("a")])])
    running = site(config, env=manager.env)
    manager.wait_for("READY=1")
    running.ask()
    manager.wait_for("RELOADING=1\nMONOTONIC_USEC=")
    manager.wait_for("READY=1", count=2)
    running.reload("nonsense: [")
    manager.wait_for("STATUS=reload refused: ")
    manager.wait_for("READY=1", count=3)


def test_commands_that_come_during_reloads_are_all_answered_on_one_connection(broker, slaves, site, subscriber, started):
    from test_commands import Operator, online
    valve = [{"name": "v", "register": "holding:7", "access": "rw"}]
    rw = tcp_bus(slaves[0], [{"name": "rw", "unit": 1, "points": valve}], name="kept")
    settings = {"commands": {"enabled": True, "rate": "100000/s"}, "write": {"rate": "100000/s"}}

    def config(n):
        names = [f"a{n}", f"b{n % 2}"]
        return make_config(broker, [rw, tcp_bus(slaves[1], [
            {"name": name, "unit": 1, "points": [{**p, "access": "rw"} for p in points()]} for name in names], name="changing")], **settings)

    running = site(config(0))
    online(subscriber)
    operator = started.add(Operator(broker))
    sent = []
    for n in range(1, 11):
        mark = subscriber.mark()
        write_config(running.folder, config(n))
        running.running.signal(signal.SIGHUP)
        is_over = False
        while not is_over:  # at least one, however late we are
            is_over = any(m.topic == "field2mqtt/gw/reload" for m in subscriber.messages[mark:])
            sent.append(f"c{len(sent)}")
            operator.send("gw/rw/v/set", {"value": len(sent) % 1000, "id": sent[-1]})
        applied(subscriber, mark)
        assert operator.ask(f"gw/a{n}/p1/set", {"value": n})["ok"]
        assert slaves[1].unit(1).get("holding:1") == [n]
    for ident in sent:
        subscriber.wait_for("gw/rw/v/result", lambda p, ident=ident: json.loads(p)["id"] == ident)

    assert len(sent) >= 10
    assert running.running.log.count("connected to") == 1
    assert [m.payload for m in subscriber.of("field2mqtt/gw/state")] == ["online"]


def test_commands_may_be_taken_away_and_given_back_by_a_reload(broker, slaves, site, subscriber, started):
    from test_commands import Operator, online
    rw = tcp_bus(slaves[0], [{"name": "rw", "unit": 1, "points": [{"name": "v", "register": "holding:7", "access": "rw"}]}], name="kept")
    running = site(make_config(broker, [rw]))
    online(subscriber)
    operator = started.add(Operator(broker))
    topic = "gw/rw/v/set"

    for n in range(1, 4):
        mark = subscriber.mark()
        running.reload(make_config(broker, [rw], commands={"enabled": True}, write={"rate": "1000/s"}))
        applied(subscriber, mark)
        assert operator.ask(topic, {"value": n})["ok"]
        mark = subscriber.mark()
        running.reload(make_config(broker, [rw]))
        applied(subscriber, mark)
        operator.send(topic, {"value": 99, "id": f"late{n}"})
    mark = subscriber.mark()
    running.reload(make_config(broker, [rw], commands={"enabled": True}, write={"rate": "1000/s"}))
    applied(subscriber, mark)

    assert operator.ask(topic, {"value": 50})["ok"]
    assert not any("late" in m.payload for m in subscriber.of("gw/rw/v/result"))
    assert slaves[0].unit(1).get("holding:7") == [50]
    assert running.running.log.count("connected to") == 2  # the first commands make another one, the later ones do not


@pytest.mark.quick
def test_commands_go_on_over_a_reload_and_a_written_one_stays_known(broker, slaves, site, subscriber, started):
    from test_commands import Operator, online, writes
    valve = [{"name": "v", "register": "holding:7", "access": "rw", "write": {"on_stop": 99}}, *points(1)]
    rw = tcp_bus(slaves[0], [{"name": "rw", "unit": 1, "points": valve}], name="kept")
    settings = {"commands": {"enabled": True}, "write": {"rate": "1000/s"}}
    running = site(make_config(broker, [rw, tcp_bus(slaves[1], [device("a")], name="changing")], **settings))
    online(subscriber)
    operator = started.add(Operator(broker))
    assert operator.ask("gw/rw/v/set", {"value": 5, "id": "one"})["ok"]

    mark = subscriber.mark()
    more = tcp_bus(slaves[1], [{"name": "a", "unit": 1, "points": [{**p, "access": "rw"} for p in points()]}], name="changing")
    assert "1 changed, 0 removed, 1 go on" in running.reload(make_config(broker, [more, rw], **settings))
    applied(subscriber, mark)

    assert slaves[0].connections == 1
    assert operator.ask("gw/rw/v/set", {"value": 6, "id": "two"})["ok"]
    assert operator.ask("gw/a/p1/set", {"value": 7})["ok"]
    assert slaves[0].unit(1).get("holding:7") == [6] and slaves[1].unit(1).get("holding:1") == [7]
    count = len(writes(slaves[0]))
    assert operator.ask("gw/rw/v/set", {"value": 5, "id": "one"})["id"] == "one"
    assert len(writes(slaves[0])) == count  # answered again, not written again; and on_stop was not written either
    assert "refused" in running.reload("nonsense: [")
    assert operator.ask("gw/rw/v/set", {"value": 8})["ok"]
    running.running.stop()
    assert slaves[0].unit(1).get("holding:7") == [99]


# ---- many --------------------------------------------------------------------------------------------


def steady_bus(slave, others=()):
    """The bus whose first device never changes, whatever comes and goes beside it."""
    return tcp_bus(slave, [device("s", count=1, timeout="30s"), *others], name="steady", interval="20ms")


def random_neighbours(rng):
    """Any of three devices, each in one of a few forms, in any order."""
    names = rng.sample(["n1", "n2", "n3"], rng.randint(0, 3))
    return [device(name, unit=2, count=rng.randint(1, 3), interval=rng.choice(["20ms", "70ms"]), timeout="30s") for name in names]


def random_config(broker, slaves, rng, is_wrong):
    if is_wrong:
        return make_config(broker, [steady_bus(slaves[0]), tcp_bus(slaves[1], [device("x", unit=999)], name="x")])
    buses = [steady_bus(slaves[0], random_neighbours(rng))]
    for n in range(1, 6):
        if rng.random() < 0.6:
            devices = [device(f"d{n}{k}", unit=1 + k, count=rng.randint(1, 8)) for k in range(rng.randint(1, 2))]
            buses.append(tcp_bus(slaves[1 + n % 2], devices, name=f"bus{n}", interval=rng.choice(["20ms", "50ms", "1s"])))
    rng.shuffle(buses)
    mqtt = {"keepalive": "16s" if rng.random() < 0.03 else "15s"}
    return make_config(broker, buses, mqtt=mqtt, publish={"when": "every", "qos": 1})


def state_of(pid):
    status = dict(re.findall(r"(?m)^(\w+):\s*(\d+)", open(f"/proc/{pid}/status").read()))
    return int(status["VmRSS"]), int(status["Threads"]), len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize("times", [pytest.param(30, marks=pytest.mark.quick), pytest.param(500, marks=pytest.mark.slow)])
def test_many_random_reloads_under_load_lose_nothing_and_leak_nothing(broker, slaves, site, subscriber, times):
    seed = int(os.environ.get("FIELD2MQTT_SEED", random.randrange(1 << 30)))
    print("FIELD2MQTT_SEED =", seed)
    rng = random.Random(seed)
    count_up(slaves[0].unit(1))
    plain = make_config(broker, [steady_bus(slaves[0])], mqtt={"keepalive": "15s"}, publish={"when": "every", "qos": 1})
    running = site(plain)
    subscriber.wait_for("gw/s/p0", count=5)
    outcomes = {"applied": 0, "refused": 0, "nothing": 0}
    states = []

    for n in range(times):
        outcomes[re.search(RELOAD_DONE, running.reload(random_config(broker, slaves, rng, n % 10 == 5)))[1]] += 1
        if n % max(times // 10, 1) == 0:
            running.reload(plain)
            subscriber.wait_for("gw/s/p0", count=len(subscriber.of("gw/s/p0")) + 3)
            if states:  # what ends beside, such as a connection to the broker, may take a moment
                wait_until(lambda: state_of(running.running.pid)[1:] == states[0][1:])
            states.append(state_of(running.running.pid))

    running.reload(plain)
    mark = len(subscriber.of("gw/s/p0"))
    subscriber.wait_for("gw/s/p0", count=mark + 5)
    seen = values(subscriber, "gw/s/p0")
    assert sorted(set(seen)) == list(range(seen[0], max(seen) + 1)), f"readings are missing, seed {seed}"
    assert slaves[0].connections == 1
    assert outcomes["applied"] > times / 2 and outcomes["refused"] > 0
    if times >= 500:
        assert states[-1][0] - states[2][0] < 4096, states  # kB
