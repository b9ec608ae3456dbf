"""A file of the outbox that was damaged between two runs: the gateway always starts, and what then reaches the broker's far
side is true, in order, and never the damaged record. Flipped bytes and cuts, in the file and in its log; seeds are printed.
FIELD2MQTT_DAMAGES says how many whole files are damaged."""
import json
import os
import random
import shutil

import pytest

from conftest import Gateway
from counting import Verdict, let_pass
from test_outage import SEED, Plant, rows

IS_SLOW = bool(os.environ.get("FIELD2MQTT_SLOW"))
ROUNDS = 100 if IS_SLOW else 6
FILES = int(os.environ.get("FIELD2MQTT_DAMAGES", 150 if IS_SLOW else 8))


def damage(plant, chance):
    """Flips a bit in up to 64 bytes of one of the files, or cuts it; says what it did."""
    files = [name for name in (str(plant.file), f"{plant.file}-wal") if os.path.exists(name) and os.path.getsize(name)]
    file = chance.choice(files)
    size = os.path.getsize(file)
    if chance.random() < 0.25:
        os.truncate(file, size := chance.randrange(size))
        return f"{file} cut to {size}"
    places = [chance.randrange(size) for _ in range(chance.choice((1, 1, 2, 8, 64)))]
    with open(file, "r+b") as opened:
        for place in places:
            opened.seek(place)
            byte = opened.read(1)[0]
            opened.seek(place)
            opened.write(bytes([byte ^ 1 << chance.randrange(8)]))
    return f"{file} flipped at {places}"


@pytest.mark.longer
def test_a_damaged_file_never_stops_a_start_and_never_gives_a_wrong_value(tmp_path, broker, started):
    chance = random.Random(SEED)
    print(f"FIELD2MQTT_SEED={SEED}")
    running = Plant(tmp_path, broker, started, "always", commit_interval="20ms").start()
    let_pass(running.device, 20)
    running.collector.wait_until(1)

    for _ in range(ROUNDS):
        running.proxy.cut()
        let_pass(running.device, chance.randrange(10, 60))
        running.gateway.kill()
        what = damage(running, chance)
        running.gateway = started.add(Gateway(running.config))
        running.gateway.wait_for_log("gateway gw, 1 bus")
        let_pass(running.device, 3)
        assert running.gateway.running(), f"{what}:\n{running.gateway.log}"
        running.proxy.heal()
        running.collector.wait_until(let_pass(running.device, 3))

    verdict = Verdict(running.collector)
    assert verdict.numbered == verdict.messages
    known = running.device.count
    for bodies in running.collector.by_topic().values():
        assert all(1 <= body["value"] <= known and body["quality"] == "good" for body in bodies)
    assert verdict.gaps <= 2 * ROUNDS  # the kill, and what was on the damaged place
    print(f"{ROUNDS} times damaged, {verdict.messages} messages, {verdict.lost} readings of the worst point "
          f"lost, {verdict.duplicates} duplicates, 0 wrong")


@pytest.mark.longer
def test_one_flipped_bit_in_the_payloads_costs_one_message_and_is_counted(tmp_path, broker, started):
    """Flips a bit in what SQLite does not check, the payload of one record, and leaves all else as it is."""
    running = Plant(tmp_path, broker, started, "always", commit_interval="20ms").start()
    let_pass(running.device, 20)
    running.collector.wait_until(1)
    running.proxy.cut()
    running.gateway.wait_for_log("mqtt: connection to .* lost")
    let_pass(running.device, 40)
    running.gateway.stop()  # its log is in the file now
    held = rows(running, tmp_path)
    topic, payload = held[len(held) // 2]
    content = running.file.read_bytes()
    at = content.find(payload.encode())
    assert at > 0 and content.count(payload.encode()) == 1
    running.file.write_bytes(content[:at + 10] + bytes([content[at + 10] ^ 1]) + content[at + 11:])

    running.gateway = started.add(Gateway(running.config))
    running.proxy.heal()
    running.settle()
    running.gateway.wait_for_log(r"records that are not what was written \(1 at \d+\) are dropped and counted")

    arrived = {(name, body["seq"]) for name, bodies in running.collector.by_topic().items() for body in bodies}
    missing = [(name, text) for name, text in held
               if name.startswith("gw/dev/") and (name, json.loads(text)["seq"]) not in arrived]
    assert missing == [(topic, payload)]


def fill(plant):
    """An outage, and a clean end in it. Gives the last number that was read."""
    let_pass(plant.device, 5)
    plant.collector.wait_until(1)
    plant.proxy.cut()
    plant.gateway.wait_for_log("mqtt: connection to .* lost")
    let_pass(plant.device, 60)
    last = plant.device.hold()
    plant.gateway.stop()
    plant.device.release()
    return last


def drain(plant, last):
    """What arrives of a file until new readings do; history comes before them."""
    with plant.collector.lock:
        plant.collector.payloads, plant.collector.newest = [], {}
    count = plant.device.count
    plant.gateway = plant.started.add(Gateway(plant.config))
    plant.collector.wait_until(count + 1)
    plant.gateway.stop()
    # What was still on its way of the readings before is none of this start's.
    return {topic: [body for body in bodies if body["value"] <= last or body["value"] > count]
            for topic, bodies in plant.collector.by_topic().items()}


@pytest.mark.longer
def test_what_is_published_of_a_damaged_file_is_what_was_read(tmp_path, broker, started):
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

    for _ in range(FILES):
        for old in tmp_path.glob("outbox.db*"):
            old.unlink()
        shutil.copy(whole, plant.file)
        what = damage(plant, chance)
        for topic, bodies in drain(plant, last).items():
            values = [body["value"] for body in bodies]
            history = [body for body in bodies if body["value"] <= last]
            assert values == sorted(set(values)), f"{what}, {topic}: out of order or twice\n{plant.gateway.log}"
            assert all(body == true[topic].get(body["value"]) for body in history), f"{what}, {topic}: not what was read\n{plant.gateway.log}"
            n_kept += len(history)

    print(f"{FILES} damaged files of {n_true} records: all started, {n_kept / FILES / n_true:.0%} of the records kept, 0 wrong")
    assert n_kept > 0, "salvage kept nothing at all"
