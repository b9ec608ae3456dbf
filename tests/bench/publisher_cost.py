#!/usr/bin/python3
"""What publishing costs: processor seconds of the gateway per 100,000 values, and how it grows with max_inflight.

10 Modbus TCP buses x 100 registers each 100 ms against simulated devices and a real mosquitto, one message per value.
Each row is measured in turn ROUNDS times, and the median counts, so that a busy machine hurts all rows alike.
Usage: publisher_cost.py [BUILD-DIRECTORY...]; with several builds the ratio to the first is told.
"""
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import yaml  # noqa: E402
from conftest import ROOT, Broker, Process, free_port  # noqa: E402

SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
BUSES, REGISTERS = 10, 100
WINDOWS = {qos: [int(n) for n in os.environ.get(f"BENCH_WINDOWS_QOS{qos}", windows).split()]
           for qos, windows in ((0, "100"), (1, "20 50 100 200 500 1000"))}


def configuration(broker, ports, qos, window):
    return {
        "gateway": {"name": "gw"}, "interval": "100ms", "http": "off",
        "buffer": {"durability": "none"}, "mqtt": {"servers": [broker.url], "max_inflight": window},
        "publish": {"qos": qos, "when": "every", "payload": "value", "topic": "${gateway}/${bus}/${point}"},
        "buses": [{"name": f"bus{b}", "driver": "modbus-tcp", "host": "127.0.0.1", "port": ports[b], "devices": [
            {"name": f"dev{b}", "unit": 1, "points": [
                {"name": f"p{r}", "register": f"holding:{r}"} for r in range(REGISTERS)]}]} for b in range(BUSES)],
    }


def measure(build, broker, folder, ports, qos, window):
    """CPU seconds per 100,000 values that reached the broker."""
    file = Path(folder) / "gw.yaml"
    file.write_text(yaml.safe_dump(configuration(broker, ports, qos, window)))
    gateway = Process([str(Path(build) / "field2mqtt"), "run", "-c", str(file)], cwd=str(ROOT))
    try:
        gateway.wait_for_log("connected to")
        time.sleep(1)
        cpu, begin = gateway.cpu_s(), time.monotonic()
        time.sleep(SECONDS)
        cpu, seconds = gateway.cpu_s() - cpu, time.monotonic() - begin
        gateway.signal(15)
        gateway.wait()
        line = gateway.wait_for_log(r"since the start (\d+) put, (\d+) acknowledged, (\d+) dropped")
        acked = int(line.group(2))
        expected = BUSES * REGISTERS * 10 * (seconds + 1)
        assert 0.7 * expected < acked, f"only {acked} of about {expected:.0f} values: the machine is too busy"
        return cpu / (BUSES * REGISTERS * 10 * seconds) * 100000
    finally:
        gateway.kill()


def main():
    builds = sys.argv[1:] or [os.environ.get("FIELD2MQTT_BUILD", "build/release")]
    builds = [str((ROOT / b).resolve()) for b in builds]
    ports = [free_port() for _ in range(BUSES)]
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(folder)
        broker.file.write_text(broker.file.read_text().replace("log_type all", "log_type information"))
        broker.start()
        sim_file = Path(folder) / "sim.yaml"
        sim_file.write_text(yaml.safe_dump(configuration(broker, ports, 0, 100)))
        sim = Process([str(Path(builds[0]) / "field2mqtt"), "simulate", "--dir", folder, "-c", str(sim_file)], cwd=str(ROOT))
        try:
            time.sleep(1)
            rows = [(qos, window) for qos in WINDOWS for window in WINDOWS[qos]]
            cost = {}
            for _ in range(ROUNDS):
                for row in rows:
                    for build in builds:
                        cost.setdefault((row, build), []).append(measure(build, broker, folder, ports, *row))
            for row in rows:
                cells = [statistics.median(cost[row, build]) for build in builds]
                ratio = "".join(f"  ratio {c / cells[0]:.2f}" for c in cells[1:])
                print(f"qos {row[0]} window {row[1]:5}: " + "  ".join(f"{c:.2f}" for c in cells) +
                      f" CPU s per 100k values{ratio}", flush=True)
        finally:
            sim.kill()
            broker.stop()


if __name__ == "__main__":
    main()
