"""The states of gateway, buses and devices as retained topics, as other clients find them."""
import signal

import pytest

from conftest import Broker, Subscriber, make_config, tcp_bus, write_config
from modbus_slave import TcpSlave

BASE = "field2mqtt/gw"


def device(name, unit, **keys):
    return {"name": name, "unit": unit, **keys, "points": [{"name": "p", "register": "holding:0"}]}


SOON_OFFLINE = {"timeout": "100ms", "retries": 0, "offline_after": "200ms", "retry_max": "1s"}


def config(broker, slave, devices=None, **mqtt):
    """Two devices; `b` is missed soon when it is silent, and the other one never."""
    bus = tcp_bus(slave, devices or [device("a", 1), device("b", 2, **SOON_OFFLINE)])
    return make_config(broker, [bus], mqtt={"device_states": True, **mqtt})


@pytest.fixture
def slave(started):
    slave = started.add(TcpSlave()).start()
    slave.unit(1)
    slave.unit(2)
    return slave


def retained(broker, topics):
    """What a client finds that comes now."""
    late = Subscriber(broker, "field2mqtt/#")
    late.catch_up()
    found = {m.topic: m for m in late.messages}
    late.close()
    assert set(topics) <= set(found)
    assert all(m.retain for m in found.values())
    return {topic: m.payload for topic, m in found.items()}


@pytest.mark.quick
def test_a_device_goes_and_comes_back(broker, slave, gateway, subscriber):
    gateway(config(broker, slave))
    for key in ("plc", "plc/a", "plc/b"):
        assert subscriber.wait_for(f"{BASE}/{key}/state", lambda p: p == "online").retain

    slave.unit(2).silent = True
    subscriber.wait_for(f"{BASE}/plc/b/state", lambda p: p == "offline")
    status = subscriber.wait_for_json(f"{BASE}/plc/b/status", lambda s: s["state"] == "offline")
    assert status["reason"] == "timeout" and status["since"] > 1_700_000_000_000
    assert all(m.payload == "online" for m in subscriber.of(f"{BASE}/plc/a/state"))

    slave.unit(2).silent = False
    mark = subscriber.mark()
    subscriber.wait_for(f"{BASE}/plc/b/state", lambda p: p == "online", since=mark)


def test_a_host_that_goes_takes_its_devices_along(broker, slave, gateway, subscriber):
    gateway(config(broker, slave, [device("a", 1), device("b", 2)]))
    for name in "ab":
        subscriber.wait_for(f"{BASE}/plc/{name}/state", lambda p: p == "online")
    slave.stop()
    for key in ("plc", "plc/a", "plc/b"):
        subscriber.wait_for(f"{BASE}/{key}/state", lambda p: p == "offline")
        status = subscriber.wait_for_json(f"{BASE}/{key}/status", lambda s: s["state"] == "offline")
        assert status["reason"] == "link_down"


def test_after_an_outage_of_the_broker_the_latest_stands_and_nothing_old(broker, slave, gateway, subscriber):
    running = gateway(config(broker, slave))
    for name in "ab":
        subscriber.wait_for(f"{BASE}/plc/{name}/state", lambda p: p == "online")
    broker.stop()
    seen = len(running.lines)
    slave.unit(2).silent = True
    running.wait_for_log(r"b \(plc\): offline", since=seen)
    slave.wait_for_requests(len(slave.recorded(2)) + 2, unit=2)  # it has gone on with that
    mark = subscriber.mark()
    broker.start()  # it has forgotten what it retained

    subscriber.wait_for(f"{BASE}/plc/a/state", lambda p: p == "online", since=mark)
    subscriber.wait_for(f"{BASE}/plc/b/state", lambda p: p == "offline", since=mark)
    assert {m.payload for m in subscriber.of(f"{BASE}/plc/b/state", mark)} == {"offline"}
    found = retained(broker, [f"{BASE}/plc/b/state", f"{BASE}/plc/a/state", f"{BASE}/plc/state"])
    assert found[f"{BASE}/plc/b/state"] == "offline" and found[f"{BASE}/state"] == "online"


def test_a_removed_device_leaves_no_state(tmp_path, broker, slave, gateway, subscriber):
    running = gateway(config(broker, slave))
    subscriber.wait_for(f"{BASE}/plc/b/state", lambda p: p == "online")
    write_config(tmp_path, config(broker, slave, [device("a", 1)]))
    running.signal(signal.SIGHUP)
    subscriber.wait_for(f"{BASE}/plc/b/state", lambda p: p == "")
    subscriber.wait_for(f"{BASE}/plc/b/status", lambda p: p == "")
    subscriber.wait_for_json(f"{BASE}/reload", lambda r: r["state"] == "applied")
    found = retained(broker, [f"{BASE}/plc/a/state"])
    assert not [topic for topic in found if "/b/" in topic]


def test_a_refused_reload_is_told_with_its_mistakes(tmp_path, broker, slave, gateway, subscriber):
    running = gateway(config(broker, slave))
    subscriber.wait_for(f"{BASE}/plc/b/state", lambda p: p == "online")
    write_config(tmp_path, config(broker, slave, [device("a", 300), device("b", 301)]))
    running.signal(signal.SIGHUP)
    refused = subscriber.wait_for_json(f"{BASE}/reload", lambda r: r["state"] == "refused")
    assert len(refused["mistakes"]) == 2
    assert "\n" not in subscriber.of(f"{BASE}/reload")[-1].payload
    assert "field2mqtt.yaml:" in refused["mistakes"][0] and "300" in refused["mistakes"][0]


def test_another_broker_after_a_reload_gets_them_all(tmp_path, broker, slave, gateway, subscriber, started):
    running = gateway(config(broker, slave))
    subscriber.wait_for(f"{BASE}/plc/b/state", lambda p: p == "online")
    (tmp_path / "other").mkdir()
    other = started.add(Broker(tmp_path / "other")).start()
    second = started.add(Subscriber(other))
    write_config(tmp_path, config(other, slave))
    running.signal(signal.SIGHUP)
    for key in ("plc", "plc/a", "plc/b"):
        second.wait_for(f"{BASE}/{key}/state", lambda p: p == "online")


def test_they_stand_beside_a_state_topic_of_ones_own_and_can_be_left_away(broker, slave, gateway, subscriber):
    running = gateway(config(broker, slave, state_topic="plant/${gateway}/health"))
    subscriber.wait_for("plant/gw/health", lambda p: p == "online")
    subscriber.wait_for("plant/gw/health/plc/a/state", lambda p: p == "online")
    running.stop()
    subscriber.catch_up()
    mark = subscriber.mark()
    gateway(config(broker, slave, device_states=False))
    subscriber.wait_for("gw/a/p", since=mark)
    slave.wait_for_requests(len(slave.recorded()) + 30)
    assert not [m for m in subscriber.messages[mark:] if m.topic.startswith("field2mqtt/gw/plc")]
