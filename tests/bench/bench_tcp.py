"""The rows about Modbus TCP: flat out, at a pace, filtered by change."""
import statistics
import time

from bench_rig import (REGISTERS, ROUNDS, SECONDS, SETTLE_S, TOOLS, Row, configuration, cpu_s, field_of, in_turns, middle, ratios,
                       run_gateway, run_reference)
from conftest import Process

DEVICES = 10
WINDOW = {0: 1000, 1: 100}  # at which the library alone is fastest
LOOP = "(a) the C loop"


def sides(world, qos, interval_ms, mode, publish, period=1, reference_mode=None):
    """Figures of the reference and of the gateway, in turns, at the same devices. Flat out (interval_ms 0) the gateway is asked
    for a tenth more messages than the loop has just managed: asked for a multiple it would read what nobody can send."""
    devices = field_of(DEVICES, period=period)

    def gateway(theirs):
        per_cycle = DEVICES if mode == "json" else DEVICES * REGISTERS
        interval_us = interval_ms * 1000 or max(1000, int(per_cycle / theirs.rate() / 1.1 * 1e6))
        return run_gateway(world, devices, configuration(world, devices.ports, f"{interval_us}us", {"qos": qos, **publish},
                                                         mqtt={"max_inflight": WINDOW[qos]}))

    try:
        return in_turns(lambda: run_reference(world, devices, qos, interval_ms, reference_mode or mode, WINDOW[qos]), gateway)
    finally:
        devices.stop()


def detail(theirs, ours, per_message):
    def cell(figures):
        return (f"{middle(figures, lambda f: f.rate(per_message)):,.0f}/s, "
                f"{middle(figures, lambda f: f.cpu_per_100k(f.messages * per_message)):.2f} CPU s per 100,000 values, "
                f"{middle(figures, lambda f: f.rss_mib):.1f} MiB")
    return f"field2mqtt {cell(ours)}; reference {cell(theirs)}"


def flat_out(world, qos, json=False):
    per_message = REGISTERS if json else 1
    publish = {"per": "device", "payload": "json"} if json else {}
    theirs, ours = sides(world, qos, 0, "json" if json else "value", publish)
    work = f"TCP, {DEVICES} x {REGISTERS} registers, flat out, " + ("a JSON message per device" if json else "a message per value")
    return Row(f"{work}, QoS {qos}", LOOP, "values/s", 0.8 if json else 0.9, True,
               ratios(ours, theirs, lambda f: f.rate(per_message)), detail(theirs, ours, per_message))


def paced(world, qos):
    theirs, ours = sides(world, qos, 100, "value", {})
    return Row(f"the same each 100 ms, a message per value, QoS {qos}", LOOP, "CPU per value", 1.25, False,
               ratios(ours, theirs, lambda f: f.cpu_per_100k(f.messages)), detail(theirs, ours, 1))


def one_each(world):
    """What a process for each device takes that only reads, all of them together: per cent of a processor."""
    devices = field_of(DEVICES, period=100)
    loops = [Process([str(TOOLS / "reference"), "0", "0", "100", "none", "1", str(port)]) for port in devices.ports]
    try:
        time.sleep(SETTLE_S)
        before, begin = sum(cpu_s(loop.pid) for loop in loops), time.monotonic()
        time.sleep(SECONDS)
        return (sum(cpu_s(loop.pid) for loop in loops) - before) / (time.monotonic() - begin) * 100
    finally:
        for loop in loops:
            loop.kill()
        devices.stop()


def filtered(world):
    """With two more figures, which tell what of it is the message and what the thread of each device."""
    theirs, ours = sides(world, 1, 100, "value", {"when": "change"}, period=100, reference_mode="none")
    devices = field_of(DEVICES, period=100)
    try:
        one = [run_reference(world, devices, 1, 100, "one", WINDOW[1]) for _ in range(ROUNDS)]
    finally:
        devices.stop()
    single = statistics.median(one_each(world) for _ in range(ROUNDS))

    def percent(figures):
        return middle(figures, lambda f: f.cpu_s / f.seconds * 100)
    return Row("the same each 100 ms, `when: change`, 1 % of the values change", LOOP + ", only reading", "CPU", 1.5, False,
               ratios(ours, theirs, lambda f: f.cpu_s / f.seconds),
               f"field2mqtt {percent(ours):.2f} % of a processor with {middle(ours, lambda f: f.rate()):,.0f} messages/s; the loop only reading "
               f"{percent(theirs):.2f} %; the loop sending as many messages {percent(one):.2f} %; ten loops of one device each, only reading, {single:.2f} %")
