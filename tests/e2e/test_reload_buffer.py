"""SIGHUP with another `buffer:`: what can be applied is applied, with nothing lost; the rest is named."""
import json
import signal

import pytest

from conftest import make_config, tcp_bus, wait_until
from test_reload import count_up, device


POINTS = 5  # the first one counts, all together fill the buffer soon


def polls_held(running):
    """Until the buffer is full: of how many polls it is at most."""
    return int(running.running.wait_for_log(r"buffer: full with (\d+) messages")[1]) // POINTS + 1


def config(broker, slave, **buffer):
    return make_config(broker, [tcp_bus(slave, [device("s", count=POINTS)], interval="20ms")],
                       publish={"when": "every", "qos": 1}, buffer=buffer)


@pytest.mark.quick
@pytest.mark.parametrize("durability", ["outage", "none"])
def test_a_larger_buffer_holds_more_at_once_and_nothing_of_it_is_lost(broker, modbus_tcp_slave, site, subscriber, durability):
    unit = modbus_tcp_slave.unit(1)
    count_up(unit)
    running = site(config(broker, modbus_tcp_slave, max_size="64KiB", durability=durability))
    subscriber.wait_for("gw/s/p0", count=3)
    broker.stop()
    held = polls_held(running)

    running.reload(config(broker, modbus_tcp_slave, max_size="8MiB", durability=durability))
    assert "take effect with a restart" not in running.running.log
    since = unit.get("holding:0")[0]
    modbus_tcp_slave.wait_for_requests(len(modbus_tcp_slave.recorded()) + held + 100, deadline_s=60)
    running.running.signal(signal.SIGSTOP)  # so that the subscriber is there first
    mark = subscriber.mark()
    broker.start()
    subscriber.wait_subscribed(2)
    running.running.signal(signal.SIGCONT)
    subscriber.wait_for("gw/s/p0", lambda p: json.loads(p)["value"] > since + held, since=mark)

    seen = [json.loads(m.payload)["value"] for m in subscriber.of("gw/s/p0", mark)]
    assert seen[0] <= since and seen == list(range(seen[0], seen[0] + len(seen)))
    assert modbus_tcp_slave.connections == 1
    running.running.stop()


def test_what_is_to_go_when_it_is_full_changes_at_once(broker, modbus_tcp_slave, site, subscriber):
    count_up(modbus_tcp_slave.unit(1))
    running = site(config(broker, modbus_tcp_slave, max_size="64KiB", when_full="drop-newest"))
    subscriber.wait_for("gw/s/p0", count=3)
    broker.stop()
    held = polls_held(running)
    running.reload(config(broker, modbus_tcp_slave, max_size="64KiB", when_full="drop-oldest"))
    since = modbus_tcp_slave.unit(1).get("holding:0")[0]
    modbus_tcp_slave.wait_for_requests(len(modbus_tcp_slave.recorded()) + held + 100, deadline_s=60)
    running.running.signal(signal.SIGSTOP)
    mark = subscriber.mark()
    broker.start()
    subscriber.wait_subscribed(2)
    running.running.signal(signal.SIGCONT)
    first = subscriber.wait_for("gw/s/p0", since=mark)
    assert json.loads(first.payload)["value"] > since  # all of before was older


@pytest.mark.parametrize("before, after, named", [
    ({}, {"path": "other.db"}, "buffer.path"),
    ({}, {"order": "live-first"}, "buffer.order"),
    ({}, {"path": "other.db", "order": "live-first", "max_age": "1h"}, "buffer.path and buffer.order"),
    ({}, {"durability": "none"}, "buffer.durability from or to none"),
    ({"durability": "none"}, {"durability": "always"}, "buffer.durability from or to none"),
    ({}, {"durability": "always", "commit_interval": "200ms", "max_age": "1h"}, None),
    ({"durability": "always", "order": "live-first"}, {"order": "live-first", "drain_rate": "50/s"}, None)])
def test_what_needs_a_restart_is_named_and_the_rest_is_applied(
        tmp_path, broker, modbus_tcp_slave, site, subscriber, before, after, named):
    count_up(modbus_tcp_slave.unit(1))
    paths = [{key: str(tmp_path / value) if key == "path" else value for key, value in buffer.items()}
             for buffer in (before, after)]
    running = site(config(broker, modbus_tcp_slave, **paths[0]))
    subscriber.wait_for("gw/s/p0", count=3)
    assert "applied: buses: 0 new, 0 changed, 0 removed, 1 go on" in running.reload(config(broker, modbus_tcp_slave, **paths[1]))
    if named:
        assert f"reload: changes of {named} take effect with a restart" in running.running.log
    assert ("take effect with a restart" in running.running.log) == bool(named)

    subscriber.wait_for("gw/s/p0", count=len(subscriber.of("gw/s/p0")) + 20)

    def is_whole(order=list):
        seen = order(json.loads(m.payload)["value"] for m in subscriber.of("gw/s/p0"))
        return seen == list(range(seen[0], seen[0] + len(seen)))

    if before.get("order") == "live-first":  # the first connection was an outage's end, and what is left of that comes behind
        wait_until(lambda: is_whole(sorted))
    else:
        assert is_whole()
    assert not (tmp_path / "other.db").exists()
