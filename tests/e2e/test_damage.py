"""A damaged outbox: flipped bits and cuts at random places, through a whole gateway to a broker.

Whatever stands in the file, the gateway starts, goes on reading, and publishes of it only what was read.
FIELD2MQTT_SLOW=1 runs more rounds, FIELD2MQTT_DAMAGES sets their number.
"""
import os
import random
import shutil

import pytest

from conftest import COMPLAINTS, Gateway
from counting import let_pass
from test_outage import SEED, Plant

ROUNDS = int(os.environ.get("FIELD2MQTT_DAMAGES", "150" if os.environ.get("FIELD2MQTT_SLOW") else "8"))


def fill(plant):
    """An outage, and a clean end in it. Gives what was read, as the device has given it: (topic, value)."""
    let_pass(plant.device, 5)
    plant.collector.wait_until(1)
    plant.proxy.cut()
    plant.gateway.wait_for_log("mqtt: connection to .* lost")
    let_pass(plant.device, 60)
    plant.gateway.stop()
    return plant.device.count


def damage(path, chance):
    data = bytearray(path.read_bytes())
    if chance.random() < 0.3:
        del data[chance.randrange(len(data)):]
    else:
        for _ in range(chance.choice((1, 1, 8, 64))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def drain(plant, last):
    """What arrives of a file until new readings do; history comes before them."""
    with plant.collector.lock:
        plant.collector.payloads, plant.collector.newest = [], {}
    count = plant.device.count
    plant.gateway = plant.started.add(Gateway(plant.config))
    plant.collector.wait_until(count + 1)
    plant.gateway.stop()
    assert not COMPLAINTS.search(plant.gateway.log)
    # What was still on its way of the readings before is none of this start's.
    return {topic: [body for body in bodies if body["value"] <= last or body["value"] > count]
            for topic, bodies in plant.collector.by_topic().items()}


@pytest.mark.longer
def test_a_damaged_file_never_stops_a_start_nor_gives_a_wrong_reading(tmp_path, broker, started):
    plant = Plant(tmp_path, broker, started, "outage").start()
    last = fill(plant)
    whole = shutil.copy(plant.file, tmp_path / "whole.db")
    chance = random.Random(SEED)
    print(f"FIELD2MQTT_SEED={SEED}")
    plant.proxy.heal()
    true = {topic: {body["value"]: body for body in bodies if body["value"] <= last}
            for topic, bodies in drain(plant, last).items()}
    n_true = sum(map(len, true.values()))
    assert all(list(bodies) == list(range(min(bodies), last + 1)) for bodies in true.values()), "the whole file lacks some"
    n_kept = 0

    for _ in range(ROUNDS):
        for old in tmp_path.glob("outbox.db*"):
            old.unlink()
        damage(shutil.copy(whole, plant.file), chance)
        for topic, bodies in drain(plant, last).items():
            values = [body["value"] for body in bodies]
            history = [body for body in bodies if body["value"] <= last]
            assert values == sorted(set(values)), f"{topic}: out of order or twice\n{plant.gateway.log}"
            assert all(body == true[topic].get(body["value"]) for body in history), f"{topic}: not what was read\n{plant.gateway.log}"
            n_kept += len(history)

    print(f"{ROUNDS} damaged files of {n_true} records: all started, {n_kept / ROUNDS / n_true:.0%} of the records kept, 0 wrong")
    assert n_kept > 0, "salvage kept nothing at all"
