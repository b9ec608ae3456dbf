"""`field2mqtt monitor`: a running gateway's points as lines, and as a table in a terminal (a pty, read by a screen of our own)."""
import calendar
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import termios
import threading
import time

import pytest

from conftest import PROGRAM, SLOW, Broker, free_port, make_config, tcp_bus, write_config
from test_http import Site, wait_for_points

POINTS = [{"name": "voltage", "register": "holding:0", "scale": 0.1, "unit": "V"},
          {"name": "total", "register": "holding:4", "type": "uint64"},
          {"name": "gone", "register": "holding:9"}]


@pytest.fixture
def site(broker, modbus_tcp_slave, gateway, subscriber):
    slave = modbus_tcp_slave
    slave.unit(1).set("holding:0", [2301, 0, 0, 0, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE])
    slave.unit(1).refuse("holding:9")
    port = free_port()
    config = make_config(broker, [tcp_bus(slave, [{"name": "meter", "unit": 1, "points": POINTS}])])
    config["http"] = {"port": port}
    running = Site(port, gateway(config))
    running.slave = slave
    running.url = f"http://127.0.0.1:{port}"
    wait_for_points(subscriber, POINTS)
    return running


def monitor(*argv):
    return subprocess.run([PROGRAM, "monitor", *argv], capture_output=True, text=True, timeout=60 * SLOW)


@pytest.mark.quick
def test_once_prints_every_point_with_every_digit(site):
    done = monitor("--once", "--url", site.url)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[1:] for row in rows] == [["plc/meter/voltage", "230.1 V", "good"],
                                         ["plc/meter/total", "18446744073709551614", "good"],
                                         ["plc/meter/gone", "illegal_data_address", "bad"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row[0]) for row in rows)
    assert monitor("--once", "--url", site.url, "VOLT", "meter").stdout.count("\n") == 1
    assert "gone" in monitor("--once", "--bad", "--url", site.url).stdout.splitlines()[0]


def test_lines_tell_changes_until_it_is_ended(site):
    process = subprocess.Popen([PROGRAM, "monitor", "--url", site.url, "voltage"], stdout=subprocess.PIPE, text=True)
    try:
        assert "230.1 V" in process.stdout.readline()
        site.slave.unit(1).set("holding:0", [2302])
        assert "230.2 V" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20 * SLOW) == 0
    finally:
        process.kill()


def test_what_cannot_be_asked_is_said(tmp_path, site):
    done = monitor("--once", "--url", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1 and "Connection refused" in done.stderr
    assert "is not http://HOST[:PORT]" in monitor("--once", "--url", "ftp://127.0.0.1").stderr
    assert monitor("--token-file", str(tmp_path / "none")).returncode == 64
    assert monitor("--nonsense").returncode == 64


def test_a_token_is_sent(tmp_path, broker, modbus_tcp_slave, gateway, subscriber):
    modbus_tcp_slave.unit(1)
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    port = free_port()
    config = make_config(broker, [tcp_bus(modbus_tcp_slave, [{"name": "m", "unit": 1, "points": POINTS[:1]}])])
    config["http"] = {"port": port, "token_file": str(token)}
    Site(port, gateway(config))
    subscriber.wait_for("gw/m/voltage")
    assert "401" in monitor("--once", "--url", f"http://127.0.0.1:{port}").stderr
    assert "plc/m/voltage" in monitor("--once", "--url", f"http://127.0.0.1:{port}", "--token-file", str(token)).stdout


def certificate(folder, name, alternative):
    """A certificate that signs itself, and its key; gives their files."""
    files = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "2",
                    "-addext", f"subjectAltName={alternative}", "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


@contextlib.contextmanager
def ssl_listener(cert, key):
    """A server with a certificate that nobody believes: its port, and what it was told in spite of that."""
    heard = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as link:
                    heard.extend(iter(lambda: link.recv(4096), b""))
            except OSError:
                pass  # the handshake was broken off
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], heard
        thread.join(20 * SLOW)
        assert not thread.is_alive()


def secure_site(folder, broker, slave, gateway, name, alternative, **http):
    """The URL, by address, of a gateway whose page has TLS, and the file of its certificate."""
    cert, key = certificate(folder, name, alternative)
    port = free_port()
    config = make_config(broker, [tcp_bus(slave, [{"name": "m", "unit": 1, "points": POINTS[:1]}])])
    config["http"] = {"port": port, "cert_file": str(cert), "key_file": str(key), **http}
    Site(port, gateway(config))
    return f"https://127.0.0.1:{port}", cert


@pytest.mark.quick
def test_a_gateway_with_tls_is_asked_when_its_certificate_is_believed(tmp_path, broker, modbus_tcp_slave, gateway, subscriber):
    modbus_tcp_slave.unit(1).set("holding:0", [2301])
    url, cert = secure_site(tmp_path, broker, modbus_tcp_slave, gateway, "box", "IP:127.0.0.1")
    subscriber.wait_for("gw/m/voltage")
    done = monitor("--once", "--url", url, "--ca-file", str(cert))
    assert (done.returncode, done.stderr) == (0, "") and "plc/m/voltage\t230.1 V\tgood" in done.stdout

    other, other_key = certificate(tmp_path, "other", "IP:127.0.0.1")
    for options, reason in (([], "self-signed certificate"), (["--ca-file", str(other)], "self-signed certificate"),
                            (["--ca-file", str(other_key)], "there is no certificate in it"),
                            (["--ca-file", str(tmp_path / "none")], "there is no certificate in it")):
        done = monitor("--once", "--url", url, *options)
        assert done.returncode == 1 and reason in done.stderr and done.stdout == "", done.stderr


def test_a_token_goes_to_a_gateway_with_tls_and_to_no_other(tmp_path, broker, modbus_tcp_slave, gateway, subscriber):
    modbus_tcp_slave.unit(1).set("holding:0", [2301])
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    url, cert = secure_site(tmp_path, broker, modbus_tcp_slave, gateway, "box", "IP:127.0.0.1", token_file=str(token))
    subscriber.wait_for("gw/m/voltage")

    done = monitor("--once", "--url", url, "--ca-file", str(cert), "--token-file", str(token))
    assert (done.returncode, done.stderr) == (0, "") and "plc/m/voltage\t230.1 V\tgood" in done.stdout
    done = monitor("--once", "--url", url, "--ca-file", str(cert))
    assert done.returncode == 1 and "401" in done.stderr and done.stdout == ""

    with ssl_listener(*certificate(tmp_path, "other", "IP:127.0.0.1")) as (port, heard):
        done = monitor("--once", "--url", f"https://127.0.0.1:{port}", "--ca-file", str(cert), "--token-file", str(token))
    assert done.returncode == 1 and done.stdout == "" and heard == []  # not a word to who is not believed


def test_a_certificate_of_another_host_is_not_believed(tmp_path, broker, modbus_tcp_slave, gateway):
    modbus_tcp_slave.unit(1)
    url, cert = secure_site(tmp_path, broker, modbus_tcp_slave, gateway, "box", "DNS:box.plant.example,DNS:localhost")
    done = monitor("--once", "--url", url, "--ca-file", str(cert))
    assert done.returncode == 1 and "IP address mismatch" in done.stderr
    assert monitor("--once", "--url", url.replace("127.0.0.1", "localhost"), "--ca-file", str(cert)).returncode == 0


def test_tls_that_is_spoken_by_one_side_only_is_said(tmp_path, broker, modbus_tcp_slave, gateway, site):
    done = monitor("--once", "--url", site.url.replace("http:", "https:"))
    assert done.returncode == 1 and "no TLS connection" in done.stderr
    (tmp_path / "secure").mkdir()
    url, _ = secure_site(tmp_path, broker, modbus_tcp_slave, gateway, "box", "IP:127.0.0.1")
    done = monitor("--once", "--url", url.replace("https:", "http:"))
    assert done.returncode == 1 and "a gateway with TLS is asked with https://" in done.stderr, done.stderr


class Terminal:
    """A program in a pty of 24 x 100; `screen` is what it has drawn since its last clearing."""

    def __init__(self, *argv):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(argv[0], argv)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.bytes = b""

    def wait(self, predicate, deadline_s=20):
        end = time.monotonic() + deadline_s * SLOW
        while not predicate(self.screen()):
            assert time.monotonic() < end, self.bytes[-3000:]
            if select.select([self.fd], [], [], 0.2)[0]:
                self.bytes += os.read(self.fd, 65536)
        return self.screen()

    def screen(self):
        last = self.bytes.rsplit(b"\x1b[H", 1)[-1].decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", last)

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def ended(self):
        """Waits for the end; gives the exit code."""
        pid, self.pid = self.pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def close(self):
        os.close(self.fd)
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            self.ended()


def test_the_table_lives_sorts_filters_and_leaves_the_terminal_as_it_was(site):
    terminal = Terminal(PROGRAM, "monitor", "--url", site.url)
    try:
        screen = terminal.wait(lambda s: "230.1 V" in s and "illegal_data_address" in s)
        assert "3 points, 1 bad" in screen and all(len(line) <= 100 for line in screen.split("\r\n"))
        site.slave.unit(1).set("holding:0", [2303])
        terminal.wait(lambda s: "230.3 V" in s)
        terminal.press("s")
        screen = terminal.wait(lambda s: "by name" in s and "voltage" in s and "J" not in s)
        assert screen.index("meter/gone") < screen.index("meter/total") < screen.index("meter/voltage")
        terminal.press("b")
        screen = terminal.wait(lambda s: "bad only" in s and "1 points" in s)
        assert "voltage" not in screen
        site.running.kill()
        terminal.wait(lambda s: "Connection refused" in s)
        terminal.press("q")
        terminal.wait(lambda s: terminal.bytes.endswith(b"\x1b[?1049l"))
        assert terminal.ended() == 0
    finally:
        terminal.close()


# ---- from the broker ---------------------------------------------------------------------------------

def plant(broker, slave, **mqtt):
    """A device with a message for each point, in three forms, and one with one message for all."""
    single = {"name": "meter", "unit": 1, "points": [
        {"name": "voltage", "register": "holding:0", "scale": 0.1, "unit": "V"},
        {"name": "total", "register": "holding:4", "type": "uint64", "publish": {"payload": "value"}},
        {"name": "gone", "register": "holding:9"},
        {"name": "text", "register": "holding:1", "publish": {"payload": "now ${value}"}}]}
    joint = {"name": "drive", "unit": 2, "publish": {"per": "device", "time": "iso8601"}, "points": [
        {"name": "speed", "register": "holding:0", "unit": "Hz"}, {"name": "fault", "register": "holding:9"},
        {"name": "order", "register": "holding:3", "access": "w"}]}
    slave.unit(1).set("holding:0", [2301, 7, 0, 0, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE])
    slave.unit(1).refuse("holding:9")
    slave.unit(2).set("holding:0", [50])
    slave.unit(2).refuse("holding:9")
    return make_config(broker, [tcp_bus(slave, [single, joint])], publish={"retain": True},
                       mqtt={"servers": [broker.url], "device_states": True, **mqtt})


@pytest.fixture
def shown(tmp_path, broker, modbus_tcp_slave, gateway, subscriber):
    """(file of the configuration, gateway), when all is at the broker."""
    config = plant(broker, modbus_tcp_slave)
    running = gateway(config)
    for topic in ("gw/meter/gone", "gw/meter/total", "gw/meter/text", "gw/meter/voltage", "gw/drive", "field2mqtt/gw/plc/drive/state"):
        subscriber.wait_for(topic)
    return write_config(tmp_path, config), running


ROWS = [["plc/meter/voltage", "230.1 V", "good"], ["plc/meter/total", "18446744073709551614", "good"],
        ["plc/meter/gone", "illegal_data_address", "bad"], ["plc/meter/text", "now 7", "good"],
        ["plc/drive/speed", "50 Hz", "good"], ["plc/drive/fault", "illegal_data_address", "bad"]]


@pytest.mark.parametrize("by_url", [False, True])
def test_the_broker_shows_the_same_points(shown, broker, by_url):
    server = broker.url if by_url else "-"
    before = time.time()

    done = monitor("--once", "--broker", server, "-c", str(shown[0]))

    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[1:] for row in rows] == ROWS
    assert all(abs(calendar.timegm(time.strptime(row[0], "%Y-%m-%dT%H:%M:%SZ")) - before) < 300 for row in rows)
    assert monitor("--once", "--bad", "--broker", "-", "-c", str(shown[0]), "meter").stdout.count("\n") == 1


def test_the_broker_tells_changes_and_that_the_gateway_is_gone(shown, modbus_tcp_slave):
    file, running = shown
    process = subprocess.Popen([PROGRAM, "monitor", "--broker", "-", "-c", str(file), "voltage"], stdout=subprocess.PIPE, text=True)
    try:
        assert "230.1 V" in process.stdout.readline()
        modbus_tcp_slave.unit(1).set("holding:0", [2302])
        assert "230.2 V" in process.stdout.readline()
        running.kill()
        assert process.stdout.readline().split("\t")[2:] == ["gateway offline", "bad\n"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20 * SLOW) == 0
    finally:
        process.kill()


def test_points_of_which_nothing_was_heard_are_not_good(tmp_path, broker, modbus_tcp_slave):
    done = monitor("--once", "--broker", "-", "-c", str(write_config(tmp_path, plant(broker, modbus_tcp_slave))))

    assert done.returncode == 0
    assert {tuple(line.split("\t")[2:]) for line in done.stdout.splitlines()} == {("not heard yet", "bad")}


def test_a_monitor_leaves_the_gateway_in_its_place(shown, subscriber):
    """It has a name of its own and no last will: the gateway goes on, and its state is not touched."""
    mark = subscriber.mark()
    monitor("--once", "--broker", "-", "-c", str(shown[0]))
    subscriber.wait_for("gw/drive", since=mark, count=2)
    assert subscriber.of("field2mqtt/gw/state", since=mark) == []
    assert "lost" not in shown[1].log and "took over" not in shown[1].log


def test_a_user_of_its_own_and_what_a_broker_refuses(tmp_path, started, modbus_tcp_slave):
    subprocess.run(["mosquitto_passwd", "-c", "-b", tmp_path / "passwd", "watcher", "s3cret"], check=True, capture_output=True)
    (tmp_path / "passwd").chmod(0o600)
    (tmp_path / "mine").write_text("s3cret\n")
    broker = Broker(tmp_path, f"password_file {tmp_path}/passwd\n")
    broker.file.write_text(broker.file.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    started.add(broker).start()
    file = str(write_config(tmp_path, plant(broker, modbus_tcp_slave)))

    refused = monitor("--once", "--broker", "-", "-c", file)
    assert refused.returncode == 1 and re.search("refuses the connection: (not authorised|bad user name or password)", refused.stderr)
    done = monitor("--once", "--broker", "-", "-c", file, "--username", "watcher", "--password-file", str(tmp_path / "mine"))
    assert (done.returncode, done.stderr) == (0, "")
    none = monitor("--once", "--broker", f"mqtt://127.0.0.1:{free_port()}", "-c", file)
    assert none.returncode == 1 and "no broker listens there" in none.stderr
    assert monitor("--broker", "http://x", "-c", file).returncode == 64
    assert monitor("--broker", "-", "-c", str(tmp_path / "none.yaml")).returncode == 78


def test_messages_of_others_do_no_harm(shown, broker, subscriber, started):
    """Whoever may write there can put anything at the topics: it is bad, or shown as text, and moves no cursor."""
    file, running = shown
    running.stop()
    deep = '{"a":' * 20 + "1" + "}" * 20
    for topic, payload in (("gw/meter/voltage", deep), ("gw/meter/total", b"\x1b[2J" + b"9" * 200000), ("gw/meter/gone", "{}"),
                           ("gw/meter/text", "\x1b[2J"), ("gw/drive", "[1]"), ("field2mqtt/gw/state", "online")):
        subscriber.client.publish(topic, payload, qos=1, retain=True).wait_for_publish(20)

    done = subprocess.run([PROGRAM, "monitor", "--once", "--broker", "-", "-c", str(file)], capture_output=True, timeout=60 * SLOW)

    assert (done.returncode, done.stderr) == (0, b"")
    rows = {line.split(b"\t")[1]: line.split(b"\t")[2:] for line in done.stdout.splitlines()}
    assert [rows[f"plc/meter/{name}".encode()][1] for name in ("voltage", "gone")] == [b"bad", b"bad"]
    assert [rows[f"plc/drive/{name}".encode()] for name in ("speed", "fault")] == [[b"not to be read", b"bad"]] * 2
    assert b"\x1b" not in done.stdout and len(rows[b"plc/meter/total"][0]) < 120
