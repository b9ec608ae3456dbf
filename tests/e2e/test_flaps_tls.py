"""A network that flaps under TLS: handshakes are cut in the middle, and nothing is lost, nothing leaks, nothing hammers."""
import os
import random
import subprocess
import threading

import pytest

from conftest import Broker, Gateway, free_port, make_config, write_config
from counting import PUBLISH, Collector, CountingDevice, Verdict, let_pass
from fault_proxy import FaultProxy
from shim import Shim
from test_outage import SEED
from test_outage_more import memory_kb, worst

CYCLES = int(os.environ.get("FIELD2MQTT_FLAPS", "500" if os.environ.get("FIELD2MQTT_SLOW") else "30"))
# Paho forgets topic and payload of messages that it had not begun to send when a connection goes: at most QUEUED_MAX (mqtt_paho.c)
# of them, each in about 10 small blocks with its account of them.
LOST_BY_PAHO_BYTES = 16 * 512
CERTIFICATE = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
               "-addext", "subjectAltName=DNS:localhost", "-keyout", "broker.key", "-out", "broker.pem"]


def entries(process, folder):
    return len(os.listdir(f"/proc/{process.pid}/{folder}"))


class TlsPlant:
    """A gateway that reads a device and publishes over TLS, through a proxy."""

    def __init__(self, tmp_path, started, device, publish):
        subprocess.run(CERTIFICATE, cwd=tmp_path, check=True, capture_output=True)
        broker, port = Broker(tmp_path), free_port()
        broker.file.write_text(f"{broker.file.read_text()}\nlistener {port} 127.0.0.1\ncertfile {tmp_path}/broker.pem\n"
                               f"keyfile {tmp_path}/broker.key\n")
        started.add(broker).start()
        self.device, self.proxy = started.add(device), started.add(FaultProxy(port))
        self.collector = started.add(Collector(broker.port))
        config = make_config(broker, [device.bus()], buffer={"durability": "outage", "path": f"{tmp_path}/outbox.db"}, mqtt={
            "servers": [f"mqtts://localhost:{self.proxy.port}"], "tls": {"ca_file": f"{tmp_path}/broker.pem"},
            "reconnect_min": "100ms", "reconnect_max": "200ms"})
        config["publish"] = publish
        self.shim = started.add(Shim(tmp_path))
        self.gateway = started.add(Gateway(write_config(tmp_path, config), env=self.shim.env))
        self.gateway.wait_for_log("mqtt: connected")

    def least(self, measure):
        """The least of some polls: what is there while nothing waits to be sent and nothing is being connected."""
        least = measure()
        for _ in range(20):
            let_pass(self.device, 1)
            least = min(least, measure())
        return least


class SteadyDevice(CountingDevice):
    """Its values never change."""

    def answer(self, unit, pdu):
        reply = super().answer(unit, pdu)
        return reply[:2] + bytes(len(reply) - 2)


@pytest.mark.longer
def test_a_network_that_flaps_under_tls_loses_and_leaks_nothing(tmp_path, started):
    chance = random.Random(SEED)
    print(f"FIELD2MQTT_SEED={SEED}")
    plant = TlsPlant(tmp_path, started, CountingDevice(), PUBLISH)
    device, proxy, collector, gateway = plant.device, plant.proxy, plant.collector, plant.gateway
    collector.wait_until(let_pass(device, 20))
    states, heap = [], []

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
            states.append((memory_kb(gateway), *(plant.least(lambda name=name: entries(gateway, name)) for name in ("fd", "task"))))
            heap.append(plant.least(plant.shim.heap_bytes))
    collector.wait_until(let_pass(device, 3))

    verdict = Verdict(collector)
    print(f"{CYCLES} cuts, {proxy.connections} connections, {verdict.messages} messages, {verdict.duplicates} duplicates of the "
          f"worst point, memory, files and threads {states}, heap {heap}")
    assert verdict.gaps == 0
    assert verdict.duplicates <= worst(CYCLES)
    assert proxy.connections <= 3 * CYCLES + 10
    assert len({files for _, files, _ in states[1:]}) == 1, states
    assert len({threads for *_, threads in states[1:]}) == 1, states
    if CYCLES >= 500:
        half = len(heap) // 2  # the pages of SQLite are there by then
        assert heap[-1] - heap[half] < (CYCLES // 2) * LOST_BY_PAHO_BYTES, heap


def test_a_connection_under_tls_that_comes_and_goes_leaves_nothing_allocated(tmp_path, started):
    """With nothing under way, so that what Paho forgets of messages does not cover what else may be lost. It begins OpenSSL anew
    for each connection, too, and takes two places in its tables, about 160 bytes: docs/testing.md."""
    plant = TlsPlant(tmp_path, started, SteadyDevice(), {**PUBLISH, "when": "change"})
    heap = []

    for n in range(5 * 10):
        seen = len(plant.gateway.lines)
        plant.proxy.cut()
        plant.gateway.wait_for_log("mqtt: .*(lost|closed|refused)", since=seen)
        plant.proxy.heal()
        plant.gateway.wait_for_log("mqtt: connected", since=seen)
        let_pass(plant.device, 3)
        if n % 10 == 9:
            heap.append(plant.least(plant.shim.heap_bytes))

    print(f"50 connections, heap {heap}")
    assert heap[-1] - heap[1] < 30 * 1024, heap  # an SSL or its context that is kept would be many times that
