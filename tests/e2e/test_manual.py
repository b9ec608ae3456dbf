"""What the manual tells to type does what it says."""
import re
import shlex
import subprocess

import pytest

from conftest import PROGRAM, ROOT, SLOW

STARTED = (ROOT / "docs" / "getting-started.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(text, language):
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block for kind, block in found if kind == language]


def check(file, folder):
    return subprocess.run([PROGRAM, "check", file], cwd=folder, capture_output=True, text=True, timeout=30 * SLOW)


def test_the_first_file_of_getting_started_is_without_mistake(tmp_path):
    serial, network = blocks(STARTED, "yaml")
    (tmp_path / "plant.yaml").write_text(serial + network)

    result = check("plant.yaml", tmp_path)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "voltage" in result.stdout or "meter" in result.stdout


def test_its_mistake_is_shown_as_getting_started_shows_it(tmp_path):
    serial, _ = blocks(STARTED, "yaml")
    shown = next(block for block in blocks(STARTED, "") if "regster" in block)
    (tmp_path / "plant.yaml").write_text(serial.replace("register:", "regster:"))

    result = check("plant.yaml", tmp_path)

    assert result.returncode == 78
    assert result.stderr == shown


def test_the_plant_of_the_readme_is_without_mistake(tmp_path):
    plant, = [block for block in blocks(PAGES[0].read_text(), "yaml") if "buses:" in block]
    (tmp_path / "plant.yaml").write_text(plant)

    result = check("plant.yaml", tmp_path)

    assert result.returncode == 0, result.stdout + result.stderr


def commands():
    """The program's own command lines in the manual, without comments."""
    for page in PAGES:
        for block in blocks(page.read_text(), "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                line = re.split(r"\s+#\s|&&|\||;", line)[0].strip()
                if re.match(r"(build/release/)?field2mqtt \w", line):
                    yield pytest.param(line, id=f"{page.name}: {line}")


@pytest.mark.parametrize("line", commands())
def test_verbs_and_options_of_the_manual_are_in_the_help(line):
    verb, *words = shlex.split(line)[1:]
    listed = subprocess.run([PROGRAM, "help"], capture_output=True, text=True, timeout=30 * SLOW).stdout

    assert re.search(rf"\b{verb}\b", listed)
    for option in (word for word in words if re.match(r"--?[a-z]", word)):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", listed), f"{option} of: {line}"


def test_every_verb_says_how_it_is_used_when_asked():
    listed = subprocess.run([PROGRAM, "help"], capture_output=True, text=True, timeout=30 * SLOW).stdout
    usages = re.findall(r"(?m)^            (field2mqtt (\S+).*)$", listed)

    assert len(usages) > 8
    for usage, verb in usages:
        for words in ([verb, "--help"], [verb, "-h"], ["help", verb]):
            done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=30 * SLOW)
            assert (done.returncode, done.stderr) == (0, "") and usage in done.stdout.splitlines()[0], words


def test_a_mistyped_verb_is_told_in_two_lines():
    done = subprocess.run([PROGRAM, "chekc"], capture_output=True, text=True, timeout=30 * SLOW)
    assert (done.returncode, done.stdout) == (64, "") and 'did you mean "check"?' in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_targets_of_make_in_the_manual_are_in_make_help():
    lines = [line.split("#")[0] for page in PAGES for block in blocks(page.read_text(), "sh") for line in block.splitlines()]
    named = {words[-1] for line in lines for words in map(str.split, re.findall(r"\bmake (?:[A-Z_]+=\S+ )*[a-z-]+", line))}
    told = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True,
                          timeout=30).stdout

    assert {"demo", "test", "install"} <= named
    assert {target for target in named if f"make {target}" not in told} == set()
