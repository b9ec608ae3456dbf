"""The relay board of the shipped template, set through MQTT: the requests are those of its maker's manual, byte by byte."""
import os
import select
import struct
import threading
import tty

import pytest

from conftest import make_config
from test_commands import online
from modbus_frames import crc16
from modbus_tcp import ModbusTcpServer

READS = (1, 2, 3, 4)


class Board:
    """A relay board of its own, so that function 5 may carry times: coils, and every request that was not a read."""

    def __init__(self):
        self.coils, self.writes = [0] * 8, []

    def answer(self, pdu):
        function, first, value = struct.unpack(">BHH", pdu[:5])
        if function == 1 and first < 8:
            bits = self.coils[first:first + value]
            packed = bytes(sum(bit << i for i, bit in enumerate(bits[n:n + 8])) for n in range(0, len(bits), 8))
            return bytes([1, len(packed)]) + packed
        if function == 5:
            if first < 8:
                self.coils[first] = {0xFF00: 1, 0x0000: 0, 0x5500: 1 - self.coils[first]}[value]
            return pdu
        return bytes([function | 0x80, 2])


class TcpBoard(Board, ModbusTcpServer):
    def __init__(self):
        Board.__init__(self)
        ModbusTcpServer.__init__(self)

    def answer(self, unit, pdu):
        if pdu[0] not in READS:
            self.writes.append(pdu.hex(" "))
        return Board.answer(self, pdu)


class LineBoard(Board):
    """At the end of a serial line: whole frames as they are on the wire, with unit and CRC."""

    def __init__(self):
        super().__init__()
        self._line, self._far = os.openpty()
        tty.setraw(self._far)
        self.port = os.ttyname(self._far)
        self._stop_read, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        frame = b""
        while self._stop_read not in (ready := select.select([self._line, self._stop_read], [], [], 0.2)[0]):
            if not ready:  # a silence: what began is over
                frame = b""
                continue
            frame += os.read(self._line, 256)
            while len(frame) >= (n := self.request_len(frame)):
                self._take(frame[:n])
                frame = frame[n:]

    def _take(self, frame):
        if frame[1] not in READS:
            self.writes.append(frame.hex(" "))
        os.write(self._line, self.heard(frame))
        if (answer := self.answer(frame[1:-2])) is not None:
            os.write(self._line, frame[:1] + answer + struct.pack(">H", crc16(frame[:1] + answer)))

    def request_len(self, frame):
        return 8  # of functions 1 to 6

    def heard(self, frame):
        """What the line gives back of a request, before the answer."""
        return b""

    def close(self):
        os.write(self._stop, b".")
        self._thread.join(5)
        for fd in (self._line, self._far, self._stop_read, self._stop):
            os.close(fd)


@pytest.mark.parametrize("point,value,request_bytes,read_back", [
    ("relay_3", "true", "05 00 02 ff 00", True),
    ("flash_on_1", "0.7", "05 02 00 00 07", None),
])
def test_a_relay_is_set_as_its_manual_says(broker, subscriber, gateway, started, point, value, request_bytes, read_back):
    board = started.add(TcpBoard())
    device = {"name": "relays", "template": "waveshare-relay-8ch", "unit": 1, "interval": "200ms"}
    bus = {"name": "plc", "driver": "modbus-tcp", "host": "127.0.0.1", "port": board.port, "devices": [device]}
    gateway(make_config(broker, [bus], commands={"enabled": True}))
    online(subscriber)
    subscriber.wait_for_json("gw/relays/relay_3", lambda m: m["value"] is False)

    subscriber.client.publish(f"gw/relays/{point}/set", value, qos=1)
    result = subscriber.wait_for_json(f"gw/relays/{point}/result")

    assert result["ok"] is True, result
    assert board.writes == [request_bytes]
    if read_back is not None:
        subscriber.wait_for_json(f"gw/relays/{point}", lambda m: m["value"] is read_back)
        assert board.coils == [0, 0, 1, 0, 0, 0, 0, 0]


# A relay that toggles, beside the points of the template.
MORE = [{"name": "toggle_3", "register": "coil:2", "on_value": 0x5500, "access": "w", "write": {"allowed": [True]}}]


# The maker's manual: relay 3 on, relay 1 on for 0.7 s, relay 3 toggled; off is 0000. The first two CRCs are printed there; the
# others are pymodbus's.
@pytest.mark.parametrize("point,value,frame,coils", [
    ("relay_3", "true", "01 05 00 02 ff 00 2d fa", [0, 0, 1, 0, 0, 0, 0, 0]),
    ("flash_on_1", "0.7", "01 05 02 00 00 07 8d b0", [0, 0, 0, 0, 0, 0, 0, 0]),
    ("toggle_3", "true", "01 05 00 02 55 00", [0, 0, 1, 0, 0, 0, 0, 0]),
    ("relay_3", "false", "01 05 00 02 00 00", [0, 0, 0, 0, 0, 0, 0, 0]),
])
def test_on_a_line_it_gets_the_frames_of_its_manual(broker, subscriber, gateway, started, point, value, frame, coils):
    board = started.add(LineBoard())
    device = {"name": "relays", "template": "waveshare-relay-8ch", "unit": 1, "interval": "200ms", "points": MORE}
    bus = {"name": "line", "driver": "modbus-rtu", "port": board.port, "devices": [device]}
    gateway(make_config(broker, [bus], commands={"enabled": True}))
    online(subscriber)
    subscriber.wait_for_json("gw/relays/relay_3", lambda m: m["value"] is False)

    subscriber.client.publish(f"gw/relays/{point}/set", value, qos=1)
    result = subscriber.wait_for_json(f"gw/relays/{point}/result")

    if len(frame) < 20:
        frame += " " + struct.pack(">H", crc16(bytes.fromhex(frame))).hex(" ")
    assert result["ok"] is True, result
    assert board.writes == [frame]
    assert board.coils == coils


def test_a_toggle_is_not_taken_for_an_off(broker, subscriber, gateway, started):
    """function 5 with 0 would switch the relay off: the value that is not allowed never reaches the line."""
    board = started.add(LineBoard())
    device = {"name": "relays", "template": "waveshare-relay-8ch", "unit": 1, "interval": "200ms", "points": MORE}
    bus = {"name": "line", "driver": "modbus-rtu", "port": board.port, "devices": [device]}
    gateway(make_config(broker, [bus], commands={"enabled": True}))
    online(subscriber)
    subscriber.wait_for_json("gw/relays/relay_3", lambda m: m["value"] is False)

    for value, code in (("true", "ok"), ("true", "ok"), ("true", "ok"), ("false", "not_allowed")):
        mark = subscriber.mark()
        subscriber.client.publish("gw/relays/toggle_3/set", value, qos=1)
        assert subscriber.wait_for_json("gw/relays/toggle_3/result", since=mark)["code"] == code

    assert [frame[:17] for frame in board.writes] == ["01 05 00 02 55 00"] * 3
    assert board.coils[2] == 1
