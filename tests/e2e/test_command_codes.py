"""Every code that a result may have: produced from MQTT, with what the wire saw of it; and the manual, the program and these
tests name the same ones. What is not here is in test_commands.py."""
import ast
import json
import re
import signal
import time

import pytest

from conftest import ROOT, make_config, wait_until
from plugin_source import GOOD, Folder
from test_commands import config, online, operator, writes  # noqa: F401 (operator is a fixture)

POINTS = [{"name": "speed", "register": "holding:0", "access": "rw"}, {"name": "mode", "register": "holding:1", "access": "rw"}]
SETTLES = [{**POINTS[0], "write": {"settle": "60s"}}]  # nothing waits for its end
EXPIRES_S = 4


def codes_of(operator, topic):
    return {json.loads(m.payload).get("value"): json.loads(m.payload)["code"] for m in operator.answers if m.topic == topic}


def begin(operator, slave, value):
    """A command that is written now. Its answer is kept back by the device until release(), and what comes behind it waits."""
    slave.unit().hold(6)
    operator.send("gw/pump/speed/set", str(value))
    wait_until(lambda: slave.unit().n_held)


def handed_over(operator, tmp_path, count):
    """So many commands have been decided on, and those that were accepted wait for the bus: they are noted before they are handed
    over, all of a batch at once, and what comes later belongs to a later batch."""
    wait_until(lambda: len(re.findall('"event":"(accepted|refused)"', (tmp_path / "commands.log").read_text())) >= count)
    assert operator.ask("gw/pump/speed/set", "nonsense")["code"] == "bad_payload"


def test_the_newest_of_those_that_wait_is_written_and_the_others_are_superseded(broker, modbus_tcp_slave, gateway, subscriber,
                                                                             operator, tmp_path):
    gateway(config(broker, modbus_tcp_slave, tmp_path, points=POINTS))
    online(subscriber)
    begin(operator, modbus_tcp_slave, 1)

    for value in (2, 3, 4):
        operator.send("gw/pump/speed/set", str(value))
    handed_over(operator, tmp_path, 4)
    modbus_tcp_slave.unit().release()
    operator.wait("gw/pump/speed/result", 5)

    assert codes_of(operator, "gw/pump/speed/result") == {None: "bad_payload", 1: "ok", 2: "superseded", 3: "superseded", 4: "ok"}
    assert modbus_tcp_slave.unit().get("holding:0", 2) == [4, 0]
    assert len(writes(modbus_tcp_slave)) == 2


def test_more_than_may_wait_is_busy(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    gateway(config(broker, modbus_tcp_slave, tmp_path, points=POINTS, commands={"max_waiting": 1}))
    online(subscriber)
    begin(operator, modbus_tcp_slave, 1)

    assert operator.ask("gw/pump/mode/set", "5")["code"] == "busy"

    modbus_tcp_slave.unit().release()
    operator.wait("gw/pump/speed/result")
    assert modbus_tcp_slave.unit().get("holding:0", 2) == [1, 0]
    assert len(writes(modbus_tcp_slave)) == 1


@pytest.mark.parametrize("by", ["its own expires", "MQTT 5 message expiry", "commands.timeout"])
def test_what_expires_while_it_waits_is_not_written(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path, by):
    gateway(config(broker, modbus_tcp_slave, tmp_path, points=POINTS, mqtt={"version": "5"},
                   commands={"timeout": f"{EXPIRES_S}s" if by == "commands.timeout" else "30s"}))
    online(subscriber)
    begin(operator, modbus_tcp_slave, 1)

    if by == "its own expires":
        operator.send("gw/pump/speed/set", {"value": 2, "expires": int((time.time() + EXPIRES_S) * 1000)})
    elif by == "MQTT 5 message expiry":
        operator.send("gw/pump/speed/set", "2", MessageExpiryInterval=EXPIRES_S)
    else:
        operator.send("gw/pump/speed/set", "2")
    handed_over(operator, tmp_path, 2)
    end = time.monotonic() + EXPIRES_S
    wait_until(lambda: time.monotonic() > end)
    modbus_tcp_slave.unit().release()
    operator.wait("gw/pump/speed/result", 3)

    assert codes_of(operator, "gw/pump/speed/result") == {None: "bad_payload", 1: "ok", 2: "expired"}
    assert modbus_tcp_slave.unit().get("holding:0") == [1]
    assert len(writes(modbus_tcp_slave)) == 1


def test_a_stop_answers_what_waits_and_writes_none_of_it(broker, modbus_tcp_slave, gateway, subscriber, operator, tmp_path):
    process = gateway(config(broker, modbus_tcp_slave, tmp_path, points=SETTLES))
    online(subscriber)
    operator.send("gw/pump/speed/set", "1")
    wait_until(lambda: writes(modbus_tcp_slave))
    operator.send("gw/pump/speed/set", "2")
    handed_over(operator, tmp_path, 2)

    process.signal(signal.SIGTERM)
    operator.wait("gw/pump/speed/result", 3)

    assert codes_of(operator, "gw/pump/speed/result") == {None: "bad_payload", 1: "unverified", 2: "stopping"}
    assert process.wait() == 0
    assert modbus_tcp_slave.unit().get("holding:0") == [1]
    assert len(writes(modbus_tcp_slave)) == 1


# A driver that says that all is well and has written nothing, as no driver should. It notes each call.
WRITES_NOTHING = [
    ("#include <field2mqtt/driver.h>\n", "#include <field2mqtt/driver.h>\n#include <stdio.h>\n"),
    ("traits->can_read = true;", "traits->can_write = true;"),
    ("static const struct gw_driver driver = {", """
static enum gw_err write_points(struct gw_device *device, const struct gw_write *writes, size_t n_writes,
                                int64_t deadline_us, size_t *ret_n_written, struct gw_outcome *outcome)
{
    const struct conf *conf = device->bus->conf;
    FILE *file = fopen(conf->path, "a");

    fprintf(file, "write\\n");
    fclose(file);
    *ret_n_written = 0;
    return GW_OK;
}

static const struct gw_driver driver = {
    .write = write_points,"""),
]


def test_a_driver_that_writes_nothing_has_failed(broker, gateway, subscriber, operator, tmp_path):
    plugins, calls = Folder(tmp_path / "plugins"), tmp_path / "calls"
    plugins.build("tiny", GOOD, WRITES_NOTHING)
    bus = {"name": "b", "driver": "tiny", "path": str(calls),
           "devices": [{"name": "pump", "points": [{"name": "speed", "access": "w"}]}]}
    gateway(make_config(broker, [bus], commands={"enabled": True, "ids_file": str(tmp_path / "ids"),
                                                 "audit_file": str(tmp_path / "log")}),
            options=["--plugin-dir", str(plugins.path)])
    online(subscriber)

    result = operator.ask("gw/pump/speed/set", "1")

    assert (result["ok"], result["code"]) == (False, "failed")
    assert calls.read_text() == "write\n"  # and not again


# ---- none is forgotten -------------------------------------------------------------------------------


def codes_of_the_program():
    text = (ROOT / "gateway" / "command.c").read_text()
    return re.findall(r'\[GW_COMMAND_\w+\] = "(\w+)"', text)


def rows_of_the_manual():
    """Codes and what the manual says of what reached the device."""
    table = (ROOT / "docs" / "commands.md").read_text().partition("| code | means |")[2].partition("\n\n")[0]
    return [(code, cells[-2].strip()) for cells in (line.split("|") for line in table.splitlines()[2:])
            for code in re.findall(r"`(\w+)`", cells[1])]


def codes_of_the_tests():
    """Texts that a test compares a code with, or lists as the one to come: operands of comparisons, and rows of tables."""
    found = set()
    for file in ("test_commands.py", "test_command_codes.py"):
        for node in ast.walk(ast.parse((ROOT / "tests" / "e2e" / file).read_text())):
            if isinstance(node, ast.Compare):
                found |= {n.value for side in node.comparators for n in ast.walk(side) if isinstance(n, ast.Constant)}
            elif isinstance(node, ast.Tuple):
                found |= {n.value for n in node.elts if isinstance(n, ast.Constant)}
    return found


def test_the_manual_has_every_code_of_the_program_once():
    assert sorted(code for code, _ in rows_of_the_manual()) == sorted(codes_of_the_program())


def test_a_test_asks_for_every_code():
    codes = set(codes_of_the_program())

    assert len(codes) > 30
    assert codes - codes_of_the_tests() == set()


def test_the_manual_says_of_each_refusal_that_nothing_was_sent():
    """In the program the codes stand in two groups: refused before anything was sent, and the device was asked."""
    enum = (ROOT / "gateway" / "command.h").read_text().partition("enum gw_command_code {")[2].partition("}")[0]
    before = re.findall(r"GW_COMMAND_\w+", enum.partition("The device was asked")[0])
    words = dict(re.findall(r'\[(GW_COMMAND_\w+)\] = "(\w+)"', (ROOT / "gateway" / "command.c").read_text()))

    for code, sent in rows_of_the_manual():
        was_sent = code == "ok" or code not in [words[name] for name in before]
        assert (sent != "no") == was_sent, code
