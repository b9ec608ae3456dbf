"""What reading frames costs: one port at 921,600 baud full of MT-SICS answers of 18 bytes, about 5,100 a second.

In one run: a bare read loop that only counts lines (serial_line.c), then the gateway, which frames, matches a pattern, makes a
decimal and a text of each, maps and filters them, and publishes one message a second. Both read the same stream. A frame that
the reader is too slow for finds no room in the kernel's buffer and is counted as refused.
usage: serial_cost.py [SECONDS]
"""
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from conftest import BUILD, Broker, Gateway, Subscriber, free_port, make_config, write_config  # noqa: E402

LINE = str(BUILD / "tests/bench/serial_line")


def feed(link, seconds):
    return subprocess.Popen([LINE, "feed", str(link), str(seconds)], stdout=subprocess.PIPE, text=True)


def wait_for(link):
    while not link.is_symlink():
        time.sleep(0.01)


def readings(port):
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    return int(re.search(r"^field2mqtt_bus_readings_total\{.*\} (\d+)", page, re.M).group(1))


def tell(name, frames, refused, seconds, cpu_s):
    print(f"{name:14} {frames / seconds:8.0f} frames/s   {refused:4} refused   {cpu_s * 1e6 / frames:7.2f} ms of CPU per 1,000 frames")


def measure_loop(folder, seconds):
    """Frames read, frames refused, and CPU seconds of the bare loop."""
    link = Path(folder) / "line"
    feeder = feed(link, seconds)
    wait_for(link)
    lines, cpu_us = map(int, subprocess.check_output([LINE, "read", str(link)]).split())
    frames, refused = map(int, feeder.communicate()[0].split())
    assert lines == frames, (lines, frames)
    return frames, refused, cpu_us / 1e6


def measure_gateway(folder, seconds):
    """The same of the gateway; every frame that was offered has been decoded."""
    link = Path(folder) / "line"
    broker = Broker(folder).start()
    subscriber = Subscriber(broker)
    feeder, port = feed(link, seconds), free_port()
    wait_for(link)
    device = {"name": "scale", "frame": {"end": r"\r\n"},
              "match": r"^S [SD] +(?<w>[-0-9.]+) (?<u>\S+)$",
              "points": [{"name": "weight", "from": "group:w", "unit": "g"}, {"name": "unit", "from": "group:u", "type": "text"}]}
    gateway = Gateway(write_config(folder, make_config(
        broker, [{"name": "line", "driver": "serial", "port": str(link), "baud": 921600, "devices": [device]}],
        publish={"min_interval": "1s"}, http={"enabled": True, "port": port})))
    subscriber.wait_for_json("gw/scale/weight", lambda m: m["quality"] == "good")
    before_s = gateway.cpu_s()
    frames, refused = map(int, feeder.communicate()[0].split())
    end = time.monotonic() + 10
    while (n := readings(port)) < 2 * (frames - 1) and time.monotonic() < end:  # two points of each; the first may be cut
        time.sleep(0.1)
    assert n >= 2 * (frames - 1), (n, frames)
    cpu_s = gateway.cpu_s() - before_s
    gateway.stop()
    subscriber.close()
    broker.stop()
    return frames, refused, cpu_s


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as folder:
        for name, measure in (("bare loop", measure_loop), ("field2mqtt", measure_gateway)):
            frames, refused, cpu_s = measure(folder, seconds)
            tell(name, frames, refused, seconds, cpu_s)


if __name__ == "__main__":
    main()
