"""`field2mqtt scan`: who is on a line or behind an address, as YAML that can be pasted.

The slaves here are made of bytes by the specification (MODBUS Application Protocol V1.1b3; SunSpec's common model), with
pymodbus's CRC; a pty tells the speed that the gateway has set, and a slave hears nothing at another one.
"""
import os
import pty
import re
import select
import signal
import struct
import subprocess
import time

import pytest
import yaml

from conftest import PROGRAM, ROOT, SLOW
from modbus_frames import crc16
from modbus_tcp import ModbusTcpServer
from serial_instruments import Instrument

HEAD = "gateway: { name: gw }\nmqtt: { servers: mqtt://127.0.0.1:1 }\n"
READS = {1, 2, 3, 4, 17, 43}


def frame(unit, pdu):
    body = bytes([unit]) + pdu
    return body + struct.pack(">H", crc16(body))


class Units(Instrument):
    """A line of RTU slaves. `units` says what each does with the PDU of a request: another PDU, None for silence."""

    def __init__(self, link, units, baud=None):
        self.units, self.baud, self.pdus, self.pending = units, baud, [], b""
        self.send_raw = None  # instead of an answer: bytes as they are
        super().__init__(link)

    def answer(self, data):
        self.pending += data
        while len(self.pending) >= 4:
            n = {43: 7, 17: 4}.get(self.pending[1], 8)  # address, PDU, CRC
            request, self.pending = self.pending[:n], self.pending[n:]
            if len(request) < n:
                self.pending = request
                return
            assert struct.pack(">H", crc16(request[:-2])) == request[-2:]
            self.pdus.append((request[0], request[1:-2]))
            reply = self.units.get(request[0], lambda pdu: None)(request[1:-2])
            if reply is not None:
                self.say(reply if isinstance(reply, Raw) else frame(request[0], reply))

    def begin(self):
        self.pdus, self.pending, self.rubbish, self.slowest_s = [], b"", 0, 0.0

    def functions(self):
        return {pdu[0] for _, pdu in self.pdus}


class Raw(bytes):
    """Bytes that come as they are instead of a frame."""


def refuses(code):
    return lambda pdu: bytes([pdu[0] | 0x80, code])


def registers(cells, functions=(3,), others=1):
    """A device with these registers (a dict); what else is asked for it refuses, or with others=None does not hear."""
    def answer(pdu):
        if pdu[0] not in functions:
            return None if others is None else bytes([pdu[0] | 0x80, others])
        first, count = struct.unpack(">HH", pdu[1:5])
        if any(first + i not in cells for i in range(count)):
            return bytes([pdu[0] | 0x80, 2])
        if pdu[0] in (1, 2):
            return bytes([pdu[0], 1, cells[first] & 1])
        return bytes([pdu[0], 2 * count]) + b"".join(struct.pack(">H", cells[first + i]) for i in range(count))
    return answer


def identification(objects, others, per_part=2, level=1):
    """Answers function 43/14 in parts of so many objects."""
    def answer(pdu):
        if pdu[0] != 43:
            return others(pdu)
        known = sorted(k for k in objects if k <= {1: 2, 2: 6}[pdu[2]] and k >= pdu[3])
        part, more = known[:per_part], known[per_part:]
        body = b"".join(bytes([k, len(objects[k])]) + objects[k] for k in part)
        return bytes([43, 14, pdu[2], 0x80 | level, 0xFF if more else 0, more[0] if more else 0, len(part)]) + body
    return answer


def sunspec(base, manufacturer, model, serial, models=((103, 50),)):
    def text(value, n):
        return list(struct.unpack(f">{n}H", value.ljust(2 * n, b"\0")))
    words = [0x5375, 0x6E53, 1, 66] + text(manufacturer, 16) + text(model, 16) + text(b"", 8) + text(b"1.2.3", 8) \
        + text(serial, 16) + [17, 0]
    for number, length in models:
        words += [number, length] + [0] * length
    words += [0xFFFF]
    return {base + i: word for i, word in enumerate(words)}


def scan(*words, timeout=120):
    done = subprocess.run([PROGRAM, "scan", *map(str, words)], cwd=ROOT, capture_output=True, text=True,
                          timeout=timeout * SLOW)
    return done.returncode, done.stdout, done.stderr


def scan_in_time(slaves, *words, limit_s=0.09):
    """A scan that the slaves have answered before it gives up waiting for each; when a busy machine held them up, another one."""
    for _ in range(20):
        slaves.begin()
        outcome = scan(slaves.port, *words)
        if slaves.slowest_s < limit_s:
            return outcome
    pytest.fail(f"the slaves never come to answering within {limit_s} s")


def is_accepted(text, tmp_path):
    """Pastes the outcome behind the head of a configuration; field2mqtt check must take it."""
    file = tmp_path / "pasted.yaml"
    file.write_text(HEAD + text)
    done = subprocess.run([PROGRAM, "check", "-c", str(file)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return yaml.safe_load(text)["buses"]


def notes(text):
    """What stands in the comments before each device, read as YAML."""
    found, comments = {}, {}
    for line in text.splitlines():
        if match := re.match(r'      # (\w+): (".*")$', line):
            comments[match[1]] = yaml.safe_load(match[2])
        elif match := re.match(r"      - name: unit-(\d+)$", line):
            found[int(match[1])] = comments
            comments = {}
    return found


@pytest.fixture
def line(tmp_path, started):
    return lambda units, **keys: started.add(Units(tmp_path / "line", units, **keys))


def test_a_line_is_found_at_its_speed(line, tmp_path):
    slaves = line({3: registers({0: 7}), 5: refuses(2)}, baud=19200)
    code, out, err = scan_in_time(slaves, "--units", "1-6", "--timeout", "120ms")

    assert code == 0, err
    bus, = is_accepted(out, tmp_path)
    assert (bus["driver"], bus["port"], bus["baud"], bus["parity"]) == ("modbus-rtu", slaves.port, 19200, "none")
    assert [(d["name"], d["unit"]) for d in bus["devices"]] == [("unit-3", 3), ("unit-5", 5)]
    assert bus["devices"][0]["points"] == [{"name": "first", "register": "holding:0"}]
    assert slaves.functions() <= READS and slaves.rubbish > 0
    assert "parity=even" not in err, "went on at other settings"
    assert "unit 5 answers, and refuses: illegal_data_address" in err


def test_all_settings_are_asked_when_wanted(line, tmp_path):
    slaves = line({2: registers({0: 7})}, baud=9600)
    code, out, err = scan_in_time(slaves, "--units", "2", "--timeout", "120ms", "--all-settings", "--baud", "9600,4800", "--quick")

    assert code == 0
    assert [bus["name"] for bus in is_accepted(out, tmp_path)] == ["line", "line-2", "line-3"]  # a pty has no parity
    assert "at 6 settings of the line:" in err and "baud=4800 parity=odd: question" in err


@pytest.mark.quick
def test_what_a_device_says_of_itself_is_shown(line, tmp_path):
    cells = {0: 1, **sunspec(40000, b"Acme Solar", b"X-1000", b"SN 42", models=((103, 50), (120, 26)))}
    objects = {0: b"Acme", 1: b"X1", 2: b"V2.1", 4: b"Sun catcher"}
    known = identification(objects, registers(cells), per_part=1, level=2)
    slaves = line({9: lambda pdu: bytes([17, 8, 9, 0xFF]) + b"Meter9" if pdu[0] == 17 else known(pdu)})
    code, out, err = scan_in_time(slaves, "--units", "8-9", "--timeout", "250ms", limit_s=0.2)

    assert code == 0, err
    bus, = is_accepted(out, tmp_path)
    assert notes(out)[9] == {
        "vendor": "Acme", "product_code": "X1", "revision": "V2.1", "product": "Sun catcher", "server_id": "\x09\xffMeter9",
        "sunspec_manufacturer": "Acme Solar", "sunspec_model": "X-1000", "sunspec_version": "1.2.3",
        "sunspec_serial": "SN 42", "sunspec_models": "1, 103, 120"}
    # The common model: Mn at 4, Md at 20, Vr at 44, SN at 52 behind the base (SunSpec model 1).
    assert bus["devices"][0]["points"] == [
        {"name": "first", "register": "holding:0"},
        {"name": "manufacturer", "register": "holding:40004", "type": "string[16]"},
        {"name": "model", "register": "holding:40020", "type": "string[16]"},
        {"name": "version", "register": "holding:40044", "type": "string[8]"},
        {"name": "serial", "register": "holding:40052", "type": "string[16]"}]
    assert slaves.functions() <= READS


@pytest.mark.parametrize("base", [50000, 0])
def test_sunspec_is_found_at_its_other_places(line, base):
    slaves = line({1: registers(sunspec(base, b"M", b"T", b"S"))})
    _, out, _ = scan_in_time(slaves, "--units", "1", "--timeout", "120ms")

    assert notes(out)[1]["sunspec_serial"] == "S"


def test_hostile_texts_stay_in_their_quotes(line, tmp_path):
    evil = b'a"\n  - name: x\r\x1b[2J\\\x00\xe2\x80\xa8\x85${HOME} # y'
    device = identification({0: evil}, registers({0: 1, **sunspec(40000, b'"]\n}', evil[:30], b"\xff" * 32)}))
    slaves = line({1: lambda pdu: bytes([17, len(evil)]) + evil if pdu[0] == 17 else device(pdu)})
    _, out, err = scan_in_time(slaves, "--units", "1", "--timeout", "250ms", limit_s=0.2)

    bus, = is_accepted(out, tmp_path)
    assert [d["name"] for d in bus["devices"]] == ["unit-1"]
    found = notes(out)[1]
    assert found["vendor"] == found["server_id"] == evil.decode("latin-1")
    assert found["sunspec_manufacturer"] == '"]\n}' and found["sunspec_serial"] == "\xff" * 32
    assert out.isascii() and not re.search(r"[^\n\x20-\x7e]", out + err)


@pytest.mark.parametrize("answer", [
    Raw(b"\x55\xaa\x00\xff\x13\x37\x01\x03"),
    Raw(frame(1, bytes([3, 2, 0, 7]))[:-1] + b"\x00"),   # a wrong CRC
    Raw(frame(7, bytes([3, 2, 0, 7]))),                  # somebody else
    Raw(frame(1, bytes([4, 2, 0, 7]))[:5]),              # cut off
    Raw(frame(1, bytes([3, 4, 0, 7, 0, 7]))),            # another length
])
def test_garbage_is_no_unit(line, answer):
    slaves = line({1: lambda pdu: answer})
    code, out, err = scan_in_time(slaves, "--units", "1-2", "--timeout", "120ms", "--baud", "9600", "--parity", "N")

    assert (code, out) == (1, ""), err
    assert "nobody answered" in err


def test_garbage_is_told(line):
    slaves = line({1: lambda pdu: Raw(b"\x55\xaa\x00\xff\x13\x37\x01\x99")})
    _, _, err = scan_in_time(slaves, "--units", "1", "--timeout", "120ms", "--baud", "9600", "--parity", "N")

    assert "what came was no answer" in err and "unit 1: bad_crc" in err


def test_rubbish_of_a_wrong_speed_is_no_unit(line):
    slaves = line({1: registers({0: 7})}, baud=115200)
    slaves.baud = None
    slaves.units = {1: lambda pdu: Raw(bytes((b * 7 + 0x83) & 0xFF for b in frame(1, bytes([3, 2, 0, 7]))))}
    code, out, _ = scan_in_time(slaves, "--units", "1", "--timeout", "120ms", "--quick")

    assert (code, out) == (1, "")


@pytest.mark.parametrize("functions, register", [((4,), "input:0"), ((1,), "coil:0")])
@pytest.mark.parametrize("others", [None, 1])
def test_a_device_without_holding_registers_is_found(line, tmp_path, functions, register, others):
    slaves = line({4: registers({0: 1}, functions, others)})
    code, out, err = scan_in_time(slaves, "--units", "3-4", "--timeout", "120ms", "--baud", "9600", "--parity", "N")

    assert code == 0, err
    assert is_accepted(out, tmp_path)[0]["devices"][0]["points"] == [{"name": "first", "register": register}]
    assert slaves.functions() <= READS


def test_a_slow_device_is_found_by_its_late_answer(line):
    def slow(pdu):
        time.sleep(0.17)
        return registers({0: 7})(pdu)
    slaves = line({2: slow})
    code, out, err = scan_in_time(slaves, "--units", "1-8", "--timeout", "120ms", "--baud", "9600", "--parity", "N", "--quick",
                                  limit_s=0.23)

    assert code == 0 and "name: unit-2\n" in out, err


def test_silence_says_what_to_look_after(line):
    slaves = line({})
    code, out, err = scan(slaves.port, "--units", "1-3", "--timeout", "20ms")

    assert (code, out) == (1, "")
    assert "asking 3 units at 12 settings" in err and re.search(r"about \d+ m?s if nobody answers", err)
    for word in ("swapped", "termination", "--timeout"):
        assert word in err
    asked = {(unit, pdu[0]) for unit, pdu in slaves.pdus}
    assert asked == {(unit, function) for unit in (1, 2, 3) for function in (3, 4, 1)}


def test_a_port_in_use_is_refused(line, tmp_path):
    slaves = line({1: registers({0: 7})})
    file = tmp_path / "config.yaml"
    file.write_text(HEAD + f"http: off\nbuses: [{{ name: b, driver: modbus-rtu, port: {slaves.port}, devices: "
                    f"[{{ name: d, unit: 1, points: [{{ name: p, register: holding:0, interval: 100ms }}] }}] }}]\n"
                    f"buffer: {{ path: {tmp_path}/outbox }}\n")
    gateway = subprocess.Popen([PROGRAM, "run", "-c", str(file)], stderr=subprocess.DEVNULL)
    try:
        slaves.wait_heard(frame(1, bytes([3, 0, 0, 0, 1])))
        code, out, err = scan(slaves.port)
        assert (code, out) == (2, "") and "is in use by another program, such as a running gateway" in err
    finally:
        gateway.terminate()
        gateway.wait(20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_what_was_found(line, number):
    slaves = line({2: registers({0: 7})})
    process = subprocess.Popen([PROGRAM, "scan", slaves.port, "--units", "2,5", "--timeout", "60s"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        slaves.wait_heard(frame(5, bytes([3, 0, 0, 0, 1])))
        process.send_signal(number)
        out, err = process.communicate(timeout=30)  # it does not wait for the answer
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0 and "name: unit-2\n" in out and "stopped" in err


def test_on_a_terminal_one_line_is_refreshed(line):
    slaves = line({2: registers({0: 7})})
    master, slave = pty.openpty()
    seen = b""
    with subprocess.Popen([PROGRAM, "scan", slaves.port, "--units", "1-9", "--timeout", "250ms", "--quick", "--baud", "9600"],
                          stdout=subprocess.PIPE, stderr=slave) as process:
        os.close(slave)
        try:
            while select.select([master], [], [], 20)[0] and (data := os.read(master, 4096)):
                seen += data
        except OSError:  # the program has ended
            pass
        assert process.wait(20) == 0
    os.close(master)
    assert re.search(rb"baud=9600 parity=none, unit \d: \d+ %, 1 found, about [^\r\n]* left\r\x1b\[K", seen), seen
    assert seen.count(b"\n") == 2, seen  # what is asked, and who was found; the rest was one line


# ---- behind an address --------------------------------------------------------------------------------------------------

def where(slave):
    return f"tcp://127.0.0.1:{slave.port}"


def test_units_behind_a_tcp_address(modbus_tcp_slave, tmp_path):
    for unit in (1, 17, 255):
        modbus_tcp_slave.unit(unit).set("holding:0", [unit])
    modbus_tcp_slave.unit(17).refuse("holding:0", 2)
    modbus_tcp_slave.unit(40).refuse("holding:0", 11)  # a gateway's word for a silent one
    code, out, err = scan(where(modbus_tcp_slave), "--units", "1-2,17,40,255", "--timeout", "1500ms", "--quick")

    assert code == 0, err
    bus, = is_accepted(out, tmp_path)
    assert (bus["driver"], bus["host"], bus["port"]) == ("modbus-tcp", "127.0.0.1", modbus_tcp_slave.port)
    assert [d["unit"] for d in bus["devices"]] == [1, 17, 255]
    assert bus["devices"][1]["points"] == [{"name": "first", "register": "input:0"}]
    assert {r.function for r in modbus_tcp_slave.recorded()} <= READS


def test_units_behind_a_device_server(modbus_rtu_tcp_slave, tmp_path):
    modbus_rtu_tcp_slave.unit(2).set("holding:0", [5])
    code, out, err = scan(where(modbus_rtu_tcp_slave), "framing=rtu", "--units", "1-3", "--timeout", "1500ms")

    assert code == 0, err
    bus, = is_accepted(out, tmp_path)
    assert bus["framing"] == "rtu" and [d["unit"] for d in bus["devices"]] == [2]


class Server(ModbusTcpServer):
    def __init__(self, answer):
        self.answer = answer
        super().__init__()

    def send(self, connection, frame):
        connection.sendall(frame[:9])  # in two pieces, as some do
        connection.sendall(frame[9:])


def test_who_answers_to_every_unit_is_one_device(started, tmp_path):
    objects = {0: b"Acme", 1: b"P", 2: b"1" * 200}
    device = identification(objects, registers({0: 7}), per_part=1)
    server = started.add(Server(lambda unit, pdu: device(pdu)))
    code, out, err = scan(where(server))

    assert code == 0, err
    assert [d["unit"] for d in is_accepted(out, tmp_path)[0]["devices"]] == [1]
    assert "# it answers whatever the unit is\n" in out
    assert notes(out)[1] == {"vendor": "Acme", "product_code": "P", "revision": "1" * 200}


@pytest.mark.parametrize("code", [2, 4, 11])
def test_a_gateway_that_refuses_for_absent_units_hides_none(started, code):
    server = started.add(Server(lambda unit, pdu: registers({0: 7})(pdu) if unit == 30 else bytes([pdu[0] | 0x80, code])))
    status, out, err = scan(where(server))

    assert status == 0, err
    assert re.findall(r"unit: (\d+)", out) == ["30"]


def test_a_device_that_hangs_up_is_asked_on(started):
    server = started.add(Server(lambda unit, pdu: registers(sunspec(40000, b"M", b"T", b"S") | {0: 1})(pdu)
                                if unit == 3 and pdu[0] == 3 else None))
    status, out, err = scan(where(server), "--units", "1-4", "--timeout", "300ms")

    assert status == 0 and re.findall(r"unit: (\d+)", out) == ["3"], err
    assert notes(out)[3]["sunspec_serial"] == "S"


def test_nobody_at_the_address(modbus_tcp_slave):
    modbus_tcp_slave.stop()
    code, out, err = scan(where(modbus_tcp_slave))

    assert (code, out) == (2, "") and "refuses connections" in err


@pytest.mark.parametrize("words, sentence", [
    ((), "which port"), (("/dev/null", "--units", "0-300"), "--units"), (("/dev/null", "--units", "3-1"), "--units"),
    (("/dev/null", "--units", "1,,2"), "--units"), (("/dev/null", "--baud", "fast"), "baud"),
    (("/dev/null", "--parity", "X"), "parity"), (("/dev/null", "--timeout", "1"), "--timeout"), (("/dev/null", "x"), "KEY=VALUE"),
    (("tcp://127.0.0.1", "--baud", "9600"), "there is no line"), (("tcp://[::1", ), "tcp://HOST:PORT"),
    (("tcp://127.0.0.1:x",), "port"), (("/dev/null", "--driver", "serial"), "cannot find devices"),
    (("/dev/null", "--frob"), "unknown option"), (("/dev/null", "baud=9600", "--baud", "1200"), "already"),
    (("/dev/null", "bauds=9600"), "baud"),
])
def test_wrong_use_is_told(words, sentence):
    code, out, err = scan(*words)

    assert (code, out) == (64, "") and sentence in err


def test_what_is_no_port_is_told(tmp_path):
    assert scan("/dev/null")[0] == 2
    code, _, err = scan(tmp_path / "none")
    assert code == 2 and "does not exist" in err
