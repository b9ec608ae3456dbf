"""Modbus slaves for tests: TCP, RTU on a pty line, RTU over TCP.

Frames and replies are pymodbus's, so that the gateway is held against other people's reading of the protocol.
Registers can be set and read by the test at any time; requests are recorded; single registers can be refused
with any exception code; a unit can be silent or slow; a host can accept and never answer.
"""
import os
import random
import select
import socket
import struct
import threading
import time
from collections import namedtuple

from modbus_frames import Framer, crc16, execute, refusal, span
from ports import free_port
from serial_instruments import Line

Request = namedtuple("Request", "time unit function address count")
Overdue = namedtuple("Overdue", "time frame")

FRAME_IS_OVER_S = 0.2  # a frame that never ended is forgotten after a silence, as a slave on a real line does
LOOK_S = 0.005

AREA_OF_FUNCTION = {
    1: "coil", 2: "discrete", 3: "holding", 4: "input",
    5: "coil", 6: "holding", 15: "coil", 16: "holding", 22: "holding", 23: "holding",
}


class Faults:
    """Spoils a share of the answers, in all the ways that lines and cheap devices do. Reproducible by its seed."""

    RTU = ("drop", "late", "truncated", "bad_crc", "wrong_unit", "garbage_before", "echo", "busy", "trailing")
    TCP = ("drop", "late", "truncated", "wrong_transaction", "wrong_unit", "garbage", "close", "busy")

    def __init__(self, share, late_s, seed):
        self.share, self.late_s, self.random = share, late_s, random.Random(seed)
        self.counts = {}

    def draw(self, kinds):
        if self.random.random() >= self.share:
            return None
        kind = self.random.choice(kinds)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return kind

    def apply(self, kind, request, frame, send):
        """Sends what comes over the wire instead of the right frame."""
        if kind == "late":
            timer = threading.Timer(self.random.uniform(0.5, 2.5) * self.late_s, lambda: _quietly(send, frame))
            timer.daemon = True
            timer.start()
        elif kind == "truncated":
            send(frame[:self.random.randrange(1, len(frame))])
        elif kind == "bad_crc":
            send(frame[:-1] + bytes([frame[-1] ^ 0x40]))
        elif kind == "wrong_unit":
            send(self._with_unit(frame))
        elif kind == "wrong_transaction":
            send(bytes([frame[0] ^ 0x55]) + frame[1:])
        elif kind == "garbage":
            send(bytes(self.random.randrange(256) for _ in range(self.random.randrange(1, 40))))
        elif kind == "garbage_before":
            send(b"\xff\x00" + frame)
        elif kind == "echo":
            send(request + frame)
        elif kind == "trailing":
            send(frame + b"\x00\xff")
        elif kind == "close":
            raise ConnectionError("closed by the test")

    @staticmethod
    def _with_unit(frame):
        if frame[2:4] == b"\0\0" and struct.unpack(">H", frame[4:6])[0] == len(frame) - 6:
            return frame[:6] + bytes([frame[6] ^ 3]) + frame[7:]
        body = bytes([frame[0] ^ 3]) + frame[1:-2]
        return body + struct.pack(">H", crc16(body))


def _quietly(send, frame):
    try:
        send(frame)
    except OSError:
        pass


class Unit:
    """One device: four areas of 65536 cells. A pymodbus datastore context."""

    def __init__(self, lock):
        self.lock = lock
        self.cells = {area: [0] * 65536 for area in ("coil", "discrete", "holding", "input")}
        self.refused = {}  # (area, address) -> exception code
        self.functions = {}  # function -> exception code, "silent" (carried out, not answered) or "lost" (neither)
        self.silent = False
        self.delay_s = 0.0
        self.held, self.n_held = (), 0  # functions whose answers are kept back, and how many are

    def set(self, register, words):
        """Sets cells from "holding:100" on, all at once."""
        area, _, address = register.partition(":")
        with self.lock:
            self.cells[area][int(address, 0):int(address, 0) + len(words)] = list(words)

    def get(self, register, count=1):
        area, _, address = register.partition(":")
        with self.lock:
            return self.cells[area][int(address, 0):int(address, 0) + count]

    def refuse(self, register, code=2):
        """Answers every request that touches the register with an exception; code 0 allows it again, and with a
        negative one it keeps silent instead, as some devices do."""
        area, _, address = register.partition(":")
        with self.lock:
            if code:
                self.refused[area, int(address, 0)] = code
            else:
                self.refused.pop((area, int(address, 0)), None)

    def hold(self, *functions):
        """Carries out what is asked by these functions, and keeps the answers back until release(). So what comes behind them
        waits for as long as a test likes, on a machine of any pace."""
        self.held = functions

    def release(self):
        self.held = ()

    # -- what pymodbus's requests ask of a datastore --
    def validate(self, function, address, count=1):
        return address + count <= 65536

    def getValues(self, function, address, count=1):  # pylint: disable=invalid-name
        return self.cells[AREA_OF_FUNCTION[function]][address:address + count]

    def setValues(self, function, address, values):  # pylint: disable=invalid-name
        self.cells[AREA_OF_FUNCTION[function]][address:address + len(values)] = list(values)


class Slave:
    """What all transports share: the units, the record, the answers."""

    def __init__(self, framing):
        self._framing = framing
        self.lock = threading.RLock()
        self.units = {}
        self.requests = []
        self.answer = True  # False: listens and never says a word
        self.faults = None  # a Faults
        # An answer that would leave later than this after its request came is not sent: RTU cannot tell it from that to a newer
        # request, and a busy machine is no fault that the test meant. One that was held up in the very call is on record.
        self.promise_s = None
        self.withheld, self.overdue = 0, []
        self._stopping = threading.Event()
        self._threads = []

    def unit(self, number=1):
        if number not in self.units:
            self.units[number] = Unit(self.lock)
        return self.units[number]

    def clear(self):
        with self.lock:
            self.requests.clear()

    def recorded(self, unit=None):
        with self.lock:
            return [r for r in self.requests if unit in (None, r.unit)]

    def wait_for_requests(self, count, unit=None, deadline_s=60):
        end = time.monotonic() + deadline_s
        while len(self.recorded(unit)) < count:
            assert time.monotonic() < end, f"only {len(self.recorded(unit))} of {count} requests within {deadline_s} s"
            self._stopping.wait(0.005)

    def _listen(self, fd, send):
        """Reads and answers until the end. What is read came after the last look that found nothing: so its age is known at
        most, however long this thread had to wait for the processor."""
        framer, heard_s, nothing_s = Framer(self._framing), 0.0, time.monotonic()
        while not self._stopping.is_set():
            look_s = time.monotonic()
            if not select.select([fd], [], [], LOOK_S if self.promise_s else FRAME_IS_OVER_S)[0]:
                nothing_s = look_s
                if time.monotonic() - heard_s >= FRAME_IS_OVER_S:
                    framer.reset()
                continue
            data = os.read(fd, 4096)
            if not data:
                return
            self._feed(framer, data, lambda reply, came_s=nothing_s: self._send_in_time(send, reply, came_s))
            heard_s = nothing_s = look_s  # the look is from before the read, which took all

    def _send_in_time(self, send, reply, came_s):
        if self._stopping.is_set():
            return
        begin_s = time.monotonic()
        if self.promise_s and begin_s - came_s > self.promise_s:
            self.withheld += 1
            return
        send(reply)
        if self.promise_s and time.monotonic() - came_s > self.promise_s:
            self.overdue.append(Overdue(begin_s, reply))

    def _feed(self, framer, data, send):
        """Gives received bytes to the framer and sends the answers to whatever requests they complete."""
        def answer(request, number):
            with self.lock:
                address, count = span(request)
                self.requests.append(Request(time.monotonic(), number, request.function_code, address, count))
                unit = self.units.get(number)
                if not self.answer or unit is None or unit.silent:
                    return
                rule = unit.functions.get(request.function_code)
                if rule == "silent":
                    execute(request, unit)
                if rule in ("silent", "lost"):
                    return
                area = AREA_OF_FUNCTION.get(request.function_code)
                codes = [unit.refused[area, a] for a in range(address, address + count) if (area, a) in unit.refused]
                fault = self.faults and self.faults.draw(
                    Faults.TCP if self._framing == "tcp" else Faults.RTU)
                if any(code < 0 for code in codes):
                    return
                if isinstance(rule, int):
                    codes = [rule]
                if fault == "busy":
                    codes = [6]
                if codes:
                    response = refusal(request, codes[0])
                else:
                    response = execute(request, unit)
                delay_s = unit.delay_s
            if delay_s:
                self._stopping.wait(delay_s)
            self._wait_for_release(unit, request.function_code)
            frame = framer.reply(request, response)
            if fault and not codes:
                self.faults.apply(fault, data, frame, send)
            else:
                send(frame)

        framer.feed(data, answer)

    def _wait_for_release(self, unit, function):
        unit.n_held += function in unit.held
        while function in unit.held and not self._stopping.is_set():
            self._stopping.wait(LOOK_S)
        unit.n_held = 0

    def _run(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _join(self):
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(30)
        self._threads.clear()


class TcpSlave(Slave):
    """Modbus TCP, or with framing="rtu" a serial device server that passes RTU frames through."""

    def __init__(self, framing="tcp", address="127.0.0.1"):
        super().__init__(framing)
        self.address, self.port = address, free_port()  # no one else's while it is stopped
        self.connections = 0
        self._listener, self._open = None, set()

    def start(self):
        self._stopping.clear()
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.address, self.port))
        self._listener.listen(256)
        self._run(self._accept, self._listener)
        return self

    def stop(self):
        self._stopping.set()
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.drop_connections()
        self._join()

    def drop_connections(self):
        with self.lock:
            connections = list(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self, listener):
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                self._open.add(connection)
            self._run(self._serve, connection)

    def _serve(self, connection):
        try:
            self._listen(connection.fileno(), connection.sendall)
        except OSError:
            pass
        finally:
            with self.lock:
                self._open.discard(connection)
            connection.close()


class RtuSlave(Slave):
    """A line of RTU slaves at the far end of a pseudo terminal; `port` is the master's end.

    plug() and unplug() make the port come and go under the same name, as a USB adapter does. Nothing is in between that could
    hold a request up without the slave knowing."""

    def __init__(self, folder):
        super().__init__("rtu")
        self._line = Line(os.path.join(folder, "line"))
        self.port = self._line.link

    def plug(self):
        self._stopping.clear()
        self._line.plug()
        self._run(self._serve, self._line.master)
        return self

    start = plug

    def unplug(self):
        self._stopping.set()
        self._join()
        self._line.unplug()

    stop = unplug

    def _serve(self, fd):
        try:
            self._listen(fd, lambda reply: os.write(fd, reply))
        except OSError:
            pass


def words(data):
    """Big-endian bytes as 16-bit words."""
    return list(struct.unpack(f">{len(data) // 2}H", data))
