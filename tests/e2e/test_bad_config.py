"""Wrong configurations: `field2mqtt check` says exactly what stands beside each of them, and ends with 78.

tests/bad_config/NAME.yaml is a configuration with mistakes, NAME.expect the whole of standard error. Files that they
include are in parts/ and folder/, templates in devices/.
"""
import os
import subprocess

import pytest

from conftest import PROGRAM, ROOT

FOLDER = ROOT / "tests" / "bad_config"
CASES = sorted(FOLDER.glob("*.yaml"))


@pytest.fixture(autouse=True)
def open_password_file():
    """Version control keeps no such modes."""
    (FOLDER / "secrets" / "password").chmod(0o644)


def test_the_corpus_is_complete():
    assert len(CASES) >= 90
    assert {case.stem for case in CASES} == {expect.stem for expect in FOLDER.glob("*.expect")}


@pytest.mark.quick
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_every_mistake_is_told(case):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FIELD2MQTT_TEST")}
    environment.pop("CREDENTIALS_DIRECTORY", None)
    environment.pop("STATE_DIRECTORY", None)

    result = subprocess.run(
        [PROGRAM, "check", "--template-dir", "config/devices", str(case.relative_to(ROOT))],
        cwd=ROOT, env=environment, capture_output=True, timeout=60)

    assert result.stderr.decode() == case.with_suffix(".expect").read_text()
    assert result.stdout == b""
    assert result.returncode == 78
