"""`field2mqtt check`: the read plan and the predicted load of good configurations, mistakes as JSON, and no hardware touched."""
import json
import socket
import subprocess

import pytest

from conftest import PROGRAM, ROOT

HEAD = """
gateway: { name: gw }
mqtt: { servers: mqtt://127.0.0.1 }
"""


def check(tmp_path, text, *options):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return subprocess.run([PROGRAM, "check", *options, "-c", file], capture_output=True, text=True)


def as_json(tmp_path, text, code=0):
    done = check(tmp_path, text, "--json")
    assert done.returncode == code, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def rtu(points, baud=9600, keys=""):
    return HEAD + f"""
buses:
  - name: line
    driver: modbus-rtu
    port: /dev/does-not-exist
    baud: {baud}
    turnaround: 5ms
    {keys}
    devices:
      - name: meter
        unit: 1
        points:
""" + "".join(f"          - {{ name: p{i}, {point} }}\n" for i, point in enumerate(points))


def test_time_on_the_wire_is_what_the_characters_take(tmp_path):
    """9600 8N1: 10 bits a character. Source: MODBUS over Serial Line V1.02, 2.5.1.1: 3.5 characters of silence; a request
    for registers is 8 bytes, its answer 5 and 2 for each register."""
    report = as_json(tmp_path, rtu([f"register: holding:{i}, interval: 1s" for i in range(10)]))
    (group,) = report["buses"][0]["devices"][0]["groups"]
    assert (group["points"], group["units"], group["wanted"], len(group["requests"])) == (10, 10, 10, 1)
    characters = 8 + 5 + 2 * 10
    least = characters * 10 / 9600 + 3.5 * 10 / 9600 + 0.005
    assert least * 0.999 <= group["wire_us"] / 1e6 <= least + 3.5 * 10 / 9600  # silence before, or before and after
    assert report["buses"][0]["utilisation"] == pytest.approx(group["wire_us"] / 1e6, abs=1e-6)


def test_points_far_apart_are_requests_of_their_own(tmp_path):
    report = as_json(tmp_path, rtu(["register: holding:0", "register: holding:1000", "register: input:0"]))
    (group,) = report["buses"][0]["devices"][0]["groups"]
    assert [request["points"] for request in group["requests"]] == [1, 1, 1]
    reads = {request["reads"] for request in group["requests"]}
    assert reads == {"holding:0 (function 3)", "holding:1000 (function 3)", "input:0 (function 4)"}


def test_a_gap_that_is_read_is_told(tmp_path):
    text = rtu(["register: holding:0", "register: holding:4"])
    (group,) = as_json(tmp_path, text)["buses"][0]["devices"][0]["groups"]
    assert (group["units"], group["wanted"]) == (5, 2)
    assert "holding:0-4 (function 3): 2 points, 2 of 5 wanted, " in check(tmp_path, text).stdout


def test_a_bus_that_cannot_do_it_is_a_warning_with_the_figure(tmp_path):
    text = rtu([f"register: holding:{i * 200}, interval: 100ms" for i in range(8)])
    done = check(tmp_path, text)
    report = as_json(tmp_path, text)

    share = report["buses"][0]["utilisation"]
    assert share > 1
    assert done.returncode == 0  # a warning is no mistake
    sentence = f"line needs {share:.2f} s of every 1.00 s at 9600 baud ({share * 100:.0f} %)"
    assert f"warning: {sentence}\n" in done.stdout
    assert {"bus": "line", "text": sentence} in report["warnings"]


def test_a_bus_without_a_line_has_no_baud_rate(tmp_path):
    text = rtu(["register: holding:0"])
    for of_rtu, of_tcp in (("modbus-rtu", "modbus-tcp"), ("port: /dev/does-not-exist", "host: 192.0.2.1"),
                           ("    baud: 9600\n", "")):
        assert of_rtu in text
        text = text.replace(of_rtu, of_tcp)
    done = check(tmp_path, text)
    assert "needs 0." in done.stdout and "baud" not in done.stdout


def test_a_request_longer_than_an_interval_is_a_warning(tmp_path):
    points = ["register: holding:0, type: 'string[100]', interval: 1m", "register: input:0, interval: 100ms"]
    done = check(tmp_path, rtu(points, baud=2400, keys="max_registers: 125"))
    assert done.returncode == 0
    assert "warning: line cannot read meter every 100ms: a single request to meter takes " in done.stdout


@pytest.mark.parametrize("other,is_one", [
    ("unit: 1, points: [{ name: y, register: 'holding:5' }, { name: z, register: 'holding:0' }]", True),
    ("unit: 2, points: [{ name: y, register: 'holding:0' }]", False),
    ("unit: 1, points: [{ name: y, register: 'holding:1' }]", False),  # two names for two parts of one instrument
    ("unit: 1, points: [{ name: y, register: 'holding:0', type: int16 }]", False),
    ("unit: 1, points: [{ name: y, register: 'holding:0', type: 'bits[3:1]' }]", False),
    ("unit: 1, points: [{ name: y, register: 'holding:0', access: w }]", False),
    ("unit: 1, enabled: false, points: [{ name: y, register: 'holding:0' }]", False),
])
def test_two_devices_that_are_one_instrument_are_a_warning(tmp_path, other, is_one):
    text = rtu(["register: holding:0", "register: holding:9"]) + f"      - {{ name: copy, {other} }}\n"
    warnings = as_json(tmp_path, text)["warnings"]

    assert len(warnings) == is_one
    if is_one:
        assert ('devices "meter" and "copy" of bus "line" are one instrument: nothing tells them apart, and point "p0" of one '
                'is point "z" of the other; is the address of "copy" right?') in warnings[0]["text"]


def test_a_bus_with_time_to_spare_has_no_warning(tmp_path):
    report = as_json(tmp_path, rtu(["register: holding:0"]))
    assert report["warnings"] == [] and report["mistakes"] == [] and report["good"] is True
    assert 0 < report["buses"][0]["utilisation"] < 0.1


def test_points_of_two_intervals_share_requests_when_they_meet(tmp_path):
    report = as_json(tmp_path, rtu(["register: holding:0, interval: 100ms", "register: holding:1, interval: 200ms"]))
    device = report["buses"][0]["devices"][0]
    fast, slow = device["groups"]
    assert (fast["interval_us"], slow["interval_us"]) == (100_000, 200_000)
    assert device["exact"] is True
    apart = fast["wire_us"] / 100_000 + slow["wire_us"] / 200_000
    register = 2 * 10 / 9600  # what the second register costs in a request that goes anyway
    assert device["utilisation"] == pytest.approx(fast["wire_us"] / 100_000 + register / 0.2, rel=0.01)
    assert device["utilisation"] < apart


def test_points_that_are_only_written_are_not_read(tmp_path):
    report = as_json(tmp_path, rtu(["register: holding:0", "register: holding:1, access: w"]))
    device = report["buses"][0]["devices"][0]
    assert (device["points"], device["points_read"]) == (2, 1)


def test_mistakes_are_listed_with_their_places(tmp_path):
    text = rtu(["register: holding:0", "regster: holding:1", "register: holding:2, scale: 0"])
    lines = text.splitlines()
    report = as_json(tmp_path, text, code=78)
    assert report["good"] is False and report["buses"] == []
    first = report["mistakes"][0]
    assert first["file"] == str(tmp_path / "config.yaml")
    assert "regster" in lines[first["line"] - 1]
    assert [m["text"] for m in report["mistakes"] if "did you mean" in m["text"]] == [
        'unknown key "regster"; did you mean "register"?']
    assert {m["line"] for m in report["mistakes"]} == {i + 1 for i, line in enumerate(lines) if "p1" in line or "p2" in line}


def test_no_device_is_touched(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        text = rtu(["register: holding:0"]).replace("driver: modbus-rtu", "driver: modbus-tcp").replace(
            "port: /dev/does-not-exist", f"host: 127.0.0.1\n    port: {listener.getsockname()[1]}")
        assert check(tmp_path, text).returncode == 0
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("argv, word", [
    (["check", "--jsn", "x.yaml"], "unknown option --jsn"),
    (["check", "-c"], "-c needs an argument"),
    (["schema", "--xml"], "unexpected --xml"),
    (["schema", "--template", "--markdown"], "the reference of --markdown has the templates in it"),
    (["drivers", "a", "b"], "unexpected b"),
    (["drivers", "--plugin-dir"], "--plugin-dir needs an argument"),
])
def test_wrong_use_is_told_with_the_usage(argv, word):
    done = subprocess.run([PROGRAM, *argv], capture_output=True, text=True)
    assert done.returncode == 64
    assert done.stderr.startswith(f"field2mqtt {argv[0]}: {word}\nusage: field2mqtt {argv[0]}")


def test_the_keys_of_every_driver_fit_a_terminal():
    names = subprocess.run([PROGRAM, "drivers"], capture_output=True, text=True, check=True).stdout
    for name in [line.split()[0] for line in names.splitlines()]:
        text = subprocess.run([PROGRAM, "drivers", name], capture_output=True, text=True, check=True).stdout
        assert max(map(len, text.splitlines())) <= 100, name
        assert "Keys of a bus" in text and "Keys of a point" in text


def test_the_demo_can_be_met(tmp_path):
    done = subprocess.run([PROGRAM, "check", "--json", ROOT / "config/demo.yaml"], capture_output=True, text=True,
                          env={"DEMO_PORT": "1883"})
    assert done.returncode == 0
    assert json.loads(done.stdout)["warnings"] == []
