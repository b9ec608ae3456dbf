"""What the soak says: a verdict for each promise, and a table of how it went."""
import os
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path

from conftest import ROOT
from soak_plant import SEED, TCP_POINTS, WINDOW

GROWTH_KB, ALLOCATED_GROWTH_KB = 1024, 256
LEAST_S = 600  # in less it has not warmed up: no verdict on growth and latency


def _middle(samples, get):
    return statistics.median(get(sample) for sample in samples)


class Verdicts:
    """rows: what, figure, bound, "held" or "FAILED" or why it is not judged."""

    def __init__(self, plant, seconds):
        self.rows = []
        self._nothing_lost(plant)
        calm = [sample for sample in plant.samples if sample.is_calm and sample.p50 is not None]
        quarters = [[s for s in calm if n <= 4 * s.at_s / seconds < n + 1] for n in range(4)]
        if seconds >= LEAST_S and all(len(quarter) >= 5 for quarter in quarters):
            self._steady(quarters)
        else:
            self.rows.append((f"memory, descriptors, threads, latency: not judged in less than {LEAST_S // 60} min",
                              f"{len(calm)} calm samples", "-", "not judged"))

    @property
    def all_held(self):
        return all(row[3] != "FAILED" for row in self.rows)

    def _add(self, what, figure, bound, is_held):
        self.rows.append((what, figure, bound, "held" if is_held else "FAILED"))

    def _nothing_lost(self, plant):
        last, most = plant.last, len(plant.outages) * WINDOW // TCP_POINTS
        self._add("readings lost", f"{last['lost']} of {last['messages']}", "0", last["lost"] == 0)
        self._add("wrong, bad or out of order", "; ".join(last["wrong"]) or "0", "0", not last["wrong"])
        self._add("duplicates of the worst point", last["duplicates"], f"{most}: what is under way at each of {len(plant.outages)} "
                  "outages", last["duplicates"] <= most)
        self._add("commands carried out", f"{plant.answered} of {plant.commands}", "all", plant.answered == plant.commands > 0)
        self._add("reloads applied, buses that stay lose nothing", plant.reloads, "all", plant.reloads > 0)
        self._add("outbox at the end, messages", f"{plant.samples[-1].rows:.0f}", f"{WINDOW}: under way",
                  plant.samples[-1].rows <= WINDOW)

    def _steady(self, quarters):
        """Quarters of the run, only what was read with nothing waiting from an outage."""
        _, second, third, fourth = quarters
        alike = [[s for s in quarter if not s.has_spare] for quarter in quarters]  # with the same buses
        growth = _middle(fourth, lambda s: s.rss_kb) - _middle(third, lambda s: s.rss_kb)
        self._add("memory, third to fourth quarter", f"{growth:+.0f} kB", f"{GROWTH_KB} kB", growth < GROWTH_KB)
        growth = _middle(alike[3], lambda s: s.heap_kb) - _middle(alike[2], lambda s: s.heap_kb)
        self._add("allocated, third to fourth quarter", f"{growth:+.0f} kB", f"{ALLOCATED_GROWTH_KB} kB",
                  growth < ALLOCATED_GROWTH_KB)
        for name in ("files", "threads"):
            before, after = (_middle(quarter, lambda s, of=name: getattr(s, of)) for quarter in (alike[1], alike[3]))
            self._add({"files": "descriptors", "threads": "threads"}[name] + ", second to fourth quarter",
                      f"{before:.0f} to {after:.0f}", "no growth", after <= before)
        for name in ("p50", "p95"):
            before, after = (_middle(quarter, lambda s, of=name: getattr(s, of)) for quarter in (second, fourth))
            bound = 2 * before + 5  # timestamps are whole milliseconds
            self._add(f"latency {name}, second to fourth quarter", f"{before:.1f} to {after:.1f} ms", f"{bound:.1f} ms", after <= bound)


def ten_minutes_outages():
    """The outage of FIELD2MQTT_SOAK_S seconds (600) in each durability, as rows of the verdict."""
    seconds = os.environ.get("FIELD2MQTT_SOAK_S", "600")
    result = subprocess.run([sys.executable, "-m", "pytest", "-q", "-rP", "-n", "2", "-k", "soak_an_outage",
                             "tests/e2e/test_outage_more.py"], cwd=ROOT, env={**os.environ, "FIELD2MQTT_SOAK": "1"},
                            capture_output=True, text=True, check=False)
    print(result.stdout)
    said = re.findall(r"(?m)^\d+ s: (\d+) kB$", result.stdout)
    figure = f"{result.stdout.strip().splitlines()[-1].strip('= ')}; {min(said, key=int)}-{max(said, key=int)} kB" if said else "no figures"
    return [(f"nothing lost in an outage of {seconds} s at 1,000 readings a second, in RAM-then-disk and on disk always", figure,
             "0 lost, memory below + 10 MiB", "FAILED" if result.returncode else "held")]


def _processor():
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found.group(1) if found else platform.machine()


def _tenth(samples):
    calm = [s for s in samples if s.is_calm and s.p50 is not None]
    latency = [f"{_middle(calm, lambda s, of=name: getattr(s, of)):.1f}" if calm else "-" for name in ("p50", "p95", "p99")]
    of_all = [f"{_middle(samples, lambda s, of=name: getattr(s, of)):.0f}" for name in ("files", "threads")]
    allocated = _middle(calm or samples, lambda s: s.heap_kb)  # without what waits in memory
    return [f"{samples[-1].at_s / 60:.1f}", f"{_middle(samples, lambda s: s.rss_kb):.0f}", f"{allocated:.0f}", *of_all, *latency,
            f"{max(s.rows for s in samples):.0f}", f"{max(s.bytes for s in samples) / 1024:.0f}"]


def _table(head, rows):
    return ["| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows)]


def write_report(file, plant, verdicts, seconds, load):
    samples = plant.samples
    size = -(-len(samples) // 10)
    file.write_text("\n".join([
        f"`make soak HOURS={seconds / 3600:.3g}`: {plant.n_topics} points of 6 devices on 5 buses, "
        f"{plant.last['messages'] / seconds:.0f} messages a second at QoS 1, {len(plant.outages)} outages of "
        f"{sum(b - a for a, b in plant.outages):.0f} s in all, {plant.reloads} reloads, {plant.commands} commands; FIELD2MQTT_SEED={SEED}.",
        f"{os.cpu_count()} processors ({_processor()}), load before {load[0][0]:.2f}, after {load[1][0]:.2f} (mean of 1 min; "
        f"{load[1][2]:.2f} of 15 min).", "",
        *_table(["promise", "found", "bound", "verdict"], verdicts.rows), "",
        "By tenth of the run: medians; what is allocated, and latency from acquisition to arrival at the subscriber, while nothing waits from",
        "an outage; the outbox at its fullest.", "",
        *_table(["min", "RSS kB", "allocated kB", "descriptors", "threads", "p50 ms", "p95 ms", "p99 ms", "outbox messages", "outbox KiB"],
                [_tenth(samples[n:n + size]) for n in range(0, len(samples), size)]), ""]))
