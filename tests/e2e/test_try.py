"""field2mqtt try: what a template makes of bytes, and where and why it makes nothing of them."""
import re
import subprocess

import pytest

from conftest import PROGRAM, ROOT

VECTORS = (ROOT / "tests" / "transcripts" / "serial-vectors.txt").read_text()


def run_try(*args, stdin=None):
    return subprocess.run([PROGRAM, "try", *args], input=stdin, capture_output=True, timeout=30, check=False)


def vector(name):
    return re.search(rf"^vector {name} .*\nhex (.*)$", VECTORS, re.M)[1]


@pytest.mark.parametrize("form", ["hex", "bytes", "transcript"])
def test_digits_bytes_and_transcripts_are_decoded_alike(form, tmp_path):
    digits = vector("W01")
    file = tmp_path / "input"
    if form == "hex":
        file.write_text(digits[:30] + "\n" + digits[30:] + "\n")
    elif form == "bytes":
        file.write_bytes(bytes.fromhex(digits))
    else:  # what was sent is not the instrument's
        file.write_text(f"# 2026-11-28 serial\n+0.000000 > 53 49 0D 0A  |SI..|\n+0.031207 < {digits[:47]}  |S S     100.00 g|\n"
                        f"+0.031207 < {digits[48:]}  |..|\n")

    result = run_try("mettler-mt-sics", str(file))

    out = result.stdout.decode()
    assert result.returncode == 0, result.stderr
    assert re.search(r"^ +weight +100$", out, re.M) and re.search(r"^ +stable +true$", out, re.M), out
    assert "1 message, 0 bytes of no message" in out


def test_a_wrong_checksum_is_told_with_the_right_one():
    digits = vector("N01").replace("2A 34 37", "2A 34 38")

    result = run_try("nmea-gps", "-", stdin=digits.encode())

    # Source: the sentence as published ends with *47
    assert result.returncode == 1
    assert b"its checksum is wrong: over bytes 1-61 it would be 34 37, at byte 63 stands 34 38" in result.stdout


def test_a_pattern_that_does_not_fit_is_followed_as_far_as_it_does():
    result = run_try("mettler-mt-sics", "-", stdin=b"S X     12 g\r\n")

    assert result.returncode == 1
    assert b"as far as byte 2 of it, where 58 stands" in result.stdout


def test_noise_and_a_half_message_are_told_with_their_places():
    result = run_try("dfrobot-a02yyuw", "-", stdin=b"00 11 FF 07 A1 A7 FF 07")

    assert b"bytes 0-1: belongs to no message" in result.stdout
    assert b"message 1, bytes 2-5" in result.stdout and b"1953 mm" in result.stdout
    assert b"bytes 6-7: is not complete" in result.stdout
    assert b"1 message, 4 bytes of no message" in result.stdout


def test_a_template_of_ones_own_is_tried_from_its_file_with_keys_of_the_device(tmp_path):
    (tmp_path / "my-board.yaml").write_text(
        "description: mine\ndrivers: [serial]\nframe: { end: '\\n' }\n"
        "match: '^${address}:(?<v>\\d+)'\npoints:\n  - { name: level, from: group:v, unit: mm }\n")

    result = run_try(str(tmp_path / "my-board.yaml"), "-", "address=07", stdin=b"06:1\n07:42\n")

    assert re.search(rb"^ +level +42 mm$", result.stdout, re.M), result.stdout + result.stderr
    assert b"1 message, 5 bytes of no message" in result.stdout


def test_mistakes_of_the_template_are_told_with_their_place(tmp_path):
    (tmp_path / "wrong.yaml").write_text("description: x\ndrivers: [serial]\nframe: { ends: '\\n' }\npoints:\n  - { name: a, from: frame }\n")

    result = run_try(str(tmp_path / "wrong.yaml"), "-", stdin=b"1\n")

    assert result.returncode == 78
    assert b'wrong.yaml:3:10: unknown key "ends" in "frame"; did you mean "end"?' in result.stderr


def test_a_mistyped_template_gets_the_name_that_is_meant(tmp_path):
    (tmp_path / "scale.yaml").write_text("points: []\n")

    for template, meant in (("barcode-reder", "barcode-reader"), (str(tmp_path / "scalle.yaml"), "scale")):
        result = run_try(template, "-", stdin=b"1\n")
        assert result.returncode != 0 and f'cannot be read: No such file or directory; did you mean "{meant}"?\n' in result.stderr.decode()


@pytest.mark.parametrize("template", ["./no-such.yaml", "no-such"])
def test_a_template_that_is_not_there_is_told_with_where_it_was_looked_for(template):
    result = run_try(template, "-", stdin=b"1\n")

    assert result.returncode != 0 and result.stdout == b""
    assert b"no-such.yaml cannot be read: No such file or directory\n" in result.stderr and b"/proc/" not in result.stderr
