"""What proves that nothing is lost: a device that counts, a client that collects, a check of what arrived.

The device answers every read with the next number, in every pair of registers. So what a subscriber sees tells all:
a number left out was read and lost, a smaller one is out of order, the same one again is a duplicate. A duplicate has
the sequence number of the first, and that number grows with the readings (where `publish: { seq: true }` shows it).
"""
import json
import struct
import threading
import time

import paho.mqtt.client as mqtt

from modbus_tcp import ModbusTcpServer

POINTS = 20
PUBLISH = {"when": "every", "qos": 1, "seq": True}
MARK = "collector/mark"
INTERVAL_MS = 20  # 20 points at 20 ms: 1,000 readings a second


class CountingDevice(ModbusTcpServer):
    """Function 3 gives the number of the read as uint32, as often as asked for."""

    def __init__(self):
        self.count = 0
        self._turn = threading.Condition()
        self._holds = self._held = 0  # how often it was held, and whose requests wait for the end of that
        self._is_held = False
        super().__init__()

    def hold(self, deadline_s=60):
        """Answers no more. Gives the last number, which the gateway has: it asked for the next one."""
        with self._turn:
            self._is_held = True
            self._holds += 1
            assert self._turn.wait_for(lambda: self._held == self._holds, deadline_s), "the gateway does not ask"
        return self.count

    def release(self):
        """Answers again. Who has asked in the meantime is hung up on, and has no number."""
        with self._turn:
            self._is_held = False
            self._turn.notify_all()

    def answer(self, unit, pdu):
        function, _, registers = struct.unpack(">BHH", pdu)
        assert function == 3
        with self._turn:
            if self._is_held:
                self._held = self._holds
                self._turn.notify_all()
                self._turn.wait_for(lambda: not self._is_held)
                return None
            self.count += 1
        body = struct.pack(">I", self.count) * (registers // 2)
        return struct.pack(">BB", 3, len(body)) + body

    def bus(self):
        points = [{"name": f"p{i}", "register": f"holding:{2 * i}", "type": "uint32"} for i in range(POINTS)]
        return {"name": "plc", "driver": "modbus-tcp", "host": "127.0.0.1", "port": self.port, "devices": [
            {"name": "dev", "unit": 1, "interval": f"{INTERVAL_MS}ms", "timeout": "30s", "points": points}]}


class Collector:
    """An independent subscriber that keeps all it gets, in order, and where it lost the broker."""

    def __init__(self, port, topic="gw/dev/+"):
        self.lock = threading.Condition()
        self.payloads = []  # (topic, payload)
        self.newest = {}  # topic -> value
        self._topic = topic
        self.client = mqtt.Client(client_id="collector", clean_session=False, protocol=mqtt.MQTTv311)
        self.client.on_connect = lambda client, *_: client.subscribe([(self._topic, 2), (MARK, 1)])
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.reconnect_delay_set(1, 1)
        self.subscriptions = self._marks = 0
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.wait(lambda: self.subscriptions == 1)

    def _on_subscribe(self, *_):
        with self.lock:
            self.subscriptions += 1
            self.lock.notify_all()

    def _on_message(self, client, userdata, message):
        with self.lock:
            if message.topic == MARK:
                self._marks += 1
                self.lock.notify_all()
                return
        body = json.loads(message.payload)
        with self.lock:
            self.payloads.append((message.topic, body))
            self.newest[message.topic] = max(body["value"] or 0, self.newest.get(message.topic, 0))
            self.lock.notify_all()

    def wait(self, condition, deadline_s=120):
        with self.lock:
            assert self.lock.wait_for(condition, deadline_s), f"not within {deadline_s} s; newest: {self.newest}"

    def wait_until(self, count, deadline_s=120):
        """Until every point has brought the number `count` or a later one."""
        self.wait(lambda: len(self.newest) == POINTS and min(self.newest.values()) >= count, deadline_s)

    def catch_up(self):
        """Waits for all that the broker has taken by now: what this client sends itself comes behind it."""
        with self.lock:
            wanted = self._marks + 1
        self.client.publish(MARK, qos=1)
        self.wait(lambda: self._marks >= wanted)

    def by_topic(self):
        with self.lock:
            topics = {}
            for topic, body in self.payloads:
                topics.setdefault(topic, []).append(body)
            return topics

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Verdict:
    """What arrived, held against what has to hold. Numbers are per topic; the worst topic counts."""

    def __init__(self, collector, order="fifo", has_steady_clock=True):
        self.has_steady_clock = has_steady_clock
        self.gaps, self.lost, self.duplicates, self.messages, self.numbered = 0, 0, 0, 0, 0
        for topic, bodies in collector.by_topic().items():
            self._take(topic, bodies, order)

    def _take(self, topic, bodies, order):
        seen, firsts = {}, []
        for body in bodies:
            assert body["quality"] == "good", (topic, body)
            value = body["value"]
            if value in seen:
                assert body.get("seq") == seen[value].get("seq"), f"{topic}: {value} again with another number: {body}"
                assert body == seen[value], f"{topic}: the same number with another record: {body}, {seen[value]}"
            else:
                seen[value] = body
                firsts.append(value)
        if order == "fifo":
            assert firsts == sorted(firsts), f"{topic}: out of order: {_disorder(firsts)}"
        ordered = sorted(firsts)
        times = [seen[value]["ts"] for value in ordered]
        assert not self.has_steady_clock or times == sorted(times), f"{topic}: times do not follow the readings"
        numbers = [seen[value]["seq"] for value in ordered if "seq" in seen[value]]
        assert all(a < b for a, b in zip(numbers, numbers[1:])), f"{topic}: numbers do not grow: {_fall(numbers)}"
        assert len(numbers) in (0, len(ordered)), f"{topic}: {len(numbers)} of {len(ordered)} records have a number"
        self.numbered += len(bodies) if numbers else 0
        steps = [b - a for a, b in zip(ordered, ordered[1:])]
        self.gaps = max(self.gaps, sum(1 for step in steps if step > 1))
        self.lost = max(self.lost, sum(step - 1 for step in steps))
        self.duplicates = max(self.duplicates, len(bodies) - len(firsts))
        self.messages += len(bodies)


def _disorder(values):
    return next((f"{a} before {b}" for a, b in zip(values, values[1:]) if b < a), "")


def _fall(numbers):
    return next((f"{b} after {a}" for a, b in zip(numbers, numbers[1:]) if b <= a), "")


def let_pass(device, polls, deadline_s=120):
    """Waits for some polls of the gateway to pass."""
    target, end = device.count + polls, time.monotonic() + deadline_s
    while device.count < target:
        assert time.monotonic() < end, f"the device was read {device.count} times, not {target}"
        threading.Event().wait(0.002)
    return device.count
