"""Nothing is lost, continued: a network that flaps, a broker that is killed, a disk that is full, a soak of 10 minutes."""
import os
import random
import re
import subprocess
from pathlib import Path

import pytest

from conftest import Gateway, make_config, wait_until, write_config
from counting import POINTS, Collector, CountingDevice, Verdict, let_pass
from fault_proxy import FaultProxy
from test_outage import SEED, Plant
from test_run import END_S, end_of

WINDOW = 100  # max_inflight, by default


def worst(cuts):
    """Duplicates of one point that so many cuts explain: what was under way at each."""
    return cuts * WINDOW // POINTS


def memory_kb(process):
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1])


@pytest.fixture
def plant(tmp_path, broker, started):
    return lambda durability, **buffer: Plant(tmp_path, broker, started, durability, **buffer).start()


@pytest.mark.parametrize("durability", ["outage", "always"])
def test_a_network_that_is_cut_again_and_again_loses_nothing(plant, durability):
    running = plant(durability)
    chance = random.Random(SEED)
    print(f"FIELD2MQTT_SEED={SEED}")
    let_pass(running.device, 20)

    for _ in range(8):
        running.proxy.cut()
        let_pass(running.device, chance.randrange(1, 20))
        running.proxy.heal()
        let_pass(running.device, chance.randrange(5, 40))
    running.settle()

    verdict = Verdict(running.collector)
    assert verdict.gaps == 0
    assert verdict.duplicates <= worst(8)


@pytest.mark.parametrize("durability", ["outage", "always"])
def test_a_killed_broker_loses_nothing_that_it_had_not_taken(plant, durability):
    running = plant(durability)
    let_pass(running.device, 30)
    running.collector.wait_until(1)

    # In mid-stream for the gateway; but what it knows that the broker took has been handed on, for that goes with the broker.
    running.proxy.freeze()
    let_pass(running.device, 25)
    running.collector.catch_up()
    before = running.collector.subscriptions
    running.broker.stop()  # kill -9
    running.proxy.cut()
    running.broker.start()
    running.collector.wait(lambda: running.collector.subscriptions > before)
    running.proxy.heal()
    running.settle()

    assert Verdict(running.collector).gaps == 0


def has_all(collector):
    """Every number up to the newest, of every point."""
    values = ({body["value"] for body in bodies} for bodies in collector.by_topic().values())
    return all(max(seen) - min(seen) + 1 == len(seen) for seen in values)


@pytest.mark.parametrize("durability", ["outage", "always"])
def test_a_stop_in_the_midst_of_history_loses_none_of_it(plant, durability):
    running = plant(durability, order="live-first", drain_rate="20/s")
    let_pass(running.device, 20)
    running.collector.wait_until(1)
    running.proxy.cut()
    let_pass(running.device, 150)
    running.proxy.heal()
    running.collector.wait_until(running.device.count)

    last = running.device.hold()
    code, seconds = end_of(running.gateway)
    running.device.release()
    flushed, left = map(int, re.search(r"stopped: (\d+) messages flushed, (\d+) left and kept", running.gateway.log).groups())
    assert flushed + left > 1000  # to the broker as far as it takes them in time, else to the disk
    running.config.write_text(running.config.read_text().replace("20/s", "100000/s"))
    running.start()
    running.collector.wait_until(last + 1)
    # Not in the collector's wait(): that holds up its messages for as long as this takes, at each of them.
    wait_until(lambda: has_all(running.collector), 120)

    assert code == 0 and seconds < END_S
    assert Verdict(running.collector, "live-first").duplicates <= worst(2) + 2  # and the newest of each connection


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB, most of which a file of somebody else takes."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    (folder / "ballast").write_bytes(bytes(3 << 20))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(small_disk, broker, started, tmp_path, **buffer):
    device, proxy = started.add(CountingDevice()), started.add(FaultProxy(broker.port))
    collector = started.add(Collector(broker.port))
    config = make_config(broker, [device.bus()], buffer={"durability": "always", "path": f"{small_disk}/outbox.db", **buffer},
                         mqtt={"servers": [proxy.url], "reconnect_min": "100ms", "reconnect_max": "200ms"})
    config["publish"] = {"when": "every", "qos": 1}
    gateway = started.add(Gateway(write_config(tmp_path, config)))
    let_pass(device, 20)
    collector.wait_until(1)
    proxy.cut()
    gateway.wait_for_log(r"buffer: .*outbox\.db cannot be used: .*full.*; messages are kept in memory only", 60)
    let_pass(device, 20)
    return device, proxy, collector, gateway


def test_a_full_disk_is_told_once_and_nothing_that_fits_in_memory_is_lost(small_disk, broker, started, tmp_path):
    device, proxy, collector, gateway = fill(small_disk, broker, started, tmp_path)

    proxy.heal()
    collector.wait_until(let_pass(device, 20))

    assert Verdict(collector).gaps == 0
    assert gateway.log.count("cannot be used") == 1


@pytest.mark.slow
def test_a_disk_with_room_again_is_used_again(small_disk, broker, started, tmp_path):
    device, proxy, collector, gateway = fill(small_disk, broker, started, tmp_path)

    (small_disk / "ballast").unlink()
    gateway.wait_for_log(r"buffer: .*works again after", 90)
    proxy.heal()
    collector.wait_until(let_pass(device, 20))

    assert Verdict(collector).gaps == 0


def test_a_disk_that_the_outbox_has_filled_is_used_again_when_it_is_drained(small_disk, broker, started, tmp_path):
    device, proxy, collector, gateway = fill(small_disk, broker, started, tmp_path, max_size="8MiB")
    assert not (small_disk / "outbox.db-reserve").exists()

    proxy.heal()
    gateway.wait_for_log(r"buffer: .*works again after", 120)
    collector.wait_until(let_pass(device, 20))

    assert Verdict(collector).gaps == 0


@pytest.mark.parametrize("durability", ["outage", "always"])
def soak_an_outage_of_ten_minutes(plant, durability):
    running = plant(durability, max_size="1GiB")
    seconds = int(os.environ.get("FIELD2MQTT_SOAK_S", "600"))
    let_pass(running.device, 30)

    running.proxy.cut()
    for part in range(10):
        let_pass(running.device, seconds * 50 // 10, deadline_s=seconds)
        print(f"{seconds * (part + 1) // 10} s: {memory_kb(running.gateway)} kB")
        if part == 1:
            before = memory_kb(running.gateway)
    after = memory_kb(running.gateway)
    running.proxy.heal()
    running.collector.wait_until(running.device.count, deadline_s=600)

    assert Verdict(running.collector).gaps == 0
    assert after - before < 10 * 1024


if os.environ.get("FIELD2MQTT_SOAK"):  # make soak
    test_soak_an_outage_of_ten_minutes = soak_an_outage_of_ten_minutes
