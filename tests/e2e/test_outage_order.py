"""What comes first when the broker is back: `fifo` is strict over restarts, `live-first` brings the newest at once."""
import signal

import pytest

from conftest import Gateway, Subscriber
from counting import POINTS, Verdict, let_pass
from test_outage import Plant, wait_committed


@pytest.fixture
def plant(tmp_path, broker, started):
    return lambda durability, **keys: Plant(tmp_path, broker, started, durability, **keys).start()


def cut(plant):
    """Returns the number after which nothing can have reached the broker."""
    let_pass(plant.device, 30)
    plant.collector.wait_until(1)
    plant.proxy.cut()
    plant.gateway.wait_for_log("mqtt: connection to .* lost")
    return let_pass(plant.device, 2)


def values_since(plant, number):
    return {topic: [body["value"] for body in bodies if body["value"] > number]
            for topic, bodies in plant.collector.by_topic().items()}


@pytest.mark.parametrize("durability", ["outage", "always"])
def test_live_first_brings_the_newest_of_each_topic_before_the_history_of_an_outage(plant, durability):
    running = plant(durability, order="live-first", drain_rate="1000/s")
    at_cut = cut(running)

    at_heal = let_pass(running.device, 100)
    running.proxy.heal()
    running.settle()
    running.collector.wait(lambda: all(at_cut + 1 in seen for seen in values_since(running, at_cut).values()))
    running.collector.wait(lambda: all(seen[0] == at_cut + 1 or seen[0] - 1 in seen for seen in values_since(running, at_cut).values()))

    verdict = Verdict(running.collector, order="live-first")
    assert (verdict.gaps, verdict.numbered) == (0, verdict.messages)
    topics = values_since(running, at_cut)
    assert len(topics) == POINTS
    for topic, seen in topics.items():
        first = seen[0]
        assert first >= at_heal - 1, f"{topic}: {first} came first, {at_heal} was there"
        history = [value for value in seen if value < first]
        live = [value for value in seen if value >= first]
        assert len(history) == first - at_cut - 1, (topic, len(history), first, at_cut)
        assert history == sorted(history) and live == sorted(live), topic
        assert seen.index(first + 1) < seen.index(history[-1]), f"{topic}: live ones waited for the history"


@pytest.mark.parametrize("order", ["live-first", "fifo"])
def test_retained_topics_end_with_the_newest_though_history_comes_after_it(plant, broker, started, order):
    running = plant("outage", order=order, drain_rate="20/s", publish={"retain": True})
    at_cut = cut(running)
    at_heal = let_pass(running.device, 100)
    running.proxy.heal()
    running.collector.wait_until(at_heal)

    running.device.hold()  # nothing new any more, only history
    if order == "live-first":
        running.collector.wait(lambda: any(seen[-1] < max(seen) for seen in values_since(running, at_cut).values()))
    running.gateway.signal(signal.SIGTERM)
    assert running.gateway.wait() == 0
    late = started.add(Subscriber(broker, "gw/dev/+"))
    retained = {f"gw/dev/p{n}": late.wait_for_json(f"gw/dev/p{n}")["value"] for n in range(POINTS)}
    running.collector.wait(lambda: all(running.collector.newest[topic] >= value for topic, value in retained.items()))

    newest = {topic: max(seen) for topic, seen in values_since(running, at_cut).items()}
    assert retained == newest


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
def test_fifo_is_strict_over_a_restart_of_the_gateway_in_an_outage(plant, tmp_path, is_killed):
    running = plant("always", order="fifo", commit_interval="20ms")
    at_cut = cut(running)

    let_pass(running.device, 50)
    if is_killed:
        wait_committed(running, tmp_path, at_cut + 40)
    at_stop = running.device.hold()
    running.gateway.signal(signal.SIGKILL if is_killed else signal.SIGTERM)
    assert running.gateway.wait() == (-signal.SIGKILL if is_killed else 0)
    running.device.release()
    running.gateway = running.started.add(Gateway(running.config))
    running.gateway.wait_for_log(r"buffer: .*outbox\.db holds \d+ messages .* of before")
    let_pass(running.device, 50)
    running.proxy.heal()
    running.settle()

    verdict = Verdict(running.collector, order="fifo")
    # What was read and not yet committed goes with a killed process, and nothing with one that was stopped.
    assert verdict.gaps <= is_killed, (verdict.gaps, verdict.lost)
    assert verdict.numbered == verdict.messages
    for topic, seen in values_since(running, at_cut).items():
        assert sum(value <= at_stop for value in seen) >= 30, f"{topic}: what was kept has not come"
