"""Fixtures of the end-to-end tests: a real broker, an independent subscriber, Modbus slaves, the gateway.

Everything waits for events with a deadline, uses free ports of the loopback, and ends only what it started.
"""
import json
import os
import pwd
import re
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections import namedtuple
from pathlib import Path

import paho.mqtt.client as mqtt
import paho.mqtt.packettypes
import paho.mqtt.subscribeoptions
import pytest
import yaml

from modbus_slave import RtuSlave, TcpSlave
from ports import free_port

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("FIELD2MQTT_BUILD", "build/debug")
PROGRAM = str(BUILD / "field2mqtt")
UNDER = os.environ.get("FIELD2MQTT_UNDER", "").split()  # put in front of the gateway: valgrind and its options
SLOW = 10 if UNDER else 3 if BUILD.name in ("asan", "tsan") else 1  # deadlines are stretched
os.environ.setdefault("LSAN_OPTIONS", f"suppressions={ROOT}/tests/lsan.supp:print_suppressions=0")
COMPLAINTS = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:")


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: also run against the builds with sanitizers")
    config.addinivalue_line("markers", "slow: takes minutes; runs with FIELD2MQTT_SLOW=1 only")
    config.addinivalue_line("markers", "longer: runs always, and for longer with FIELD2MQTT_SLOW=1")


def pytest_collection_modifyitems(config, items):
    """Leaves the slow tests out, unless they are asked for: then they are all that runs."""
    wanted = bool(os.environ.get("FIELD2MQTT_SLOW"))
    others = [item for item in items
              if bool(item.get_closest_marker("slow")) != wanted and not (wanted and item.get_closest_marker("longer"))]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


class Process:
    """A program with its standard error collected line by line."""

    def __init__(self, argv, **kwargs):
        self.lines = []
        self._changed = threading.Condition()
        self._popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, text=True, errors="replace", **kwargs)
        self.pid = self._popen.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._popen.stderr:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def log(self):
        return "\n".join(self.lines)

    def running(self):
        return self._popen.poll() is None

    def wait_for_log(self, pattern, deadline_s=60, since=0, count=1):
        """Waits for the count-th line that matches; returns the match. `since` skips the first lines. Lines are written by a
        thread of the gateway's and read by one of the test's: what is seen elsewhere may come to the log later."""
        end = time.monotonic() + deadline_s * SLOW
        seen, left_out = since, count - 1
        with self._changed:
            while True:
                for line in self.lines[seen:]:
                    seen += 1
                    if match := re.search(pattern, line):
                        if not left_out:
                            return match
                        left_out -= 1
                left = end - time.monotonic()
                assert left > 0, f"no line with /{pattern}/ within {deadline_s} s in:\n{self.log}"
                assert self._reader.is_alive(), f"ended ({self._popen.wait()}) without /{pattern}/:\n{self.log}"
                self._changed.wait(left)

    def signal(self, number):
        self._popen.send_signal(number)

    def wait(self, deadline_s=30):
        try:
            code = self._popen.wait(deadline_s * SLOW)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            pytest.fail(f"still running after {deadline_s} s:\n{self.log}")
        self._reader.join(60 * SLOW)  # the log is whole now
        return code

    def kill(self):
        if self.running():
            self._popen.kill()
        self._popen.wait()
        self._reader.join(60 * SLOW)  # the log is whole now

    def cpu_s(self):
        """Processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Broker:
    """mosquitto on a port of its own; may be stopped and started again on the same port."""

    def __init__(self, folder, extra=""):
        self.port = free_port()
        self.file = Path(folder) / f"mosquitto-{self.port}.conf"
        self.file.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            f"user {pwd.getpwuid(os.geteuid()).pw_name}\n"  # as root it would become "mosquitto"
            f"max_queued_messages 0\nmax_inflight_messages 0\nlog_dest stderr\nlog_type all\n{extra}")
        self.process = None

    @property
    def url(self):
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self):
        program = next(p for p in ("/usr/sbin/mosquitto", "/usr/bin/mosquitto", "mosquitto") if os.path.exists(p))
        self.process = Process([program, "-c", str(self.file)])
        self.process.wait_for_log(r"mosquitto version \S+ running")  # the name of the folder may have the word, too
        return self

    def stop(self):
        if self.process:
            self.process.signal(signal.SIGCONT)
            self.process.kill()
            self.process = None

    def restart(self):
        self.stop()
        self.start()


Message = namedtuple("Message", "time topic payload qos retain properties", defaults=[None])


class Subscriber:
    """An independent MQTT client (paho, Python) that collects all that the broker hands out."""

    def __init__(self, broker, topic="#", **auth):
        self._changed = threading.Condition()
        self.messages = []
        self.subscriptions = 0
        self._topic = topic
        self.client = mqtt.Client(client_id="", protocol=mqtt.MQTTv5)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.reconnect_delay_set(1, 1)
        if auth:
            self.client.username_pw_set(**auth)
        self.client.connect("127.0.0.1", broker.port, clean_start=True)
        self.client.loop_start()
        self.wait_subscribed(1)

    def _on_connect(self, client, userdata, flags, code, properties=None):
        # Retain as published: the flag that the gateway has set is seen.
        options = paho.mqtt.subscribeoptions.SubscribeOptions(qos=2, retainAsPublished=True)
        client.subscribe(self._topic, options=options)

    def _on_subscribe(self, *_):
        with self._changed:
            self.subscriptions += 1
            self._changed.notify_all()

    def _on_message(self, client, userdata, message):
        with self._changed:
            self.messages.append(Message(time.monotonic(), message.topic, message.payload.decode("utf-8"),
                                         message.qos, bool(message.retain), message.properties))
            self._changed.notify_all()

    def wait_subscribed(self, times, deadline_s=60):
        with self._changed:
            assert self._changed.wait_for(lambda: self.subscriptions >= times, deadline_s * SLOW), "not subscribed"

    def catch_up(self):
        """Afterwards all is here that the broker had for this client before, also what it retained: a message to oneself
        comes behind it."""
        token, topic = uuid.uuid4().hex, self._topic.replace("#", "catch-up").replace("+", "catch-up")
        self.client.publish(topic, token, qos=2)
        own = self.wait_for(topic, lambda p: p == token)
        with self._changed:
            self.messages.remove(own)

    def mark(self):
        """A place in the stream of messages, for since=."""
        with self._changed:
            return len(self.messages)

    def of(self, topic, since=0):
        with self._changed:
            return [m for m in self.messages[since:] if m.topic == topic]

    def wait_for(self, topic, predicate=None, deadline_s=60, since=0, count=1):
        """Waits for the count-th message on the topic (from mark `since` on) whose payload fits; returns it."""
        end = time.monotonic() + deadline_s * SLOW
        with self._changed:
            while True:
                found = [m for m in self.messages[since:] if m.topic == topic and (not predicate or predicate(m.payload))]
                if len(found) >= count:
                    return found[count - 1]
                left = end - time.monotonic()
                if left <= 0:
                    seen = [m.payload for m in self.messages[since:] if m.topic == topic][-5:]
                    topics = sorted({m.topic for m in self.messages})[:40]
                    pytest.fail(f"{len(found)} of {count} messages on {topic} within {deadline_s} s; "
                                f"last there: {seen}; topics: {topics}")
                self._changed.wait(left)

    def wait_for_json(self, topic, predicate=None, **kwargs):
        message = self.wait_for(topic, (lambda p: predicate(json.loads(p))) if predicate else None, **kwargs)
        return json.loads(message.payload)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Gateway(Process):
    """field2mqtt run with a configuration."""

    def __init__(self, file, env=None, options=(), **kwargs):
        # A folder of its own for what waits for the broker, unless the configuration or env says where.
        state = tempfile.mkdtemp(prefix="state-", dir=Path(file).parent)
        super().__init__([*UNDER, PROGRAM, "run", "-c", str(file), *options], cwd=str(ROOT),
                         env={**os.environ, "STATE_DIRECTORY": state, **(env or {})}, **kwargs)

    def stop(self, deadline_s=30):
        """Asks it to end as systemd does; it has to end in order."""
        if self.running():
            self.signal(signal.SIGTERM)
            code = self.wait(deadline_s)
            assert code == 0, f"ended with {code}:\n{self.log}"
        assert not COMPLAINTS.search(self.log), self.log


def make_config(broker, buses, **sections):
    """The smallest configuration around some buses; sections are merged over it.

    Devices may take long to answer, so that a slave which has to wait for the processor is none that fails. A test of silence
    gives the device that is silent a timeout of its own."""
    config = {
        "gateway": {"name": "gw"},
        "mqtt": {"servers": [broker.url], "reconnect_min": "200ms", "reconnect_max": "500ms",
                 "device_states": False},
        "interval": "100ms",
        "timeout": "30s",
        "http": {"enabled": False},  # the port is one for all
        "buses": buses,
    }
    for name, section in sections.items():
        config[name] = {**config.get(name, {}), **section} if isinstance(section, dict) else section
    return config


def write_config(folder, config):
    file = Path(folder) / "field2mqtt.yaml"
    file.write_text(config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    return file


RELOAD_DONE = r"reload: (applied|refused|nothing)"


class Site:
    """A running gateway and the file that it reads."""

    def __init__(self, folder, running):
        self.folder, self.running = folder, running

    def reload(self, config, deadline_s=60):
        """Writes the file, asks for a reload and waits for its outcome; gives the closing line."""
        write_config(self.folder, config)
        return self.ask(deadline_s)

    def ask(self, deadline_s=60):
        seen = len(self.running.lines)
        self.running.signal(signal.SIGHUP)
        return self.running.wait_for_log(RELOAD_DONE, deadline_s=deadline_s, since=seen).string


def applied(subscriber, since):
    """The topics of commands are those of the new configuration: this is sent behind the subscriptions."""
    subscriber.wait_for("field2mqtt/gw/reload", lambda p: json.loads(p)["state"] == "applied", since=since)


def tcp_bus(slave, devices, **keys):
    return {"name": "plc", "driver": "modbus-tcp", "host": slave.address, "port": slave.port,
            "reopen_min": "100ms", "reopen_max": "300ms", **keys, "devices": devices}


def rtu_bus(slave, devices, **keys):
    return {"name": "line", "driver": "modbus-rtu", "port": slave.port, "baud": 115200,
            "reopen_min": "100ms", "reopen_max": "300ms", **keys, "devices": devices}


def wait_until(is_so, deadline_s=60):
    """For what has no event to wait for: what the kernel shows, a file, a slave."""
    end = time.monotonic() + deadline_s * SLOW
    while not is_so():
        assert time.monotonic() < end, f"not within {deadline_s} s"
        time.sleep(0.005)


class Started:
    """Stops what a test has started, in reverse order, and shows the log of a failed gateway."""

    def __init__(self):
        self._items = []

    def add(self, item):
        self._items.append(item)
        return item

    def stop_all(self):
        errors = []
        for item in reversed(self._items):
            if isinstance(item, Gateway):
                print(f"log of {item.pid}:\n{item.log[-20000:]}")  # pytest shows it when the test has failed
            try:
                item.stop() if hasattr(item, "stop") else item.close()
            except (AssertionError, OSError, pytest.fail.Exception) as error:
                errors.append(str(error))
                if isinstance(item, Process):
                    item.kill()
        assert not errors, "\n".join(errors)


@pytest.fixture
def started():
    things = Started()
    yield things
    things.stop_all()


@pytest.fixture(scope="module")
def started_once():
    things = Started()
    yield things
    things.stop_all()


@pytest.fixture
def broker(tmp_path, started):
    return started.add(Broker(tmp_path)).start()


@pytest.fixture
def subscriber(broker, started):
    return started.add(Subscriber(broker))


@pytest.fixture
def modbus_tcp_slave(started):
    return started.add(TcpSlave()).start()


@pytest.fixture
def modbus_rtu_tcp_slave(started):
    return started.add(TcpSlave(framing="rtu")).start()


@pytest.fixture
def modbus_rtu_slave(tmp_path, started):
    return started.add(RtuSlave(str(tmp_path))).plug()


@pytest.fixture
def gateway(tmp_path, started):
    """Starts a gateway: gateway(config) with a text or a dictionary."""
    def start(config, **kwargs):
        return started.add(Gateway(write_config(tmp_path, config), **kwargs))
    return start


@pytest.fixture
def site(tmp_path, gateway):
    def start(config, **kwargs):
        return Site(tmp_path, gateway(config, **kwargs))
    return start
