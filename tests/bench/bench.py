#!/usr/bin/python3
"""`make bench`: how the gateway does against references that are measured in the same run; writes build/bench.md and
build/bench.svg. Ends with 0 also where a target is missed, unless BENCH_STRICT=1.

usage: bench.py [WORD...]      only the rows whose name has one of the words
BENCH_SECONDS=4 and BENCH_ROUNDS=3 say how long and how often each side is measured.
"""
import os
import platform
import sys
import tempfile
import time

import bench_rtu
import bench_size
import bench_tcp
from bench_plot import plot
from bench_rig import ROOT, ROUNDS, SECONDS, World

ROWS = {
    "flat-qos0": lambda w: bench_tcp.flat_out(w, 0),
    "flat-qos1": lambda w: bench_tcp.flat_out(w, 1),
    "flat-json": lambda w: bench_tcp.flat_out(w, 1, json=True),
    "paced-qos0": lambda w: bench_tcp.paced(w, 0),
    "paced-qos1": lambda w: bench_tcp.paced(w, 1),
    "filtered": bench_tcp.filtered,
    "sparse": bench_size.sparse,
    "rtu-9600": lambda w: bench_rtu.utilisation(w, 9600),
    "rtu-115200": lambda w: bench_rtu.utilisation(w, 115200),
    "rtu-silent": bench_rtu.silent,
    "command": bench_rtu.command,
    "points": bench_size.points,
    "dead-devices": bench_size.dead_devices,
    "durable": bench_size.durable,
    "outbox": bench_size.outbox,
    "serial": bench_size.serial,
    "start": bench_size.start,
}


def figure(row):
    if row.shown:
        return row.shown
    return f"{row.median:.2f} ({min(row.ratios):.2f}-{max(row.ratios):.2f})"


def line(row):
    target = f"{'at least' if row.at_least else 'at most'} {row.target:g}"
    return (f"| {row.work} | {row.reference} | {row.unit} | {figure(row)} | {target} | {'yes' if row.reached else '**no**'} |")


def report(rows, seconds, load):
    text = [
        "# field2mqtt, measured side by side", "",
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, Linux {platform.release()}, {os.cpu_count()} processors, load {load:.1f} before the run; "
        f"{ROUNDS} rounds of {SECONDS:g} s in turns, took {seconds:.0f} s; `make bench`.", "",
        "A ratio is field2mqtt to the reference, the median of the rounds and in brackets the least and the greatest.", "",
        "| work | reference | what | ratio | target | reached |", "|---|---|---|---|---|---|", *map(line, rows), "",
        "In figures, medians:", "", *(f"- {row.work}: {row.detail}" for row in rows if row.detail), ""]
    return "\n".join(text)


def main(words):
    names = [name for name in ROWS if not words or any(word in name for word in words)]
    begin, load, rows = time.monotonic(), os.getloadavg()[0], []
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        for name in names:
            world = World(folder)
            try:
                found = ROWS[name](world)
            finally:
                world.stop()
            for row in found if isinstance(found, list) else [found]:
                rows.append(row)
                print(f"{name}: {figure(row)} {'' if row.reached else '(missed)'}  {row.detail}", flush=True)
    text = report(rows, time.monotonic() - begin, load)
    (ROOT / "build" / "bench.md").write_text(text)
    (ROOT / "build" / "bench.svg").write_text(plot(rows))
    print(text)
    return 1 if os.environ.get("BENCH_STRICT") == "1" and not all(row.reached for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
