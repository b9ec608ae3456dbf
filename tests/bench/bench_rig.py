"""What the benchmarks are made of: simulated devices, a broker, a sink that counts, two sides, and rounds in turns.

Everything is measured from outside, in the same way for both sides: processor time and memory by /proc, values by the sink at
the broker's far side or by the devices. Rounds go A B A B, each with fresh processes, and a ratio is made of each pair: what
else the machine does then hurts both.
"""
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import yaml  # noqa: E402
from conftest import BUILD, ROOT, Broker, Process  # noqa: E402

SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SETTLE_S = 1.0
PROGRAM, TOOLS = str(BUILD / "field2mqtt"), BUILD / "tests/bench"
REGISTERS = 100


@dataclass
class Row:
    """One line of the table. `ratios` has one figure per round; reached when the median keeps the target."""
    work: str
    reference: str
    unit: str  # what the figure is
    target: float
    at_least: bool
    ratios: list
    detail: str = ""
    also: bool = True  # a further condition of this row holds
    shown: str = ""  # instead of the figure, where it is no ratio

    @property
    def median(self):
        return statistics.median(self.ratios)

    @property
    def reached(self):
        return self.also and (self.median >= self.target if self.at_least else self.median <= self.target)


@dataclass
class Figures:
    """What one side did in one round."""
    seconds: float
    cpu_s: float
    messages: int
    requests: int
    polls: int
    registers: int
    jitter_p99_ms: float
    rss_mib: float
    log: str = field(default="", repr=False)

    def rate(self, values_per_message=1):
        return self.messages * values_per_message / self.seconds

    @property
    def reads(self):
        return self.registers / self.seconds

    def cpu_per_100k(self, values):
        return self.cpu_s / max(values, 1) * 1e5


class Tool:
    """One of the helpers in C: a line in, a line out."""

    def __init__(self, name, *argv):
        self.popen = subprocess.Popen([str(TOOLS / name), *map(str, argv)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first = self.popen.stdout.readline().split()
        assert self.first, f"{name} does not start"

    def ask(self):
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()
        return [int(n) for n in self.popen.stdout.readline().split()]

    def stop(self):
        self.popen.stdin.close()
        self.popen.wait(10)


def field_of(n_devices, n_dead=0, period=1, interval_ms=100):
    tool = Tool("field", n_devices, n_dead, period, interval_ms)
    tool.ports = [int(p) for p in tool.first]
    return tool


class World:
    """A broker and a sink in a folder; stop() ends them."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.broker = Broker(folder, "set_tcp_nodelay true\n")
        self.broker.file.write_text(self.broker.file.read_text().replace("log_type all", "log_type error\nlog_type information"))
        self.broker.start()
        self.sink = Tool("sink", self.broker.port, "bench/#")

    def stop(self):
        self.sink.stop()
        self.broker.stop()

    def messages(self):
        return self.sink.ask()[0]


def rss_mib(pid, peak=False):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+)", text).group(1)) / 1024


def cpu_s(pid):
    """Processor time of all threads that there are, in steps far below the tick of /proc/PID/stat."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def observe(process, world, devices, seconds=None, until=None):
    """Waits until the side is at work, lets it settle, and measures it for some seconds."""
    end = time.monotonic() + 60
    first = world.messages()
    while not (until or (lambda: world.messages() > first))():
        assert process.running() and time.monotonic() < end, f"does not begin:\n{process.log}"
        time.sleep(0.05)
    time.sleep(SETTLE_S)
    devices.ask()
    messages, cpu, begin = world.messages(), cpu_s(process.pid), time.monotonic()
    time.sleep(seconds or SECONDS)
    messages = world.messages() - messages
    took, cpu = time.monotonic() - begin, cpu_s(process.pid) - cpu
    requests, polls, registers, _, p99 = devices.ask()
    assert process.running(), process.log
    return Figures(took, cpu, messages, requests, polls, registers, p99 / 1000, rss_mib(process.pid))


def run_reference(world, devices, qos, interval_ms, mode, window, seconds=None):
    argv = ["reference", world.broker.port, qos, interval_ms, mode, window, *devices.ports]
    process = Process([str(TOOLS / argv[0]), *map(str, argv[1:])])
    try:
        until = (lambda: devices.ask()[0] > 0) if mode == "none" else None
        return observe(process, world, devices, seconds, until)
    finally:
        process.kill()


def configuration(world, ports, interval, publish, points=None, **sections):
    """A bus for each port, with one device of 100 registers each; topics bench/devN/pN."""
    points = points or [{"name": f"p{r}", "register": f"holding:{r}"} for r in range(REGISTERS)]
    config = {
        "gateway": {"name": "bench"}, "interval": interval, "http": "off",
        "buffer": {"durability": "none"}, "mqtt": {"servers": [world.broker.url], "device_states": False},
        "publish": {"topic": "bench/${device}/${point}", "payload": "value", "when": "every", **publish},
        "buses": [{"name": f"bus{b}", "driver": "modbus-tcp", "host": "127.0.0.1", "port": port, "devices": [
            {"name": f"dev{b}", "unit": 1, "points": points}]} for b, port in enumerate(ports)],
    }
    for name, section in sections.items():
        config[name] = {**config.get(name, {}), **section} if isinstance(section, dict) else section
    return config


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):
    def ignore_aliases(self, data):
        return True


class GatewayRun(Process):
    def __init__(self, world, config, env=None):
        self.file = world.folder / "bench.yaml"
        self.file.write_text(yaml.dump(config, Dumper=_Dumper, sort_keys=False))
        self.begin = time.monotonic()
        super().__init__([PROGRAM, "run", "-c", str(self.file)], cwd=str(ROOT),
                         env={**os.environ, "STATE_DIRECTORY": str(world.folder), **(env or {})})


def run_gateway(world, devices, config, seconds=None, until=None):
    process = GatewayRun(world, config)
    try:
        figures = observe(process, world, devices, seconds, until)
        process.signal(15)
        process.wait()
        figures.log = process.log
        return figures
    finally:
        process.kill()


def in_turns(first, second, rounds=None):
    """A B A B; two lists of figures. The second is told what the first of its round did."""
    theirs, ours = [], []
    for _ in range(rounds or ROUNDS):
        theirs.append(first())
        ours.append(second(theirs[-1]))
    return theirs, ours


def ratios(ours, theirs, get):
    return [get(a) / get(b) for a, b in zip(ours, theirs)]


def middle(figures, get):
    return statistics.median(get(f) for f in figures)
