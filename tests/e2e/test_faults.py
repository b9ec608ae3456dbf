"""What goes wrong in the field: refused registers, dead units, lost links, a broker that is away, a wrong file.

Neighbours stay good, nothing wrong is published, and what comes back is picked up without a restart.
"""
import json
import signal

import pytest

from conftest import PROGRAM, Broker, Process, Subscriber, make_config, rtu_bus, tcp_bus, write_config
from modbus_slave import RtuSlave, TcpSlave


def value_is(value):
    return lambda m: m["value"] == value and m["quality"] == "good"


def is_bad(*reasons):
    return lambda m: m["value"] is None and m["quality"] == "bad" and (not reasons or m["reason"] in reasons)


def device(unit, count=3, **keys):
    return {"name": f"u{unit}", "unit": unit, **keys,
            "points": [{"name": f"p{n}", "register": f"holding:{n}"} for n in range(count)]}


def fill(slave, unit, count=3, base=100):
    slave.unit(unit).set("holding:0", [base + n for n in range(count)])


@pytest.mark.quick
def test_neighbours_of_an_unreadable_register_stay_good(broker, modbus_tcp_slave, gateway, subscriber):
    fill(modbus_tcp_slave, 1, 20)
    for address in (7, 13):
        modbus_tcp_slave.unit(1).refuse(f"holding:{address}", 2)

    gateway(make_config(broker, [tcp_bus(modbus_tcp_slave, [device(1, 20)])]))

    for n in range(20):
        expected = is_bad("illegal_data_address") if n in (7, 13) else value_is(100 + n)
        subscriber.wait_for_json(f"gw/u1/p{n}", expected)
    # From now on nothing is asked twice: the refused ones are known.
    mark = subscriber.mark()
    subscriber.wait_for("gw/u1/p19", since=mark, count=5)
    for n in set(range(20)) - {7, 13}:
        assert all(value_is(100 + n)(json.loads(m.payload)) for m in subscriber.of(f"gw/u1/p{n}", mark))


@pytest.mark.parametrize("code, reason", [
    (1, "illegal_function"), (2, "illegal_data_address"), (3, "illegal_data_value"), (4, "server_device_failure"),
    (5, "acknowledge"), (6, "server_device_busy"), (7, "negative_acknowledge"), (8, "memory_parity_error"),
    (9, "exception"), (10, "gateway_path_unavailable"), (11, "gateway_target_no_response"), (99, "exception"),
])
def test_every_exception_makes_a_bad_value_and_hurts_nobody(broker, modbus_tcp_slave, gateway, subscriber, code, reason):
    fill(modbus_tcp_slave, 1)
    fill(modbus_tcp_slave, 2)
    modbus_tcp_slave.unit(1).refuse("holding:1", code)
    one = device(1, 2)
    one["points"][1]["alone"] = True

    gateway(make_config(broker, [tcp_bus(modbus_tcp_slave, [one, device(2)])]))
    bad = subscriber.wait_for_json("gw/u1/p1", is_bad())
    mark = subscriber.mark()

    assert bad["reason"] == reason
    for n in range(3):
        subscriber.wait_for_json(f"gw/u2/p{n}", value_is(100 + n), since=mark, count=3)


def test_a_dead_unit_does_not_slow_its_neighbour(broker, modbus_rtu_slave, gateway, subscriber):
    """40 polls of unit 1 take 2 s; each probe of a dead unit 2 costs the line 200 ms. As many probes as polls would be 8 s."""
    fill(modbus_rtu_slave, 1)
    fill(modbus_rtu_slave, 2)
    gateway(make_config(broker, [rtu_bus(modbus_rtu_slave, [device(1), device(2)], timeout="200ms", retries=0,
                                         offline_after="500ms", interval="50ms")]))
    subscriber.wait_for_json("gw/u2/p2", value_is(102))

    modbus_rtu_slave.unit(2).silent = True
    subscriber.wait_for_json("gw/u2/p2", is_bad("timeout"))
    modbus_rtu_slave.wait_for_requests(len(modbus_rtu_slave.recorded(2)) + 4, unit=2)  # it backs off
    modbus_rtu_slave.clear()
    modbus_rtu_slave.wait_for_requests(40, unit=1)
    last = modbus_rtu_slave.recorded(1)[39].time

    assert sum(probe.time < last for probe in modbus_rtu_slave.recorded(2)) <= 10
    modbus_rtu_slave.unit(2).silent = False
    mark = subscriber.mark()
    subscriber.wait_for_json("gw/u2/p2", value_is(102), since=mark, deadline_s=90)  # a pause is up to 30 s


def test_a_dead_unit_becomes_bad_once_with_a_reason(broker, modbus_rtu_slave, gateway, subscriber):
    fill(modbus_rtu_slave, 1)
    fill(modbus_rtu_slave, 2)
    modbus_rtu_slave.unit(2).silent = True

    gateway(make_config(broker, [rtu_bus(modbus_rtu_slave, [device(1), device(2)], timeout="100ms", retries=0,
                                         offline_after="300ms")], publish={"when": "change"}))
    subscriber.wait_for_json("gw/u2/p0", is_bad("timeout"))
    modbus_rtu_slave.wait_for_requests(len(modbus_rtu_slave.recorded(2)) + 3, unit=2, deadline_s=30)

    assert len(subscriber.of("gw/u2/p0")) == 1


@pytest.mark.quick
def test_devices_and_broker_may_be_down_at_the_start(tmp_path, gateway, started):
    broker, slave = started.add(Broker(tmp_path)), started.add(TcpSlave())
    slave.start()
    slave.stop()  # its port is known and closed now
    fill(slave, 1)

    running = gateway(make_config(broker, [tcp_bus(slave, [device(1)])]))
    running.wait_for_log(r"plc")
    slave.start()
    slave.wait_for_requests(3)
    broker.start()
    subscriber = started.add(Subscriber(broker))

    for n in range(3):
        subscriber.wait_for_json(f"gw/u1/p{n}", value_is(100 + n))
    assert running.running()


def test_a_host_that_accepts_and_never_answers_is_told_and_recovers(broker, modbus_tcp_slave, gateway, subscriber, started):
    mute, fine = modbus_tcp_slave, started.add(TcpSlave()).start()
    fill(mute, 1)
    fill(fine, 2)
    mute.answer = False
    buses = [tcp_bus(mute, [device(1)], timeout="200ms"), {**tcp_bus(fine, [device(2)]), "name": "other"}]

    gateway(make_config(broker, buses))
    subscriber.wait_for_json("gw/u1/p0", is_bad("timeout", "link"))
    mark = subscriber.mark()
    subscriber.wait_for_json("gw/u2/p0", value_is(100), since=mark, count=5)
    mute.answer = True

    subscriber.wait_for_json("gw/u1/p0", value_is(100), deadline_s=90)


@pytest.mark.quick
def test_a_tcp_device_that_restarts_is_picked_up(broker, modbus_tcp_slave, gateway, subscriber):
    fill(modbus_tcp_slave, 1)
    running = gateway(make_config(broker, [tcp_bus(modbus_tcp_slave, [device(1)])]))
    subscriber.wait_for_json("gw/u1/p0", value_is(100))

    for base in (200, 300):
        mark = subscriber.mark()
        modbus_tcp_slave.stop()
        subscriber.wait_for_json("gw/u1/p0", is_bad(), since=mark)
        fill(modbus_tcp_slave, 1, base=base)
        modbus_tcp_slave.start()
        subscriber.wait_for_json("gw/u1/p0", value_is(base), since=mark, deadline_s=90)

    assert running.running()


def test_a_serial_port_that_vanishes_and_returns_is_opened_again(broker, modbus_rtu_slave, gateway, subscriber):
    fill(modbus_rtu_slave, 1)
    running = gateway(make_config(broker, [rtu_bus(modbus_rtu_slave, [device(1)], timeout="300ms")]))
    subscriber.wait_for_json("gw/u1/p0", value_is(100))

    for base in (200, 300):
        mark = subscriber.mark()
        modbus_rtu_slave.unplug()
        subscriber.wait_for_json("gw/u1/p0", is_bad(), since=mark)
        fill(modbus_rtu_slave, 1, base=base)
        modbus_rtu_slave.plug()
        subscriber.wait_for_json("gw/u1/p0", value_is(base), since=mark, deadline_s=90)

    assert running.running()


def test_a_port_that_is_not_there_at_the_start_is_opened_later(tmp_path, broker, gateway, subscriber, started):
    line = started.add(RtuSlave(str(tmp_path)))
    fill(line, 1)

    gateway(make_config(broker, [rtu_bus(line, [device(1)])]))
    subscriber.wait_for_json("gw/u1/p0", is_bad())
    line.plug()

    subscriber.wait_for_json("gw/u1/p0", value_is(100))


@pytest.mark.quick
def test_a_broker_that_restarts_gets_the_values_again(broker, modbus_tcp_slave, gateway, subscriber):
    fill(modbus_tcp_slave, 1)
    running = gateway(make_config(broker, [tcp_bus(modbus_tcp_slave, [device(1)])]))
    subscriber.wait_for_json("gw/u1/p0", value_is(100))

    broker.stop()
    fill(modbus_tcp_slave, 1, base=200)
    modbus_tcp_slave.wait_for_requests(len(modbus_tcp_slave.recorded()) + 3)  # polling goes on
    mark = subscriber.mark()
    broker.start()

    subscriber.wait_for("field2mqtt/gw/state", lambda p: p == "online", since=mark, deadline_s=30)
    subscriber.wait_for_json("gw/u1/p0", value_is(200), since=mark, deadline_s=30)
    assert running.running()


def test_what_was_read_while_the_broker_was_away_arrives_in_order(tmp_path, broker, modbus_tcp_slave, gateway, started):
    """A counter is read all the time; a client with a kept session misses none of its steps over a broker's outage."""
    unit = modbus_tcp_slave.unit(1)
    unit.set("holding:0", [1])
    running = gateway(make_config(broker, [tcp_bus(modbus_tcp_slave, [device(1, 1)])], publish={"when": "change"}))
    before = started.add(Subscriber(broker))
    before.wait_for_json("gw/u1/p0", value_is(1))

    broker.stop()
    for n in range(2, 12):
        unit.set("holding:0", [n])
        modbus_tcp_slave.wait_for_requests(len(modbus_tcp_slave.recorded()) + 2)
    # The subscriber has to be there first: the gateway is held while the broker starts.
    running.signal(signal.SIGSTOP)
    broker.start()
    after = started.add(Subscriber(broker, "gw/#"))
    running.signal(signal.SIGCONT)
    after.wait_for_json("gw/u1/p0", value_is(11), deadline_s=30)

    seen = [json.loads(m.payload)["value"] for m in after.of("gw/u1/p0")]
    assert seen[-10:] == list(range(2, 12))


def test_a_wrong_file_ends_with_78_and_starts_nothing(tmp_path, broker, modbus_tcp_slave, subscriber):
    config = make_config(broker, [tcp_bus(modbus_tcp_slave, [device(300), {**device(2), "intervall": "1s"}])])
    file = write_config(tmp_path, config)

    wrong = Process([PROGRAM, "run", "-c", str(file)])
    code = wrong.wait()

    assert code == 78
    assert "300" in wrong.log and 'did you mean "interval"?' in wrong.log, wrong.log
    assert sum(line.startswith(f"{file}:") and line.count(":") >= 3 for line in wrong.lines) >= 2
    assert modbus_tcp_slave.connections == 0 and not subscriber.messages


def test_a_stop_is_orderly_even_when_all_is_down(tmp_path, gateway, started):
    broker, slave = started.add(Broker(tmp_path)), started.add(TcpSlave())
    slave.start()
    slave.stop()
    running = gateway(make_config(broker, [tcp_bus(slave, [device(1)])]))
    running.wait_for_log(r"plc")

    running.signal(signal.SIGTERM)

    assert running.wait(10) == 0


def test_an_idle_gateway_uses_less_than_a_hundredth_of_a_processor(broker, modbus_tcp_slave, gateway, subscriber):
    fill(modbus_tcp_slave, 1, 100)
    running = gateway(make_config(broker, [tcp_bus(modbus_tcp_slave, [device(1, 100)])], interval="1s"))
    first = subscriber.wait_for("gw/u1/p99")
    before = running.cpu_s()

    last = subscriber.wait_for("gw/u1/p99", count=9, deadline_s=30)

    assert (running.cpu_s() - before) / (last.time - first.time) < 0.01
