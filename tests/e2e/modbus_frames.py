"""pymodbus's frames, requests and replies: of version 3.0 (Debian 12) and of 3.8 (Debian 13) in one way. No other file asks
which of them is there."""
from pymodbus.pdu import ExceptionResponse

try:
    from pymodbus.factory import ServerDecoder
    from pymodbus.framer.rtu_framer import ModbusRtuFramer
    from pymodbus.framer.socket_framer import ModbusSocketFramer
    from pymodbus.utilities import computeCRC as crc16  # to be packed high byte first
    IS_OLD = True
except ImportError:
    from pymodbus.framer.rtu import FramerRTU
    from pymodbus.framer.socket import FramerSocket
    from pymodbus.pdu import DecodePDU
    crc16 = FramerRTU.compute_CRC
    IS_OLD = False

# What 3.8 does not look at before it answers. Modbus Application Protocol V1.1b3, 6.1-6.4, 6.11, 6.12 and 6.17.
COUNT_MAX = {1: 2000, 2: 2000, 3: 125, 4: 125, 15: 1968, 16: 123, 23: 125}
WITHOUT_COUNT = (5, 6, 22)


class OldFramer:
    def __init__(self, framing):
        self._framer = {"tcp": ModbusSocketFramer, "rtu": ModbusRtuFramer}[framing](ServerDecoder(), client=None)

    def reset(self):
        self._framer.resetFrame()

    def feed(self, data, take):
        self._framer.processIncomingPacket(data, lambda request: take(request, request.unit_id), unit=list(range(256)), single=True)

    def reply(self, request, response):
        response.unit_id, response.transaction_id = request.unit_id, request.transaction_id
        response.protocol_id = request.protocol_id
        return self._framer.buildPacket(response)


class NewFramer:
    def __init__(self, framing):
        self._framer = {"tcp": FramerSocket, "rtu": FramerRTU}[framing](DecodePDU(is_server=True))
        self._buffer = b""

    def reset(self):
        self._buffer = b""

    def feed(self, data, take):
        self._buffer += data
        while self._buffer:
            used, request = self._framer.processIncomingFrame(self._buffer)
            self._buffer = self._buffer[used:]
            if request is None:
                break
            take(request, request.dev_id)

    def reply(self, request, response):
        response.dev_id, response.transaction_id = request.dev_id, request.transaction_id
        return self._framer.buildFrame(response)


Framer = OldFramer if IS_OLD else NewFramer
"""Framer("tcp" or "rtu"): feed() calls take(request, unit) for each request that is complete; reply() makes the frame of an answer."""


def span(request):
    """(address, count) of what a request reads, or else writes."""
    address = getattr(request, "read_address", getattr(request, "address", 0))
    if request.function_code in WITHOUT_COUNT:
        return address, 1
    if request.function_code == 15 and not IS_OLD:
        return address, len(request.bits)
    return address, getattr(request, "read_count", getattr(request, "count", 1))


def refusal(request, code):
    return ExceptionResponse(request.function_code, code)


def execute(request, store):
    """The response to a request that is carried out on a datastore."""
    if IS_OLD:
        return request.execute(store)
    address, count = span(request)
    if not 1 <= count <= COUNT_MAX.get(request.function_code, count):
        return refusal(request, 3)
    if not store.validate(request.function_code, address, count):
        return refusal(request, 2)
    try:
        request.update_datastore(_Awaitable(store)).send(None)
    except StopIteration as done:  # it has nothing to wait for
        return done.value
    raise AssertionError("pymodbus waits for something")


class _Awaitable:
    """A datastore as 3.8 wants it."""

    def __init__(self, store):
        self.validate, self._store = store.validate, store

    async def async_getValues(self, *args):  # pylint: disable=invalid-name
        return self._store.getValues(*args)

    async def async_setValues(self, *args):  # pylint: disable=invalid-name
        self._store.setValues(*args)
