"""What waits for the broker: kept over outages and restarts, numbered, shown."""
import json
import signal
import subprocess

import pytest

from conftest import PROGRAM, Subscriber, make_config, tcp_bus, wait_until


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


def stop_broker(broker, slave, subscriber):
    """Between two readings, when all has arrived: what a killed broker has taken and not handed on is lost."""
    slave.unit(1).hold(3)
    wait_until(lambda: slave.unit(1).n_held)
    subscriber.wait_for("gw/u1/p0", count=len(slave.recorded()) - 1)
    broker.stop()
    slave.unit(1).release()


@pytest.mark.quick
def test_readings_of_an_outage_come_in_order_over_a_kill_and_a_restart(tmp_path, broker, modbus_tcp_slave, gateway, started):
    config = config_of(broker, modbus_tcp_slave, tmp_path)
    subscriber = started.add(Subscriber(broker))
    running = gateway(config)
    subscriber.wait_for("gw/u1/p0", count=3)
    stop_broker(broker, modbus_tcp_slave, subscriber)
    modbus_tcp_slave.wait_for_requests(len(modbus_tcp_slave.recorded()) + 20)
    running.signal(signal.SIGKILL)
    running.wait()
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
    stop_broker(broker, modbus_tcp_slave, subscriber)
    modbus_tcp_slave.wait_for_requests(len(modbus_tcp_slave.recorded()) + 10)
    running.signal(signal.SIGTERM)
    assert running.wait() == 0
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
    assert 3000 <= message.properties.MessageExpiryInterval <= 3600


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


def outbox(path, *words):
    return subprocess.run([PROGRAM, "outbox", str(path), *words], capture_output=True, text=True, timeout=60, check=False)


def test_the_file_tells_what_waits_while_the_gateway_is_stopped(tmp_path, broker, modbus_tcp_slave, gateway):
    config = config_of(broker, modbus_tcp_slave, tmp_path)
    path = tmp_path / "outbox.db"
    broker.stop()
    running = gateway(config)
    modbus_tcp_slave.wait_for_requests(10)
    wait_until(lambda: (tmp_path / "outbox.db-wal").exists() and (tmp_path / "outbox.db-wal").stat().st_size > 0)  # it is open
    busy = outbox(path)
    assert busy.returncode == 1
    assert busy.stderr == f"field2mqtt outbox: a gateway is running on {path}; stop it first\n"
    running.stop()
    before = path.read_bytes()

    lines = [json.loads(line) for line in outbox(path, "export").stdout.splitlines()]
    assert len(lines) >= 5
    assert [line["seq"] for line in lines] == list(range(lines[0]["seq"], lines[0]["seq"] + len(lines)))
    for line in lines:
        payload = json.loads(line["payload"])
        assert (line["topic"], line["qos"], line["retain"]) == ("gw/u1/p0", 1, False)
        assert (payload["seq"], payload["ts"]) == (line["seq"], line["acquired"])
    assert len(outbox(path, "list").stdout.splitlines()) == len(lines)
    assert f"messages  {len(lines)}\n" in outbox(path).stdout
    assert path.read_bytes() == before

    missing = outbox(tmp_path / "none.db")
    assert missing.returncode == 1 and "No such file or directory" in missing.stderr
    assert not (tmp_path / "none.db").exists()
    assert outbox(path, "delete").returncode == 64


def test_the_state_topic_tells_how_the_outbox_does_and_that_the_disk_fails(tmp_path, broker, modbus_tcp_slave, gateway, subscriber):
    config = config_of(broker, modbus_tcp_slave, tmp_path)
    folder = tmp_path / "later"
    config["buffer"]["path"] = str(folder / "outbox.db")
    gateway(config)

    subscriber.wait_for_json("field2mqtt/gw/outbox", lambda state: state["disk"] == "failed")
    folder.mkdir()
    good = subscriber.wait_for_json("field2mqtt/gw/outbox", lambda state: state["disk"] == "ok" and state["put_rate"] > 0
                                    and state["drain_rate"] > 0, deadline_s=90)

    assert set(good["dropped"]) == {"full", "expired", "damaged", "too_large", "refused", "memory"}
    assert not any(good["dropped"].values())
    assert good["messages"] >= 0
