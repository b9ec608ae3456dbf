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


def run(*argv, **kwargs):
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def packages():
    """Built by `make deb`: {name: file}."""
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    run("make", "deb", cwd=ROOT, env=env)
    files = {file.name.split("_")[0]: file for file in (ROOT / "build/deb").glob("*.deb")}
    assert {"field2mqtt", "field2mqtt-dev"} <= set(files)
    return files


class System:
    """A clean Debian of the host's release, with what the package depends on."""

    def __init__(self, folder, packages):
        self.root = folder
        depends = run("dpkg-deb", "-f", packages["field2mqtt"], "Depends")
        names = [re.split(r"[ |(]", part.strip())[0] for part in depends.split(",")]
        release = re.search(r"(?m)^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text())[1]
        sources = [*sorted(Path("/etc/apt/sources.list.d").glob("*.sources")), *Path("/etc/apt").glob("sources.list")]
        run("mmdebstrap", "--quiet", "--variant=apt", f"--include=systemd,{','.join(names)}", release, folder, sources[0])
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
