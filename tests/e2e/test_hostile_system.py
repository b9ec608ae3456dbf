"""The system around the gateway fails: the clock jumps, names are not found, the disk gives errors, memory runs out.

Each time the device that counts is read on, and at the far side of the broker nothing is missing that was not counted,
nothing is out of order, and every value is true. What fails is told to tests/faults/shim.c; seeds are printed.
"""
import errno
import os
import random
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from conftest import PROGRAM, ROOT, Gateway
from counting import Verdict, let_pass
from shim import Shim, build
from test_outage import SEED, Plant

IS_SLOW = bool(os.environ.get("FIELD2MQTT_SLOW"))
HOUR_MS, YEAR_MS = 3600 * 1000, 365 * 24 * 3600 * 1000


class Shimmed(Plant):
    """The plant of test_outage with a system that fails on demand."""

    def __init__(self, folder, broker, started, durability, edit=None, **buffer):
        super().__init__(folder, broker, started, durability, **buffer)
        self.shim = Shim(folder)
        if edit:
            edit(self)

    def start(self):
        self.gateway = self.started.add(Gateway(self.config, env=self.shim.env))
        return self

    def cut(self):
        self.proxy.cut()
        self.gateway.wait_for_log("mqtt: connection to .* lost", since=len(self.gateway.lines) - 1)


@pytest.fixture
def plant(tmp_path, broker, started):
    return lambda durability, **keys: Shimmed(tmp_path, broker, started, durability, **keys)


# ---- the clock ---------------------------------------------------------------------------------------

JUMPS = {"an_hour_forward": lambda: HOUR_MS, "an_hour_back": lambda: -HOUR_MS, "ten_years_forward": lambda: 10 * YEAR_MS,
         "ten_years_back": lambda: -10 * YEAR_MS, "over_the_end_of_32_bits": lambda: int(2**31 - time.time() - 1) * 1000}


@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_jumps_costs_no_reading_and_wipes_nothing(plant, jump):
    running = plant("outage", max_age="30m").start()
    let_pass(running.device, 30)
    running.collector.wait_until(1)
    offset_ms = JUMPS[jump]()

    running.shim.set(wall_offset_ms=offset_ms)  # while all is well
    running.collector.wait_until(let_pass(running.device, 25))
    running.proxy.cut()
    running.gateway.wait_for_log("mqtt: connection to .* lost")
    let_pass(running.device, 25)
    running.shim.set(wall_offset_ms=0)  # and back, in an outage
    let_pass(running.device, 25)
    running.proxy.heal()
    running.settle()

    verdict = Verdict(running.collector, has_steady_clock=False)
    assert verdict.gaps == 0
    assert verdict.duplicates <= 1000 // 20
    now_ms = time.time() * 1000
    for bodies in running.collector.by_topic().values():
        for body in bodies:  # each reading has the time that the clock showed
            assert min(abs(body["ts"] - now_ms), abs(body["ts"] - now_ms - offset_ms)) < 10 * 60 * 1000, body
        assert any(abs(body["ts"] - now_ms - offset_ms) < 10 * 60 * 1000 for body in bodies)


# ---- names -------------------------------------------------------------------------------------------


def test_names_that_are_not_found_hold_up_neither_the_buses_nor_an_end(plant):
    def edit(running):
        config = yaml.safe_load(running.config.read_text())
        config["mqtt"]["servers"].insert(0, "mqtt://broker.example")
        config["buses"].append({"name": "lost", "driver": "modbus-tcp", "host": "plc.example", "devices": [
            {"name": "other", "unit": 1, "points": [{"name": "p", "register": "holding:0"}]}]})
        running.config.write_text(yaml.safe_dump(config, sort_keys=False))
    running = plant("outage", edit=edit)
    running.shim.set(dns_hang_ms=1000)
    running.start()
    running.collector.wait_until(1)


    for _ in range(3):
        running.proxy.cut()
        let_pass(running.device, 5)
        running.shim.set(dns_hang_ms=2000)
        begun = running.shim["dns_begun"]
        running.proxy.heal()
        while running.shim["dns_begun"] == begun:
            let_pass(running.device, 1)
        before, asked = running.device.count, running.shim["dns_begun"]
        while running.shim["dns_ended"] < asked:  # about 100 polls; one or two if the bus waited for it
            let_pass(running.device, 1)
        assert running.device.count - before >= 5, "the bus waited for a name of somebody else"
        running.shim.set(dns_hang_ms=200)
        running.settle()
    assert Verdict(running.collector).gaps == 0

    running.shim.set(dns_hang_ms=60000)
    begun = running.shim["dns_begun"]
    running.proxy.cut()
    while running.shim["dns_begun"] == begun:
        let_pass(running.device, 1)
    running.gateway.signal(signal.SIGTERM)
    running.gateway.wait(10)


# ---- the disk ----------------------------------------------------------------------------------------


@pytest.mark.longer
@pytest.mark.parametrize("name", ["EIO", "ENOSPC", "EROFS"])
def test_a_disk_that_fails_now_and_then_loses_nothing(plant, name):
    rounds = 40 if IS_SLOW else 6
    chance = random.Random(SEED)
    print(f"FIELD2MQTT_SEED={SEED}")
    running = plant("always", commit_interval="20ms").start()
    let_pass(running.device, 20)
    running.collector.wait_until(1)

    for n in range(rounds):
        first = running.shim["io_calls"] + chance.randrange(1, 12)
        running.shim.set(io_from=first, io_until=first + chance.choice((0, 1, 5, 50)), io_errno=getattr(errno, name))
        if n % 2:
            running.proxy.cut()
        let_pass(running.device, chance.randrange(10, 40))
        running.proxy.heal()
    failed = running.shim["io_failed"]
    running.shim.set(io_errno=0)
    running.settle()

    verdict = Verdict(running.collector)
    assert failed > 0
    assert verdict.gaps == 0
    assert running.gateway.running()
    print(f"{rounds} rounds, {failed} calls failed with {name}, {verdict.messages} messages, 0 lost")


# ---- memory ------------------------------------------------------------------------------------------


@pytest.mark.longer
def test_memory_that_runs_out_at_any_call_ends_a_start_with_a_word(tmp_path):
    """`check`, with the n-th call for memory failing: of the program itself and of all its libraries."""
    library = build(tmp_path)
    shim = Shim(tmp_path, library)

    def check(shim, **fields):
        shim.set(alloc_everywhere=1, alloc_calls=0, alloc_failed=0, **fields)
        return subprocess.run([PROGRAM, "check", "config/demo.yaml"], cwd=ROOT, capture_output=True, text=True, timeout=60,
                              env={**os.environ, "DEMO_PORT": "1883", **shim.env}, check=False)

    assert check(shim, alloc_at=0).returncode == 0
    total = shim["alloc_calls"]
    chance = random.Random(SEED)
    print(f"FIELD2MQTT_SEED={SEED}, {total} calls")
    numbers = range(1, total + 1) if IS_SLOW and total < 6000 else sorted(chance.sample(range(1, total + 1), 150))

    def run(n):
        own = Shim(tmp_path, library)
        result = check(own, alloc_at=n)
        failed = own["alloc_failed"]
        own.close()
        return n, failed, result.returncode, result.stderr

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(run, numbers))
    for n, failed, code, words in results:
        assert code >= 0, f"call {n}: ended by signal {-code}: {words}"
        assert code in (0, 1, 78), (n, code, words)
        assert code == 0 or words, f"call {n}: ended with {code} without a word"
    assert sum(failed for _, failed, *_ in results) >= len(results) // 2
    print(f"{len(results)} calls failed, {sum(code == 0 for *_, code, _ in results)} times all was well nevertheless")


@pytest.mark.longer
def test_memory_that_runs_out_while_it_runs_costs_only_what_is_counted(plant):
    times = 200 if IS_SLOW else 15
    chance = random.Random(SEED)
    print(f"FIELD2MQTT_SEED={SEED}")
    running = plant("outage").start()
    let_pass(running.device, 20)
    running.collector.wait_until(1)
    ends = failures = 0

    for n in range(times + 1):
        failed = running.shim["alloc_failed"]
        is_last = n == times  # without a failure, for what ends of the one before
        running.shim.set(alloc_at=0 if is_last else running.shim["alloc_calls"] + chance.randrange(1, 400))
        if n % 4 == 1:
            running.proxy.cut()
        let = running.device.count + 60
        while running.shim["alloc_failed"] == failed and running.device.count < let and running.gateway.running():
            threading.Event().wait(0.005)
        failures += running.shim["alloc_failed"] - failed
        running.proxy.heal()
        if not running.gateway.running():
            assert running.gateway.wait(5) == 1 and "memory" in running.gateway.log, running.gateway.log
            running.start()
            ends += 1
    running.settle()

    verdict = Verdict(running.collector)
    assert failures >= times // 2
    assert verdict.gaps <= failures
    print(f"{failures} calls failed, {ends} ends, {verdict.lost} readings of the worst point lost, {verdict.messages} messages")
