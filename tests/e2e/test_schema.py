"""The JSON Schema that the gateway prints, against real files, by an independent validator."""
import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

import yaml12

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / os.environ.get("FIELD2MQTT_BUILD", "build/debug") / "field2mqtt"
TEMPLATES = sorted((ROOT / "config/devices").glob("*.yaml"))
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))


def printed(*options):
    return subprocess.run([PROGRAM, "schema", *options], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def config():
    return Draft202012Validator(json.loads(printed()))


@pytest.fixture(scope="module")
def template():
    return Draft202012Validator(json.loads(printed("--template")))


def check(tmp_path, text):
    """What the gateway itself says of a file: its exit code."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return subprocess.run([PROGRAM, "check", "-c", path], capture_output=True,
                          env={"KEEPALIVE": "10s", "N": "7", "PORT": "1502"}).returncode


def complaints(validator, text):
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(yaml12.load(text))]


# ---- the schema itself -------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--template"]])
def test_the_schema_is_a_valid_schema_of_draft_2020_12(options):
    schema = json.loads(printed(*options))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("options", [[], ["--template"]])
def test_every_reference_leads_somewhere_and_every_definition_is_used(options):
    schema = json.loads(printed(*options))
    found = set()

    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                found.add(node["$ref"].removeprefix("#/$defs/"))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(schema)
    assert found == set(schema["$defs"])


@pytest.mark.parametrize("options", [[], ["--template"]])
def test_every_key_is_described_and_its_default_and_examples_are_valid(options):
    schema = json.loads(printed(*options))
    keys = {name: key for name, key in schema["$defs"].items() if name.startswith("key.")}
    assert len(keys) > 40
    for name, key in keys.items():
        assert key["description"].strip(), name
        values = key.get("examples", []) + ([key["default"]] if "default" in key else [])
        for value in values:
            assert Draft202012Validator(key).is_valid(value), f"{name}: {value!r}"


def test_secrets_are_marked():
    keys = json.loads(printed())["$defs"]
    assert {name for name, key in keys.items() if key.get("writeOnly")} == {"key.mqtt.password", "key.tls.key_password"}


# ---- good files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_shipped_configurations_are_valid(config, path):
    assert complaints(config, path.read_text()) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.name)
def test_shipped_templates_are_valid(template, path):
    assert complaints(template, path.read_text()) == []


def test_there_are_files_to_validate():
    assert len(CONFIGS) >= 1 and len(TEMPLATES) >= 20


HEAD = """
gateway: { name: g }
mqtt: { servers: "mqtt://127.0.0.1" }
"""
BUS = HEAD + """
buses:
  - name: line
    driver: modbus-rtu
    port: /dev/ttyUSB0
    devices:
      - name: meter
        unit: 1
        points:
          - { name: power, register: "holding:100" }
"""


def test_the_smallest_configuration_is_valid(config):
    assert complaints(config, BUS) == []


def with_point(keys):
    return BUS.replace('register: "holding:100"', keys)


GOOD = {
    "hexadecimal unit": BUS.replace("unit: 1\n", "unit: 0x1F\n"),
    "modicon number": with_point("register: 40001, numbering: modicon"),
    "names of raw values": with_point("register: hr100, type: int16, enum: { 0: off, 0x10: on, -1: 7 }"),
    "text": with_point('register: hr100, type: "string[16]"'),
    "invalid values": with_point("register: hr100, type: float32, invalid: [nan, -9999]"),
    "one invalid value": with_point("register: hr100, invalid: 0x8000"),
    "deadband in percent": with_point("register: hr100, deadband: 0.5%, when: change"),
    "deadband as a number": with_point("register: hr100, when: change, deadband: 2, publish: { qos: 0 }"),
    "template": BUS[:BUS.index("        unit: 1")] + """
        template: eastron-sdm630
        unit: 1
        points: [{ name: power, enabled: false }]
""",
    "inherited keys": BUS.replace("    devices:", """
    baud: 19200
    max_gap: 3
    order: CDAB
    timeout: 200ms
    devices:"""),
    "switched off": BUS.replace("- { name: power,", "- { name: off, enabled: false }\n          - { name: power,"),
    "include": HEAD + "include: buses.d\n",
    "all in other files": "include: [mqtt.yaml, buses]\ngateway: { name: g }\n",
    "variables of the environment": BUS.replace('mqtt: { servers: "mqtt://127.0.0.1" }', """
mqtt:
  servers: [ "mqtt://a", "mqtts://b:8884" ]
  version: 5
  keepalive: ${KEEPALIVE}
  max_inflight: ${N}
"""),
    "port from the environment": BUS.replace("modbus-rtu", "modbus-tcp").replace(
        "port: /dev/ttyUSB0", "host: plc.example\n    port: ${PORT}"),
    "another driver": BUS.replace("modbus-rtu", "example").replace("port: /dev/ttyUSB0", "path: /run/values").replace(
        "unit: 1\n", "section: a\n").replace('register: "holding:100"', 'field: x, type: "text[16]"'),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_the_language_allows_is_valid(config, name, tmp_path):
    text = GOOD[name]
    assert text != BUS
    assert complaints(config, text) == []
    assert "include:" in text or check(tmp_path, text) == 0


# ---- mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("old, new", [
    ("driver: modbus-rtu", "driver: modbus-rtx"),
    ("driver: modbus-rtu", "driver: modbus-tcp"),  # has no host, and port is a number there
    ("    port: /dev/ttyUSB0\n", ""),
    ("    port: /dev/ttyUSB0", "    port: /dev/ttyUSB0\n    bauds: 9600"),
    ("    port: /dev/ttyUSB0", "    port: /dev/ttyUSB0\n    parity: mark"),
    ("    port: /dev/ttyUSB0", "    port: /dev/ttyUSB0\n    field: x"),  # another driver's key
    ("    port: /dev/ttyUSB0", "    port: [/dev/ttyUSB0]"),
    ("        unit: 1\n", ""),
    ("unit: 1\n", "unit: 300\n"),
    ("unit: 1\n", "unit: one\n"),
    ("unit: 1\n", "unit: 1.5\n"),
    ("unit: 1\n", "unit: 1\n        unit_id: 1\n"),
    ("unit: 1\n", "unit: 1\n        interval: 10\n"),
    ("unit: 1\n", "unit: 1\n        interval: 0s\n"),
    ("unit: 1\n", "unit: 1\n        interval: 10 s\n"),
    ("unit: 1\n", "unit: 1\n        publish: { per: bus }\n"),
    (", register: \"holding:100\"", ""),
    ("register: \"holding:100\"", "register: 'holdings:100'"),
    ("register: \"holding:100\"", "register: hr100, type: int23"),
    ("register: \"holding:100\"", "register: hr100, per: device"),
    ("register: \"holding:100\"", "register: hr100, retain: yes"),
    ("register: \"holding:100\"", "register: hr100, qos: 3"),
    ("register: \"holding:100\"", "register: hr100, scale: 0.1x"),
    ("register: \"holding:100\"", "register: hr100, enum: {}"),
    ("register: \"holding:100\"", "register: hr100, enum: { ready: 0 }"),
    ("name: power", "name: power/total"),
    ("gateway: { name: g }\n", ""),
    ("gateway: { name: g }", "gateway: {}"),
    ("gateway: { name: g }", "gateway: { name: true }"),
    ("mqtt: { servers: \"mqtt://127.0.0.1\" }", "mqtt: { servers: [] }"),
    ("mqtt: { servers: \"mqtt://127.0.0.1\" }", "mqtt: { server: \"mqtt://127.0.0.1\" }"),
    ("mqtt: {", "mqtt: { version: 4,"),
    ("mqtt: {", "buffer: { max_size: 64 MB }\nmqtt: {"),
    ("buses:", "busses:"),
])
def test_mistakes_are_invalid(config, old, new, tmp_path):
    assert BUS.count(old) == 1
    assert complaints(config, BUS.replace(old, new)) != []
    assert check(tmp_path, BUS.replace(old, new)) == 78


TEMPLATE = """
description: A meter
drivers: [modbus-rtu, modbus-tcp]
points:
  - { name: power, register: "holding:100" }
"""


@pytest.mark.parametrize("old, new", [
    ("description: A meter\n", ""),
    ("drivers: [modbus-rtu, modbus-tcp]\n", ""),
    ("drivers: [modbus-rtu, modbus-tcp]", "drivers: example"),
    ("drivers: [modbus-rtu, modbus-tcp]", "drivers: [modbus-rtu, example]"),
    ("points:", "max_gaps: 3\npoints:"),
    (", register: \"holding:100\"", ""),
    ("name: power, ", ""),
])
def test_mistakes_of_templates_are_invalid(template, old, new):
    assert complaints(template, TEMPLATE) == []
    assert TEMPLATE.count(old) == 1
    assert complaints(template, TEMPLATE.replace(old, new)) != []


# ---- the files of mistakes ---------------------------------------------------------------------------

BAD = sorted((ROOT / "tests/bad_config").glob("*.yaml"))
# What a JSON Schema cannot tell, by file, with the reason.
BEYOND = {name + ".yaml": reason for reason, names in {
    "the range of a size or duration is in the description: a pattern cannot compare numbers": [
        "buffer_too_small"],
    "a check of the driver, not in its tables": [
        "bus_check", "device_check", "point_scale_register"],
    "depends on the environment of the gateway": [
        "bus_environment", "mqtt_environment"],
    "depends on other files": [
        "include_folder", "include_itself", "include_missing", "include_mistakes", "include_ring", "include_text",
        "mqtt_password_file_folder", "mqtt_password_file_missing", "mqtt_password_file_open", "template_broken",
        "template_driver", "template_faulty", "template_headless", "template_point", "template_unknown"],
    "a relation between two keys, which the tables do not have": [
        "live_first_in_memory", "mqtt_reconnect", "mqtt_two_passwords", "point_of_text"],
    "two items that are the same only for the gateway": [
        "include_twice", "mqtt_server_twice", "names_twice"],
    "topics are known after all the variables are filled in": [
        "topic_beside_state", "topic_of_commands", "topic_of_device", "topic_of_state", "topic_too_long", "topic_twice", "topic_variable",
        "topic_variable_value"],
    "the inside of a ${...} is not looked at": [
        "mqtt_variable_not_closed"],
    "a schema sees the document, in which anchors and tags are resolved": [
        "yaml_alias", "yaml_tag"],
}.items() for name in names}


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.name)
def test_files_of_mistakes_are_invalid_unless_a_schema_cannot_tell(config, path):
    try:
        document = yaml12.load(path.read_text(errors="surrogateescape"))
    except (yaml.YAMLError, ValueError):
        assert path.name not in BEYOND, "it is not even YAML: no exception is needed"
        return
    assert config.is_valid(document) == (path.name in BEYOND), BEYOND.get(path.name, "a schema can tell this")


@pytest.mark.parametrize("name", ["faulty", "headless", "listed"])
def test_templates_of_mistakes_are_invalid(template, name):
    assert complaints(template, (ROOT / f"tests/bad_config/devices/{name}.yaml").read_text()) != []


def test_the_template_without_mistakes_beside_them_is_valid(template):
    assert complaints(template, (ROOT / "tests/bad_config/devices/good.yaml").read_text()) == []


def test_every_exception_is_a_file():
    assert set(BEYOND) <= {path.name for path in BAD}


# ---- the manual --------------------------------------------------------------------------------------


def test_the_reference_of_keys_in_the_manual_is_up_to_date():
    committed = (ROOT / "docs/keys.md").read_text()
    assert committed == printed("--markdown"), "run: field2mqtt schema --markdown >docs/keys.md"
