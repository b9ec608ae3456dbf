"""The relay board of the shipped template, set through MQTT: the requests are those of its maker's manual, byte by byte."""
import socket
import struct
import threading

import pytest

from conftest import make_config


class Board:
    """Modbus TCP, of its own so that function 5 may carry times: coils, and every request that was not a read."""

    def __init__(self):
        self.coils, self.writes = [0] * 8, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            while head := connection.recv(7, socket.MSG_WAITALL):
                transaction, _, length, unit = struct.unpack(">HHHB", head)
                pdu = connection.recv(length - 1, socket.MSG_WAITALL)
                answer = self._answer(pdu)
                connection.sendall(struct.pack(">HHHB", transaction, 0, 1 + len(answer), unit) + answer)
        except OSError:
            connection.close()

    def _answer(self, pdu):
        function, first, value = struct.unpack(">BHH", pdu[:5])
        if function == 1 and first < 8:
            bits = self.coils[first:first + value]
            packed = bytes(sum(bit << i for i, bit in enumerate(bits[n:n + 8])) for n in range(0, len(bits), 8))
            return bytes([1, len(packed)]) + packed
        if function == 5:
            self.writes.append(pdu.hex(" "))
            if first < 8:
                self.coils[first] = {0xFF00: 1, 0x0000: 0, 0x5500: 1 - self.coils[first]}[value]
            return pdu
        return bytes([function | 0x80, 2])

    def close(self):
        self._listener.close()


@pytest.mark.parametrize("point,value,request_bytes,read_back", [
    ("relay_3", "true", "05 00 02 ff 00", True),
    ("flash_on_1", "0.7", "05 02 00 00 07", None),
])
def test_a_relay_is_set_as_its_manual_says(broker, subscriber, gateway, started, point, value, request_bytes, read_back):
    board = started.add(Board())
    device = {"name": "relays", "template": "waveshare-relay-8ch", "unit": 1, "interval": "200ms"}
    bus = {"name": "plc", "driver": "modbus-tcp", "host": "127.0.0.1", "port": board.port, "devices": [device]}
    gateway(make_config(broker, [bus], commands={"enabled": True}))
    subscriber.wait_for_json("gw/relays/relay_3", lambda m: m["value"] is False)

    subscriber.client.publish(f"gw/relays/{point}/set", value, qos=1)
    result = subscriber.wait_for_json(f"gw/relays/{point}/result")

    assert result["ok"] is True, result
    assert board.writes == [request_bytes]
    if read_back is not None:
        subscriber.wait_for_json(f"gw/relays/{point}", lambda m: m["value"] is read_back)
        assert board.coils == [0, 0, 1, 0, 0, 0, 0, 0]
