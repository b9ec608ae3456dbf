"""Plug-ins as strangers build them: compiled with nothing but the one installed header. Bad ones are refused, each with one
sentence and without harm; the example works from its file to the broker."""
import shutil
import subprocess

import pytest

from conftest import PROGRAM, ROOT, make_config
from plugin_source import GOOD, HEADER, Folder


@pytest.fixture
def plugins(tmp_path):
    return Folder(tmp_path / "plugins")


def test_a_good_plugin_is_loaded_and_described(plugins):
    plugins.build("tiny", GOOD)
    assert plugins.drivers() == (["tiny"], [])
    done = subprocess.run([PROGRAM, "drivers", "tiny", "--plugin-dir", plugins.path], capture_output=True, text=True)
    assert done.stdout.startswith("tiny: does next to nothing\n")
    assert "number               1-9, default 3\n      Which.\n" in done.stdout


def test_a_driver_that_is_not_there_is_named_with_a_suggestion(plugins):
    plugins.build("tiny", GOOD)
    done = subprocess.run([PROGRAM, "drivers", "tiney", "--plugin-dir", plugins.path], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == 'field2mqtt drivers: there is no driver "tiney"; did you mean "tiny"?\n'


BAD = {
    "another ABI": ([(".abi = GW_DRIVER_ABI", ".abi = 2")],
                    "has ABI 2, this gateway takes 1; build it again with this gateway's driver.h"),
    "another table": ([(".driver_size = sizeof(struct gw_driver)", ".driver_size = 96")], "has a driver table of size 96, "),
    "other keys": ([(".key_size = sizeof(struct gw_key)", ".key_size = 8")], "has key tables of size 8, "),
    "no drivers": ([("{&driver, NULL}", "{NULL}")], "holds no driver"),
    "a driver twice": ([("{&driver, NULL}", "{&driver, &driver, NULL}")], 'driver "tiny" stands in it twice'),
    "no name": ([('.name = "tiny"', '.name = "Tiny Driver"')], "a driver has no name of a-z 0-9 -"),
    "no summary": ([('    .summary = "does next to nothing",\n', "")], 'driver "tiny" has no summary'),
    "no execute": ([("    .execute = execute,\n", "")], 'driver "tiny" has no execute'),
    "no close": ([("    .close = close_bus,\n", "")], 'driver "tiny" has no close'),
    "no device keys": ([(".device_keys = device_keys, ", "")], 'driver "tiny" has no device_keys'),
    "no help": ([('     .help = "Which."', "     .help = NULL")], 'driver "tiny": device key "number" has no help'),
    "a wrong default": ([('.def = "3"', '.def = "12"')], 'driver "tiny": device key "number" has a default "12" out of its range'),
    "a member outside": ([(".offset = offsetof(struct conf, number)", ".offset = 4096")],
                         'driver "tiny": device key "number" lies outside its struct: offset 4096, 8 bytes, of 16'),
    "simulate alone": ([("    .open = open_bus,", "    .open = open_bus, .simulate = (void *)open_bus,")],
                       'driver "tiny" has simulate but no redirect'),
    "another symbol": ([("gw_plugin field2mqtt_plugin", "gw_plugin fieldtomqtt_plugin")],
                       "has no symbol field2mqtt_plugin: it is not a plug-in of field2mqtt"),
    "a missing function": ([("{ return GW_OK; }", "{ extern int gw_nobody(void); return gw_nobody(); }")],
                           "undefined symbol: gw_nobody"),
    "wild tables": ([("{&driver, NULL}", "{(const struct gw_driver *)16, NULL}")],
                    'is damaged: loading it dies of "Segmentation fault"'),
    "a constructor that ends": ([("struct conf {", "void _exit(int);\n__attribute__((constructor)) static void bye(void) { _exit(0); }"
                                                    "\nstruct conf {")], "is damaged: loading it ends the program"),
    "a constructor that aborts": ([("struct conf {", "void abort(void);\n__attribute__((constructor)) static void bye(void) { abort(); }"
                                                     "\nstruct conf {")], 'is damaged: loading it dies of "Aborted"'),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plugin_is_refused_by_name_and_the_good_one_is_loaded(plugins, name):
    replace, sentence = BAD[name]
    plugins.build("bad", GOOD, replace)
    plugins.build("tiny", GOOD)
    names, sentences = plugins.drivers()
    assert names == ["tiny"]
    assert len(sentences) == 1
    assert sentences[0].startswith(f"bad.so: {sentence}"), sentences


def test_what_a_plugin_prints_or_breaks_while_it_is_tried_does_not_show(plugins):
    plugins.build("bad", GOOD, [("struct conf {", """
#include <stdio.h>
__attribute__((constructor)) static void speak(void) { puts("hello"); fputs("hello", stderr); *(volatile int *)8 = 1; }
struct conf {""")])
    assert plugins.drivers() == ([], ['bad.so: is damaged: loading it dies of "Segmentation fault"'])


def test_a_driver_of_two_plugins_is_loaded_from_the_first(plugins):
    plugins.build("a", GOOD)
    plugins.build("b", GOOD)
    assert plugins.drivers() == (["tiny"], ['b.so: driver "tiny" is already in a.so'])


def test_a_plugin_that_others_may_write_is_refused(plugins):
    plugins.build("open", GOOD).chmod(0o664)
    assert plugins.drivers() == ([], ["open.so: can be written by others (mode 0664)"])


def test_a_plugin_cut_off_by_a_full_disk_is_refused(plugins):
    file = plugins.build("cut", GOOD)
    whole = file.read_bytes()
    for size in range(0, len(whole), len(whole) // 12):
        file.write_bytes(whole[:size])
        names, sentences = plugins.drivers()
        assert len(names) + len(sentences) == 1, size  # loaded only when nothing that is needed is missing
        assert size > len(whole) / 2 or sentences


def test_a_folder_that_is_not_there_is_a_wrong_configuration(tmp_path):
    done = subprocess.run([PROGRAM, "drivers", "--plugin-dir", tmp_path / "none"], capture_output=True, text=True)
    assert done.returncode == 78
    assert f"{tmp_path}/none: No such file or directory" in done.stderr


# ---- the example, out of the tree ---------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path):
    """The example as a stranger has it: copied, renamed, built by the line of docs/drivers.md."""
    folder = Folder(tmp_path / "plugins")
    source = tmp_path / "mydriver"
    shutil.copytree(ROOT / "drivers/example", source)
    text = (source / "example.c").read_text()
    assert text.count('.name = "example"') == 1
    (source / "example.c").write_text(text.replace('.name = "example"', '.name = "mydriver"'))
    manual = (ROOT / "docs/drivers.md").read_text()
    line = next(line for line in manual.splitlines() if line.startswith("cc -shared"))
    assert line.count("/usr/local/include") == 1
    subprocess.run(line.replace("/usr/local/include", str(HEADER)), shell=True, check=True, cwd=source)
    subprocess.run(["install", "-m", "644", source / "mydriver.so", folder.path], check=True)
    return folder


def bus(path, **keys):
    return {"name": "file", "driver": "mydriver", "path": str(path), "interval": "50ms", "devices": [
        {"name": "boiler", "points": [
            {"name": "temperature", "field": "temperature", "unit": "°C", "scale": 0.1},
            {"name": "burner", "field": "burner", "type": "bool"},
            {"name": "state", "field": "state", "type": "text[16]"},
        ]}], **keys}


def test_the_example_is_built_with_only_the_installed_header(copied):
    assert copied.drivers() == (["mydriver"], [])


def test_the_example_is_checked_and_planned(copied, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(f"""
gateway: {{ name: gw }}
mqtt: {{ servers: mqtt://127.0.0.1 }}
buses:
  - {{ name: file, driver: mydriver, path: /nowhere, devices: [ {{ name: boiler, points: [ {{ name: t, field: t }} ] }} ] }}
""")
    done = subprocess.run([PROGRAM, "check", "--plugin-dir", copied.path, file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "bus file (mydriver): 1 device" in done.stdout
    file.write_text(file.read_text().replace("field: t }", "field: 'a=b', type: numbers }"))
    done = subprocess.run([PROGRAM, "check", "--plugin-dir", copied.path, file], capture_output=True, text=True)
    assert done.returncode == 78
    assert 'type "numbers" is none of number, integer, bool, text, text[1] to text[255]' in done.stderr


def put(file, text):
    """All at once: the driver may be reading."""
    beside = file.with_suffix(".new")
    beside.write_text(text)
    beside.rename(file)


@pytest.mark.quick
def test_the_example_brings_values_from_its_file_to_the_broker(copied, tmp_path, broker, subscriber, gateway):
    values = tmp_path / "values.txt"
    values.write_text("[boiler]\ntemperature = 715\nburner = on\nstate = heating\n")
    gateway(make_config(broker, [bus(values)]), options=["--plugin-dir", str(copied.path)])

    assert subscriber.wait_for_json("gw/boiler/temperature", lambda m: m["quality"] == "good")["value"] == 71.5
    assert subscriber.wait_for_json("gw/boiler/burner", lambda m: m["quality"] == "good")["value"] is True
    assert subscriber.wait_for_json("gw/boiler/state", lambda m: m["quality"] == "good")["value"] == "heating"

    put(values, "[boiler]\ntemperature = broken\nburner = off\nstate = heating\n")
    bad = subscriber.wait_for_json("gw/boiler/temperature", lambda m: m["quality"] == "bad")
    assert bad["value"] is None and bad["reason"] == "not_a_number"
    assert subscriber.wait_for_json("gw/boiler/burner", lambda m: m["value"] is False)["quality"] == "good"


def test_the_example_survives_a_file_that_vanishes_and_returns(copied, tmp_path, broker, subscriber, gateway):
    values = tmp_path / "values.txt"
    gateway(make_config(broker, [bus(values, reopen_min="20ms", reopen_max="50ms")], offline_after="0s"),
            options=["--plugin-dir", str(copied.path)])
    assert subscriber.wait_for_json("gw/boiler/burner", lambda m: m["quality"] == "bad")["value"] is None

    put(values, "[boiler]\ntemperature = 1\nburner = on\nstate = x\n")
    assert subscriber.wait_for_json("gw/boiler/burner", lambda m: m["quality"] == "good")["value"] is True
