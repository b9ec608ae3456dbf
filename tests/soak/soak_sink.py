"""The far side of the soak, in a process of its own: an independent subscriber that checks each message as it comes.

usage: soak_sink.py PORT    prints "ready"; each line of input is answered by one of JSON: what has come since the last one, and the
sums so far; the end of input ends it. It keeps no message, so that it can go on for days.
"""
import json
import sys
import threading
import time
from collections import OrderedDict

import paho.mqtt.client as mqtt

REMEMBERED = 5000  # values of a topic that may come again: more than can be under way


class Topic:
    """Numbers have to go up by one; one that has been there is a duplicate only with the same sequence number."""

    def __init__(self):
        self.newest, self.lost, self.duplicates, self.wrong = 0, 0, 0, []  # the first number is 1
        self.recent = OrderedDict()

    def take(self, body):
        value = body["value"]
        if body["quality"] != "good":
            self.wrong.append(body)
        elif value > self.newest:
            self.lost += int(value - self.newest - 1)
            self.newest = value
            self.recent[value] = body
            if len(self.recent) > REMEMBERED:
                self.recent.popitem(last=False)
        elif self.recent.get(value) == body:
            self.duplicates += 1
        else:
            self.wrong.append(body)


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


class Sink:
    def __init__(self, port):
        self.lock, self.topics, self.messages, self.latencies_ms = threading.Lock(), {}, 0, []
        self.ready = threading.Event()
        self.client = mqtt.Client(client_id="soak-sink", clean_session=False, protocol=mqtt.MQTTv311)
        self.client.on_connect = lambda client, *_: client.subscribe("soak/+/+", qos=2)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self.on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.ready.wait(30)

    def on_message(self, client, userdata, message):
        arrived_ms = time.time() * 1000
        body = json.loads(message.payload)
        with self.lock:
            self.messages += 1
            self.latencies_ms.append(arrived_ms - body["ts"])
            self.topics.setdefault(message.topic, Topic()).take(body)

    def report(self):
        with self.lock:
            latencies, self.latencies_ms = sorted(self.latencies_ms), []
            topics = dict(self.topics)
            wrong = [f"{name}: {body}" for name, topic in topics.items() for body in topic.wrong[:3]]
            return {"messages": self.messages, "topics": len(topics), "wrong": wrong[:5],
                    "lost": sum(topic.lost for topic in topics.values()),
                    "duplicates": max((topic.duplicates for topic in topics.values()), default=0),
                    "newest": {name: topic.newest for name, topic in topics.items()},
                    "p50": percentile(latencies, 0.5), "p95": percentile(latencies, 0.95), "p99": percentile(latencies, 0.99),
                    "most": latencies[-1] if latencies else None}


def main(port):
    sink = Sink(int(port))
    print('"ready"', flush=True)
    for _ in sys.stdin:
        print(json.dumps(sink.report()), flush=True)
    sink.client.disconnect()
    sink.client.loop_stop()


if __name__ == "__main__":
    main(sys.argv[1])
