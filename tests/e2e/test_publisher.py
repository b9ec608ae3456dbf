"""The mqtt: section of the configuration against a real broker: TLS, who may connect, several servers, both versions."""
import socket
import subprocess

import pytest

from conftest import Broker, Subscriber, free_port, make_config, tcp_bus

DEVICE = {"name": "dev", "unit": 1, "points": [{"name": "level", "register": "holding:0"}]}
SCRIPT = """
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=plant-ca
for name in broker client; do
    openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr -subj /CN=$name
    echo subjectAltName=DNS:localhost >names
    openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out $name.pem
done
openssl rsa -in client.key -aes128 -passout pass:locked -out locked.key
mosquitto_passwd -b -c passwords pump-house hall-9000
"""


@pytest.fixture
def files(tmp_path):
    subprocess.run(["sh", "-e", "-c", SCRIPT], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "password").write_text("hall-9000\n")
    (tmp_path / "password").chmod(0o600)
    return tmp_path


@pytest.fixture
def guarded(files, started):
    """A broker that wants TLS, a client certificate and a password, with a plain port beside it for the subscriber."""
    broker, port = Broker(files), free_port()
    broker.file.write_text(
        f"per_listener_settings true\n{broker.file.read_text()}\n"
        f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {files}/passwords\n"
        f"cafile {files}/ca.pem\ncertfile {files}/broker.pem\nkeyfile {files}/broker.key\nrequire_certificate true\n")
    started.add(broker).start()
    return broker, f"mqtts://localhost:{port}"


def configuration(slave, broker, files, server, **mqtt):
    return make_config(broker, [tcp_bus(slave, [DEVICE])], mqtt={
        "servers": [server], "username": "pump-house", "password_file": str(files / "password"),
        "tls": {"ca_file": str(files / "ca.pem"), "cert_file": str(files / "client.pem"),
                "key_file": str(files / "client.key")}, **mqtt})


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_values_arrive_over_tls_with_certificate_and_password(guarded, files, modbus_tcp_slave, gateway, started, version):
    broker, server = guarded
    subscriber = started.add(Subscriber(broker))
    modbus_tcp_slave.unit(1).set("holding:0", [4711])

    running = gateway(configuration(modbus_tcp_slave, broker, files, server, version=version))

    assert subscriber.wait_for_json("gw/dev/level")["value"] == 4711
    running.wait_for_log(f"connected to {server}")


def test_a_locked_key_and_a_password_from_the_environment(guarded, files, modbus_tcp_slave, gateway, started):
    broker, server = guarded
    subscriber = started.add(Subscriber(broker))
    modbus_tcp_slave.unit(1)
    config = configuration(modbus_tcp_slave, broker, files, server, password="${PUMP_PASSWORD}")
    del config["mqtt"]["password_file"]
    config["mqtt"]["tls"].update(key_file=str(files / "locked.key"), key_password="${KEY_PASSWORD}")

    gateway(config, env={"PUMP_PASSWORD": "hall-9000", "KEY_PASSWORD": "locked"})

    subscriber.wait_for("gw/dev/level")


def test_a_wrong_password_is_told_once_and_without_the_password(guarded, files, modbus_tcp_slave, gateway):
    broker, server = guarded
    (files / "password").write_text("wrong-one\n")

    running = gateway(configuration(modbus_tcp_slave, broker, files, server))
    running.wait_for_log(f"mqtt: {server} refuses the connection: .*; trying again, later every 500 ms")
    running.stop()

    assert running.log.count("refuses the connection") == 1
    assert "wrong-one" not in running.log


def test_the_next_server_is_taken_when_one_is_away(tmp_path, broker, modbus_tcp_slave, gateway, subscriber):
    away = Broker(tmp_path)  # never started
    config = make_config(broker, [tcp_bus(modbus_tcp_slave, [DEVICE])], mqtt={"servers": [away.url, broker.url]})
    modbus_tcp_slave.unit(1)

    running = gateway(config)

    subscriber.wait_for("gw/dev/level")
    running.wait_for_log(f"mqtt: {away.url}: connection refused, no broker listens there")
    running.wait_for_log(f"mqtt: connected to {broker.url}")


def test_two_gateways_with_one_client_id_are_told(broker, modbus_tcp_slave, gateway, tmp_path, subscriber):
    modbus_tcp_slave.unit(1)
    config = make_config(broker, [tcp_bus(modbus_tcp_slave, [DEVICE])])

    first = gateway(config)
    subscriber.wait_for("gw/dev/level")
    second = gateway(config)

    for running in (first, second):
        running.wait_for_log('does another client use the client id "field2mqtt-gw"', deadline_s=60)


# `openssl ca` is what can give a certificate a time in the past, in every version.
EXPIRED = """
touch index.txt && echo 01 >serial
printf '[ca]\\ndefault_ca=d\\n[d]\\ndir=.\\ndatabase=index.txt\\nserial=serial\\nnew_certs_dir=.\\ndefault_md=sha256\\n' >ca.conf
printf 'policy=p\\n[p]\\ncommonName=supplied\\n[s]\\nsubjectAltName=DNS:localhost\\n' >>ca.conf
for name in broker client; do
    openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr -subj /CN=$name
    openssl ca -batch -config ca.conf -extensions s -in $name.csr -cert ca.pem -keyfile ca.key -notext \\
        -startdate 20200101000000Z -enddate 20210101000000Z -out $name-old.pem
done
"""


def old_certificates(files):
    subprocess.run(["sh", "-e", "-c", EXPIRED.replace("$name.key", "$name-old.key")], cwd=files, check=True,
                   capture_output=True)


def test_an_expired_certificate_of_the_broker_is_told_once(files, modbus_tcp_slave, gateway, started):
    old_certificates(files)
    broker, port = Broker(files), free_port()
    broker.file.write_text(f"{broker.file.read_text()}\nlistener {port} 127.0.0.1\ncafile {files}/ca.pem\n"
                           f"certfile {files}/broker-old.pem\nkeyfile {files}/broker-old.key\n")
    started.add(broker).start()
    server = f"mqtts://localhost:{port}"

    running = gateway(configuration(modbus_tcp_slave, broker, files, server))

    running.wait_for_log(f"{server}: the certificate of the broker is not accepted: certificate has expired; trying")
    broker.process.wait_for_log("New connection", count=2)  # it has tried again
    running.stop()
    assert running.log.count("certificate has expired") == 1


def test_an_expired_certificate_of_ours_is_told_once(guarded, files, modbus_tcp_slave, gateway):
    broker, server = guarded
    old_certificates(files)
    config = configuration(modbus_tcp_slave, broker, files, server)
    config["mqtt"]["tls"].update(cert_file=str(files / "client-old.pem"), key_file=str(files / "client-old.key"))

    running = gateway(config)

    running.wait_for_log(f"{server}: no TLS connection: .*certificate expired")  # RFC 8446, 6.2, alert 45
    running.stop()
    assert running.log.count("no TLS connection") == 1


def test_a_broker_that_accepts_and_says_nothing_is_told_once(tmp_path, broker, modbus_tcp_slave, gateway):
    modbus_tcp_slave.unit(1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        server = f"mqtt://127.0.0.1:{mute.getsockname()[1]}"
        config = make_config(broker, [tcp_bus(modbus_tcp_slave, [DEVICE])],
                             mqtt={"servers": [server], "connect_timeout": "1s"})

        running = gateway(config)
        running.wait_for_log(f"{server}: timed out, no answer within 1 s; trying again")
        mute.settimeout(60)
        mute.accept()  # the first, and:
        mute.accept()
        running.stop()

    assert running.log.count("timed out") == 1


def test_an_unknown_host_is_told_once(broker, modbus_tcp_slave, gateway):
    modbus_tcp_slave.unit(1)
    # RFC 6761, 6.4: .invalid is never a name
    config = make_config(broker, [tcp_bus(modbus_tcp_slave, [DEVICE])], mqtt={"servers": ["mqtt://broker.invalid:1883"]})

    running = gateway(config)

    running.wait_for_log(r"mqtt://broker.invalid:1883: unknown host \(.+\); trying again")
    running.stop()
    assert running.log.count("unknown host") == 1
