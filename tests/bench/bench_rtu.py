"""The rows about a serial line at its real pace: how much of it is used, whether the silence is kept, a silent slave, a command."""
import re
import subprocess
import sys
import time
from pathlib import Path

from bench_rig import ROOT, GatewayRun, Row, Tool, configuration, cpu_s, in_turns, middle, ratios

UNITS, REGISTERS, TURNAROUND_US = 5, 20, 2000
SILENT_S = 40


class Line:
    """What one run on a paced line gave."""

    def __init__(self, answers):
        self.requests, self.answers, self.registers, self.early, self.permyriad, self.longest_us = answers


def config_of(world, link, baud, units):
    points = [{"name": f"p{r}", "register": f"holding:{r}"} for r in range(REGISTERS)]
    config = configuration(world, [], "1ms", {"when": "change"})
    config["buses"] = [{"name": "line", "driver": "modbus-rtu", "port": str(link), "baud": baud, "parity": "none", "timeout": "500ms",
                        "devices": [{"name": f"dev{u}", "unit": u, "points": points} for u in units]}]
    return config


def run_line(world, baud, n_units, n_silent, seconds, settle_s=1.0):
    link = world.folder / "line"
    line = Tool("rtu_line", link, baud, n_units, n_silent, TURNAROUND_US)
    gateway = GatewayRun(world, config_of(world, link, baud, range(1, n_units + 1)))
    try:
        end = time.monotonic() + 30
        while line.ask()[1] == 0:
            assert gateway.running() and time.monotonic() < end, gateway.log
            time.sleep(0.2)
        time.sleep(settle_s)
        line.ask()
        begin, cpu = time.monotonic(), cpu_s(gateway.pid)
        time.sleep(seconds)
        found = Line(line.ask())
        found.seconds, found.cpu_s = time.monotonic() - begin, cpu_s(gateway.pid) - cpu
        return found
    finally:
        gateway.kill()
        line.stop()


def utilisation(world, baud):
    runs = [run_line(world, baud, UNITS, 0, 10) for _ in range(3)]
    early = sum(run.early for run in runs)
    return Row(f"RTU at {baud:,} baud, {UNITS} slaves x {REGISTERS} registers, paced line", "least legal time of the same exchanges", "utilisation",
               0.95, True, [run.permyriad / 10000 for run in runs],
               f"{early} of {sum(run.requests for run in runs):,} requests began before the silence was over; "
               f"{middle(runs, lambda r: r.registers / r.seconds):.0f} registers/s; "
               f"the longest that the line was left idle beyond it {max(run.longest_us for run in runs) / 1000:.1f} ms", also=early == 0)


def silent(world):
    four, five = in_turns(lambda: run_line(world, 9600, UNITS - 1, 0, SILENT_S, 6),
                          lambda _: run_line(world, 9600, UNITS, 1, SILENT_S, 6), rounds=2)
    return Row("RTU at 9,600 baud, one of five slaves silent", "the four alone", "answers/s", 0.9, True,
               ratios(five, four, lambda r: r.answers / r.seconds),
               f"{middle(five, lambda r: r.answers / r.seconds):.1f} answers/s, the four alone {middle(four, lambda r: r.answers / r.seconds):.1f}; "
               f"timeout 500 ms, {SILENT_S} s from the 6th second on")


def command(_world):
    """tests/bench/command_latency.py: 99 % of the commands are on the wire after one exchange and so many ms."""
    out = subprocess.run([sys.executable, "-B", str(Path(__file__).parent / "command_latency.py"), "300", "3"], cwd=ROOT,
                         stdout=subprocess.PIPE, text=True).stdout
    rounds = re.findall(r"exchange p50 (\d+), p99 \d+ ms; .* commands: p50 ([\d.]+), p99 ([\d.]+),", out)
    over = float(re.search(r"p99 is ([+-][\d.]+) ms beyond one exchange", out)[1])
    exchange, p50, p99 = min(rounds, key=lambda r: float(r[2]))
    return Row("command on a saturated bus at 9,600 baud, 99th percentile", "one exchange", "ms beyond it", 20, False, [over],
               f"{p50} ms in the middle, {p99} ms for 99 %; one exchange {exchange} ms; best of {len(rounds)} rounds of 100", shown=f"{over:+.1f}")
