"""The service as systemd runs it: what it is told and when, what the unit allows, and that a gateway of 200 buses fits in."""
import configparser
import os
import re
import resource
import shutil
import socket
import subprocess
import threading
import time

import pytest

from conftest import BUILD, ROOT, SLOW, make_config, tcp_bus
from plugin_source import GOOD, Folder

SYSTEMD = ROOT / "systemd"
UNIT = SYSTEMD / "field2mqtt.service"


class Unit(configparser.RawConfigParser):
    """The unit's settings; of one that is given several times, the last."""

    def __init__(self):
        super().__init__(strict=False, delimiters="=", comment_prefixes="#")
        self.optionxform = str
        self.read(UNIT)

    def bytes(self, name):
        return int(self["Service"][name].rstrip("M")) * 1024 * 1024

    def number(self, name):
        return int(self["Service"][name])


class Manager:
    """The service manager's end of $NOTIFY_SOCKET."""

    def __init__(self, folder, watchdog_s=None):
        self.path = str(folder / "notify")
        self.env = {"NOTIFY_SOCKET": self.path}
        if watchdog_s:
            self.env["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._changed = threading.Condition()
        self.messages = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while data := self._socket.recv(4096):
            with self._changed:
                self.messages.append(data.decode())
                self._changed.notify_all()

    def count(self, text):
        """Of all that was sent until now: what comes by the same way behind it has been read, too."""
        mark = f"X_MARK={time.monotonic_ns()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(mark.encode(), self.path)
        self.wait_for(mark)
        with self._changed:
            return sum(text in message for message in self.messages)

    def wait_for(self, text, count=1, deadline_s=60):
        with self._changed:
            assert self._changed.wait_for(lambda: sum(text in m for m in self.messages) >= count, deadline_s * SLOW), \
                (text, self.messages)

    def close(self):
        self._socket.close()


def device(unit=1, **keys):
    return {"name": f"u{unit}", "unit": unit, **keys, "points": [{"name": "p", "register": "holding:0"}]}


# ---- the conversation with the service manager -------------------------------------------------------


@pytest.mark.quick
def test_the_service_manager_hears_ready_alive_and_stopping(tmp_path, broker, modbus_tcp_slave, gateway, subscriber):
    modbus_tcp_slave.unit(1)
    manager = Manager(tmp_path, watchdog_s=0.9)
    running = gateway(make_config(broker, [tcp_bus(modbus_tcp_slave, [device()])]), env=manager.env)

    manager.wait_for("READY=1")
    manager.wait_for("WATCHDOG=1", count=4)
    running.stop()

    manager.wait_for("STOPPING=1")
    first = {word: next(i for i, m in enumerate(manager.messages) if word in m) for word in ("READY", "WATCHDOG", "STOPPING")}
    assert first["READY"] < first["WATCHDOG"] < first["STOPPING"]


def test_a_silent_device_and_an_absent_broker_are_no_reason_for_a_restart(tmp_path, broker, modbus_tcp_slave, gateway):
    modbus_tcp_slave.unit(1)
    modbus_tcp_slave.answer = False
    broker.stop()
    manager = Manager(tmp_path, watchdog_s=0.9)
    gateway(make_config(broker, [tcp_bus(modbus_tcp_slave, [device(timeout="300ms")])]), env=manager.env)

    modbus_tcp_slave.wait_for_requests(3)
    seen = manager.count("WATCHDOG=1")
    manager.wait_for("WATCHDOG=1", count=seen + 5)


def test_no_watchdog_is_fed_where_none_is_asked_for(tmp_path, broker, modbus_tcp_slave, gateway, subscriber):
    modbus_tcp_slave.unit(1)
    manager = Manager(tmp_path)
    running = gateway(make_config(broker, [tcp_bus(modbus_tcp_slave, [device()])]), env=manager.env)
    manager.wait_for("READY=1")
    subscriber.wait_for("gw/u1/p")
    running.stop()
    assert manager.count("WATCHDOG") == 0


def test_a_wrong_configuration_is_never_ready(tmp_path, gateway):
    manager = Manager(tmp_path)
    running = gateway("gateway: { name: gw }\n", env=manager.env)
    assert running.wait() == 78
    assert manager.count("READY=1") == 0


HANGING = """
static enum gw_err execute(struct gw_device *device, const struct gw_request *request, const uint16_t *members,
                           int64_t deadline_us, struct gw_result *results, struct gw_outcome *outcome)
{
    for (;;)
        pause();
}
"""


@pytest.mark.slow
def test_a_driver_that_hangs_starves_the_watchdog_and_is_named(tmp_path, broker, gateway):
    begin = GOOD.index("static enum gw_err execute(")
    end = GOOD.index("}\n", begin) + 2
    plugins = Folder(tmp_path / "plugins")
    plugins.build("tiny", "#include <unistd.h>\n" + GOOD[:begin] + HANGING + GOOD[end:])
    bus = {"name": "stuck", "driver": "tiny", "path": "/dev/null", "devices": [{"name": "d", "points": [{"name": "p"}]}]}
    manager = Manager(tmp_path, watchdog_s=3)
    running = gateway(make_config(broker, [bus]), env=manager.env, options=["--plugin-dir", str(plugins.path)])

    manager.wait_for("WATCHDOG=1")
    running.wait_for_log("stuck: hangs; the gateway is restarted if that lasts 3 s", deadline_s=150)
    fed = manager.count("WATCHDOG=1")
    time.sleep(4)  # longer than the manager's patience
    assert manager.count("WATCHDOG=1") == fed
    running.kill()


# ---- the unit ----------------------------------------------------------------------------------------


def analyze(*argv):
    return subprocess.run(["systemd-analyze", *argv], capture_output=True, text=True)


def test_the_unit_exposes_little():
    done = analyze("security", "--offline=yes", "--threshold=20", str(UNIT))
    assert done.returncode == 0, done.stdout.splitlines()[-1] + done.stderr
    assert "ignoring" not in done.stderr, done.stderr


def test_the_measure_of_exposure_can_fail(tmp_path):
    loose = tmp_path / "field2mqtt.service"
    loose.write_text(re.sub(r"(?m)^(CapabilityBoundingSet|SystemCallFilter|Protect\w+|Restrict\w+|NoNew\w+)=.*\n", "", UNIT.read_text()))
    assert analyze("security", "--offline=yes", "--threshold=20", str(loose)).returncode != 0


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """`make install` with the folder itself as the prefix, so that all paths of the unit exist."""
    root = tmp_path_factory.mktemp("installed")
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    variant = BUILD.name if BUILD.name in ("debug", "release", "asan", "tsan", "coverage") else "debug"
    subprocess.run(["make", "install", f"VARIANT={variant}", f"B={BUILD.relative_to(ROOT)}", f"PREFIX={root}"],
                   cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
    return root


def test_systemd_understands_every_line_of_the_installed_unit(installed):
    unit = installed / "lib/systemd/system/field2mqtt.service"
    assert f"ExecStart={installed}/bin/field2mqtt run -c " in unit.read_text()
    done = analyze("verify", "--man=no", "--recursive-errors=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_package_builds_with_what_the_sources_need():
    needed = {line for line in (ROOT / ".ci/packages").read_text().splitlines() if line.startswith("lib") and line.endswith("-dev")}
    control = (ROOT / "debian/control").read_text()
    given = set(re.findall(r"(?m)^ ([a-z0-9.-]+),$", control.split("Standards-Version")[0]))
    assert needed - given == {"libc6-dev", "libcmocka-dev"}  # of every build, and of the tests


def test_the_user_and_the_folders_are_made_with_the_right_owners(installed, tmp_path):
    (tmp_path / "etc").mkdir()
    for file in ("passwd", "group"):
        shutil.copy(f"/etc/{file}", tmp_path / "etc")
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", installed / "lib/sysusers.d/field2mqtt.conf"], check=True)
    subprocess.run(["systemd-tmpfiles", f"--root={tmp_path}", "--create", installed / "lib/tmpfiles.d/field2mqtt.conf"], check=True)

    users = {line.split(":")[0]: line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()}
    groups = {line.split(":")[0]: line.split(":") for line in (tmp_path / "etc/group").read_text().splitlines()}
    assert users["field2mqtt"][6] == "/usr/sbin/nologin"
    assert "field2mqtt" in groups["dialout"][3].split(",")
    uid, gid = int(users["field2mqtt"][2]), int(groups["field2mqtt"][2])
    for folder, owner in {"etc/field2mqtt": (0o750, 0, gid), "etc/field2mqtt/secrets": (0o700, 0, 0),
                          "var/lib/field2mqtt": (0o700, uid, gid)}.items():
        status = (tmp_path / folder).stat()
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == owner, folder


def test_the_example_does_not_start_before_it_was_edited(installed, tmp_path):
    condition = re.search(r"(?m)^ExecCondition=/bin/sh -c '(.*)'$", UNIT.read_text())[1]
    file = tmp_path / "config.yaml"
    shutil.copy(installed / "share/field2mqtt/config.yaml", file)

    def starts():
        return subprocess.run(["/bin/sh", "-c", condition.replace("/etc/field2mqtt/config.yaml", str(file))]).returncode == 0

    assert not starts()
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith("# DELETE THIS LINE")))
    assert len(file.read_text().splitlines()) == len(lines) - 1
    assert starts()


def test_a_gateway_of_200_buses_fits_into_the_limits_of_the_unit(broker, modbus_tcp_slave, gateway, subscriber):
    unit = Unit()
    modbus_tcp_slave.unit(1)
    buses = [tcp_bus(modbus_tcp_slave, [device()], name=f"bus{n}", interval="2s") for n in range(200)]
    for n, bus in enumerate(buses):
        bus["devices"][0]["name"] = f"d{n}"
    files = unit.number("LimitNOFILE")
    running = gateway(make_config(broker, buses), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)))

    for n in range(200):
        subscriber.wait_for(f"gw/d{n}/p", lambda p: '"quality":"good"' in p, deadline_s=60)
    status = dict(re.findall(r"(?m)^(\w+):\s*(\d+)", open(f"/proc/{running.pid}/status").read()))
    descriptors = [int(name) for name in os.listdir(f"/proc/{running.pid}/fd")]
    print(f"{int(status['VmHWM']) // 1024} MiB, {len(descriptors)} descriptors, {status['Threads']} threads")
    assert 200 < int(status["Threads"]) <= unit.number("TasksMax") / 2
    assert max(descriptors) < files / 2
    if SLOW == 1:  # sanitizers take more
        assert int(status["VmHWM"]) * 1024 < unit.bytes("MemoryMax") / 4
