"""Spoiled payloads on spoiled topics through a real broker: what is written is what a command that is right has asked for.

100,000 of them with FIELD2MQTT_SLOW=1, else fewer. Which values a command may write is judged here by Python's JSON and a few
lines, not by the gateway. tests/unit/test_control.c does 100,000 without a broker in every run, and fuzz_command more.
"""
import json
import os
import random

import pytest

from conftest import Subscriber
from modbus_slave import Unit
from test_commands import config, online, operator, writes  # noqa: F401 (a fixture)

COUNT = 100_000 if os.environ.get("FIELD2MQTT_SLOW") else 3_000
BATCH = 50  # 64 may wait for the bus, 128 to be looked at

POINTS = [
    {"name": "speed", "register": "holding:0", "access": "rw", "min": 0, "max": 50, "step": 5, "write": {"verify": False}},
    {"name": "mode", "register": "holding:1", "access": "rw", "enum": {0: "off", 1: "manual", 7: "auto"}, "write": {"verify": False}},
    {"name": "level", "register": "holding:2"},
    {"name": "end", "register": "holding:3", "access": "rw", "write": {"verify": False}},
]
NAMES = {"off": 0, "manual": 1, "auto": 7}

SEEDS = ["40", "5e1", "25.0", "auto", '"off"', "7", '{"value":40,"id":"a"}', '{"value":"manual"}', '{"speed":45,"mode":"auto"}',
         '{"values":{"speed":10},"id":7,"expires":4102444800000}', '{"value":15,"expires":"2099-01-01T00:00:00Z"}', '{"level":1}',
         '{"speed":5,"level":1}', "true", "null", "[]", "-5", "055", '{"value":{"value":5}}']
TOPICS = ["gw/pump/speed/set", "gw/pump/mode/set", "gw/pump/set", "gw/pump/level/set", "gw/pump/speed", "gw/other/speed/set"]
LETTERS = '0123456789{}[]":,.-+eE autofm\\/'


def spoil(rng, text, letters, spoiled=0.7):
    text = list(text)
    while rng.random() < spoiled and text:
        at = rng.randrange(len(text))
        if rng.random() < 0.3:
            del text[at]
        elif rng.random() < 0.5:
            text.insert(at, rng.choice(letters))
        else:
            text[at] = chr(rng.randrange(1, 256)) if rng.random() < 0.3 else rng.choice(letters)
    return "".join(text)


def values_in(payload):
    """Every number and text that stands somewhere in a payload that is JSON, or the text itself."""
    try:
        found, left = [], [json.loads(payload)]
    except ValueError:
        return [payload]
    while left:
        value = left.pop()
        if isinstance(value, (dict, list)):
            left.extend(value.values() if isinstance(value, dict) else value)
        else:
            found.append(value)
    return found + [payload]


def allowed(topic, payload):
    """What the message may write, as (register, word). What stands in the payload at the most; never another value, and
    nothing at all by way of another topic."""
    values = [v for v in values_in(payload) if not isinstance(v, bool)]
    words = set()
    if topic in ("gw/pump/speed/set", "gw/pump/set"):
        words |= {(0, int(v)) for v in values if isinstance(v, (int, float)) and 0 <= v <= 50 and v % 5 == 0}
    if topic in ("gw/pump/mode/set", "gw/pump/set"):
        words |= {(1, NAMES[v]) for v in values if isinstance(v, str) and v in NAMES}
        words |= {(1, int(v)) for v in values if isinstance(v, (int, float)) and v in NAMES.values()}
    return words


@pytest.fixture
def written(monkeypatch):
    """(register, word) of each function 6, which the record of the slave lacks."""
    words, set_values = [], Unit.setValues

    def noted(self, function, address, values):
        if function == 6:
            words.append((address, values[0]))
        return set_values(self, function, address, values)

    monkeypatch.setattr(Unit, "setValues", noted)
    return words


@pytest.mark.longer
def test_nothing_is_written_that_no_command_has_asked_for(broker, modbus_tcp_slave, gateway, operator, started, written,
                                                        tmp_path):
    seed = int(os.environ.get("FIELD2MQTT_SEED", "0")) or random.randrange(1, 1 << 31)
    print(f"FIELD2MQTT_SEED={seed}")
    rng = random.Random(seed)
    subscriber = started.add(Subscriber(broker, "field2mqtt/gw/state"))  # the rest is not UTF-8
    gateway(config(broker, modbus_tcp_slave, tmp_path, points=POINTS, interval="1s", device={"write_registers_with": "6"},
                   commands={"rate": "100000/s", "max_waiting": 64}, write={"rate": "100000/s"}))
    online(subscriber)
    modbus_tcp_slave.unit().set("holding:2", [77])
    n_written = n_batch = 0

    for at in range(0, COUNT, BATCH):
        may, n_batch = set(), n_batch + 1
        for _ in range(min(BATCH, COUNT - at)):
            topic, payload = rng.choice(TOPICS), spoil(rng, rng.choice(SEEDS), LETTERS)
            if rng.random() < 0.1:
                topic = spoil(rng, topic, "gwpumpset/", 0.5)
                topic = "".join(c for c in topic if c not in "+#" and c.isprintable()) or "x"  # the broker takes no others
            may |= allowed(topic, payload)
            operator.client.publish(topic, payload.encode("utf-8") if rng.random() < 0.8 else payload.encode("latin-1"), qos=1)
        # All before it have been looked at when it is answered; what they handed over goes before it, or is done.
        result = operator.ask("gw/pump/end/set", str(n_batch % 50000))
        assert result["code"] == "ok", result
        operator.answers.clear()
        new, written[:] = [w for w in written if w[0] != 3], []
        n_written += len(new)
        assert set(new) <= may, (sorted(set(new) - may), f"FIELD2MQTT_SEED={seed}")

    assert modbus_tcp_slave.unit().get("holding:2", 2) == [77, n_batch % 50000]
    assert {(r.function, r.address) for r in writes(modbus_tcp_slave)} <= {(6, 0), (6, 1), (6, 3)}
    assert n_written > COUNT / 100  # it does not only refuse
