"""Signals at random moments, under load and with the broker there or not: an end in order keeps every reading, a stop of the
whole process costs none, a reload neither. Seeds are printed."""
import os
import random
import signal
import threading

import pytest

from conftest import Gateway
from counting import INTERVAL_MS, Verdict, let_pass
from test_outage import SEED, Plant

TIMES = 100 if os.environ.get("FIELD2MQTT_SLOW") else 8


def at_a_random_moment(plant, chance, n_polls):
    let_pass(plant.device, chance.randrange(1, n_polls))
    threading.Event().wait(chance.random() * INTERVAL_MS / 1000)  # within a poll


@pytest.mark.longer
@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_an_end_at_any_moment_is_in_order_and_keeps_every_reading(tmp_path, broker, started, number):
    chance = random.Random(SEED)
    print(f"FIELD2MQTT_SEED={SEED}")
    running = Plant(tmp_path, broker, started, "outage").start()

    for _ in range(TIMES):
        if chance.random() < 0.5:
            running.proxy.cut()
        else:
            running.proxy.heal()
        at_a_random_moment(running, chance, 30)
        running.gateway.signal(getattr(signal, number))
        assert running.gateway.wait() == 0, running.gateway.log
        running.gateway = started.add(Gateway(running.config))
    running.proxy.heal()
    running.settle()

    verdict = Verdict(running.collector)
    assert verdict.lost <= TIMES, "more than the reading under way at each end"
    assert verdict.gaps <= TIMES and verdict.numbered == verdict.messages
    print(f"{TIMES} times {number}, {verdict.lost} readings under way at an end, {verdict.messages} messages, 0 lost")


@pytest.mark.longer
def test_other_signals_at_any_moment_cost_nothing(tmp_path, broker, started):
    chance = random.Random(SEED)
    print(f"FIELD2MQTT_SEED={SEED}")
    running = Plant(tmp_path, broker, started, "outage").start()
    let_pass(running.device, 20)

    for _ in range(TIMES * 4):
        kind = chance.choice(("SIGHUP", "SIGPIPE", "SIGWINCH", "stop", "cut"))
        at_a_random_moment(running, chance, 8)
        if kind == "stop":
            running.gateway.signal(signal.SIGSTOP)
            threading.Event().wait(chance.random() * 0.1)
            running.gateway.signal(signal.SIGCONT)
        elif kind == "cut":
            running.proxy.cut()
            let_pass(running.device, 3)
            running.proxy.heal()
        else:
            running.gateway.signal(getattr(signal, kind))
    assert running.gateway.running(), running.gateway.log
    running.settle()

    assert Verdict(running.collector).gaps == 0
