"""Nothing is lost: a device that counts is read through outages, kills and freezes, and every number arrives.

The invariants are those of the promise: no gap that is not counted, order per topic, the true value, duplicates only
after a cut and then the same record. FIELD2MQTT_SLOW=1 runs the long forms.
"""
import json
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import threading
import time
from contextlib import closing

import pytest

from conftest import PROGRAM, Gateway, make_config, wait_until, write_config
from counting import INTERVAL_MS, POINTS, PUBLISH, Collector, CountingDevice, Verdict, let_pass
from fault_proxy import FaultProxy

UP_S = 2  # the promise after a kill
SEED = int(os.environ.get("FIELD2MQTT_SEED", str(random.randrange(1 << 30))))


def polls(seconds):
    return int(seconds * 1000 / INTERVAL_MS)


class Plant:
    """A counting device, a gateway, a proxy, a broker, and who collects behind it."""

    def __init__(self, folder, broker, started, durability, publish=(), keepalive="60s", **buffer):
        self.folder, self.broker, self.started = folder, broker, started
        self.device = started.add(CountingDevice())
        self.proxy = started.add(FaultProxy(broker.port))
        self.collector = started.add(Collector(broker.port))
        self.file = folder / "outbox.db"
        config = make_config(
            broker, [self.device.bus()], buffer={"durability": durability, "path": str(self.file), **buffer},
            mqtt={"servers": [self.proxy.url], "keepalive": keepalive, "reconnect_min": "100ms", "reconnect_max": "200ms"})
        config["publish"] = {**PUBLISH, **dict(publish)}
        self.config = write_config(folder, config)
        self.gateway = None

    def start(self):
        self.gateway = self.started.add(Gateway(self.config))
        return self

    def settle(self):
        """Until all that was read by now has arrived."""
        self.collector.wait_until(let_pass(self.device, 3))


@pytest.fixture
def plant(tmp_path, broker, started):
    return lambda durability, **buffer: Plant(tmp_path, broker, started, durability, **buffer).start()


def outage(plant, seconds):
    let_pass(plant.device, 30)
    plant.collector.wait_until(1)
    plant.proxy.cut()
    plant.gateway.wait_for_log("mqtt: connection to .* lost")
    let_pass(plant.device, polls(seconds))
    plant.proxy.heal()
    plant.settle()


@pytest.mark.parametrize("durability", ["none", "outage", "always"])
def test_every_reading_of_an_outage_arrives(plant, durability):
    running = plant(durability)

    outage(running, 1)

    verdict = Verdict(running.collector)
    assert verdict.gaps == 0
    assert verdict.numbered == verdict.messages > 0
    assert verdict.duplicates <= 1000 // 20  # what was under way at the cut


@pytest.mark.slow
@pytest.mark.parametrize("durability", ["outage", "always"])
def test_every_reading_of_a_long_outage_arrives(plant, durability):
    running = plant(durability)

    for seconds in (1, 30):
        outage(running, seconds)

    assert Verdict(running.collector).gaps == 0


def test_without_a_cut_nothing_comes_twice(plant):
    running = plant("always")

    let_pass(running.device, 100)
    running.settle()

    verdict = Verdict(running.collector)
    assert (verdict.gaps, verdict.duplicates) == (0, 0)


def test_a_connection_that_goes_silent_is_noticed_and_made_again(plant):
    running = plant("outage", keepalive="5s")
    let_pass(running.device, 30)
    running.collector.wait_until(1)

    running.proxy.freeze()
    running.gateway.wait_for_log("mqtt: .*(acknowledges nothing|connection to .* lost)", deadline_s=60)
    running.proxy.cut()
    running.proxy.heal()
    running.settle()

    assert Verdict(running.collector).gaps == 0


def test_a_stopped_broker_loses_nothing(plant):
    running = plant("outage")
    let_pass(running.device, 30)
    running.collector.wait_until(1)

    running.broker.process.signal(signal.SIGSTOP)
    let_pass(running.device, polls(2))
    running.broker.process.signal(signal.SIGCONT)
    running.settle()

    verdict = Verdict(running.collector)
    assert (verdict.gaps, verdict.duplicates) == (0, 0)


def test_a_slow_broker_loses_nothing(plant):
    running = plant("outage")
    running.proxy.delay_s = 0.05

    let_pass(running.device, polls(2))
    running.proxy.delay_s = 0.0
    running.settle()

    verdict = Verdict(running.collector)
    assert (verdict.gaps, verdict.duplicates) == (0, 0)


def test_a_killed_broker_costs_only_what_it_had_taken(plant):
    running = plant("outage")
    let_pass(running.device, 30)
    running.collector.wait_until(1)
    before = running.collector.subscriptions

    with running.collector.lock:
        seen = min(running.collector.newest.values())
    running.broker.restart()  # kill -9; it keeps nothing
    running.collector.wait(lambda: running.collector.subscriptions > before)
    let_pass(running.device, 30)
    running.settle()

    # What it had acknowledged and not yet handed on went with it, and what came before the subscriber was back.
    for topic, bodies in running.collector.by_topic().items():
        values = sorted({body["value"] for body in bodies})
        holes = [(a, b) for a, b in zip(values, values[1:]) if b > a + 1]
        assert len(holes) <= 1 and all(b > seen for _, b in holes), (topic, holes)


def rows(plant, folder):
    """What the file of a killed gateway holds, read by another program from a copy."""
    copy = folder / "copy.db"
    try:
        for suffix in ("", "-wal"):
            if os.path.exists(f"{plant.file}{suffix}"):
                shutil.copy(f"{plant.file}{suffix}", f"{copy}{suffix}")
        with closing(sqlite3.connect(copy)) as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'message'").fetchall():
                return []  # it was killed before it had made its tables
            found = db.execute("SELECT topic, payload FROM message ORDER BY seq").fetchall()
    finally:
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(f"{copy}{suffix}"):
                os.remove(f"{copy}{suffix}")
    return [(topic.decode(), payload.decode()) for topic, payload in found]


def wait_committed(plant, folder, number):
    """Until every point has this number or a later one in the file of a running gateway, which may be changed while it is copied."""
    def is_there():
        try:
            newest = {topic: json.loads(payload)["value"] for topic, payload in rows(plant, folder) if topic.startswith("gw/dev/")}
        except sqlite3.DatabaseError:
            return False
        return len(newest) == POINTS and min(newest.values()) >= number
    wait_until(is_there, 60)


def start_s(plant):
    """How long the program takes to read the same configuration now, and to end: what this machine needs for a start at least."""
    begin = time.monotonic()
    subprocess.run([PROGRAM, "check", "-c", plant.config], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def kill_at_random_moments(plant, tmp_path, kills):
    """kill -9 at random moments, the broker there or not; all that the file held then has to arrive."""
    chance = random.Random(SEED)
    print(f"FIELD2MQTT_SEED={SEED}")
    committed, starts, checks = set(), [], []
    for n in range(kills):
        checks.append(start_s(plant))
        if n == 0 or chance.random() < 0.5:
            plant.proxy.cut()
        else:
            plant.proxy.heal()
        let_pass(plant.device, chance.randrange(1, 40))
        if n == 0:  # one kill at least meets messages on disk
            wait_committed(plant, tmp_path, 1)
        threading.Event().wait(chance.random() * INTERVAL_MS / 1000)  # the moment within a poll
        plant.gateway.kill()
        committed.update(rows(plant, tmp_path))
        begin = time.monotonic()
        plant.gateway = plant.started.add(Gateway(plant.config))
        let_pass(plant.device, 1)
        starts.append(time.monotonic() - begin)
    plant.proxy.heal()
    plant.settle()
    print(f"reading again after {statistics.median(starts):.2f} s, at most {max(starts):.2f} s")
    assert statistics.median(starts) < UP_S + 20 * statistics.median(checks)  # the promise, on a machine that is not busy
    return committed


def check_kills(plant, committed, kills):
    verdict = Verdict(plant.collector)
    arrived = {(topic, body["value"]) for topic, bodies in plant.collector.by_topic().items() for body in bodies}
    wanted = {(topic, json.loads(payload)["value"]) for topic, payload in committed if topic.startswith("gw/dev/")}
    assert wanted, "no kill met a message on disk"
    assert not wanted - arrived, f"{len(wanted - arrived)} committed readings are lost: {sorted(wanted - arrived)[:5]}"
    assert verdict.numbered == verdict.messages
    assert verdict.gaps <= kills  # a reading not yet committed goes with the process, at the kills only
    print(f"{kills} kills, {len(wanted)} committed readings met, 0 lost, {verdict.lost} not committed, "
          f"{verdict.duplicates} duplicates at most of a point, {verdict.messages} messages")


def test_committed_readings_survive_kills(plant, tmp_path):
    running = plant("always", commit_interval="20ms")

    check_kills(running, kill_at_random_moments(running, tmp_path, 8), 8)


@pytest.mark.slow
def test_committed_readings_survive_hundreds_of_kills(plant, tmp_path):
    kills = int(os.environ.get("FIELD2MQTT_KILLS", "200"))
    running = plant("always", commit_interval="20ms")

    check_kills(running, kill_at_random_moments(running, tmp_path, kills), kills)
