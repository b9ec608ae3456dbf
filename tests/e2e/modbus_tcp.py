"""Modbus TCP by hand, for slaves that do what a well-behaved one would not: they inherit, and answer each request themselves."""
import socket
import struct
import threading


class ModbusTcpServer:
    """answer(unit, pdu) gives the PDU of the reply; None hangs up."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def answer(self, unit, pdu):
        raise NotImplementedError

    def send(self, connection, frame):
        connection.sendall(frame)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with connection:
                while len(head := connection.recv(7, socket.MSG_WAITALL)) == 7:
                    transaction, _, length, unit = struct.unpack(">HHHB", head)
                    reply = self.answer(unit, connection.recv(length - 1, socket.MSG_WAITALL))
                    if reply is None:
                        return
                    self.send(connection, struct.pack(">HHHB", transaction, 0, 1 + len(reply), unit) + reply)
        except OSError:
            pass  # the gateway is gone

    def close(self):
        self._listener.close()
