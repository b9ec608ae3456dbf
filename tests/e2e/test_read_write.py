"""`field2mqtt read` and `field2mqtt write`: one device from the shell, without a broker."""
import json
import subprocess

import pytest
import yaml

from conftest import PROGRAM, ROOT, tcp_bus, write_config

POINTS = [
    {"name": "speed", "register": "holding:0", "scale": 0.01, "unit": "Hz", "access": "rw", "max": 50},
    {"name": "mode", "register": "holding:1", "access": "rw", "enum": {0: "off", 7: "auto"}},
    {"name": "level", "register": "holding:2"},
    {"name": "dose", "register": "holding:3", "access": "rw", "write": {"max_change": 5}},
    {"name": "reset", "register": "holding:50", "access": "w"},
]


@pytest.fixture
def file(modbus_tcp_slave, tmp_path):
    modbus_tcp_slave.unit().set("holding:0", [4010, 7, 33, 100])
    config = {"gateway": {"name": "gw"}, "mqtt": {"servers": "mqtt://127.0.0.1:1"},
              "commands": {"enabled": True, "lock_file": str(tmp_path / "lock"), "audit_file": str(tmp_path / "log")},
              "buses": [tcp_bus(modbus_tcp_slave, [{"name": "pump", "unit": 1, "timeout": "30s", "points": POINTS}])]}
    return write_config(tmp_path, config)


def goes_silent(slave, file):
    """Which is not waited for as long as an answer that a busy machine holds up."""
    slave.unit().silent = True
    text = file.read_text()
    assert text.count("timeout: 30s") == 1
    file.write_text(text.replace("timeout: 30s", "timeout: 500ms"))


def run(*words):
    done = subprocess.run([PROGRAM, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def test_read_shows_the_points_of_a_device(file):
    assert run("read", "-c", file, "pump") == (0, "speed                    40.1 Hz\nmode                     auto\n"
                                                  "level                    33\ndose                     100\n", "")
    assert run("read", "-c", file, "plc/pump", "level") == (0, "level                    33\n", "")
    code, out, err = run("read", "-c", file, "pump", "reset")
    assert (code, out) == (1, "") and "never read" in err


def test_a_mistyped_device_is_told_with_the_one_that_was_meant(file):
    code, out, err = run("read", "-c", file, "pumpp")
    assert (code, out) == (64, "") and 'has no device "pumpp"; did you mean "pump"?' in err


def test_read_tells_of_what_cannot_be_read(file, modbus_tcp_slave):
    modbus_tcp_slave.unit().refuse("holding:2")
    code, out, _ = run("read", "-c", file, "pump")
    assert code == 1 and "level                    bad: illegal_data_address\n" in out and "40.1 Hz" in out
    goes_silent(modbus_tcp_slave, file)
    code, out, _ = run("read", "-c", file, "pump", "speed")
    assert code == 1 and "bad: timeout" in out


def test_read_shows_everything_that_registers_may_mean(file, modbus_tcp_slave):
    # 230.1 as a float32 is 0x4366199A (IEEE 754), its words exchanged here; then "OK" in ASCII
    modbus_tcp_slave.unit().set("holding:300", [0x199A, 0x4366, 0x4F4B])

    code, out, _ = run("read", "-c", file, "pump", "holding:300-302")

    assert code == 0
    lines = {}
    for line in out.splitlines():
        point, _, value = line.partition("# ")
        lines[json.dumps(yaml.safe_load(point)[0])] = value

    def value_of(**keys):
        return lines[json.dumps({"name": "x", **keys})]

    assert value_of(register="holding:300", type="float32", order="CDAB") == "230.1"
    assert value_of(register="holding:300", type="uint16") == str(0x199A)
    assert value_of(register="holding:300", type="uint32") == str(0x199A4366)
    assert value_of(register="holding:300", type="uint32", order="CDAB") == str(0x4366199A)
    assert value_of(register="holding:300", type="int32", order="DCBA") == str(0x66439A19)
    assert value_of(register="holding:302", type="int16") == str(0x4F4B)
    assert value_of(register="holding:300", type="raw[3]").lower() == "199a43664f4b"
    assert not any("uint64" in key for key in lines)  # three registers hold none


def test_what_read_shows_can_be_pasted_into_a_configuration(file, modbus_tcp_slave, tmp_path):
    modbus_tcp_slave.unit().set("holding:300", [0x199A, 0x4366, 0x4F4B, 1])
    _, out, _ = run("read", "-c", file, "pump", "holding:300")
    config = yaml.safe_load(file.read_text())
    points = yaml.safe_load(out)
    for n, point in enumerate(points):
        point["name"] = f"p{n}"
    config["buses"][0]["devices"][0]["points"] = points
    pasted = write_config(tmp_path, config)

    code, shown, err = run("read", "-c", pasted, "pump")

    assert code == 0, err
    assert [line.split(None, 1)[1] for line in shown.splitlines()] == [line.split("# ", 1)[1] for line in out.splitlines()]


@pytest.mark.parametrize("place", ["holding:300", "holding:300-303", "input:7", "holding:0x12C-0x133"])
def test_each_line_that_read_shows_is_one_of_a_configuration(file, modbus_tcp_slave, tmp_path, place):
    """Pasted as text, only the names made different; the registers 300 to 303 hold every kind of number."""
    modbus_tcp_slave.unit().set("holding:300", [0x199A, 0x4366, 0x4F4B, 1])
    code, out, err = run("read", "-c", file, "pump", place)
    assert code == 0, err
    config = yaml.safe_load(file.read_text())
    config["buses"][0]["devices"][0]["points"] = "HERE"
    lines = [line.replace("name: x,", f"name: p{n},") for n, line in enumerate(out.splitlines())]
    pasted = tmp_path / "pasted.yaml"
    pasted.write_text(yaml.safe_dump(config, sort_keys=False).replace(
        " HERE", "\n" + "\n".join("        " + line for line in lines)))
    assert len(lines) > 10

    code, report, err = run("check", "-c", pasted)

    assert (code, err) == (0, ""), err
    assert f"{len(lines)} points" in report


def test_read_shows_what_is_between_registers_that_the_device_refuses(file, modbus_tcp_slave):
    unit = modbus_tcp_slave.unit()
    unit.set("holding:300", [11, 12, 13, 14, 15, 16, 17, 18])
    for hole in (302, 305, 306, 308):
        unit.refuse(f"holding:{hole}")

    code, out, err = run("read", "-c", file, "pump", "holding:300-308")

    assert code == 0
    points = {(point["register"], point.get("type"), point.get("order")) for point in yaml.safe_load(out)}
    assert {register for register, type_, _ in points if type_ == "uint16"} == {
        f"holding:{n}" for n in (300, 301, 303, 304, 307)}
    assert {register for register, type_, _ in points if type_ == "uint32"} == {"holding:300", "holding:303"}
    assert err == ("field2mqtt read: holding:302, holding:305-306, holding:308 cannot be read: illegal_data_address\n")

    code, out, err = run("read", "-c", file, "pump", "holding:305-306")
    assert (code, out) == (1, "") and err == "field2mqtt read: holding:305-306 cannot be read: illegal_data_address\n"


def test_registers_of_a_device_that_is_silent_are_not_asked_for_one_by_one(file, modbus_tcp_slave):
    goes_silent(modbus_tcp_slave, file)
    code, out, err = run("read", "-c", file, "pump", "holding:0-99")
    assert (code, out) == (1, "") and err == "field2mqtt read: holding:0-99 cannot be read: timeout\n"
    assert len(modbus_tcp_slave.requests) < 5


def test_many_holes_are_told_in_a_line_that_ends(file, modbus_tcp_slave):
    for hole in range(1, 125, 2):
        modbus_tcp_slave.unit().refuse(f"holding:{hole}")
    code, out, err = run("read", "-c", file, "pump", "holding:0-124")
    assert code == 0 and out.count("type: uint16 ") == 63
    assert "holding:1, holding:3, " in err and err.endswith("... cannot be read: illegal_data_address\n")


@pytest.mark.parametrize("place", ["holding:70000", "holding:5-4", "holding:0-125", "holding:1-x", "nothing"])
def test_a_place_that_is_none_is_told(file, place):
    code, out, err = run("read", "-c", file, "pump", place)
    assert (code, out) == (64, "") and "is not a register such as holding:100" in err


def test_write_writes_reads_back_and_audits(file, modbus_tcp_slave, tmp_path):
    code, out, _ = run("write", "-c", file, "pump", "speed=12.5", "mode=off")
    result = json.loads(out)

    assert code == 0 and result["ok"]
    assert result["read_back"] == {"speed": 12.5, "mode": "off"}
    assert modbus_tcp_slave.unit().get("holding:0", 2) == [1250, 0]
    line = json.loads((tmp_path / "log").read_text())
    assert line["event"] == "shell" and line["result"] == result


@pytest.mark.parametrize("words, code", [
    (["speed=51"], "out_of_range"), (["speed=1.001"], "not_exact"), (["mode=on"], "unknown_name"),
    (["level=1"], "read_only"), (["nothing=1"], "unknown_point"), (["speed"], "unknown_point"),
    (["speed=1", "mode=on"], "unknown_name"), (["dose=106"], "change_too_large"),
])
def test_write_has_the_checks_of_commands(file, modbus_tcp_slave, words, code):
    status, out, _ = run("write", "-c", file, "pump", *words)

    assert status == 1 and json.loads(out)["code"] == code
    assert not [r for r in modbus_tcp_slave.recorded() if r.function in (5, 6, 15, 16, 22, 23)]


def test_write_obeys_the_lock_and_the_configuration(file, modbus_tcp_slave, tmp_path):
    (tmp_path / "lock").touch()
    status, out, _ = run("write", "-c", file, "pump", "speed=1")
    assert status == 1 and json.loads(out)["code"] == "locked"
    file.write_text(file.read_text().replace("enabled: true", "enabled: false"))
    status, out, _ = run("write", "-c", file, "pump", "speed=1")
    assert status == 1 and json.loads(out)["code"] == "read_only"
    assert not modbus_tcp_slave.recorded()


def test_write_tells_of_a_dead_device(file, modbus_tcp_slave):
    goes_silent(modbus_tcp_slave, file)
    status, out, _ = run("write", "-c", file, "pump", "speed=1")
    assert status == 1 and json.loads(out)["code"] in ("unknown", "device_offline")
    modbus_tcp_slave.stop()
    status, out, _ = run("write", "-c", file, "pump", "speed=1")
    assert status == 1 and json.loads(out)["code"] == "link_down"


def test_wrong_use_is_told(file):
    assert run("write", "-c", file, "pump")[0] == 64
    assert run("write", "-c", file, "pomp", "speed=1")[0] == 64
    assert run("read", "-c", file)[0] == 64
    assert run("read", "-c", file, "pump", "--what")[0] == 64
