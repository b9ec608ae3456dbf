"""Every device template loads, and says what the maker's register map says."""
import json
import re
import subprocess

import pytest
import yaml

from conftest import PROGRAM, ROOT, write_config

FOLDER = ROOT / "config" / "devices"
TEMPLATES = sorted(FOLDER.glob("*.yaml"))

# From the makers' manuals (see `source` in each template): template, point, keys that it has to have.
SPOT_VALUES = [
    ("eastron-sdm630", "frequency", {"register": "input:70", "type": "float32", "unit": "Hz"}),
    ("eastron-sdm630", "cfg_network_node", {"register": "holding:20", "type": "float32", "access": "rw", "min": 1, "max": 247}),
    ("xy-md02", "temperature", {"register": "input:1", "type": "int16", "scale": 0.1, "unit": "°C"}),
    ("carlo-gavazzi-em24", "import", {"register": "input:66", "type": "int32", "scale": 0.1, "unit": "kWh"}),
    ("carlo-gavazzi-em24-e1", "import", {"register": "input:52", "type": "int32", "scale": 0.1, "unit": "kWh"}),
    ("schneider-pm5100", "active_energy_delivered", {"register": "holding:3203", "type": "int64", "unit": "Wh"}),
    ("schneider-pm5100", "power_factor_total", {"register": "holding:3083", "type": "pf4q"}),
    ("schneider-pm800", "energy_real_in", {"register": "holding:1699", "type": "mod10k[4]", "order": "CDAB", "unit": "Wh"}),
    ("schneider-iem3000", "import", {"register": "holding:3203", "type": "int64", "scale": 0.001, "unit": "kWh"}),
    ("siemens-pac2200", "import", {"register": "input:801", "type": "float64", "scale": 0.001, "unit": "kWh"}),
    ("solaredge-sunspec", "A", {"register": "holding:40071", "type": "uint16", "scale_register": "holding:40075", "unit": "A"}),
    ("solaredge-sunspec", "WH", {"register": "holding:40093", "type": "acc32", "scale_register": "holding:40095", "unit": "Wh"}),
    ("autonics-tk", "pv", {"register": "input:1000", "type": "int16", "scale_register": "input:1001", "scale_kind": "decimals"}),
    ("danfoss-fc51", "drive_running", {"register": "holding:50199", "type": "bits[11:1]"}),
    ("peacefair-pzem-016", "power", {"register": "input:3", "type": "uint32", "scale": 0.1, "unit": "W"}),
    ("schneider-atv12", "output_frequency_rfr", {"register": "holding:3202", "type": "int16", "scale": 0.1, "unit": "Hz"}),
    ("janitza-umg96", "power_total", {"register": "holding:19026", "type": "float32", "unit": "W"}),
    ("abb-acs355", "dcu_status_word", {"register": "holding:32", "type": "bitfield32", "order": "CDAB"}),
    ("waveshare-relay-8ch", "relay_3", {"register": "coil:2", "access": "rw"}),
    ("victron-gx-vebus", "ac_activein_l1_p", {"register": "holding:12", "type": "int16", "scale": 10, "unit": "W"}),
    ("victron-gx-battery", "consumedamphours", {"register": "holding:265", "type": "uint16", "scale": -0.1, "unit": "Ah"}),
]


def load(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def config_with(name):
    template = load(name)
    driver = template["drivers"][0]
    place = {"host": "127.0.0.1"} if driver == "modbus-tcp" else {"port": "/dev/ttyUSB0"}
    unit = {} if driver == "serial" else {"unit": 1}
    return {
        "gateway": {"name": "gw"},
        "mqtt": {"servers": ["mqtt://127.0.0.1"]},
        "buses": [{"name": "bus", "driver": driver, **place, "devices": [{"name": "dev", "template": name, **unit}]}],
    }


def check(file, *options):
    return subprocess.run([PROGRAM, "check", *options, "-c", str(file), "--template-dir", str(FOLDER)],
                          capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", [t.stem for t in TEMPLATES])
def test_template_loads_and_all_its_points_are_planned(name, tmp_path):
    file = write_config(tmp_path, config_with(name))

    result = check(file)
    report = check(file, "--json")

    assert result.returncode == 0 and not result.stderr, result.stdout + result.stderr
    json.loads(report.stdout)


@pytest.mark.parametrize("name", [t.stem for t in TEMPLATES])
def test_template_says_where_it_is_from(name):
    template = load(name)

    assert template["description"] and template["source"] and template["drivers"]


@pytest.mark.parametrize("name, point, keys", SPOT_VALUES, ids=[f"{t}.{p}" for t, p, _ in SPOT_VALUES])
def test_registers_are_those_of_the_manual(name, point, keys):
    found, = [p for p in load(name)["points"] if p["name"] == point]

    assert {key: found.get(key) for key in keys} == keys


@pytest.mark.parametrize("file", ["demo.yaml", "field2mqtt.yaml"])
def test_shipped_configuration_is_without_mistake(file, monkeypatch):
    path = ROOT / "config" / file
    monkeypatch.setenv("DEMO_PORT", "1883")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(path.parent))

    result = check(path)

    assert result.returncode == 0, result.stdout + result.stderr


def examples():
    """The whole configurations that the manual shows."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for n, text in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S)):
            if "gateway:" in text and "buses:" in text:
                yield pytest.param(text, id=f"{page.stem}-{n}")


@pytest.mark.parametrize("text", examples())
def test_examples_of_the_manual_are_without_mistake(text, tmp_path):
    result = check(write_config(tmp_path, text))

    assert result.returncode == 0, result.stdout + result.stderr


def test_links_of_the_manual_lead_somewhere():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_tells_how_many_templates_there_are():
    told = re.search(r"(\d+) templates in config/devices/", (ROOT / "README.md").read_text())

    assert int(told[1]) == len(list((ROOT / "config" / "devices").glob("*.yaml")))
