"""A network that flaps under TLS: handshakes are cut in the middle, and nothing is lost, nothing leaks, nothing hammers."""
import os
import random
import subprocess
import threading

import pytest

from conftest import Broker, Gateway, free_port, make_config, write_config
from counting import PUBLISH, Collector, CountingDevice, Verdict, let_pass
from fault_proxy import FaultProxy
from test_outage import SEED
from test_outage_more import memory_kb, worst

CYCLES = 500 if os.environ.get("FIELD2MQTT_SLOW") else 30
CERTIFICATE = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
               "-addext", "subjectAltName=DNS:localhost", "-keyout", "broker.key", "-out", "broker.pem"]


def open_files(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


@pytest.mark.longer
def test_a_network_that_flaps_under_tls_loses_and_leaks_nothing(tmp_path, started):
    chance = random.Random(SEED)
    print(f"FIELD2MQTT_SEED={SEED}")
    subprocess.run(CERTIFICATE, cwd=tmp_path, check=True, capture_output=True)
    broker, port = Broker(tmp_path), free_port()
    broker.file.write_text(f"{broker.file.read_text()}\nlistener {port} 127.0.0.1\ncertfile {tmp_path}/broker.pem\n"
                           f"keyfile {tmp_path}/broker.key\n")
    started.add(broker).start()
    device, proxy = started.add(CountingDevice()), started.add(FaultProxy(port))
    collector = started.add(Collector(broker.port))
    config = make_config(broker, [device.bus()], buffer={"durability": "outage", "path": f"{tmp_path}/outbox.db"}, mqtt={
        "servers": [f"mqtts://localhost:{proxy.port}"], "tls": {"ca_file": f"{tmp_path}/broker.pem"},
        "reconnect_min": "100ms", "reconnect_max": "200ms"})
    config["publish"] = PUBLISH
    gateway = started.add(Gateway(write_config(tmp_path, config)))
    gateway.wait_for_log("mqtt: connected")
    collector.wait_until(let_pass(device, 20))
    states = []

    for n in range(CYCLES):
        proxy.cut()
        threading.Event().wait(chance.random() * 0.2)
        before = proxy.connections
        proxy.heal()
        while proxy.connections == before:
            let_pass(device, 1)
        if chance.random() < 0.5:  # else in mid-handshake
            let_pass(device, chance.randrange(1, 20))
        if n % max(CYCLES // 10, 1) == 0:
            collector.wait_until(let_pass(device, 3))
            states.append((memory_kb(gateway), open_files(gateway), len(os.listdir(f"/proc/{gateway.pid}/task"))))
    collector.wait_until(let_pass(device, 3))

    verdict = Verdict(collector)
    print(f"{CYCLES} cuts, {proxy.connections} connections, {verdict.messages} messages, {verdict.duplicates} duplicates of the "
          f"worst point, memory, files and threads {states}")
    assert verdict.gaps == 0
    assert verdict.duplicates <= worst(CYCLES)
    assert proxy.connections <= 3 * CYCLES + 10
    assert len({files for _, files, _ in states[1:]}) == 1, states
    assert len({threads for *_, threads in states[1:]}) == 1, states
    if CYCLES >= 500:
        first_half = [memory for memory, *_ in states[1:len(states) // 2]]  # it goes up and down with what waits
        assert states[-1][0] - max(first_half) < CYCLES, states  # less than 1 kB for each cycle of the run
