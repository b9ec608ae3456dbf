"""The file of the outbox gives its room back when an outage is over, and a kill on the way loses nothing."""
import json
import os
import random
import shutil
import sqlite3
import threading

from conftest import Gateway, wait_until
from counting import Verdict, let_pass
from test_outage import SEED, Plant, rows

MIB = 1 << 20
KILLS = 8
WAITING = 200  # messages that are left in the file
# Few readings are to make many bytes.
LARGE = {"seq": False, "payload": '{"value":${value},"quality":"${quality}","ts":${ts},"seq":${seq},"pad":"%s"}' % ("x" * 3800)}


def in_an_outage(tmp_path, broker, started):
    """A gateway whose file an outage has made large."""
    plant = Plant(tmp_path, broker, started, "outage", publish=LARGE, max_size="200MiB").start()
    let_pass(plant.device, 10)
    plant.collector.wait_until(1)
    plant.proxy.cut()
    wait_until(lambda: plant.file.exists() and plant.file.stat().st_size > 24 * MIB, deadline_s=120)
    return plant


def test_the_file_gets_small_again_when_an_outage_is_drained(tmp_path, broker, started):
    plant = in_an_outage(tmp_path, broker, started)

    plant.proxy.heal()
    plant.settle()
    wait_until(lambda: plant.file.stat().st_size < 2 * MIB, deadline_s=60)
    plant.settle()

    plant.gateway.wait_for_log("buffer: .* gave .* MiB back to the disk")
    assert Verdict(plant.collector).gaps == 0


def leave_free_room(file):
    """What another program finds in the file of a gateway that was stopped, and the file with most of it deleted."""
    db = sqlite3.connect(file, isolation_level=None)
    assert db.execute("PRAGMA auto_vacuum").fetchone() == (0,)
    db.execute("DELETE FROM message WHERE seq NOT IN (SELECT seq FROM message ORDER BY seq DESC LIMIT ?)", (WAITING,))
    kept = db.execute("SELECT topic, payload FROM message").fetchall()
    db.close()
    return {(topic.decode(), payload.decode()) for topic, payload in kept}


def test_a_kill_while_the_file_gets_small_loses_nothing(tmp_path, broker, started):
    chance = random.Random(SEED)
    print(f"FIELD2MQTT_SEED={SEED}")
    plant = in_an_outage(tmp_path, broker, started)
    plant.gateway.stop()
    waiting = leave_free_room(plant.file)
    assert len(waiting) == WAITING
    large, log = tmp_path / "large.db", tmp_path / "outbox.db-wal"
    os.rename(plant.file, large)
    sizes = []

    for _ in range(KILLS):
        shutil.copy(large, plant.file)
        log.unlink(missing_ok=True)
        gateway = started.add(Gateway(plant.config))
        wait_until(lambda: log.exists())  # the file is open: now it is about to
        threading.Event().wait(chance.random() * 0.1)  # the moment of the kill
        gateway.kill()
        sizes.append(plant.file.stat().st_size // MIB)
        left = rows(plant, tmp_path)
        assert waiting <= set(left)

    print(f"MiB at the kills: {sizes}")
    plant.start()
    plant.proxy.heal()
    plant.settle()
    arrived = {(topic, body["value"]) for topic, bodies in plant.collector.by_topic().items() for body in bodies}
    assert {(topic, json.loads(payload)["value"]) for topic, payload in waiting} <= arrived
    wait_until(lambda: plant.file.stat().st_size < 2 * MIB, deadline_s=60)
