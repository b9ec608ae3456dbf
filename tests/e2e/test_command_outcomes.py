"""Reading back: the same or another register, after its settle time, within its tolerance. And the audit of it all."""
import json
import stat

import pytest

from test_commands import config, online, operator, writes  # noqa: F401 (a fixture)

VALVE = {"name": "valve", "register": "holding:0", "scale": 0.1, "access": "rw"}
POSITION = {"name": "position", "register": "holding:1", "scale": 0.1}


@pytest.mark.parametrize("shown, tolerance, code", [
    (500, 0, "ok"), (497, 0, "mismatch"), (497, 0.3, "ok"), (503, 0.3, "ok"), (496, 0.3, "mismatch"),
])
def test_another_register_shows_what_was_written_within_the_tolerance(broker, modbus_tcp_slave, gateway, subscriber, operator,
                                                                     tmp_path, shown, tolerance, code):
    modbus_tcp_slave.unit().set("holding:0", [0, shown])
    write = {"read_back": "position", "tolerance": tolerance}
    gateway(config(broker, modbus_tcp_slave, tmp_path, points=[{**VALVE, "write": write}, POSITION]))
    online(subscriber)

    result = operator.ask("gw/pump/valve/set", "50")

    assert (result["code"], result["value"], result["read_back"]) == (code, 50, shown / 10)
    assert modbus_tcp_slave.unit().get("holding:0", 2) == [500, shown]
    assert len(writes(modbus_tcp_slave)) == 1


def test_it_is_read_back_after_the_settle_time(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    gateway(config(broker, modbus_tcp_slave, tmp_path, points=[{**VALVE, "write": {"settle": "700ms"}}], interval="3600s"))
    online(subscriber)
    subscriber.wait_for("gw/pump/valve")

    result = operator.ask("gw/pump/valve/set", "50")

    assert result["code"] == "ok" and result["verified"] - result["written"] >= 690
    written, = writes(modbus_tcp_slave)
    behind = [r for r in modbus_tcp_slave.recorded() if r.time > written.time]
    assert [r.function for r in behind] == [3] and behind[0].time - written.time >= 0.69


# ---- audit -------------------------------------------------------------------------------------------


def audited(tmp_path):
    return [json.loads(line) for line in (tmp_path / "commands.log").read_text().splitlines()]


def test_every_decision_is_in_the_audit_file_and_in_the_log(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    process = gateway(config(broker, modbus_tcp_slave, tmp_path, mqtt={"version": "5"}, commands={"arm_topic": "gw/arm"}))
    online(subscriber)
    properties = {"UserProperty": [("operator", "eve"), ("api-token", "hunter2")]}
    topic, good = "gw/pump/speed/set", '{"value":40,"id":"a"}'

    assert operator.ask(topic, "1", **properties)["code"] == "not_armed"
    operator.send("gw/arm", "arm")
    process.wait_for_log("is armed")
    for payload in (good, good, "60"):
        operator.ask(topic, payload, **properties)
    process.wait_for_log("out_of_range")

    found = [(line["event"], line["topic"], line.get("payload"), line["result"]["code"] if "result" in line else None)
             for line in audited(tmp_path)]
    assert found == [("refused", topic, "1", "not_armed"), ("arming", "gw/arm", "arm", "ok"), ("accepted", topic, good, None),
                     ("done", topic, good, "ok"), ("repeated", topic, good, "ok"), ("refused", topic, "60", "out_of_range")]
    for line in audited(tmp_path):
        assert line["event"] == "arming" or "operator=eve" in json.dumps(line), line
    assert "hunter2" not in (tmp_path / "commands.log").read_text() + process.log
    assert stat.S_IMODE((tmp_path / "commands.log").stat().st_mode) == 0o600
    for pattern in ("not_armed", r"speed/set.*ok", "out_of_range"):
        assert process.wait_for_log(pattern)


def test_a_secret_value_stands_nowhere(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    points = [{"name": "pin", "register": "holding:0", "type": "uint32", "access": "w", "max": 9999, "write": {"secret": True}}]
    refused = ('{"value":73510}', "73510000000000000000000", "-7351", "7351.5", '"7351"', "pin 7351", '{"7351":1}', '{"value":[7351]}')
    process = gateway(config(broker, modbus_tcp_slave, tmp_path, points=points))
    online(subscriber)

    assert operator.ask("gw/pump/pin/set", "7351")["value"] == "***"
    for payload in refused:
        result = operator.ask("gw/pump/pin/set", payload)
        assert result["ok"] is False and "secret" in result["message"], payload
    assert operator.ask("gw/pump/set", '{"7351":1}')["code"] == "unknown_point"
    assert operator.ask("gw/pump/set", '{"pin":7351}')["code"] == "ok"

    assert modbus_tcp_slave.unit().get("holding:0", 2) == [0, 7351]
    assert [line["event"] for line in audited(tmp_path)] == ["accepted", "done"] + ["refused"] * 9 + ["accepted", "done"]
    answers = b"".join(m.payload for m in operator.answers).decode()
    assert "7351" not in (tmp_path / "commands.log").read_text() + process.log + answers


def test_the_audit_file_is_added_to_and_rotated(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    (tmp_path / "commands.log").write_text('{"event":"of an earlier run"}\n')
    gateway(config(broker, modbus_tcp_slave, tmp_path, commands={"audit_size": "64KiB"}))
    online(subscriber)
    operator.ask("gw/pump/speed/set", "1")
    assert audited(tmp_path)[0] == {"event": "of an earlier run"}

    for _ in range(40):
        operator.send("gw/pump/speed/set", "x" * 4000)
    operator.wait("gw/pump/speed/result", 41)

    files = sorted(tmp_path.glob("commands.log*"))
    assert [file.name for file in files] == ["commands.log", "commands.log.1", "commands.log.2"]
    lines = [json.loads(line) for file in reversed(files) for line in file.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["of an earlier run", "accepted", "done"] + ["refused"] * 40
    assert all(file.stat().st_size <= 64 * 1024 for file in files)
