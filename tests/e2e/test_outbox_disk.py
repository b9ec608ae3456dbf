"""The outbox and its disk: one that may not be written, and a stop in the middle of a large backlog."""
import os
import subprocess

import pytest

from conftest import Gateway, Subscriber, wait_until
from counting import Verdict, let_pass
from test_outage import Plant
from test_run import END_S, end_of


def mount(*words):
    return subprocess.run(["mount", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def read_only(tmp_path):
    """A file system of its own that is read-only for now."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a read-only file system")
    if mount("-t", "tmpfs", "-o", "size=64m,ro", "none", str(folder)).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("durability", ["outage", "always"])
def test_a_read_only_disk_is_told_and_used_by_itself_when_it_can_be_written(read_only, tmp_path, broker, started, durability):
    running = Plant(tmp_path, broker, started, durability, path=str(read_only / "outbox.db"))
    states = started.add(Subscriber(broker, "field2mqtt/gw/outbox"))
    running.start()
    let_pass(running.device, 30)
    running.collector.wait_until(1)
    running.gateway.wait_for_log(r"buffer: .*outbox\.db cannot be used: .*; messages are kept in memory only")
    states.wait_for_json("field2mqtt/gw/outbox", lambda state: state["disk"] == "failed")

    running.proxy.cut()
    running.gateway.wait_for_log("mqtt: connection to .* lost")
    let_pass(running.device, 50)
    assert not list(read_only.iterdir())
    assert mount("-o", "remount,rw", str(read_only)).returncode == 0
    running.gateway.wait_for_log(r"buffer: .*outbox\.db works again after", 90)
    let_pass(running.device, 50)
    running.device.hold()
    running.gateway.stop()  # what was in memory is on disk now
    running.device.release()
    running.gateway = started.add(Gateway(running.config))
    running.gateway.wait_for_log(r"buffer: .*outbox\.db holds \d+ messages .* of before")
    mark = states.mark()
    running.proxy.heal()
    running.settle()

    verdict = Verdict(running.collector)
    assert verdict.gaps == 0
    assert verdict.numbered == verdict.messages
    good = states.wait_for_json("field2mqtt/gw/outbox", lambda state: state["disk"] == "ok", since=mark)
    assert not any(good["dropped"].values()), good


@pytest.mark.parametrize("order", ["fifo", "live-first"])
def test_a_stop_with_a_slow_broker_and_a_large_backlog_ends_within_5_s(tmp_path, broker, started, order):
    running = Plant(tmp_path, broker, started, "outage", order=order, drain_rate="1000/s").start()
    let_pass(running.device, 30)
    running.collector.wait_until(1)
    running.proxy.cut()
    running.gateway.wait_for_log("mqtt: connection to .* lost")
    let_pass(running.device, 250)  # 5,000 messages
    running.proxy.delay_s = 0.25  # 100 under way at most: 200 a second, fewer than are read
    seen = len(running.collector.payloads)
    running.proxy.heal()
    running.collector.wait(lambda: len(running.collector.payloads) > seen)

    running.device.hold()
    code, seconds = end_of(running.gateway)
    running.device.release()
    assert code == 0 and seconds < END_S
    assert running.gateway.wait_for_log(r"stopped: .* [1-9]\d* left and kept for the next start")
    running.proxy.delay_s = 0
    running.gateway = started.add(Gateway(running.config))
    running.settle()
    # Not in the collector's wait(): that holds up its messages for as long as the verdict over all of them takes, at each of them.
    wait_until(lambda: Verdict(running.collector, order=order).lost == 0, 120)

    verdict = Verdict(running.collector, order=order)
    assert (verdict.gaps, verdict.lost) == (0, 0)
