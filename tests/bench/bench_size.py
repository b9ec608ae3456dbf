"""The rows about size: sparse registers, many points, many devices, the start; and what the disk costs."""
import os
import resource
import socket
import subprocess
import tempfile
import time

import bench_outbox
import serial_cost
from bench_rig import (PROGRAM, REGISTERS, ROOT, ROUNDS, TOOLS, SECONDS, GatewayRun, Row, configuration, field_of, in_turns, middle, ratios,
                       run_gateway, run_reference)

POINTS_PER_BUS = 1000  # 10 units of 100 registers


# ---- requests of one device ----

def fewest_requests(addresses, registers_max=125, gap_max=32):
    """Each request begins at the first register not yet read and reaches as far as it may: no plan has fewer."""
    n, begin, last = 0, None, None
    for address in addresses:
        if begin is None or address - begin >= registers_max or address - last - 1 > gap_max:
            begin, n = address, n + 1
        last = address
    return n


def sparse(world):
    addresses = range(0, 3000, 3)
    devices = field_of(1)
    points = [{"name": f"p{a}", "register": f"holding:{a}"} for a in addresses]
    try:
        run = run_gateway(world, devices, configuration(world, devices.ports, "200ms", {"when": "change"}, points))
    finally:
        devices.stop()
    exact, found = fewest_requests(addresses), run.requests / run.polls
    return Row("1 device, 1,000 sparse registers (every third)", "requests of an exact plan", "requests", 1, False, [round(found) / exact],
               f"{found:.1f} requests in each of {run.polls} cycles, the exact plan has {exact}")


# ---- many points ----

def many_points(world, ports):
    config = configuration(world, [], "1s", {"when": "change", "topic": "bench/${bus}/${device}/${point}"})
    points = [{"name": f"p{r}", "register": f"holding:{r}"} for r in range(REGISTERS)]
    config["buses"] = [{"name": f"bus{b}", "driver": "modbus-tcp", "host": "127.0.0.1", "port": port, "devices": [
        {"name": f"b{b}u{u}", "unit": u, "points": points} for u in range(1, POINTS_PER_BUS // REGISTERS + 1)]}
        for b, port in enumerate(ports)]
    return config


def points(world):
    """Three rows of memory and one of how the processor time grows."""
    runs, rows = {}, []
    for n, limit in ((1000, 8), (10000, 16), (100000, 80)):
        devices = field_of(n // POINTS_PER_BUS, period=1000, interval_ms=1000)  # 10 polls a second of a bus: 1 % change
        begin = world.messages()
        try:
            # The first reading of each is a change, too: those are through first.
            runs[n] = run = run_gateway(world, devices, many_points(world, devices.ports), seconds=8,
                                        until=lambda n=n, begin=begin: world.messages() >= begin + n)
        finally:
            devices.stop()
        rows.append(Row(f"{n:,} points at 1 s, `when: change`, 1 % change: memory", "-", "MiB", limit, False, [run.rss_mib],
                        f"{run.reads:,.0f} values/s read, {run.rate():,.0f} messages/s, {run.cpu_s / run.seconds * 100:.1f} % of a processor, "
                        f"{n // POINTS_PER_BUS} buses", shown=f"{run.rss_mib:.1f}"))
    cost = {n: run.cpu_s / run.registers for n, run in runs.items()}
    rows.append(Row("processor time per value, 10,000 points to 1,000 and 100,000 to 10,000", "fewer points", "CPU per value", 1, False,
                    [max(cost[10000] / cost[1000], cost[100000] / cost[10000])],
                    f"{cost[10000] / cost[1000]:.2f} and {cost[100000] / cost[10000]:.2f}"))
    return rows


# ---- many devices ----

def run_devices(world, n_dead):
    devices = field_of(400 + n_dead, n_dead, interval_ms=1000)
    points_of = [{"name": f"p{r}", "register": f"holding:{r}"} for r in range(20)]
    config = configuration(world, devices.ports, "1s", {"when": "change", "per": "device", "payload": "json"}, points_of, timeout="500ms")
    begin = time.monotonic()
    try:
        return run_gateway(world, devices, config, seconds=10, until=lambda: time.monotonic() > begin + 8)
    finally:
        devices.stop()


def dead_devices(world):
    alone, among = in_turns(lambda: run_devices(world, 0), lambda _: run_devices(world, 100), rounds=2)
    jitter = max(run.jitter_p99_ms for run in among)
    return Row("500 TCP devices at 1 s in one process, 100 of them dead", "the 400 alone", "polls/s", 0.95, True,
               ratios(among, alone, lambda f: f.polls / f.seconds),
               f"{middle(among, lambda f: f.polls / f.seconds):.0f} polls/s; 99 % of them within {jitter:.1f} ms of the second (target 50), "
               f"the 400 alone within {max(run.jitter_p99_ms for run in alone):.1f} ms; {middle(among, lambda f: f.rss_mib):.1f} MiB",
               also=jitter < 50)


# ---- the disk ----

def durable(world):
    devices = field_of(10)
    try:
        loop = run_reference(world, devices, 1, 0, "value", 100)
        interval_us = int(1000 / loop.rate() / 1.1 * 1e6)

        def run(durability):
            buffer = {"durability": durability, "path": str(world.folder / "outbox.db")}
            try:
                return run_gateway(world, devices, configuration(world, devices.ports, f"{interval_us}us", {"qos": 1}, buffer=buffer))
            finally:
                for file in world.folder.glob("outbox.db*"):
                    file.unlink()
        memory, always = in_turns(lambda: run("none"), lambda _: run("always"))
    finally:
        devices.stop()
    return Row("`durability: always`, QoS 1, flat out", "`durability: none`", "values/s", 0.8, True, ratios(always, memory, lambda f: f.rate()),
               f"{middle(always, lambda f: f.rate()):,.0f}/s, {middle(always, lambda f: f.cpu_per_100k(f.messages)):.2f} CPU s per 100,000 values; "
               f"in memory {middle(memory, lambda f: f.rate()):,.0f}/s, {middle(memory, lambda f: f.cpu_per_100k(f.messages)):.2f}")


def outbox(_world):
    """tests/bench/outbox_rows.c, by the functions of bench_outbox.py."""
    found = bench_outbox.rows()
    return Row("rows put on the disk by the outbox, `always`", "plain SQLite, the same group commit", "rows/s", 0.7, True,
               [one["put"] / one["plain"] for one in found],
               f"{middle(found, lambda r: r['put']):,.0f} rows/s, plain SQLite {middle(found, lambda r: r['plain']):,.0f}; "
               f"{middle(found, lambda r: r['outbox_bytes']):.0f} bytes written a row, plain {middle(found, lambda r: r['plain_bytes']):.0f}")


# ---- a serial port ----

def serial(_world):
    """tests/bench/serial_line.c, by the functions of serial_cost.py."""
    seconds, loops, gateways = max(2, int(SECONDS)), [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            loops.append(serial_cost.measure_loop(folder, seconds))
            gateways.append(serial_cost.measure_gateway(folder, seconds))
    cost = [middle(side, lambda one: 1e6 * one[2] / one[0]) for side in (gateways, loops)]
    return Row("a serial port at 921,600 baud, full of weighings", "a bare read loop on the same stream", "frames/s, all decoded", 0.99, True,
               [ours[0] / theirs[0] for ours, theirs in zip(gateways, loops)],
               f"{middle(gateways, lambda one: one[0] / seconds):,.0f} frames/s, CPU per 1,000 frames {cost[0]:.2f} ms, the loop {cost[1]:.2f} ms")


# ---- the start ----

def child_cpu_s(*argv):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def seconds_to_ready(world, config):
    """From the start of the program until it tells the service manager that it is ready."""
    path = str(world.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(60)
        process = GatewayRun(world, config, {"NOTIFY_SOCKET": path})
        try:
            while b"READY=1" not in manager.recv(4096):
                pass
            return time.monotonic() - process.begin
        finally:
            process.kill()
            os.unlink(path)


def start(world):
    """Two rows: until it is ready, and check of the same file."""
    devices = field_of(100000 // POINTS_PER_BUS, interval_ms=1000)
    config = many_points(world, devices.ports)
    try:
        ready = [seconds_to_ready(world, config) for _ in range(ROUNDS)]
    finally:
        devices.stop()
    file = str(world.folder / "bench.yaml")
    parse, check = in_turns(lambda: child_cpu_s(str(TOOLS / "yaml_parse"), file), lambda _: child_cpu_s(PROGRAM, "check", file))
    return [
        Row("start with 100,000 points, until it is ready", "-", "s", 2, False, ready, shown=f"{min(ready):.2f}-{max(ready):.2f}"),
        Row("`check` of that file", "libyaml parsing it", "CPU", 5, False, ratios(check, parse, lambda s: s),
            f"{middle(check, lambda s: s):.2f} s; libyaml alone {middle(parse, lambda s: s):.2f} s"),
    ]
