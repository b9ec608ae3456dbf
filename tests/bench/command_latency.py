#!/usr/bin/python3
"""How long a command takes from its PUBLISH to the write on the wire of a saturated RTU bus at 9600 baud, and what a flood of
commands leaves to polling. Ends with 1 when the 99th percentile is more than one exchange and 20 ms, or polling starves.

The line is a pty, which has no speed of its own: the slave takes for each answer as long as request, answer and the
turnaround take at 9600 baud.

usage: tests/bench/command_latency.py [COMMANDS]
"""
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import paho.mqtt.client as mqtt  # noqa: E402

from conftest import Broker, Gateway, Subscriber, make_config, rtu_bus, write_config  # noqa: E402
from modbus_slave import RtuSlave  # noqa: E402

CHARACTER_S = 10 / 9600
REGISTERS = 20
EXCHANGE_S = (8 + 5 + 2 * REGISTERS) * CHARACTER_S + 3.5 * CHARACTER_S + 0.005


def main(count):
    with tempfile.TemporaryDirectory() as folder:
        # Without it mosquitto keeps a small packet back for up to 40 ms while an earlier one is not acknowledged.
        broker = Broker(folder, "set_tcp_nodelay true\n").start()
        slave = RtuSlave(folder).plug()
        unit = slave.unit()
        unit.delay_s = EXCHANGE_S - 0.004
        points = [{"name": f"p{n}", "register": f"holding:{n}", "interval": "10ms"} for n in range(REGISTERS)]
        points.append({"name": "out", "register": "holding:500", "access": "rw", "interval": "3600s"})
        config = make_config(
            broker, [rtu_bus(slave, [{"name": "d", "unit": 1, "points": points}], baud=9600)],
            commands={"enabled": True, "rate": "100000/s", "max_waiting": 8, "ids_file": f"{folder}/ids", "audit_file": f"{folder}/log"},
            write={"rate": "100000/s", "verify": False})
        watcher = Subscriber(broker)
        gateway = Gateway(write_config(folder, config))
        client = mqtt.Client(client_id="")
        try:
            client.connect("127.0.0.1", broker.port)
            client.loop_start()
            watcher.wait_for("field2mqtt/gw/state", lambda p: p == "online")
            watcher.wait_for("gw/d/p0", count=5)
            alone = polls_in(watcher, 5)
            delays = measure(client, slave, count)
            flooded, codes = flood(client, watcher, 5)
        except BaseException:
            print(gateway.log)
            raise
        finally:
            client.loop_stop()
            gateway.stop()
            watcher.close()
            slave.unplug()
            broker.stop()
    p50, p99 = (statistics.quantiles(delays, n=100)[k] * 1000 for k in (49, 98))
    exchange_ms = 1000 / alone  # as it is on this machine: the bus is saturated
    limit = exchange_ms + 20
    print(f"one exchange {exchange_ms:.0f} ms; {count} commands: p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
          f"max {max(delays) * 1000:.1f} ms (limit {limit:.0f} ms)")
    print(f"polls: {alone:.1f}/s alone, {flooded:.1f}/s in a flood of commands, of which {codes}")
    return 0 if p99 <= limit and flooded >= alone / 4 else 1


def measure(client, slave, count):
    delays = []
    for n in range(count):
        slave.clear()
        time.sleep(0.2 + n % 17 * 0.007)  # at any moment of an exchange of the polling
        begin = time.monotonic()
        client.publish("gw/d/out/set", str(n % 100), qos=1)
        end = begin + 10
        while not (found := [r for r in slave.recorded() if r.function == 6]) and time.monotonic() < end:
            time.sleep(0.0005)
        delays.append(found[0].time - begin)
    return delays


def polls_in(watcher, seconds):
    mark = watcher.mark()
    time.sleep(seconds)
    return len(watcher.of("gw/d/p0", mark)) / seconds


def flood(client, watcher, seconds):
    stop, mark = threading.Event(), watcher.mark()

    def send():
        n = 0
        while not stop.is_set():
            client.publish("gw/d/out/set", str(n % 100), qos=1)
            n += 1
            time.sleep(0.002)

    sender = threading.Thread(target=send)
    sender.start()
    polls = polls_in(watcher, seconds)
    stop.set()
    sender.join()
    results = [m.payload for m in watcher.of("gw/d/out/result", mark)]
    return polls, {c: sum(f'"code":"{c}"' in r for r in results) for c in ("ok", "superseded", "busy", "rate_limited")}


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 300))
