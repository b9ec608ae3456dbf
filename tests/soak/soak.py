#!/usr/bin/python3
"""The gateway at work for hours, watched from outside: build/soak.md (verdicts, and how it went) and build/soak.svg.

usage: soak.py HOURS [--outages] [--to FOLDER]    --outages: then also 10 minutes of outage at 1,000 readings a second, in each
durability; --to: another folder for the two files

Counting devices over TCP and RTU and a balance on a serial port are read, about 700 readings a second; the network to the broker
is cut now and then, the configuration is reloaded with another bus, commands are sent. Ends non-zero when a verdict did not hold.
FIELD2MQTT_SEED repeats the outages of a run.
"""
import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path += [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "e2e")]
from conftest import ROOT  # noqa: E402
from soak_plant import SEED, Plant  # noqa: E402
from soak_plot import plot  # noqa: E402
from soak_report import Verdicts, ten_minutes_outages, write_report  # noqa: E402

N_SAMPLES, N_CUTS, N_RELOADS, N_COMMANDS = 200, 10, 12, 150
LEAST_S = 30


def schedule(seconds, chance):
    """What is done when: pairs of seconds and the name of a method of Plant. The last tenth of the time is left in peace."""
    def each(n, least_s, action):
        period = max(0.9 * seconds / n, least_s)
        return [(k * period, action) for k in range(1, int(0.9 * seconds / period))]

    cuts = [at for at, _ in each(N_CUTS, 6, "cut")]
    lengths = [chance.uniform(0.05, 0.2) * cuts[0] for _ in cuts]
    lengths[len(cuts) // 3] = 0.6 * cuts[0]  # the long one
    events = [*((at, "cut") for at in cuts), *((at + length, "heal") for at, length in zip(cuts, lengths))]
    events += each(N_RELOADS, 7, "reload") + each(N_COMMANDS, 2, "command")
    period = max(seconds / N_SAMPLES, 1)
    return sorted(events + [(k * period, "sample") for k in range(1, int(seconds / period) + 1)])


def run(seconds, folder, chance):
    plant = Plant(folder)
    try:
        plant.start()
        for at_s, action in schedule(seconds, chance):
            time.sleep(max(0.0, at_s - plant.now_s()))
            getattr(plant, action)()
        plant.settle()
        return plant
    finally:
        plant.stop()


def main():
    parser = argparse.ArgumentParser(prog="soak.py")
    parser.add_argument("hours", type=float)
    parser.add_argument("--outages", action="store_true")
    parser.add_argument("--to", type=Path, default=ROOT / "build")
    options = parser.parse_args()
    seconds = options.hours * 3600
    if seconds < LEAST_S:
        parser.error(f"HOURS has to be {LEAST_S / 3600:.3f} or more, to have room for outages, reloads and commands")
    load = [os.getloadavg()]
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        plant = run(seconds, folder, random.Random(SEED))
    load.append(os.getloadavg())
    verdicts = Verdicts(plant, seconds)
    title = f"field2mqtt for {seconds / 60:.3g} min: {plant.last['messages'] / seconds:.0f} messages a second, outages in grey"
    (options.to / "soak.svg").write_text(plot(plant.samples, plant.outages, title))
    write_report(options.to / "soak.md", plant, verdicts, seconds, load)
    if options.outages:  # the hours are not lost when this is stopped
        verdicts.rows += ten_minutes_outages()
        write_report(options.to / "soak.md", plant, verdicts, seconds, load)
    print((options.to / "soak.md").read_text())
    return 0 if verdicts.all_held else 1


if __name__ == "__main__":
    sys.exit(main())
