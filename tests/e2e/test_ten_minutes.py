"""The manual's "On a real box in ten minutes", done to the letter: in a clean Debian that boots, by a user with sudo, who types what
docs/installation.md says. Only names of files and addresses are this machine's."""
import platform
import re
import shutil
import time

import pytest
import yaml

from conftest import ROOT, Broker, Subscriber, free_port
from modbus_slave import TcpSlave
from test_package import BOOTED_S, boot, clean_debian, packages, run  # noqa: F401 (a fixture)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("package")]

SECTIONS = ("1. Install", "2. See that the device answers", "3. The broker", "4. Start and watch")
MAY_FAIL = ("ls -l /dev/serial/by-id",)  # as the manual says there

# What the reader types, line by line; edits are made by the editor that sudoedit calls.
SCRIPT = """#!/bin/bash
export SUDO_EDITOR=/editor
cd "$HOME"
step() {
    echo "\\$ $1"
    bash -c "$1" <"${2:-/dev/null}" || echo "FAILED: $1"
}
"""

EDITOR = """#!/bin/sh
n=$(cat /home/engineer/edits 2>/dev/null || echo 0)
echo $((n + 1)) >/home/engineer/edits
cat /edit-$n.yaml >"$1"
"""

UNIT = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=-/usr/sbin/runuser -l engineer -c /read-and-type.sh
ExecStopPost=/bin/systemctl poweroff --no-block
StandardOutput=file:/said.txt
StandardError=inherit
"""


def blocks(language):
    """The blocks of that language in the four sections of the manual."""
    text = (ROOT / "docs/installation.md").read_text()
    sections = [re.search(rf"(?ms)^## {re.escape(name)}.*?(?=^## )", text)[0] for name in SECTIONS]
    return [block for section in sections for block in re.findall(rf"(?ms)^```{language}\n(.*?)^```", section)]


def edits(slave, broker_port, tls_port, http_port):
    """The configuration before and after the broker's section; what is replaced is checked to be in the manual."""
    first, broker = blocks("yaml")
    for word, ours in (("192.168.1.50\n", f"{slave.address}\n    port: {slave.port}\n"),
                       ("mqtt://broker.plant.example", f"mqtt://broker.plant.example:{broker_port}")):
        assert word in first
        first = first.replace(word, ours)
    assert "mqtts://broker.plant.example" in broker
    broker = broker.replace("mqtts://broker.plant.example", f"mqtts://broker.plant.example:{tls_port}")
    first += f"http: {{ port: {http_port} }}\n"
    return first, re.sub(r"(?m)^mqtt:.*\n", broker, first)


def commands(package, http_port):
    """The lines to type, with what is typed into them."""
    for line in "".join(blocks("sh")).splitlines():
        line = re.sub(r"\s+# .*", "", line)
        line = re.sub(r"\./field2mqtt_\S+\.deb", f"-y ./{package}", line)  # who asks apt is not asked back
        if line == "field2mqtt monitor":
            line = f"field2mqtt monitor --once --url http://127.0.0.1:{http_port}"
        if line.startswith("sudo journalctl"):  # a person looks again until it is there
            yield f"timeout {BOOTED_S // 3} bash -c 'until {line} | grep -q \"connected to\"; do sleep 0.1; done'", None
        yield line, "/password" if "/dev/stdin" in line else None


def certificate(folder):
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=broker.plant.example",
        "-addext", "subjectAltName=DNS:broker.plant.example", "-keyout", folder / "broker.key", "-out", folder / "broker.pem")


def prepare(root, package, configs, http_port, folder):
    """A box with a user, the files that the manual takes for granted, and the script."""
    clean_debian(root, "systemd-sysv", "dbus", "sudo", "udev")
    run("chroot", root, "useradd", "-m", "-s", "/bin/bash", "engineer")
    (root / "etc/sudoers.d/engineer").write_text("engineer ALL=(ALL) NOPASSWD: ALL\n")
    (root / "etc/hostname").write_text("box\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost broker.plant.example\n127.0.1.1 box\n")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    shutil.copy(package, root / "home/engineer")
    shutil.copy(folder / "broker.pem", root / "home/engineer")
    for n, config in enumerate(configs):
        (root / f"edit-{n}.yaml").write_text(config)
    (root / "password").write_text("s3cret\n")
    steps = "".join(f"step '{line}' {typed or ''}\n" for line, typed in
                    ((line.replace("'", "'\\''"), typed) for line, typed in commands(package.name, http_port)))
    for name, text in (("read-and-type.sh", SCRIPT + steps), ("editor", EDITOR)):
        (root / name).write_text(text)
        (root / name).chmod(0o755)
    (root / "etc/systemd/system/reader.service").write_text(UNIT)
    (root / "etc/systemd/system/multi-user.target.wants").mkdir(exist_ok=True)
    (root / "etc/systemd/system/multi-user.target.wants/reader.service").symlink_to("/etc/systemd/system/reader.service")


def test_a_reader_of_the_manual_sees_a_value_at_the_broker(tmp_path, tmp_path_factory, packages, started):  # noqa: F811
    certificate(tmp_path)
    run("mosquitto_passwd", "-c", "-b", tmp_path / "passwd", "pump-house", "s3cret")
    tls_port, http_port = free_port(), free_port()
    broker = started.add(Broker(tmp_path, f"password_file {tmp_path}/passwd\nlistener {tls_port} 127.0.0.1\n"
                                f"certfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key\n")).start()
    slave = started.add(TcpSlave()).start()
    slave.unit(1).set("holding:0", [2301])
    subscriber = started.add(Subscriber(broker))
    configs = edits(slave, broker.port, tls_port, http_port)
    assert yaml.safe_load(configs[1])["mqtt"]["username"] == "pump-house"

    root = tmp_path_factory.mktemp("box")
    root.chmod(0o755)
    try:
        prepare(root, packages["field2mqtt"], configs, http_port, tmp_path)
        begin = time.monotonic()
        boot(root)
        took_s = time.monotonic() - begin
        said = (root / "said.txt").read_text()
    finally:
        shutil.rmtree(root)
    print(f"{said}\nfrom the first line to the last, with starting and stopping the box: {took_s:.0f} s on {platform.machine()}")
    failed = [line for line in re.findall(r"(?m)^FAILED: (.*)", said) if line not in MAY_FAIL]
    assert not failed, said
    assert re.search(r"(?m)^voltage +230\.1 V$", said), said  # of read
    assert "plc/meter/voltage\t230.1 V\tgood" in said, said
    subscriber.wait_for("pump-house/meter/voltage", lambda p: '"value":230.1' in p)
    assert "pump-house" in broker.process.log and f"mqtts://broker.plant.example:{tls_port}" in said
