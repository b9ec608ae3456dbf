"""What registers hold and what has to arrive for it: every type in every order.

Expected values are computed here with struct and decimal, or stand in the sources of docs/modbus.md; nothing is
taken from the gateway's own output. Each vector has two states, so that a value that merely never changes fails.
"""
import json
import struct
from collections import namedtuple
from decimal import Decimal

from modbus_slave import words

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")


class Number(str):
    """A number of a JSON text as it was written."""


def parse(payload):
    return json.loads(payload, parse_float=Number, parse_int=Number)


class Exactly:
    """This very number, text, or truth."""

    def __init__(self, value, **more):
        self.value, self.more = value, more

    def fits(self, message):
        value = message["value"]
        if isinstance(self.value, (int, Decimal)) and not isinstance(self.value, bool):
            same = isinstance(value, Number) and Decimal(value) == self.value
        else:
            same = type(value) is type(self.value) and value == self.value
        more = all(Decimal(message[k]) == v if isinstance(v, int) else message[k] == v for k, v in self.more.items())
        return same and more and message["quality"] == "good" and "reason" not in message

    def __repr__(self):
        return f"exactly {self.value!r} {self.more or ''}"


class Float:
    """The number that these bytes are, in the shortest text that reads back as the same bits."""

    def __init__(self, data):
        self.format, self.digits = {2: (">e", 5), 4: (">f", 9), 8: (">d", 17)}[len(data)]
        self.data = data
        self.value, = struct.unpack(self.format, data)

    def bits_of(self, text):
        try:
            return struct.pack(self.format, float(text))
        except OverflowError:
            return None

    def fits(self, message):
        text = message["value"]
        if not isinstance(text, Number) or message["quality"] != "good" or self.bits_of(text) != self.data:
            return False
        # Not a digit more than needed: 230.1, never 230.10000610351562. (A half float may print as the wider type.)
        shortest = next(n for n in range(1, 18) if self.bits_of(f"{self.value:.{n}g}") == self.data)
        if self.format == ">e":
            shortest = 9
        return len(Decimal(text).normalize().as_tuple().digits) <= shortest

    def __repr__(self):
        return f"float {self.value!r}"


class Bad:
    """No value, and this reason."""

    def __init__(self, reason):
        self.reason = reason

    def fits(self, message):
        return message["value"] is None and message["quality"] == "bad" and message["reason"] == self.reason

    def __repr__(self):
        return f"bad: {self.reason}"


Vector = namedtuple("Vector", "name keys states area extra")
# states: two of (words, expectation); extra: further cells as {offset from the point's address: word} per state
VECTORS = []


def add(name, type_, *states, area="holding", extra=None, **keys):
    VECTORS.append(Vector(name, {**({"type": type_} if type_ else {}), **keys}, states, area, extra or ({}, {})))


def placed(data, order):
    """Bytes of a big-endian value as the words that a device of this order shows."""
    pairs = [data[i:i + 2] for i in range(0, len(data), 2)]
    if order in ("CDAB", "DCBA"):
        pairs.reverse()
    if order in ("BADC", "DCBA"):
        pairs = [pair[::-1] for pair in pairs]
    return words(b"".join(pairs))


def integer(bits, signed, value):
    return (value & (1 << bits) - 1).to_bytes((bits + 15) // 16 * 2, "big")


# ---- integers of every width, signed and not, in every order; the ends of their ranges ----
for bits in (16, 24, 32, 48, 64):
    for order in ORDERS:
        signed = (-0x1234567890ABCDEF >> 64 - bits, -(1 << bits - 1))
        unsigned = (0xFEDCBA9876543210 >> 64 - bits, (1 << bits) - 1)
        for kind, values in (("int", signed), ("uint", unsigned)):
            add(f"{kind}{bits}_{order.lower()}", f"{kind}{bits}",
                *((placed(integer(bits, kind == "int", v), order), Exactly(v)) for v in values), order=order)

# ---- floats; subnormal, huge and negative ones too ----
for name, size, values in (
        ("float16", 2, (1.5, -2.0)), ("float32", 4, (123.456, -1.1754944e-38)), ("float64", 8, (1234.5678, -2.2250738585072014e-308))):
    for order in ORDERS:
        packed = [struct.pack({2: ">e", 4: ">f", 8: ">d"}[size], v) for v in values]
        add(f"{name}_{order.lower()}", name, *((placed(p, order), Float(p)) for p in packed), order=order)
for i, (a, b) in enumerate([(230.1, 49.99), (1e-7, 3.4028235e38), (16777216.0, 0.1), (1e10, -7.25)]):
    add(f"float32_{i}", "float32", *((words(struct.pack(">f", v)), Float(struct.pack(">f", v))) for v in (a, b)))
add("float32_nan", "float32", (words(bytes.fromhex("7FC00000")), Bad("not_a_number")),
    (words(bytes.fromhex("FFC00000")), Bad("not_a_number")))
add("float32_infinite", "float32", (words(bytes.fromhex("7F800000")), Bad("not_a_number")),
    (words(struct.pack(">f", 2.5)), Exactly(Decimal("2.5"))))
add("float64_nan", "float64", (words(bytes.fromhex("7FF8000000000000")), Bad("not_a_number")),
    (words(struct.pack(">d", 0.1)), Float(struct.pack(">d", 0.1))))

# ---- bytes, bits and truths inside registers ----
add("int8h", "int8h", ([0xFB7F], Exactly(-5)), ([0x7FFB], Exactly(127)))
add("int8l", "int8l", ([0xFB7F], Exactly(127)), ([0x7FFB], Exactly(-5)))
add("uint8h", "uint8h", ([0xFB7F], Exactly(0xFB)), ([0x00FF], Exactly(0)))
add("uint8l", "uint8l", ([0xFB7F], Exactly(0x7F)), ([0x00FF], Exactly(0xFF)))
add("bits_1_3", "bits[1:3]", ([0x0008], Exactly(4)), ([0xFFF1], Exactly(0)))
add("bits_15_1", "bits[15:1]", ([0x8000], Exactly(True)), ([0x7FFF], Exactly(False)))
add("bits_0_16", "bits[0:16]", ([0xABCD], Exactly(0xABCD)), ([0x1234], Exactly(0x1234)))
add("bool_register", "bool", ([0x0001], Exactly(True)), ([0x0000], Exactly(False)))
add("coil", None, ([1], Exactly(True)), ([0], Exactly(False)), area="coil")
add("discrete", "bool", ([0], Exactly(False)), ([1], Exactly(True)), area="discrete")
add("coil_enum", None, ([1], Exactly("stop", raw=1)), ([0], Exactly("run", raw=0)), area="coil", enum={0: "run", 1: "stop"})
add("input_register", "int16", ([0x0131], Exactly(Decimal("30.5"))), ([0xFF33], Exactly(Decimal("-20.5"))), area="input", scale=0.1)
add("default_type", None, ([65535], Exactly(65535)), ([7], Exactly(7)))
add("bitfield16", "bitfield16", ([0xA5A5], Exactly(0xA5A5)), ([0xFFFF], Exactly(0xFFFF)))
add("bitfield32", "bitfield32", ([0x8000, 0x0001], Exactly(0x80000001)), ([0, 5], Exactly(5)))
add("enum16", "enum16", ([1], Exactly("running", raw=1)), ([7], Exactly("fault", raw=7)), enum={0: "ready", 1: "running", 7: "fault"})

# ---- decimal notations (Schneider FA146443, FA212766, FA357734; PME formats) ----
add("bcd16", "bcd16", ([0x1234], Exactly(1234)), ([0x123A], Bad("bad_bcd")))
add("bcd32", "bcd32", ([0x0012, 0x3456], Exactly(123456)), ([0x9999, 0x9999], Exactly(99999999)))
add("bcd32_cdab", "bcd32", ([0x3456, 0x0012], Exactly(123456)), ([0x0000, 0x1000], Exactly(10000000)), order="CDAB")
add("bcd64", "bcd64", ([0x1234, 0x5678, 0x9012, 0x3456], Exactly(1234567890123456)), ([0, 0, 0, 0xF], Bad("bad_bcd")))
add("mod10k_4", "mod10k[4]", ([4567, 123, 0, 0], Exactly(1234567)), ([9999, 9999, 9999, 9999], Exactly(9999999999999999)), order="CDAB")
add("mod10k_high_first", "mod10k[2]", ([1, 2], Exactly(10002)), ([0xFFFF, 0xFFFE], Exactly(-10002)))
add("mod10k_bad", "mod10k[2]", ([10000, 0], Bad("bad_digits")), ([1, 2], Exactly(20001)), order="CDAB")
add("signmag16", "signmag16", ([0x83E4], Exactly(Decimal("-0.996"))), ([0x0005], Exactly(Decimal("0.005"))), scale=0.001)

# ---- four-quadrant power factor (Schneider PM5500 manual) ----
for i, (a, b) in enumerate([((1.05, "0.95"), (-1.05, "-0.95")), ((0.97, "0.97"), (-0.97, "-0.97"))]):
    add(f"pf4q_{i}", "pf4q", *((words(struct.pack(">f", raw)), Exactly(Decimal(pf))) for raw, pf in (a, b)), decimals=2)

# ---- texts ----
add("string", "string[4]", (words(b"PUMP-7\0\0"), Exactly("PUMP-7")), (words(b"ABC     "), Exactly("ABC")))
add("string_swapped", "string[2]", ([0x4241, 0x0043], Exactly("ABC")), ([0x4544, 0x4746], Exactly("DEFG")), string_order="BA")
add("string_low", "string_low[4]", ([0x41, 0x42, 0x43, 0], Exactly("ABC")), ([0x5A, 0, 0, 0], Exactly("Z")))
add("string_high", "string_high[3]", ([0x4100, 0x4200, 0], Exactly("AB")), ([0x5800, 0x5900, 0x5A00], Exactly("XYZ")))
add("string_utf8", "string[4]", (words("20 °C\0\0".encode()), Exactly("20 °C")), (words(b"A\"B\\C\0\0\0"), Exactly('A"B\\C')))
add("raw", "raw[2]", ([0xDEAD, 0xBEEF], Exactly("DEADBEEF")), ([0x0012, 0x3456], Exactly("00123456")))

# ---- addresses, times, versions (Schneider IEC 870-5-4 unit table; aggsoft PM5xxx map; Deye; SunSpec) ----
add("ipv4", "ipv4", ([0xC0A8, 0x0132], Exactly("192.168.1.50")), ([0x0A00, 0x00FF], Exactly("10.0.0.255")))
add("ipv6", "ipv6", ([0x2001, 0x0DB8, 0, 0, 0, 0, 0, 1], Exactly("2001:db8::1")), ([0xFE80, 0, 0, 0, 1, 2, 3, 4], Exactly("fe80::1:2:3:4")))
add("eui48", "eui48", ([0, 0x0011, 0x2233, 0x4455], Exactly("00:11:22:33:44:55")), ([0, 0x9899, 0x0102, 0x0304], Exactly("98:99:01:02:03:04")))
add("iec870", "datetime_iec870_4", ([0x001A, 0x0B18, 0x0A05, 0x3039], Exactly("2026-11-24T10:05:12.345")), ([0x001A, 0x0D18, 0x0A05, 0], Bad("bad_time")))
add("datetime_words4", "datetime_words4", ([2026, 0x0B18, 0x0A05, 12345], Exactly("2026-11-24T10:05:12.345")),
    ([2024, 0x021D, 0x173B, 59999], Exactly("2024-02-29T23:59:59.999")))
add("datetime_bytes", "datetime_bytes", ([0x1A0B, 0x180A, 0x050C], Exactly("2026-11-24T10:05:12")), ([0x1902, 0x1D00, 0], Bad("bad_time")))
add("unix", "unix", ([0x6B05, 0x6158], Exactly("2026-11-24T10:05:12Z")), ([0, 0], Exactly("1970-01-01T00:00:00Z")))
add("hhmm", "hhmm", ([2200], Exactly("22:00")), ([400], Exactly("04:00")))
add("version_nibbles", "version_nibbles", ([0x1234], Exactly("1.2.3.4")), ([0x0A01], Exactly("0.10.0.1")))

# ---- scale, offset, decimals ----
add("scale", "uint16", ([2301], Exactly(Decimal("230.1"))), ([65535], Exactly(Decimal("6553.5"))), scale=0.1, unit="V")
add("scale_ten", "int16", ([150], Exactly(1500)), ([0xFFFF], Exactly(-10)), scale=10)
add("scale_negative", "uint16", ([55], Exactly(Decimal("-5.5"))), ([0], Exactly(0)), scale=-0.1)
add("scale_exact_64", "uint64", (words((12345678901234567).to_bytes(8, "big")), Exactly(Decimal("12345678901234.567"))),
    (words((9007199254740993).to_bytes(8, "big")), Exactly(Decimal("9007199254740.993"))), scale=0.001)
add("scale_offset", "uint16", ([1250], Exactly(Decimal("85"))), ([0], Exactly(-40)), scale=0.1, offset=-40)
add("offset_first", "uint16", ([1250], Exactly(25)), ([900], Exactly(-10)), scale=0.1, offset=-1000, offset_first=True)
add("decimals", "uint16", ([12345], Exactly(Decimal("12.35"))), ([12344], Exactly(Decimal("12.34"))), scale=0.001, decimals=2)

# ---- scales that stand in another register ----
add("sunssf", "uint16", ([1234], Exactly(Decimal("12.34"))), ([1234], Exactly(12340)), extra=({1: 0xFFFE}, {1: 1}), scale_register=1)
add("sunssf_missing", "uint16", ([1234], Bad("scale_not_available")), ([5], Exactly(Decimal("0.5"))), extra=({1: 0x8000}, {1: 0xFFFF}),
    scale_register=1)
add("scale_decimals", "int16", ([235], Exactly(Decimal("23.5"))), ([0xFFFB], Exactly(Decimal("-0.05"))), extra=({1: 1}, {1: 2}),
    scale_register=1, scale_kind="decimals")
add("halves_apart", "uint32", ([0x0001], Exactly(0x10002)), ([0xFFFF], Exactly(0xFFFF0000)), extra=({2: 2}, {2: 0}), low_register=2)

# ---- no value ----
add("sunspec_int16", "int16", ([0x8000], Bad("not_available")), ([0x7FFF], Exactly(32767)), sentinels="sunspec")
add("sunspec_uint16", "uint16", ([0xFFFF], Bad("not_available")), ([0xFFFE], Exactly(65534)), sentinels="sunspec")
add("sunspec_uint32", "uint32", ([0xFFFF, 0xFFFF], Bad("not_available")), ([0, 1], Exactly(1)), sentinels="sunspec")
add("sunspec_acc32", "acc32", ([0, 0], Bad("not_available")), ([0, 9], Exactly(9)), sentinels="sunspec")
add("abb_int32", "int32", ([0x7FFF, 0xFFFF], Bad("not_available")), ([0xFFFF, 0xCFC7], Exactly(Decimal("-123.45"))), sentinels="abb", scale=0.01)
add("sma_int32", "int32", ([0x8000, 0], Bad("not_available")), ([0, 77], Exactly(77)), sentinels="sma")
add("invalid_number", "float32", (words(struct.pack(">f", -9999)), Bad("invalid")), (words(struct.pack(">f", 1.25)), Exactly(Decimal("1.25"))),
    invalid=["nan", -9999])
add("invalid_raw", "int16", ([0x8000], Bad("invalid")), ([3], Exactly(Decimal("0.3"))), invalid=["0x8000"], scale=0.1)
add("out_of_range", "uint16", ([1001], Bad("out_of_range")), ([1000], Exactly(100)), scale=0.1, min=0, max=100)


def layout():
    """Gives every vector an address: {name: address}, with a hole between any two."""
    cursor, addresses = {"holding": 0x10, "input": 0x10, "coil": 3, "discrete": 12}, {}
    for vector in VECTORS:
        addresses[vector.name] = cursor[vector.area]
        used = max(len(vector.states[0][0]), 1 + max([*vector.extra[0], 0]))
        cursor[vector.area] += used + 1
    return addresses


def points(addresses):
    out = []
    for vector in VECTORS:
        keys = dict(vector.keys)
        for key in ("scale_register", "low_register"):
            if key in keys:
                keys[key] = f"{vector.area}:{addresses[vector.name] + keys[key]}"
        out.append({"name": vector.name, "register": f"{vector.area}:{addresses[vector.name]}", **keys})
    return out


def fill(unit, addresses, state):
    """Puts one state of all vectors into a simulated unit, all at once."""
    with unit.lock:
        for vector in VECTORS:
            unit.set(f"{vector.area}:{addresses[vector.name]}", vector.states[state][0])
            for offset, word in vector.extra[state].items():
                unit.set(f"{vector.area}:{addresses[vector.name] + offset}", [word])
