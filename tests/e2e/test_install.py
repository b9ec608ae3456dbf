"""`make install` into an empty folder: what is installed works from there, wherever there is."""
import os
import re
import shutil
import subprocess

import pytest

from conftest import BUILD, ROOT

CONFIG = """
gateway: { name: gw }
mqtt: { servers: mqtt://127.0.0.1 }
buses:
  - name: line
    driver: modbus-rtu
    port: /dev/ttyUSB0
    devices:
      - { name: meter, unit: 1, template: eastron-sdm630 }
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A staged installation, moved after it was made, as a package manager does."""
    stage = tmp_path_factory.mktemp("stage")
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    variant = BUILD.name if BUILD.name in ("debug", "release", "asan", "tsan", "coverage") else "debug"
    subprocess.run(["make", "install", f"VARIANT={variant}", f"B={BUILD.relative_to(ROOT)}", f"DESTDIR={stage}", "PREFIX=/opt/gw"],
                   cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
    root = tmp_path_factory.mktemp("root") / "gw"
    shutil.move(str(stage / "opt/gw"), root)
    return root


def run(installed, *argv):
    return subprocess.run([installed / "bin/field2mqtt", *argv], capture_output=True, text=True, cwd="/")


def test_everything_is_where_it_belongs(installed):
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert {"bin/field2mqtt", "lib/field2mqtt/modbus.so", "include/field2mqtt/driver.h",
            "share/field2mqtt/devices/eastron-sdm630.yaml", "share/doc/field2mqtt/README.md",
            "share/man/man1/field2mqtt.1", "share/man/man5/field2mqtt.yaml.5", "share/doc/field2mqtt/docs/keys.md", "share/doc/field2mqtt/drivers/example/example.c"} <= files
    assert {path.split("/")[0] for path in files} == {"bin", "lib", "include", "share"}
    templates = {path.name for path in (ROOT / "config/devices").glob("*.yaml")}
    assert {path.name for path in (installed / "share/field2mqtt/devices").iterdir()} == templates


def test_the_program_finds_its_plugins_beside_itself(installed):
    done = run(installed, "drivers")
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.split()[0] for line in done.stdout.splitlines()} >= {"modbus-rtu", "modbus-tcp"}


def test_the_program_finds_its_templates_beside_itself(installed, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG)
    done = run(installed, "check", file)
    assert done.returncode == 0, done.stderr
    assert "meter (eastron-sdm630): " in done.stdout


def test_a_driver_is_built_with_what_was_installed(installed, tmp_path):
    source = tmp_path / "example"
    shutil.copytree(installed / "share/doc/field2mqtt/drivers/example", source)
    subprocess.run(f"cc -shared -fPIC -Wall -Werror -I {installed}/include -o example.so *.c", shell=True, check=True, cwd=source)
    (source / "example.so").chmod(0o644)
    done = run(installed, "drivers", "--plugin-dir", str(source))
    assert done.stdout.split()[0] == "example" and done.stderr == ""


def test_links_of_the_installed_manual_lead_somewhere(installed):
    folder = installed / "share/doc/field2mqtt/docs"
    for page in folder.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)", page.read_text()):
            assert (folder / target).exists(), f"{page.name}: {target}"
