"""The tool of `make soak`, for a minute: what it promises in the short holds, and its table and plot are made."""
import subprocess
import sys
import xml.etree.ElementTree as xml

import pytest

from conftest import ROOT

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.slow
def test_a_minute_of_soak_loses_nothing_and_makes_table_and_plot(tmp_path):
    result = subprocess.run([sys.executable, "-B", ROOT / "tests/soak/soak.py", "0.017", "--to", tmp_path], cwd=ROOT,
                            capture_output=True, text=True, timeout=600, check=False)

    table = (tmp_path / "soak.md").read_text() if result.returncode in (0, 1) else ""
    assert result.returncode == 0, table + result.stdout + result.stderr
    verdicts = [line.split("|")[-2].strip() for line in table.split("By tenth")[0].splitlines() if line.startswith("| ")][2:]
    assert verdicts.count("held") >= 6 and set(verdicts) == {"held", "not judged"}, table
    lines = xml.parse(tmp_path / "soak.svg").getroot().iter(f"{SVG}polyline")
    assert len({line.get("stroke") for line in lines}) == 3


def test_hours_that_are_none_or_too_few_are_refused(tmp_path):
    for hours in ("0", "-1", "much"):
        result = subprocess.run([sys.executable, "-B", ROOT / "tests/soak/soak.py", hours, "--to", tmp_path], cwd=ROOT,
                                capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 2 and "usage: soak.py" in result.stderr, result.stderr
    assert not list(tmp_path.iterdir())
