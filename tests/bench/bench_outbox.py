#!/usr/bin/python3
"""The figures of the outbox on disk, as ratios in one run; writes build/bench-outbox.md.

Rows/s with `always` against plain SQLite inserts with the same group commit, in turns, the median counts. Then an
outage with a real gateway and broker at 1,000 readings a second: how its memory grows, and how fast it drains.
"""
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from conftest import BUILD, ROOT, Broker, Gateway, make_config, write_config  # noqa: E402
from counting import POINTS, Collector, CountingDevice, Verdict, let_pass  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402

ROWS = int(os.environ.get("BENCH_ROWS", "100000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
OUTAGE_S = float(os.environ.get("BENCH_OUTAGE_S", "40"))


def rows():
    """One dictionary of figures per round."""
    found = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:  # a disk, which /tmp may not be
            out = subprocess.run([str(BUILD / "tests/bench/outbox_rows"), folder, str(ROWS)], check=True,
                                 capture_output=True, text=True).stdout
            found.append({k: float(v) for k, v in (line.split("=") for line in out.split())})
    return found


def memory_kb(process):
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1])


def outage(durability):
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        broker = Broker(folder)
        broker.file.write_text(broker.file.read_text().replace("log_type all", "log_type information"))
        broker.start()
        device, proxy, collector = CountingDevice(), FaultProxy(broker.port), Collector(broker.port)
        config = make_config(broker, [device.bus()], buffer={"durability": durability, "path": f"{folder}/outbox.db"},
                             mqtt={"servers": [proxy.url], "reconnect_min": "100ms", "reconnect_max": "200ms"})
        config["publish"] = {"when": "every", "qos": 1}
        gateway = Gateway(write_config(folder, config))
        try:
            collector.wait_until(let_pass(device, 100))
            proxy.cut()
            before, begin, count = memory_kb(gateway), time.monotonic(), device.count
            time.sleep(OUTAGE_S / 2)
            middle = memory_kb(gateway)
            time.sleep(OUTAGE_S / 2)
            after, live = memory_kb(gateway), (device.count - count) * POINTS / (time.monotonic() - begin)
            with collector.lock:
                n_before = len(collector.payloads)
            begin, count = time.monotonic(), device.count
            proxy.heal()
            collector.wait_until(count)
            seconds = time.monotonic() - begin
            with collector.lock:
                drained = (len(collector.payloads) - n_before) / seconds
            verdict = Verdict(collector)
            assert verdict.gaps == 0, f"{verdict.lost} lost"
            return {"live": live, "drain": drained, "first_kb": middle - before, "then_kb": after - middle}
        finally:
            gateway.kill()
            collector.close()
            proxy.close()
            device.close()
            broker.stop()


def main():
    found = rows()

    def median(get):
        return statistics.median(get(one) for one in found)

    ratio = median(lambda r: r["put"] / r["plain"])
    rounds = ", ".join(f"{one['put'] / one['plain']:.2f}" for one in found)
    lines = [
        "# The outbox on disk, measured", "",
        f"{platform.machine()}, Linux {platform.release()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; "
        f"{ROWS} rows of 45 + 200 bytes, {ROUNDS} rounds, medians; `make bench-outbox`.", "",
        "| what | figure |", "|---|---|",
        f"| rows/s with `always` | {median(lambda r: r['put']):,.0f} |",
        f"| rows/s of plain SQLite inserts, same group commit (500) | {median(lambda r: r['plain']):,.0f} |",
        f"| ratio (target 0.7) | {ratio:.2f} (of the rounds: {rounds}) |",
        f"| bytes written to the device per row: outbox / plain | {median(lambda r: r['outbox_bytes']):.0f} / "
        f"{median(lambda r: r['plain_bytes']):.0f} |",
        f"| rows/s given out again from the disk and acknowledged | {median(lambda r: r['drain']):,.0f} |",
        f"| memory grown while {ROWS} rows ({ROWS * 245 // 1000000} MB) pile up | {median(lambda r: r['grown_kb']):,.0f} kB |",
    ]
    for durability in ("outage", "always"):
        one = outage(durability)
        lines += [
            f"| `{durability}`: gateway's memory grown in the first {OUTAGE_S / 2:.0f} s of an outage, in the next | "
            f"{one['first_kb']} kB, {one['then_kb']} kB |",
            f"| `{durability}`: drained to the broker at, while live goes on at | {one['drain']:,.0f}/s, {one['live']:,.0f}/s "
            f"(ratio {one['drain'] / one['live']:.1f}) |",
        ]
    text = "\n".join(lines) + "\n"
    (ROOT / "build" / "bench-outbox.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
