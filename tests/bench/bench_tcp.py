"""The rows about Modbus TCP: flat out, at a pace, filtered by change."""
from bench_rig import REGISTERS, Row, configuration, field_of, in_turns, middle, ratios, run_gateway, run_reference

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


def filtered(world):
    theirs, ours = sides(world, 1, 100, "value", {"when": "change"}, period=100, reference_mode="none")
    return Row("the same each 100 ms, `when: change`, 1 % of the values change", LOOP + ", only reading", "CPU", 1.5, False,
               ratios(ours, theirs, lambda f: f.cpu_s / f.seconds),
               f"field2mqtt {middle(ours, lambda f: f.cpu_s / f.seconds * 100):.1f} % of a processor and "
               f"{middle(ours, lambda f: f.rate()):,.0f} messages/s; reference {middle(theirs, lambda f: f.cpu_s / f.seconds * 100):.1f} %")
