"""Thousands of polls while a fifth of the answers is spoiled in every way: not one wrong value is published.

All requests are of one size and every register holds another number, so that an answer that is taken for that of
another request shows at once. 10,000 polls with FIELD2MQTT_SLOW=1; FIELD2MQTT_POLLS sets how many, FIELD2MQTT_SEED
repeats a run.

RTU has no transaction numbers, so no master can tell an answer later than it waits for any (drivers/modbus/wire_rtu.c) from that
to its next question. The slave keeps to that on a busy machine too: it rather says nothing, or says that it could not.
"""
import json
import os
import random
import struct
import time

import pytest

from conftest import make_config, rtu_bus, tcp_bus, wait_until
from modbus_slave import Faults

POLLS = int(os.environ.get("FIELD2MQTT_POLLS", "10000" if os.environ.get("FIELD2MQTT_SLOW") else "1000"))
SEED = int(os.environ.get("FIELD2MQTT_SEED", str(random.randrange(1 << 30))))
REGISTERS = range(0, 200, 10)
TIMEOUT_MS = 50
PROMISE_S = max(3 * TIMEOUT_MS / 1000, 0.2)  # after its question an answer may come so late, and is known. Source: wire_rtu.c, 2.


def expected(address):
    return 1000 + 7 * address


def unexplained(wrong, overdue):
    """Those wrong values that are in no answer that left too late, as the slave has noted; each such answer explains one."""
    left, rest = list(overdue), []
    for message, value in wrong:
        answer = next((a for a in left if a.time < message.time and struct.pack(">H", value) in a.frame), None)
        left.remove(answer) if answer else rest.append(message)
    return rest


@pytest.mark.longer
@pytest.mark.parametrize("transport", ["tcp", "rtu", "rtu_over_tcp"])
def test_no_wrong_value_in_a_storm_of_faults(transport, broker, subscriber, gateway, request):
    slave = request.getfixturevalue({"tcp": "modbus_tcp_slave", "rtu": "modbus_rtu_slave",
                                     "rtu_over_tcp": "modbus_rtu_tcp_slave"}[transport])
    for address in REGISTERS:
        slave.unit(1).set(f"holding:{address}", [expected(address)])
    slave.faults = Faults(0.2, late_s=TIMEOUT_MS / 1000, seed=SEED)
    slave.promise_s = None if transport == "tcp" else PROMISE_S
    print(f"FIELD2MQTT_SEED={SEED}")
    device = {"name": "dev", "unit": 1, "interval": "10ms", "timeout": f"{TIMEOUT_MS}ms", "retries": 1, "offline_after": "1h",
              "points": [{"name": f"p{a}", "register": f"holding:{a}", "alone": True} for a in REGISTERS]}
    make = rtu_bus if transport == "rtu" else tcp_bus
    keys = {"framing": "rtu", "baud": 115200} if transport == "rtu_over_tcp" else {}

    gateway(make_config(broker, [make(slave, [device], **{"reopen_min": "10ms", "reopen_max": "20ms", **keys})]))
    slave.wait_for_requests(POLLS, deadline_s=60 + POLLS / 5)
    slave.faults = None
    mark = subscriber.mark()

    for address in REGISTERS:  # all is well again without help
        subscriber.wait_for_json(f"gw/dev/p{address}", lambda m, a=address: m["value"] == expected(a), since=mark)
    good, bad, wrong = 0, 0, []
    for message in subscriber.messages:
        if message.topic.startswith("gw/dev/p"):
            body = json.loads(message.payload)
            if body["quality"] == "good":
                good += 1
                if body["value"] != expected(int(message.topic[len("gw/dev/p"):])):
                    wrong.append((message, body["value"]))
            else:
                assert body["value"] is None and body["reason"], message
                bad += 1
    assert not unexplained(wrong, slave.overdue), (unexplained(wrong, slave.overdue), slave.overdue)
    assert good > bad > 0
    polls = slave.recorded()
    print(f"{len(polls)} polls in {polls[-1].time - polls[0].time:.0f} s, {good} good, {bad} bad values, "
          f"{len(wrong)} wrong" + (f"; {slave.withheld} answers not sent and {len(slave.overdue)} sent too late by a busy machine"
                                   if slave.withheld or slave.overdue else ""))


@pytest.mark.parametrize("transport", ["rtu", "rtu_over_tcp"])
def test_the_slave_rather_says_nothing_than_too_late(transport, broker, subscriber, gateway, request):
    """The slave itself: held up with one request, it answers neither that nor the one that waited meanwhile."""
    slave = request.getfixturevalue({"rtu": "modbus_rtu_slave", "rtu_over_tcp": "modbus_rtu_tcp_slave"}[transport])
    slave.promise_s = PROMISE_S
    slave.unit(1).delay_s = 2 * PROMISE_S
    slave.unit(2).set("holding:0", [expected(0)])
    devices = [{"name": f"dev{unit}", "unit": unit, "interval": "10ms", "timeout": f"{TIMEOUT_MS}ms", "offline_after": "1h",
                "points": [{"name": "p", "register": "holding:0"}]} for unit in (1, 2)]
    make, keys = (rtu_bus, {}) if transport == "rtu" else (tcp_bus, {"framing": "rtu", "baud": 115200})

    gateway(make_config(broker, [make(slave, devices, **keys)]))
    slave.wait_for_requests(3, unit=1)
    wait_until(lambda: slave.withheld >= 3)
    released_s = time.monotonic()
    slave.unit(1).delay_s = 0
    for unit in (1, 2):
        subscriber.wait_for_json(f"gw/dev{unit}/p", lambda m: m["quality"] == "good")

    assert not [answer for answer in slave.overdue if answer.frame[0] == 1 and answer.time < released_s]
