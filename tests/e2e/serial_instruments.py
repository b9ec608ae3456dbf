"""Serial instruments for tests, on real ptys: scales, meters, GPS, gas and dust sensors.

Written from the makers' descriptions, independently of the gateway. A pty delivers at once and knows no baud rate; an
instrument looks at the rate that the gateway has set (both ends of a pty see the same settings) and hears and says rubbish at
a wrong one, as on a line. Vectors are from manuals; checksums are computed here.
"""
import fcntl
import os
import select
import struct
import threading
import time
import tty
from collections import namedtuple
from functools import reduce

Heard = namedtuple("Heard", "time data")

TCGETS2 = 0x802C542A  # struct termios2, whose last two words are the speeds in baud. Source: asm-generic/ioctls.h, termbits.h


class Line:
    """A pty behind a link; may be unplugged and plugged in again, under the same link or another."""

    def __init__(self, link):
        self.link = str(link)
        self.master = self.slave = -1

    def plug(self, link=None):
        self.unplug()
        self.link = str(link or self.link)
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        beside = self.link + ".new"
        if os.path.lexists(beside):
            os.unlink(beside)
        os.symlink(os.ttyname(self.slave), beside)
        os.rename(beside, self.link)
        return self

    def unplug(self):
        for fd in (self.slave, self.master):
            if fd >= 0:
                os.close(fd)
        if self.master >= 0 and os.path.lexists(self.link):
            os.unlink(self.link)
        self.master = self.slave = -1

    @property
    def baud(self):
        return struct.unpack("4I20B2I", fcntl.ioctl(self.master, TCGETS2, bytes(44)))[-1]


class Instrument:
    """Something at the end of a line. A thread hears what the gateway says and calls answer(data); say() sends.

    `baud` is the rate at which it speaks now; None: it takes any.
    """

    baud = None

    def __init__(self, link):
        self.line = Line(link)
        self.heard = []  # what the gateway has sent
        self.rubbish = 0  # bytes at a wrong baud rate, in either direction
        self.slowest_s = 0.0  # how long it has had something unanswered at most, since it may have come just after a look
        self.mute = False
        self._changed = threading.Condition()
        self._lock = threading.RLock()  # plugging against the thread
        self._stop = False
        self.line.plug()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def port(self):
        return self.line.link

    def unplug(self):
        with self._lock:
            self.line.unplug()

    def plug(self, link=None):
        with self._lock:
            self.line.plug(link)

    def say(self, data):
        """Sends bytes; nobody hears them when the line is unplugged or its buffer is full."""
        with self._lock:
            if self.line.master < 0 or self.mute:
                return False
            if self.baud and self.line.baud != self.baud:
                self.rubbish += len(data)
                data = bytes((b * 7 + 0x83) & 0xFF for b in data)
            try:
                return os.write(self.line.master, data) == len(data)
            except (BlockingIOError, OSError):
                return False

    def wait_heard(self, data, deadline_s=60, count=1):
        """Waits until the gateway has sent these bytes so often."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.sent.count(data) >= count, deadline_s), \
                f"{data!r} was not sent {count} times, but {self.sent[-200:]!r}"

    @property
    def sent(self):
        return b"".join(h.data for h in self.heard)

    def answer(self, data):
        """What the gateway has sent; to be overridden."""

    def tick(self):
        """Called about every 20 ms; to be overridden by what talks unasked."""

    def _read(self):
        with self._lock:
            if self.line.master < 0:
                return None
            ready, _, _ = select.select([self.line.master], [], [], 0)
            if not ready:
                return b""
            try:
                data = os.read(self.line.master, 4096)
            except OSError:
                return None
            if self.baud and self.line.baud != self.baud:
                self.rubbish += len(data)
                return b""
            return data

    def _run(self):
        nothing_s = time.monotonic()
        while not self._stop:
            look_s = time.monotonic()
            data = self._read()
            if data:
                with self._changed:
                    self.heard.append(Heard(time.monotonic(), data))
                    self._changed.notify_all()
                if not self.mute:
                    self.answer(data)
                self.slowest_s = max(self.slowest_s, time.monotonic() - nothing_s)
            else:
                time.sleep(0.005)
            nothing_s = look_s
            self.tick()

    def stop(self):
        self._stop = True
        self._thread.join(10)
        with self._lock:
            self.line.unplug()


class Talker(Instrument):
    """Says the same message again and again; `message` may be changed at any time."""

    def __init__(self, link, message=b"", interval_s=0.05):
        self.message, self.interval_s = message, interval_s
        self.said, self._next = 0, 0
        super().__init__(link)

    def tick(self):
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self.interval_s
            if self.message:
                self.said += self.say(self.message)

    def wait_said(self, count, deadline_s=60):
        """Waits until it has said something so often, which is to be in the line whole."""
        end = time.monotonic() + deadline_s
        while self.said < count:
            assert time.monotonic() < end, f"said {self.said} times of {count}"
            time.sleep(0.005)


class LineInstrument(Instrument):
    """Answers whole lines."""

    end = b"\r\n"

    def __init__(self, link):
        self._buffer = b""
        super().__init__(link)

    def answer(self, data):
        self._buffer += data
        while self.end in self._buffer:
            line, self._buffer = self._buffer.split(self.end, 1)
            reply = self.reply(line)
            if reply:
                self.say(reply)


class MtSics(LineInstrument):
    """A Mettler Toledo balance. Source: MT-SICS reference manual, level 0 and 1."""

    def __init__(self, link):
        self.weight, self.unit, self.status = "100.00", "g", "S"  # status: S D + - I
        self.serial = "1126493049"
        self.tared, self.zeroed = 0, 0
        self.prefix = b""  # noise before the answer
        super().__init__(link)

    def value(self, command):
        if self.status in "+-I":
            return f"{command} {self.status}\r\n".encode()
        return f"{command} {self.status} {self.weight:>10} {self.unit}\r\n".encode()

    def reply(self, line):
        if line in (b"S", b"SI"):
            return self.prefix + self.value("S")
        if line == b"T":
            self.tared += 1
            return self.value("T") if self.status == "S" else b"T I\r\n"
        if line == b"Z":
            self.zeroed += 1
            return b"Z A\r\n" if self.status == "S" else b"Z I\r\n"
        if line == b"I4":
            return f'I4 A "{self.serial}"\r\n'.encode()
        return b"ES\r\n"


def toledo(weight, tare=0, decimals=1, motion=False, net=False, over=False, checksum=True):
    """A frame of a Toledo continuous scale in kg. Source: METTLER TOLEDO WILDCAT technical manual, continuous output."""
    swa = 0x20 | 1 << 3 | {0: 2, 1: 3, 2: 4, 3: 5}[decimals]
    swb = 0x20 | 1 << 4 | motion << 3 | over << 2 | (weight < 0) << 1 | net
    frame = b"\x02" + bytes([swa, swb, 0x20]) + b"%06d%06d\r" % (abs(weight), tare)
    return frame + bytes([-sum(frame) & 0x7F]) if checksum else frame


def nmea(body):
    """Source: NMEA 0183: $ body * XOR of the body as two upper-case hexadecimal digits."""
    return f"${body}*{reduce(lambda a, b: a ^ b, body.encode(), 0):02X}\r\n".encode()


def crc16_arc(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def dsmr(lines):
    """A telegram of a Dutch smart meter. Source: DSMR P1 companion standard 5.0.2, 6.2."""
    body = "/ISk5\\2MT382-1000\r\n\r\n" + "".join(line + "\r\n" for line in lines) + "!"
    return f"{body}{crc16_arc(body.encode()):04X}\r\n".encode()


def pms5003(pm1, pm25, pm10, counts=(1200, 340, 60, 8, 2, 1)):
    """A frame of a Plantower particle sensor. Source: PMS5003 series data manual V2.3, appendix I."""
    words = [5, 8, 9, pm1, pm25, pm10, *counts, 0x9700]
    frame = b"BM" + (28).to_bytes(2, "big") + b"".join(w.to_bytes(2, "big") for w in words)
    return frame + sum(frame).to_bytes(2, "big")


class Iec62056Meter(Instrument):
    """A meter that is read by mode C: asked at 300 baud, answered at the rate that it offers after the acknowledgement.

    Source: IEC 62056-21:2002, 6.3 and 6.4.
    """

    baud = 300
    REACTION_S = 1.0  # 0.2 - 1.5 s are allowed; long, so that a busy machine has switched its rate

    def __init__(self, link):
        self.registers = ["0.0.0(12345678)", "1.8.0(000123.456*kWh)", "2.8.0(000007.001*kWh)", "32.7(230.1*V)"]
        self.offer = "5"
        self.readouts = 0
        self.spoil = None  # changes the data block before it is sent
        self._buffer, self._due, self._silent_since = b"", None, None
        super().__init__(link)

    def block(self):
        data = "".join(r + "\r\n" for r in self.registers).encode() + b"!\r\n\x03"
        return b"\x02" + data + bytes([reduce(lambda a, b: a ^ b, data, 0)])

    def answer(self, data):
        self._buffer += data
        if b"/?!\r\n" in self._buffer:
            self._buffer = b""
            self.say(f"/LGZ{self.offer}2ZMD120APt.G03\r\n".encode())
        elif b"\x060" in self._buffer and self._buffer.endswith(b"\r\n"):
            is_right = self._buffer.endswith(b"\x060" + self.offer.encode() + b"0\r\n")
            self._buffer = b""
            if is_right:
                self._due = time.monotonic() + self.REACTION_S

    def tick(self):
        if self._due is None or time.monotonic() < self._due:
            return
        self._due = None
        self.baud = {"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200}[self.offer]
        block = self.block()
        self.say(self.spoil(block) if self.spoil else block)
        self.readouts += 1
        self.baud = 300


def mbus_long(body):
    """A long frame of EN 13757-2 around control, address, CI and data."""
    return bytes((0x68, len(body), len(body), 0x68)) + body + bytes((sum(body) & 0xFF, 0x16))


class MbusLine(Instrument):
    """Meters on an M-Bus: {primary address: answer, a whole long frame}. By EN 13757-2 and -3: SND_NKE (40), REQ_UD2 (5B, 7B) and
    selection (CI 52 at address FD) by identification number, where F is any digit. What is no frame gets no answer."""

    def __init__(self, link, meters):
        self.meters, self.selected, self.selections, self._heard = meters, None, [], b""
        super().__init__(link)

    def answer(self, data):
        self._heard += data
        while self._heard:
            size = 5 if self._heard[0] == 0x10 else self._heard[1] + 6 if self._heard[0] == 0x68 and len(self._heard) > 1 else 1
            if len(self._heard) < size:
                return
            frame, self._heard = self._heard[:size], self._heard[size:]
            body = frame[1:-2] if size == 5 else frame[4:-2]
            if size > 1 and frame[-1] == 0x16 and frame[-2] == sum(body) & 0xFF:
                self.obey(body)

    def obey(self, body):
        control, address = body[0], body[1]
        if control == 0x53 and address == 0xFD and body[2] == 0x52:
            wanted = body[3:7][::-1].hex().upper()
            self.selections.append(wanted)
            fits = [a for a, frame in self.meters.items()
                    if all(w in ("F", d) for w, d in zip(wanted, frame[7:11][::-1].hex().upper()))]
            self.selected = fits[0] if len(fits) == 1 else None
            if self.selected is not None:
                self.say(b"\xE5")
        elif control == 0x40 and address == 0xFD:
            self.selected = None
        elif control == 0x40 and address in self.meters:
            self.say(b"\xE5")
        elif control in (0x5B, 0x7B):
            frame = self.meters.get(self.selected if address == 0xFD else address)
            if frame:
                self.say(frame)
