"""The Debian package from its making to its purging, in a root file system of its own: as root, over minutes."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, Broker, Process, Subscriber, make_config, tcp_bus
from modbus_slave import TcpSlave

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("package")]  # built once, for all of them

CONFIG = "etc/field2mqtt/config.yaml"
BOOTED_S = 600  # a limit for a busy machine, not a measure


def run(*argv, **kwargs):
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def packages():
    """Built by `make deb`: {name: file}."""
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    run("make", "deb", cwd=ROOT, env=env)
    files = {file.name.split("_")[0]: file for file in (ROOT / "build/deb").glob("*.deb")}
    assert {"field2mqtt", "field2mqtt-dev"} <= set(files)
    return files


def clean_debian(folder, *include):
    """Unpacks a Debian of the host's release with no more than what is named."""
    release = re.search(r"(?m)^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text())[1]
    sources = [*sorted(Path("/etc/apt/sources.list.d").glob("*.sources")), *Path("/etc/apt").glob("sources.list")]
    run("mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(include)}", release, folder, sources[0])


def boot(folder):
    """Boots it until it powers itself off: in a mount namespace of its own, where the control groups are those that the booted
    system expects."""
    subprocess.run(["unshare", "-m", "sh", "-c", "umount -R /sys/fs/cgroup || umount -l /sys/fs/cgroup; "
                    "mount -t cgroup2 none /sys/fs/cgroup && exec systemd-nspawn -q --register=no --keep-unit "
                    f"--boot --console=pipe -D {folder}"], stdin=subprocess.DEVNULL, capture_output=True, timeout=BOOTED_S)


class System:
    """A clean Debian of the host's release, with what the package depends on."""

    def __init__(self, folder, packages, *more):
        self.root = folder
        depends = run("dpkg-deb", "-f", packages["field2mqtt"], "Depends")
        names = [re.split(r"[ |(]", part.strip())[0] for part in depends.split(",")]
        clean_debian(folder, "systemd", *names, *more)
        run("mount", "-t", "proc", "proc", folder / "proc")

    def close(self):
        run("umount", self.root / "proc")
        shutil.rmtree(self.root)

    def run(self, *argv):
        return run("chroot", self.root, *argv)

    def dpkg(self, verb, what):
        if isinstance(what, Path):
            shutil.copy(what, self.root / "package.deb")
            what = "/package.deb"
        return self.run("dpkg", verb, what)

    def owner(self, path):
        return self.run("stat", "-c", "%a %U:%G", f"/{path}").strip()


@pytest.fixture
def system(tmp_path_factory, packages):
    folder = tmp_path_factory.mktemp("debian")
    folder.chmod(0o755)
    system = System(folder, packages)
    yield system
    system.close()


class Chrooted(Process):
    stop = Process.kill  # before the root goes


def newer(packages, folder):
    """The same package of a later version, which brings another example."""
    run("dpkg-deb", "-R", packages["field2mqtt"], folder / "tree")
    control = folder / "tree/DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*", "Version: 99.0", control.read_text()))
    example = folder / "tree/usr/share/field2mqtt/config.yaml"
    example.write_text(example.read_text() + "# new in 99\n")
    run("dpkg-deb", "-b", folder / "tree", folder / "newer.deb")
    return folder / "newer.deb"


def test_lintian_finds_no_error(packages):
    changes = next((ROOT / "build/deb").glob("*.changes"))
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", str(changes)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "E: " not in done.stdout
    assert not re.search(r"man-?page|manual-page|groff", done.stdout), done.stdout


def test_the_package_has_the_manual_pages(packages):
    files = run("dpkg-deb", "-c", packages["field2mqtt"])
    assert re.search(r"/usr/share/man/man1/field2mqtt\.1\.gz", files)
    assert re.search(r"/usr/share/man/man5/field2mqtt\.yaml\.5\.gz", files)


def test_the_package_lives_from_installation_to_purging(tmp_path, packages, system, started):
    # Installed: everything in its place, enabled, and waiting to be edited.
    system.dpkg("-i", packages["field2mqtt"])
    assert system.owner("etc/field2mqtt") == "750 root:field2mqtt"
    assert system.owner("etc/field2mqtt/secrets") == "700 root:root"
    assert system.owner(CONFIG) == "640 root:field2mqtt"
    assert system.owner("var/lib/field2mqtt") == "700 field2mqtt:field2mqtt"
    assert "dialout" in system.run("id", "-nG", "field2mqtt").split()
    assert os.path.lexists(system.root / "etc/systemd/system/multi-user.target.wants/field2mqtt.service")
    assert (system.root / CONFIG).read_text().startswith("# DELETE THIS LINE")
    assert "modbus-rtu" in system.run("field2mqtt", "drivers")

    # Edited, it runs from there as its own user.
    broker = started.add(Broker(tmp_path)).start()
    slave = started.add(TcpSlave()).start()
    slave.unit(1).set("holding:0", [2301])
    points = [{"name": "voltage", "register": "holding:0", "scale": 0.1, "unit": "V"}]
    config = make_config(broker, [tcp_bus(slave, [{"name": "meter", "unit": 1, "points": points},
                                                  {"name": "sdm", "unit": 2, "template": "eastron-sdm630"}])])
    (system.root / CONFIG).write_text(yaml.safe_dump(config))
    subscriber = started.add(Subscriber(broker))
    gateway = started.add(Chrooted(["chroot", "--userspec=field2mqtt:field2mqtt", str(system.root), "/usr/bin/field2mqtt",
                                    "run", "-c", f"/{CONFIG}"]))
    subscriber.wait_for("gw/meter/voltage", lambda p: '"value":230.1' in p)
    assert Path(f"/proc/{gateway.pid}/status").read_text().count(f"Uid:\t{system.run('id', '-u', 'field2mqtt').strip()}\t")
    gateway.signal(15)
    assert gateway.wait() == 0, gateway.log

    # An upgrade touches neither the configuration nor what waits in the outbox; nor does removal.
    outbox = system.root / "var/lib/field2mqtt/outbox.db"
    outbox.write_bytes(b"kept")
    written = (system.root / CONFIG).read_bytes()
    system.dpkg("-i", newer(packages, tmp_path))
    assert "new in 99" in (system.root / "usr/share/field2mqtt/config.yaml").read_text()
    assert (system.root / CONFIG).read_bytes() == written and outbox.read_bytes() == b"kept"
    system.dpkg("-r", "field2mqtt")
    assert not (system.root / "usr/bin/field2mqtt").exists()
    assert (system.root / CONFIG).read_bytes() == written and outbox.read_bytes() == b"kept"
    assert system.owner(CONFIG) == "640 root:field2mqtt"

    # Installed again it finds them; purged, nothing is left.
    system.dpkg("-i", packages["field2mqtt"])
    assert (system.root / CONFIG).read_bytes() == written
    system.dpkg("-P", "field2mqtt")
    assert not (system.root / "etc/field2mqtt").exists() and not (system.root / "var/lib/field2mqtt").exists()


# What is done inside of the booted system; each step writes what it found.
BOOTED = """#!/bin/bash
exec >/result.txt 2>&1
show() { echo "$1: $(systemctl show -p "$2" --value field2mqtt)"; }
until_log() { for _ in $(seq 300); do journalctl -u field2mqtt -o cat | grep -q "$1" && return; sleep 0.1; done; echo "no $1"; }
show unedited Result
cp /plant.yaml /etc/field2mqtt/config.yaml
install -m 600 /dev/stdin /etc/field2mqtt/secrets/mqtt-password <<<s3cret
systemctl start field2mqtt; show started ActiveState
until_log 'mqtt: connected to'
echo "user: $(stat -c %U /proc/$(systemctl show -p MainPID --value field2mqtt))"
echo 'retries: 2' >>/etc/field2mqtt/config.yaml
systemctl reload field2mqtt; until_log 'reload: applied'
echo 'junk: [' >>/etc/field2mqtt/config.yaml
systemctl reload field2mqtt; until_log 'reload: refused'; show refused StatusText
systemctl kill -s KILL field2mqtt
for _ in $(seq 300); do [ "$(systemctl show -p ExecMainStatus --value field2mqtt)" = 78 ] && systemctl -q is-failed field2mqtt && break; sleep 0.1; done
show wrong ActiveState; show wrong NRestarts
cp /plant.yaml /etc/field2mqtt/config.yaml
systemctl reset-failed field2mqtt; systemctl start field2mqtt; show again ActiveState
systemctl stop field2mqtt; show stopped Result; show code ExecMainStatus
echo end
journalctl -u field2mqtt -o cat --no-pager
systemctl poweroff
"""

BOOT_UNIT = """[Unit]
After=multi-user.target
[Service]
ExecStart=/test.sh
"""


def test_the_service_lives_under_systemd(tmp_path, tmp_path_factory, packages, started):
    """A system that boots: systemd itself takes the unit with its sandbox, credentials, reload and restarts."""
    folder = tmp_path_factory.mktemp("booted")
    folder.chmod(0o755)
    system = System(folder, packages, "systemd-sysv", "dbus")
    try:
        system.dpkg("-i", packages["field2mqtt"])
        run("mosquitto_passwd", "-c", "-b", tmp_path / "passwd", "gw", "s3cret")
        broker = started.add(Broker(tmp_path, f"password_file {tmp_path}/passwd\n")).start()
        config = make_config(broker, [{"name": "plc", "driver": "modbus-tcp", "host": "127.0.0.1", "port": 1,
                                       "devices": [{"name": "d", "unit": 1, "points": [{"name": "p", "register": "holding:0"}]}]}],
                             mqtt={"username": "gw", "password_file": "${CREDENTIALS_DIRECTORY}/mqtt-password"})
        (folder / "plant.yaml").write_text(yaml.safe_dump(config))
        (folder / "test.sh").write_text(BOOTED)
        (folder / "test.sh").chmod(0o755)
        (folder / "etc/systemd/system/test.service").write_text(BOOT_UNIT)
        (folder / "etc/systemd/system/multi-user.target.wants/test.service").symlink_to("/etc/systemd/system/test.service")
        run("umount", folder / "proc")
        boot(folder)
        result = (folder / "result.txt").read_text()
    finally:
        subprocess.run(["umount", folder / "proc"], capture_output=True)
        shutil.rmtree(folder)
    said = [line for line in result.partition("\nend\n")[0].splitlines()]
    assert said == ["unedited: exec-condition", "started: active", "user: field2mqtt",
                    "refused: reload refused: 1 mistake in the configuration", "wrong: failed", "wrong: 1", "again: active",
                    "stopped: success", "code: 0"], result
    assert "EPERM" not in result and "not permitted" not in result, result


def test_a_driver_is_built_against_the_dev_package(tmp_path, packages):
    run("dpkg-deb", "-x", packages["field2mqtt-dev"], tmp_path / "dev")
    run("dpkg-deb", "-x", packages["field2mqtt"], tmp_path / "dev")
    usr = tmp_path / "dev/usr"
    env = {**os.environ, "PKG_CONFIG_PATH": str(usr / "share/pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(tmp_path / "dev")}
    flags = run("pkg-config", "--cflags", "field2mqtt", env=env).split()
    assert run("pkg-config", "--variable=plugindir", "field2mqtt", env=env).strip().endswith("/usr/lib/field2mqtt")
    sources = sorted((usr / "share/doc/field2mqtt-dev/examples").glob("*.c"))
    plugin = tmp_path / "plugins/example.so"
    plugin.parent.mkdir(mode=0o755)
    run("cc", "-shared", "-fPIC", *(flags or [f"-I{usr}/include"]), "-o", plugin, *sources)
    plugin.chmod(0o644)
    assert run(usr / "bin/field2mqtt", "drivers", "--plugin-dir", plugin.parent).split()[0] == "example"
    assert run(usr / "bin/field2mqtt", "version").split()[1] == run("dpkg-deb", "-f", packages["field2mqtt"], "Version").strip()
