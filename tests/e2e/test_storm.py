"""Thousands of polls while a fifth of the answers is spoiled in every way: not one wrong value is published.

All requests are of one size and every register holds another number, so that an answer that is taken for that of
another request shows at once. 10,000 polls with FIELD2MQTT_SLOW=1; FIELD2MQTT_POLLS sets how many, FIELD2MQTT_SEED
repeats a run.
"""
import json
import os
import random

import pytest

from conftest import make_config, rtu_bus, tcp_bus
from modbus_slave import Faults

POLLS = int(os.environ.get("FIELD2MQTT_POLLS", "10000" if os.environ.get("FIELD2MQTT_SLOW") else "1000"))
SEED = int(os.environ.get("FIELD2MQTT_SEED", str(random.randrange(1 << 30))))
REGISTERS = range(0, 200, 10)


def expected(address):
    return 1000 + 7 * address


@pytest.mark.longer
@pytest.mark.parametrize("transport", ["tcp", "rtu", "rtu_over_tcp"])
def test_no_wrong_value_in_a_storm_of_faults(transport, broker, subscriber, gateway, request):
    slave = request.getfixturevalue({"tcp": "modbus_tcp_slave", "rtu": "modbus_rtu_slave",
                                     "rtu_over_tcp": "modbus_rtu_tcp_slave"}[transport])
    for address in REGISTERS:
        slave.unit(1).set(f"holding:{address}", [expected(address)])
    slave.faults = Faults(0.2, late_s=0.05, seed=SEED)
    print(f"FIELD2MQTT_SEED={SEED}")
    device = {"name": "dev", "unit": 1, "interval": "10ms", "timeout": "50ms", "retries": 1, "offline_after": "1h",
              "points": [{"name": f"p{a}", "register": f"holding:{a}", "alone": True} for a in REGISTERS]}
    make = rtu_bus if transport == "rtu" else tcp_bus
    keys = {"framing": "rtu", "baud": 115200} if transport == "rtu_over_tcp" else {}

    gateway(make_config(broker, [make(slave, [device], **{"reopen_min": "10ms", "reopen_max": "20ms", **keys})]))
    slave.wait_for_requests(POLLS, deadline_s=60 + POLLS / 15)
    slave.faults = None
    mark = subscriber.mark()

    for address in REGISTERS:  # all is well again without help
        subscriber.wait_for_json(f"gw/dev/p{address}", lambda m, a=address: m["value"] == expected(a), since=mark)
    good = bad = 0
    for message in subscriber.messages:
        if message.topic.startswith("gw/dev/p"):
            body = json.loads(message.payload)
            if body["quality"] == "good":
                assert body["value"] == expected(int(message.topic[len("gw/dev/p"):])), message
                good += 1
            else:
                assert body["value"] is None and body["reason"], message
                bad += 1
    assert good > bad > 0
    polls = slave.recorded()
    print(f"{len(polls)} polls in {polls[-1].time - polls[0].time:.0f} s, {good} good, {bad} bad values, 0 wrong")
