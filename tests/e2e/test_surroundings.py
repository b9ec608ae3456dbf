"""What is shipped for the programs around the gateway: a broker's configuration, a dashboard, a flow. Each is tried."""
import json
import re
import socket
import subprocess
import threading

import pytest
import yaml
from paho.mqtt import client as mqtt

from conftest import ROOT, Broker, make_config, tcp_bus
from test_http import Site, free_port

FOLDER = ROOT / "config/mosquitto"
PASSWORDS = {"pump-house": "p", "other": "x", "scada": "s", "operator": "o"}


class PlantBroker(Broker):
    """mosquitto with the shipped files; only paths and the port are those of the test."""

    def __init__(self, folder):
        super().__init__(folder)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "broker.key", "-out", folder / "broker.pem"],
                       check=True, capture_output=True)
        for name, password in PASSWORDS.items():
            new = [] if (folder / "passwd").exists() else ["-c"]
            subprocess.run(["mosquitto_passwd", *new, "-b", folder / "passwd", name, password], check=True, capture_output=True)
        (folder / "acl").write_text((FOLDER / "acl").read_text())
        for name in ("acl", "passwd", "broker.key"):
            (folder / name).chmod(0o600)
        own = re.search(r"(?m)^user .*", self.file.read_text())[0]
        text = (FOLDER / "field2mqtt.conf").read_text()
        text = text.replace("listener 8883", f"listener {self.port} 127.0.0.1").replace("/etc/mosquitto/certs", str(folder))
        text = text.replace("/etc/mosquitto", str(folder)).replace("/var/lib/mosquitto/", f"{folder}/")
        self.file.write_text(f"{text}\n{own}\nlog_dest stderr\nlog_type all\n")
        self.ca = folder / "broker.pem"


class Client:
    """A client with a name, its password and TLS; collects what it gets."""

    def __init__(self, broker, user, password=None):
        self.messages, self.code, self._changed = [], None, threading.Condition()
        self.client = mqtt.Client(protocol=mqtt.MQTTv5)
        if user:
            self.client.username_pw_set(user, password or PASSWORDS[user])
        self.client.tls_set(ca_certs=str(broker.ca))
        self.client.on_connect = self._on_connect
        self.client.on_message = self._on_message
        self.client.on_subscribe = self._on_subscribe
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        self.wait(lambda: self.code is not None)

    def _on_connect(self, client, userdata, flags, code, properties=None):
        if code.value == 0:
            client.subscribe("#", qos=1)
        else:
            self._is_known(code.value)

    def _on_subscribe(self, *_):
        self._is_known(0)

    def _is_known(self, code):
        with self._changed:
            self.code = code
            self._changed.notify_all()

    def _on_message(self, client, userdata, message):
        with self._changed:
            self.messages.append((message.topic, message.payload.decode()))
            self._changed.notify_all()

    def wait(self, predicate, deadline_s=60):
        with self._changed:
            assert self._changed.wait_for(predicate, deadline_s), self.messages[-20:]

    def got(self, topic, text=""):
        self.wait(lambda: any(t == topic and text in p for t, p in self.messages))

    def publish(self, topic, payload):
        """Waits for the broker's answer, which may be that it is not authorised."""
        self.client.publish(topic, payload, qos=1).wait_for_publish(60)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def plant(tmp_path, started):
    return started.add(PlantBroker(tmp_path)).start()


def test_the_shipped_broker_lets_everybody_do_what_is_theirs_and_no_more(tmp_path, plant, modbus_tcp_slave, gateway, started):
    modbus_tcp_slave.unit(1)
    secret = tmp_path / "secret"
    secret.write_text("p\n")
    secret.chmod(0o600)
    points = [{"name": "speed", "register": "holding:0", "access": "rw"}]
    config = make_config(plant, [tcp_bus(modbus_tcp_slave, [{"name": "pump", "unit": 1, "points": points}])],
                         gateway={"name": "pump-house"}, commands={"enabled": True}, publish={"topic": "plant1/${gateway}/${device}/${point}"},
                         mqtt={"servers": [f"mqtts://127.0.0.1:{plant.port}"], "username": "pump-house",
                               "password_file": str(secret), "tls": {"ca_file": str(plant.ca)}, "device_states": True})
    scada = started.add(Client(plant, "scada"))
    running = gateway(config)
    scada.got("field2mqtt/pump-house/state", "online")
    scada.got("field2mqtt/pump-house/plc/pump/state", "online")
    scada.got("plant1/pump-house/pump/speed", '"value":0')

    operator = started.add(Client(plant, "operator"))
    operator.publish("plant1/pump-house/pump/speed/set", "41")
    scada.got("plant1/pump-house/pump/speed/result", '"ok":true')
    assert modbus_tcp_slave.unit(1).get("holding:0") == [41]

    # Neither who only reads, nor another gateway, nor an operator outside of his topics gets anything through. What is
    # allowed comes behind it and is seen: by then the rest would have been seen too.
    other = started.add(Client(plant, "other"))
    for client in (scada, other):
        client.publish("plant1/pump-house/pump/speed/set", "1")
    other.publish("plant1/pump-house/pump/speed", "forged")
    operator.publish("plant1/pump-house/pump/speed", "forged")
    operator.publish("field2mqtt/pump-house/state", "offline")
    other.publish("plant1/other/d/p", "own")
    scada.got("plant1/other/d/p", "own")
    operator.publish("plant1/pump-house/pump/speed/set", "42")
    scada.got("plant1/pump-house/pump/speed/result", '"value":42')
    assert modbus_tcp_slave.unit(1).get("holding:0") == [42]
    assert not any(p in ("forged", "offline") for _, p in scada.messages)
    results = [json.loads(p) for t, p in scada.messages if t.endswith("/result")]
    assert [r["value"] for r in results] == [41, 42]
    # Another gateway hears nothing of this one.
    assert not [t for t, _ in other.messages if "pump-house" in t]

    assert started.add(Client(plant, None)).code != 0
    assert started.add(Client(plant, "operator", "wrong")).code != 0
    running.stop()


def test_the_shipped_broker_speaks_tls_only(plant):
    with socket.create_connection(("127.0.0.1", plant.port), timeout=20) as plain:
        plain.sendall(b"\x10\x0e\0\4MQTT\4\2\0\x3c\0\2ab")
        try:
            answer = plain.recv(4)
        except ConnectionResetError:
            answer = b""
    assert not answer.startswith(b"\x20")  # no CONNACK


def test_the_dashboard_asks_for_metrics_that_there_are(broker, modbus_tcp_slave, gateway, subscriber):
    modbus_tcp_slave.unit(1).refuse("holding:0")
    config = make_config(broker, [tcp_bus(modbus_tcp_slave, [{"name": "m", "unit": 1, "points": [{"name": "p", "register": "holding:0"}]}])])
    config["http"] = {"port": free_port()}
    site = Site(config["http"]["port"], gateway(config))
    subscriber.wait_for("gw/m/p", lambda p: "illegal" in p)
    families = site.metrics()
    given = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    kinds = {family.name: family.type for family in families}

    dashboard = json.loads((ROOT / "config/dashboards/grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(queries) > 10
    for query in queries:
        for name, labels in re.findall(r"(field2mqtt_\w+)\{([^}]*)\}", query):
            assert name in given, query
            for label in re.findall(r"(\w+)=", labels):
                assert label == "instance" or label in given[name], query
            is_counter = kinds.get(name.removesuffix("_total")) == "counter"
            assert is_counter == bool(re.search(r"(rate|increase)\(" + name, query)), query
        for legend in re.findall(r"by \(([^)]*)\)", query):
            assert set(legend.split(", ")) <= {"instance"} | set().union(*given.values()), query
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


@pytest.fixture
def published(broker, modbus_tcp_slave, gateway, subscriber):
    """The plant of the README in small: {topic: last payload} of all that it publishes."""
    modbus_tcp_slave.unit(1).set("holding:0", [2301])
    modbus_tcp_slave.unit(1).refuse("holding:1")
    bus = {**tcp_bus(modbus_tcp_slave, [{"name": "mains-meter", "unit": 1, "points": [
        {"name": "voltage_l1", "register": "holding:0", "scale": 0.1, "unit": "V"}, {"name": "gone", "register": "holding:1"}]}]),
        "name": "rs485-1"}
    gateway(make_config(broker, [bus], gateway={"name": "pump-house"}, publish={"topic": "plant1/${gateway}/${device}/${point}"},
                        mqtt={"servers": [broker.url], "device_states": True}))
    subscriber.wait_for("plant1/pump-house/mains-meter/gone")
    subscriber.wait_for("plant1/pump-house/mains-meter/voltage_l1", lambda p: '"value":230.1' in p)
    for topic in ("state", "rs485-1/state", "rs485-1/mains-meter/state"):
        subscriber.wait_for(f"field2mqtt/pump-house/{topic}", lambda p: p == "online")
    return {message.topic: message.payload for message in subscriber.messages}


def matching(published, topic_filter):
    return {topic: payload for topic, payload in published.items() if mqtt.topic_matches_sub(topic_filter, topic)}


def test_the_flow_gets_what_the_gateway_publishes(published):
    flow = {node["id"]: node for node in json.loads((ROOT / "config/dashboards/node-red.json").read_text())}
    values, states = (matching(published, flow[node]["topic"]) for node in ("f2m-values", "f2m-states"))

    assert set(values) == {topic for topic in published if topic.startswith("plant1/")}
    assert states == {"field2mqtt/pump-house/rs485-1/mains-meter/state": "online"}
    used = {rule["to"].removeprefix("payload.") for rule in flow["f2m-number"]["rules"]}
    good, bad = (json.loads(values[f"plant1/pump-house/mains-meter/{point}"]) for point in ("voltage_l1", "gone"))
    assert used <= set(good) and flow["f2m-good"]["property"] == "payload.quality"
    assert (good["quality"], bad["quality"]) == (flow["f2m-good"]["rules"][0]["v"], "bad")
    assert flow["f2m-gone"]["rules"][0]["v"] == "offline"


def test_home_assistant_gets_what_the_manual_says(published):
    block = re.search(r"## Home Assistant\n\n```yaml\n(.*?)```", (ROOT / "docs/scada.md").read_text(), re.DOTALL)[1]
    sensor, = yaml.safe_load(block)["mqtt"]["sensor"]

    assert json.loads(published[sensor["state_topic"]])[re.search(r"value_json\.(\w+)", sensor["value_template"])[1]] == 230.1
    assert json.loads(published[sensor["state_topic"]])["unit"] == sensor["unit_of_measurement"]
    assert {published[entry["topic"]] for entry in sensor["availability"]} == {"online"}  # its default for payload_available


def test_the_fields_that_the_manual_names_are_those_of_a_payload(published):
    example, = re.findall(r"```json\n(.*?)```", (ROOT / "docs/scada.md").read_text(), re.DOTALL)

    assert list(json.loads(example)) == list(json.loads(published["plant1/pump-house/mains-meter/voltage_l1"]))


def test_the_flow_hangs_together_and_its_topics_are_ours():
    flow = json.loads((ROOT / "config/dashboards/node-red.json").read_text())
    ids = [node["id"] for node in flow]
    assert len(set(ids)) == len(ids)
    for node in flow:
        assert {wire for output in node.get("wires", []) for wire in output} <= set(ids), node
        assert node.get("broker") in (None, "127.0.0.1", *ids)
    topics = {node["topic"] for node in flow if node["type"] == "mqtt in"}
    assert topics == {"plant1/+/+/+", "field2mqtt/+/+/+/state"}  # docs/operation.md, State topics
