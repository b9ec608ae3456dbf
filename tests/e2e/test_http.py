"""Health, metrics and JSON over HTTP, read by other people's parsers; and what hostile clients get."""
import base64
import copy
import http.client
import json
import math
import os
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conftest import SLOW, free_port, make_config, tcp_bus, write_config

POINTS = [{"name": "voltage", "register": "holding:0", "scale": 0.1, "unit": "V"},
          {"name": "state", "register": "holding:1", "enum": {0: "ready", 7: 'a "fault" </script>'}, "unit": "<b>"},
          {"name": "gone", "register": "holding:9"}]


def device(name="meter", unit=1):
    return {"name": name, "unit": unit, "points": copy.deepcopy(POINTS)}  # YAML aliases are refused


class Site:
    """A gateway with its HTTP port."""

    def __init__(self, port, running, **connection):
        self.port, self.running, self.connection = port, running, connection
        running.wait_for_log("http: status page at ")

    def get(self, path, method="GET", headers=None, body=None):
        kind = http.client.HTTPSConnection if "context" in self.connection else http.client.HTTPConnection
        client = kind("127.0.0.1", self.port, timeout=20 * SLOW, **self.connection)
        client.request(method, path, body=body, headers=headers or {})
        answer = client.getresponse()
        answer.text = answer.read().decode()
        client.close()
        return answer

    def json(self, path):
        answer = self.get(path)
        assert answer.status == 200, answer.text
        return json.loads(answer.text)

    def wait(self, path, predicate, deadline_s=20):
        end = time.monotonic() + deadline_s * SLOW
        while True:
            answer = self.get(path)
            if predicate(answer):
                return answer
            assert time.monotonic() < end, answer.text
            time.sleep(0.05)

    def metrics(self):
        answer = self.get("/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return list(text_string_to_metric_families(answer.text))


@pytest.fixture
def site(gateway):
    def start(config, env=None, options=(), connection=None, **http_keys):
        port = free_port()
        config = {**config, "http": {"port": port, **http_keys}}
        return Site(port, gateway(config, env=env, options=options), **(connection or {}))
    return start


@pytest.fixture
def slave(modbus_tcp_slave):
    modbus_tcp_slave.unit(1).set("holding:0", [2301, 7])
    modbus_tcp_slave.unit(1).refuse("holding:9", 2)
    return modbus_tcp_slave


def wait_for_points(subscriber, points, device="meter"):
    """What the page shows of a point is there before its message is; one point says nothing of the others."""
    for point in points:
        subscriber.wait_for(f"gw/{device}/{point['name']}")


def sample(families, name, **labels):
    found = [s.value for f in families for s in f.samples if s.name == name and labels.items() <= s.labels.items()]
    assert len(found) == 1, (name, labels, found)
    return found[0]


# ---- health ------------------------------------------------------------------------------------------


@pytest.mark.quick
def test_healthy_is_not_ready_and_readiness_follows_the_broker(broker, slave, site):
    running = site(make_config(broker, [tcp_bus(slave, [device()])]))
    running.wait("/readyz", lambda a: a.status == 200)
    assert running.get("/healthz").status == 200

    broker.stop()
    answer = running.wait("/readyz", lambda a: a.status == 503)
    assert answer.text == "the broker is not connected\n"
    assert running.get("/healthz").status == 200
    broker.start()
    running.wait("/readyz", lambda a: a.status == 200)


# ---- metrics -----------------------------------------------------------------------------------------


@pytest.mark.quick
def test_a_bus_without_an_answer_has_no_latency(broker, slave, site):
    running = site(make_config(broker, [{**tcp_bus(slave, [device("away")], name="dead"), "port": free_port()}, tcp_bus(slave, [device()])]))
    name = "field2mqtt_bus_exchange_duration_seconds"
    running.wait("/metrics", lambda a: re.search(name + r'_count{bus="plc"} [1-9]', a.text))
    families = running.metrics()
    for quantile in ("0.5", "0.95", "0.99"):
        assert math.isnan(sample(families, name, bus="dead", quantile=quantile))  # as Prometheus' own client libraries have it
        assert sample(families, name, bus="plc", quantile=quantile) > 0
    assert sample(families, f"{name}_count", bus="dead") == 0


@pytest.mark.quick
def test_metrics_are_read_by_prometheus_and_agree_with_the_slave(broker, slave, site, subscriber):
    silent = tcp_bus(slave, [device("dead", unit=5)], name="other", interval="200ms")
    silent["devices"][0].update({"timeout": "100ms", "offline_after": "200ms", "retries": 0})
    slave.unit(5).silent = True
    running = site(make_config(broker, [tcp_bus(slave, [device()]), silent]))
    subscriber.wait_for("gw/meter/voltage")
    subscriber.wait_for("gw/meter/gone", lambda p: "illegal_data_address" in p)
    running.running.wait_for_log("dead .*offline")
    running.wait("/metrics", lambda a: 'device_up{bus="other",device="dead"} 0' in a.text)
    before = running.metrics()
    seen = len(slave.recorded())
    slave.wait_for_requests(seen + 10)
    families = running.metrics()

    names = [f.name for f in families]
    assert len(names) == len(set(names))
    for family in families:
        assert family.documentation and re.fullmatch(r"field2mqtt_[a-z_]+", family.name), family.name
        assert not re.search(r"_(ms|milliseconds|percent|kilobytes)(_|$)", family.name), family.name
        for entry in family.samples:
            assert entry.name.endswith("_total") == (family.type == "counter"), entry.name
            if family.type == "counter":
                assert entry.value >= sample(before, entry.name, **entry.labels) if any(
                    s.name == entry.name and s.labels == entry.labels for f in before for s in f.samples) else True
    assert sample(families, "field2mqtt_bus_up", bus="plc") == 1
    assert sample(families, "field2mqtt_device_up", bus="plc", device="meter") == 1
    assert sample(families, "field2mqtt_broker_up") == 1
    assert 0 <= sample(families, "field2mqtt_bus_utilisation_ratio", bus="plc") <= 1
    # Counted by the slave and by the gateway: the gateway's figure was taken within what the slave saw before and after.
    total = sum(sample(families, "field2mqtt_bus_requests_total", bus=name) for name in ("plc", "other"))
    slave.wait_for_requests(int(total))
    assert seen <= total + 2
    assert sample(families, "field2mqtt_bus_errors_total", bus="plc", reason="illegal_data_address") >= 1
    assert sample(families, "field2mqtt_bus_errors_total", bus="other", reason="timeout") >= 1
    assert sample(families, "field2mqtt_bus_exchange_duration_seconds_count", bus="plc") <= total
    fifty, ninety_nine = (sample(families, "field2mqtt_bus_exchange_duration_seconds", bus="other", quantile=q)
                          for q in ("0.5", "0.99"))
    assert 0.09 < fifty <= ninety_nine  # the timeout is 100 ms


def test_the_outbox_is_seen_to_grow_while_the_broker_is_away(broker, slave, site, subscriber):
    running = site(make_config(broker, [tcp_bus(slave, [device()])], publish={"when": "every"}))
    subscriber.wait_for("gw/meter/voltage")
    broker.stop()
    running.wait("/metrics", lambda a: re.search(r"(?m)^field2mqtt_outbox_messages [1-9]\d", a.text))
    families = running.metrics()
    assert sample(families, "field2mqtt_outbox_bytes") > 100 and sample(families, "field2mqtt_outbox_oldest_age_seconds") > 0
    running.wait("/api/v1/status", lambda a: json.loads(a.text)["broker"]["connected"] is False)
    broker.start()
    running.wait("/metrics", lambda a: "field2mqtt_outbox_messages 0\n" in a.text)
    assert sample(running.metrics(), "field2mqtt_outbox_dropped_messages_total", reason="full") == 0


def test_crc_errors_are_counted(broker, modbus_rtu_slave, site, subscriber):
    from conftest import rtu_bus
    from modbus_slave import Faults
    modbus_rtu_slave.unit(1)
    config = make_config(broker, [rtu_bus(modbus_rtu_slave, [{"name": "m", "unit": 1, "timeout": "300ms",
                                                              "points": [{"name": "p", "register": "holding:0"}]}])])
    running = site(config)
    subscriber.wait_for("gw/m/p")
    modbus_rtu_slave.faults = Faults(1.0, 0.01, 1)
    running.wait("/metrics", lambda a: re.search(r'errors_total\{bus="line",reason="[a-z_]*crc[a-z_]*"\} [1-9]', a.text))


# ---- JSON --------------------------------------------------------------------------------------------


@pytest.mark.quick
def test_status_and_points_say_what_the_page_shows(broker, slave, site, subscriber):
    running = site(make_config(broker, [tcp_bus(slave, [device()])]))
    wait_for_points(subscriber, POINTS)
    running.wait("/readyz", lambda a: a.status == 200)
    status = running.json("/api/v1/status")
    assert status["gateway"] == "gw" and status["alive"] is True
    assert status["broker"]["connected"] and status["broker"]["server"] == broker.url
    (bus,) = status["buses"]
    assert (bus["name"], bus["driver"], bus["state"]) == ("plc", "modbus-tcp", "online")
    assert bus["devices"] == [{"name": "meter", "template": None, "state": "online", "reason": None,
                               "since": bus["devices"][0]["since"], "points": 3, "bad_points": 1}]
    assert any("status page at" in line[2] for line in status["log"] if line)

    by_name = {p["name"]: p for p in running.json("/api/v1/points")["points"]}
    voltage = by_name["voltage"]
    assert (voltage["value"], voltage["unit"], voltage["quality"], voltage["topic"]) == (230.1, "V", "good", "gw/meter/voltage")
    assert abs(voltage["ts"] / 1000 - time.time()) < 3600
    assert (by_name["state"]["value"], by_name["state"]["unit"]) == ('a "fault" </script>', "<b>")
    assert (by_name["gone"]["value"], by_name["gone"]["quality"], by_name["gone"]["reason"]) == (None, "bad", "illegal_data_address")


@pytest.mark.quick
def test_events_tell_what_changes_and_end_with_the_gateway(broker, slave, site, subscriber):
    running = site(make_config(broker, [tcp_bus(slave, [device()])]))
    wait_for_points(subscriber, POINTS)
    client = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20 * SLOW)
    client.request("GET", "/api/v1/events")
    stream = client.getresponse()
    assert stream.headers["Content-Type"] == "text/event-stream"

    def event(name):
        while True:
            line = stream.readline().decode()
            assert line, "the stream ended"
            if line == f"event: {name}\n":
                return json.loads(stream.readline().decode().removeprefix("data: "))

    assert event("status")["gateway"] == "gw"
    places = {p["name"]: n for n, p in enumerate(running.json("/api/v1/points")["points"])}
    first = {change[0]: change for change in event("points")["changes"]}
    assert first[places["voltage"]][1] == 230.1 and first[places["gone"]][2] == "illegal_data_address"
    slave.unit(1).set("holding:0", [2310])
    while not any(c[0] == places["voltage"] and c[1] == 231 for c in event("points")["changes"]):
        pass
    running.running.stop()
    while stream.readline():
        pass


def test_events_begin_anew_after_a_reload(tmp_path, broker, slave, site, subscriber):
    running = site(make_config(broker, [tcp_bus(slave, [device()])]))
    subscriber.wait_for("gw/meter/gone")
    epoch = running.json("/api/v1/points")["epoch"]
    config = {**make_config(broker, [tcp_bus(slave, [device("other")])]), "http": {"port": running.port}}
    write_config(tmp_path, config)
    running.running.signal(signal.SIGHUP)
    running.running.wait_for_log("reload: applied")
    after = running.json("/api/v1/points")
    assert after["epoch"] > epoch and {p["device"] for p in after["points"]} == {"other"}
    assert running.json("/api/v1/status")["reload"]["refused"] is False
    write_config(tmp_path, "nonsense: [")
    running.running.signal(signal.SIGHUP)
    running.running.wait_for_log("reload: refused")
    assert running.json("/api/v1/status")["reload"]["refused"] is True
    assert sample(running.metrics(), "field2mqtt_last_reload_successful") == 0


# ---- who may ask, and where --------------------------------------------------------------------------


def test_a_token_is_asked_for_and_health_is_open(tmp_path, broker, slave, site):
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    running = site(make_config(broker, [tcp_bus(slave, [device()])]), token_file=str(token))

    for path in ("/", "/page.js", "/metrics", "/api/v1/status", "/api/v1/points", "/api/v1/events", "/nowhere"):
        answer = running.get(path)
        assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Basic"), path
    assert running.get("/healthz").status == 200
    basic = base64.b64encode(b"anybody:s3cret").decode()
    wrong = base64.b64encode(b"anybody:s3cre").decode()
    assert running.get("/metrics", headers={"Authorization": "Bearer s3cret"}).status == 200
    assert running.get("/", headers={"Authorization": f"Basic {basic}"}).status == 200
    for given in ("Bearer s3cre", "Bearer s3crets", "Bearer ", f"Basic {wrong}", "Basic !!", "s3cret"):
        assert running.get("/metrics", headers={"Authorization": given}).status == 401, given
    assert "s3cret" not in running.running.log


def test_tls_with_its_own_certificate(tmp_path, broker, slave, site):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
                   check=True, capture_output=True)
    running = site(make_config(broker, [tcp_bus(slave, [device()])]), cert_file=str(tmp_path / "cert.pem"),
                   key_file=str(tmp_path / "key.pem"),
                   connection={"context": ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))})
    assert running.get("/healthz").text == "ok\n"
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" not in plain.recv(1000)


def test_off_is_off(broker, slave, gateway, subscriber):
    running = gateway({**make_config(broker, [tcp_bus(slave, [device()])]), "http": "off"})
    subscriber.wait_for("gw/meter/voltage")
    assert "http:" not in running.log
    assert listening(running.pid) == set()


def listening(pid):
    """Inodes of the listening sockets of a process."""
    inodes = {line.split()[9] for table in ("tcp", "tcp6") for line in open(f"/proc/net/{table}").readlines()[1:]
              if line.split()[3] == "0A"}
    links = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.add(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            pass
    return {inode for inode in inodes if f"socket:[{inode}]" in links}


def test_a_port_in_use_costs_the_page_not_the_plant(broker, slave, gateway, subscriber):
    with socket.socket() as taken:
        port = free_port()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        running = gateway({**make_config(broker, [tcp_bus(slave, [device()])]), "http": {"port": port}})
        running.wait_for_log(f"http: cannot listen on 127.0.0.1 port {port}: another program listens there; going on "
                             "without the status page, trying again every 10 s")
        subscriber.wait_for("gw/meter/voltage")
    running.wait_for_log("http: status page at", deadline_s=30)
    assert running.log.count("cannot listen") == 1


# ---- hostile clients ---------------------------------------------------------------------------------


def test_only_the_own_names_are_answered_on_the_loopback(broker, slave, site):
    running = site(make_config(broker, [tcp_bus(slave, [device()])]))
    for host in ("localhost", f"127.0.0.1:{running.port}", "[::1]:80", "LOCALHOST:1"):
        assert running.get("/api/v1/points", headers={"Host": host}).status == 200, host
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""):
        assert running.get("/api/v1/points", headers={"Host": host}).status == 421, host


def test_nothing_but_reading(broker, slave, site):
    running = site(make_config(broker, [tcp_bus(slave, [device()])]))
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = running.get("/api/v1/points", method=method, body="x" * 100_000)
        assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD", method
    for path in ("/nowhere", "/api/v1/points/", "/../../etc/passwd", "/%2e%2e/etc/passwd"):
        assert running.get(path).status == 404, path
    headers = running.get("/").headers
    assert "default-src 'none'" in headers["Content-Security-Policy"] and "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.quick
def test_garbage_and_slow_clients_cost_nothing(broker, slave, site, subscriber):
    running = site(make_config(broker, [tcp_bus(slave, [device()])], publish={"when": "every"}))
    subscriber.wait_for("gw/meter/voltage")
    garbage = [os.urandom(4000), b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 2000, b"GET /" + b"a" * 60_000, b"\x16\x03\x01" * 500,
               b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
               b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(3000)) + b"\r\n"]
    for data in garbage:
        with socket.create_connection(("127.0.0.1", running.port), timeout=20) as client:
            client.settimeout(20 * SLOW)
            try:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                while client.recv(4096):
                    pass
            except (ConnectionError, socket.timeout):
                pass
    slow = []
    for _ in range(60):  # more than are let in
        client = socket.create_connection(("127.0.0.1", running.port), timeout=20)
        client.sendall(b"GET /api/v1/points HTTP/1.1\r\nHost: local")
        slow.append(client)
    mark = subscriber.mark()
    subscriber.wait_for("gw/meter/voltage", since=mark, count=5)
    threads = int(re.search(r"Threads:\s*(\d+)", open(f"/proc/{running.running.pid}/status").read())[1])
    assert threads < 60
    for client in slow:
        client.close()
    end = time.monotonic() + 30 * SLOW
    while True:
        try:
            assert running.get("/healthz").status == 200
            break
        except (ConnectionError, http.client.HTTPException, OSError):
            assert time.monotonic() < end
            time.sleep(0.1)
    running.running.stop()


def test_it_ends_in_time_with_clients_that_do_not_read(broker, slave, site, subscriber):
    running = site(make_config(broker, [tcp_bus(slave, [device()])]))
    subscriber.wait_for("gw/meter/voltage")
    clients = []
    for _ in range(5):
        client = socket.create_connection(("127.0.0.1", running.port), timeout=20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        clients.append(client)
    running.running.stop(deadline_s=15)
    for client in clients:
        client.close()
