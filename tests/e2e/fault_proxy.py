"""A TCP proxy between gateway and broker that does what networks do: cut, go silent, be slow."""
import socket
import threading

from ports import free_port


class FaultProxy:
    """Passes bytes on both ways. cut() resets all connections and refuses new ones; freeze() keeps them open and
    passes nothing (a half-open connection); heal() is a network again. delay_s holds back every piece of data."""

    def __init__(self, target_port):
        self.target_port, self.delay_s = target_port, 0.0
        self.connections = 0
        self._pairs, self._lock = set(), threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._closed = False
        self._listener, self.port = None, free_port()  # no one else's while it is cut
        self._listen()

    def _listen(self):
        self._listener = socket.create_server(("127.0.0.1", self.port))  # SO_REUSEADDR: the same again
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    @property
    def url(self):
        return f"mqtt://127.0.0.1:{self.port}"

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                near.close()
                continue
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._pairs.add((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source, sink):
        try:
            while data := source.recv(65536):
                self._flowing.wait()
                if self.delay_s:
                    threading.Event().wait(self.delay_s)
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        listener, self._listener = self._listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._drop()

    def _drop(self):
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for one in pair:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def freeze(self):
        self._flowing.clear()

    def heal(self):
        self._flowing.set()
        if not self._listener:
            self._listen()

    def close(self):
        self._flowing.set()
        self.cut()
