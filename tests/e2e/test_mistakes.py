"""Three hundred wrong files, made from the right ones that are shipped: a key with a letter too many, a value of another kind, a
number out of every range. `check` tells each with its place, and a running gateway that is told to read it goes on as it was."""
import copy
import os
import random
import re
import subprocess

import pytest
import yaml

from conftest import PROGRAM, ROOT, make_config, tcp_bus
from test_outage import SEED
from test_reload import count_up, device, slaves, values  # noqa: F401  fixtures among them

COUNT = 300 if os.environ.get("FIELD2MQTT_SLOW") else 60
ENVIRONMENT = {"DEMO_PORT": "1883", "MQTT_PASSWORD": "x"}
FREE_KEYS = {"variables", "enum", "assign"}  # whose keys are the user's own

FREE_NUMBERS = {"scale", "offset", "min", "max", "invalid"}  # any number is one


def places(tree, path=()):
    """Every key of the tree whose name a table knows."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield (*path, key)
            if key not in FREE_KEYS:
                yield from places(value, (*path, key))
    elif isinstance(tree, list):
        for n, value in enumerate(tree):
            yield from places(value, (*path, n))


def spoil(tree, path, kind):
    tree = copy.deepcopy(tree)
    at = tree
    for step in path[:-1]:
        at = at[step]
    key = path[-1]
    if kind == "letter":
        at[f"{key}x"] = at.pop(key)
    elif kind == "kind":
        at[key] = {"nobody": ["asked", {"for": "this"}]}
    else:
        at[key] = -10**15
    return tree


def wrong_files():
    chance = random.Random(SEED)
    files = [yaml.safe_load((ROOT / "config" / name).read_text()) for name in ("field2mqtt.yaml", "demo.yaml")]
    made = [(tree, path, kind) for tree in files for path in places(tree) for kind in ("letter", "kind", "number")
            if kind != "number" or type(_value(tree, path)) in (int, float) and path[-1] not in FREE_NUMBERS]
    chance.shuffle(made)
    return [(path, kind, spoil(tree, path, kind)) for tree, path, kind in made[:COUNT]]


def _value(tree, path):
    for step in path:
        tree = tree[step]
    return tree


@pytest.mark.longer
def test_each_of_many_mistakes_is_told_with_its_place_and_refused_by_a_running_gateway(
        tmp_path, broker, slaves, site, subscriber):  # noqa: F811
    print(f"FIELD2MQTT_SEED={SEED}")
    count_up(slaves[0].unit(1))
    good = make_config(broker, [tcp_bus(slaves[0], [device("s", count=1, timeout="30s")], interval="20ms")], publish={"when": "every", "qos": 1})
    running = site(good, env=ENVIRONMENT)
    subscriber.wait_for("gw/s/p0", count=3)
    wrong = wrong_files()
    assert len(wrong) >= COUNT

    for path, kind, tree in wrong:
        assert running.reload(tree).find("refused") > 0, (path, kind)
        file = tmp_path / "field2mqtt.yaml"
        result = subprocess.run([PROGRAM, "check", str(file)], cwd=ROOT, env={**os.environ, **ENVIRONMENT},
                                capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 78 and result.stdout == "", (path, kind, result)
        assert re.search(rf"^{re.escape(str(file))}:\d+:\d+: .+", result.stderr, re.M), (path, kind, result.stderr)

    mark = len(subscriber.of("gw/s/p0"))
    subscriber.wait_for("gw/s/p0", count=mark + 5)
    seen = values(subscriber, "gw/s/p0")
    assert sorted(set(seen)) == list(range(seen[0], max(seen) + 1)), "readings are missing"
    assert slaves[0].connections == 1
    assert {m.topic for m in subscriber.messages if m.topic.startswith("gw/")} == {"gw/s/p0"}
