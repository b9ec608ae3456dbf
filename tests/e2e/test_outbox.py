"""What waits for the broker: kept over outages and restarts, numbered, shown."""
import json
import signal

import pytest

from conftest import Subscriber, make_config, tcp_bus


def device(n_points=1, **keys):
    return {"name": "u1", "unit": 1, "interval": "100ms",
            "points": [{"name": f"p{n}", "register": f"holding:{n}"} for n in range(n_points)], **keys}


def config_of(broker, slave, tmp_path, **sections):
    slave.unit(1)
    sections = {"buffer": {"path": str(tmp_path / "outbox.db"), "durability": "always", "commit_interval": "50ms"},
                "publish": {"seq": True}, **sections}
    return make_config(broker, [tcp_bus(slave, [device()])], **sections)


def numbers(subscriber, mark=0):
    return [json.loads(m.payload)["seq"] for m in subscriber.of("gw/u1/p0", mark)]


@pytest.mark.quick
def test_readings_of_an_outage_come_in_order_over_a_kill_and_a_restart(tmp_path, broker, modbus_tcp_slave, gateway, started):
    config = config_of(broker, modbus_tcp_slave, tmp_path)
    subscriber = started.add(Subscriber(broker))
    running = gateway(config)
    subscriber.wait_for("gw/u1/p0", count=3)
    broker.stop()
    modbus_tcp_slave.wait_for_requests(len(modbus_tcp_slave.recorded()) + 20)
    running.signal(signal.SIGKILL)
    running.wait(10)
    again = gateway(config)
    again.wait_for_log(r"buffer: .*outbox\.db holds \d+ messages .* of before")
    modbus_tcp_slave.wait_for_requests(len(modbus_tcp_slave.recorded()) + 5)
    again.stop()
    broker.start()
    subscriber.wait_subscribed(2)
    gateway(config)
    subscriber.wait_for("gw/u1/p0", count=35, deadline_s=60)

    seen = numbers(subscriber)
    first = list(dict.fromkeys(seen))
    assert first == sorted(first), "a number went back"
    # One gap at most: numbers reserved by the run that was killed.
    assert sum(b - a > 1 for a, b in zip(first, first[1:])) <= 1, first


def test_a_stop_without_a_broker_keeps_all_for_the_next_start(tmp_path, broker, modbus_tcp_slave, gateway, started):
    config = config_of(broker, modbus_tcp_slave, tmp_path)
    config["buffer"]["durability"] = "outage"
    subscriber = started.add(Subscriber(broker))
    running = gateway(config)
    subscriber.wait_for("gw/u1/p0", count=3)
    broker.stop()
    modbus_tcp_slave.wait_for_requests(len(modbus_tcp_slave.recorded()) + 10)
    running.signal(signal.SIGTERM)
    assert running.wait(5) == 0
    running.wait_for_log(r"stopped: .* left and kept for the next start")
    broker.start()
    subscriber.wait_subscribed(2)
    gateway(config)
    subscriber.wait_for("gw/u1/p0", count=15, deadline_s=60)

    seen = list(dict.fromkeys(numbers(subscriber)))
    assert seen == list(range(seen[0], seen[0] + len(seen))), seen


def test_mqtt_5_carries_the_number_and_what_is_left_of_the_age(tmp_path, broker, modbus_tcp_slave, gateway, subscriber):
    config = config_of(broker, modbus_tcp_slave, tmp_path, mqtt={"version": "5"})
    config["buffer"]["max_age"] = "1h"
    gateway(config)

    message = subscriber.wait_for("gw/u1/p0")

    assert dict(message.properties.UserProperty)["seq"] == str(json.loads(message.payload)["seq"])
    assert 3590 <= message.properties.MessageExpiryInterval <= 3600


def test_a_second_gateway_on_the_same_file_does_not_start(tmp_path, broker, modbus_tcp_slave, gateway, subscriber):
    config = config_of(broker, modbus_tcp_slave, tmp_path)
    gateway(config)
    subscriber.wait_for("gw/u1/p0")
    second = gateway({**config, "gateway": {"name": "gw2"}})

    assert second.wait(20) == 1
    assert "another gateway uses" in second.log and "outbox.db" in second.log, second.log
    mark = subscriber.mark()
    subscriber.wait_for("gw/u1/p0", since=mark, count=5)


def test_without_a_folder_it_works_in_memory_and_says_so_once(tmp_path, broker, modbus_tcp_slave, gateway, subscriber):
    config = config_of(broker, modbus_tcp_slave, tmp_path)
    config["buffer"]["path"] = str(tmp_path / "no" / "such" / "outbox.db")
    running = gateway(config)

    subscriber.wait_for("gw/u1/p0", count=20)

    running.wait_for_log(r"buffer: .*outbox\.db cannot be used: No such file or directory; messages are kept in memory only")
    assert running.log.count("buffer: ") == 1, running.log
    assert not (tmp_path / "no").exists()
