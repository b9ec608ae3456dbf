"""The demo shows values of every device, and leaves nothing behind however it ends."""
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest
import yaml

from conftest import BUILD, ROOT

DEVICES = [d["name"] for b in yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())["buses"] for d in b["devices"]]


class Demo:
    """tests/demo, marked so that every process that comes from it can be found."""

    def __init__(self, **env):
        self.mark = f"DEMO_TEST_MARK={uuid.uuid4()}"
        name, _, value = self.mark.partition("=")
        self.process = subprocess.Popen(
            [str(ROOT / "tests" / "demo")], cwd=str(ROOT), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env={**os.environ, "FIELD2MQTT_BUILD": str(BUILD), name: value, **env})
        self.output = []

    def read_until_all_devices(self, deadline_s=60):
        end = time.monotonic() + deadline_s
        missing = set(DEVICES)
        for line in self.process.stdout:
            self.output.append(line)
            missing -= {d for d in missing if f"/{d}" in line}
            if not missing:
                return
            assert time.monotonic() < end, f"nothing of {missing} in:\n{''.join(self.output)}"
        pytest.fail(f"ended; nothing of {missing} in:\n{''.join(self.output)}")

    def finish(self, deadline_s=30):
        self.output.append(self.process.communicate(timeout=deadline_s)[0])
        return self.process.returncode, "".join(self.output)

    def relatives(self):
        """Process ids of all that this demo started and that still run."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def wait_until_gone(self, deadline_s=15):
        end = time.monotonic() + deadline_s
        while left := self.relatives():
            assert time.monotonic() < end, f"still there: {left}"
            time.sleep(0.05)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


@pytest.fixture
def demo(started):
    return lambda **env: started.add(Demo(**env))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
def test_demo_ends_in_order_when_told_to(demo, number):
    running = demo()
    running.read_until_all_devices()

    running.process.send_signal(number)
    code, output = running.finish()

    assert code == 0, output
    running.wait_until_gone()


def test_demo_ends_by_itself_after_its_time(demo):
    running = demo(DEMO_SECONDS="12")

    code, output = running.finish(60)

    assert code == 0, output
    for device in DEVICES:
        assert f"demo/{device}" in output
    running.wait_until_gone()


def test_nothing_is_left_when_the_demo_is_killed(demo):
    running = demo()
    running.read_until_all_devices()
    assert len(running.relatives()) >= 5  # the script, broker, listener, simulator, gateway

    running.process.kill()
    running.process.wait()

    running.wait_until_gone()


@pytest.mark.parametrize("part", ["mosquitto -c", "field2mqtt simulate", "field2mqtt run"])
def test_demo_tells_of_a_part_that_ends(demo, part):
    running = demo()
    running.read_until_all_devices()

    os.kill(next(pid for pid, line in running.relatives().items() if part in line), signal.SIGKILL)
    code, output = running.finish()

    assert code == 1 and "ended with status -9" in output
    running.wait_until_gone()
