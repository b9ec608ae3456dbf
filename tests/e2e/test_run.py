"""The life of `field2mqtt run`: options, signals, an end within 5 s whatever hangs, and what it says on the way."""
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

from conftest import BUILD, PROGRAM, SLOW, Broker, Subscriber, make_config, rtu_bus, tcp_bus
from modbus_slave import TcpSlave
from plugin_source import Folder

END_S = 5  # the promise


class Bystander(threading.Thread):
    """Looks at the clock all the time, to see for how long the machine is busy with others than those who want to run now."""

    LOOK_S, HELD_UP_S = 0.01, 0.05

    def __init__(self):
        super().__init__(daemon=True)
        self.held_up_s, self._is_over = 0.0, threading.Event()

    def run(self):
        before = time.monotonic()
        while not self._is_over.wait(self.LOOK_S):
            now = time.monotonic()
            late = now - before - self.LOOK_S
            self.held_up_s += late if late > self.HELD_UP_S else 0
            before = now

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self.join()


def device(unit=1, count=3, **keys):
    return {"name": f"u{unit}", "unit": unit, **keys,
            "points": [{"name": f"p{n}", "register": f"holding:{n}"} for n in range(count)]}


@pytest.fixture
def slave(modbus_tcp_slave):
    modbus_tcp_slave.unit(1)
    modbus_tcp_slave.unit(2)
    return modbus_tcp_slave


def end_of(running, number=signal.SIGTERM, meanwhile=lambda: None):
    """Sends the signal; gives exit code and seconds of a machine that is not held up."""
    with Bystander() as bystander:
        start = time.monotonic()
        running.signal(number)
        meanwhile()
        code = running.wait(12 * END_S)
        seconds = time.monotonic() - start
    return code, (seconds - bystander.held_up_s) / SLOW


@pytest.mark.quick
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_with_all_flushed(broker, slave, gateway, subscriber, number):
    slave.unit(1).set("holding:0", [1, 2, 3])
    running = gateway(make_config(broker, [tcp_bus(slave, [device()])]))
    subscriber.wait_for("gw/u1/p2", count=3)

    code, seconds = end_of(running, number)

    assert code == 0 and seconds < END_S, running.log
    put, acked = map(int, running.wait_for_log(r"since the start (\d+) put, (\d+) acknowledged, 0 dropped").groups())
    assert put == acked
    assert running.wait_for_log(r"stopped: \d+ messages flushed, 0 left")
    subscriber.wait_for("field2mqtt/gw/state", lambda p: p == "offline")
    # All that it put has arrived: nothing was left out and nothing came twice. The state of the outbox is among it, unless
    # the end came before the first time that it is told.
    assert sum(m.topic != "field2mqtt/gw/state" for m in subscriber.messages) == put


@pytest.mark.parametrize("state", ["up", "down", "hanging"])
def test_it_ends_in_5_s_whatever_the_broker_does(tmp_path, broker, slave, gateway, subscriber, state):
    running = gateway(make_config(broker, [tcp_bus(slave, [device()])]))
    subscriber.wait_for("gw/u1/p0")
    if state == "down":
        broker.stop()
    elif state == "hanging":
        broker.process.signal(signal.SIGSTOP)
    count = len(slave.recorded())
    slave.wait_for_requests(count + 3)

    code, seconds = end_of(running)

    assert code == 0 and seconds < END_S, running.log


@pytest.mark.parametrize("state", ["deaf", "refusing"])
def test_it_ends_in_5_s_whatever_a_device_does(broker, slave, gateway, state):
    slave.answer = False
    if state == "refusing":
        slave.stop()
    running = gateway(make_config(broker, [tcp_bus(slave, [device()], timeout="60s")]))
    if state == "deaf":
        slave.wait_for_requests(1)
    else:
        running.wait_for_log("plc: ")

    code, seconds = end_of(running)

    assert code == 0 and seconds < END_S, running.log


HANGING_DRIVER = r"""
#include <unistd.h>
#include "field2mqtt/driver.h"
struct conf { int64_t nothing; };
static const struct gw_key none[] = {{0}};
static const struct gw_key point_keys[] = {{.name = "n", .type = GW_KEY_INT, .help = "A number.", .max = 9}, {0}};
static enum gw_err check_point(const void *b, const void *d, const void *p, struct gw_point_traits *t, struct gw_driver_diag *g)
{
    (void)b, (void)d, (void)p, (void)g;
    t->kind = GW_INT;
    t->can_read = true;
    return GW_OK;
}
static enum gw_err bus_open(struct gw_bus *bus, int64_t until, struct gw_driver_diag *g) { (void)bus, (void)until, (void)g; return GW_OK; }
static void bus_close(struct gw_bus *bus) { (void)bus; }
static enum gw_err plan(struct gw_device *d, const uint16_t *points, size_t n, struct gw_plan *plan)
{
    (void)d;
    for (size_t i = 0; i < n; i++) {
        plan->members[plan->n_members] = points[i];
        plan->requests[plan->n_requests++] = (struct gw_request){.first_member = (uint16_t)plan->n_members++, .n_members = 1};
    }
    return GW_OK;
}
static enum gw_err execute(struct gw_device *d, const struct gw_request *r, const uint16_t *m, int64_t until,
                           struct gw_result *results, struct gw_outcome *outcome)
{
    (void)r, (void)m, (void)until, (void)results, (void)outcome;
    d->bus->host->debug(d->bus->host->ctx, "hanging now");
    for (;;)
        sleep(1000);
}
static const struct gw_driver driver = {
    .name = "hanging", .summary = "Never comes back.", .bus_keys = none, .device_keys = none, .point_keys = point_keys,
    .bus_conf_size = sizeof(struct conf), .device_conf_size = sizeof(struct conf), .point_conf_size = sizeof(struct conf),
    .bus_state_size = 1, .reopen_min_us = 1000000, .reopen_max_us = 1000000, .check_point = check_point, .open = bus_open,
    .close = bus_close, .plan = plan, .execute = execute,
};
static const struct gw_driver *const drivers[] = {&driver, NULL};
GW_PLUGIN_EXPORT const struct gw_plugin field2mqtt_plugin = {GW_DRIVER_ABI, sizeof(struct gw_driver), sizeof(struct gw_key), drivers};
"""


def with_hanging_driver(folder):
    """Builds the driver beside that for Modbus; gives the options of a gateway, and a bus that hangs."""
    plugins = Folder(folder / "plugins")
    shutil.copy(BUILD / "drivers" / "modbus.so", plugins.path)
    plugins.build("hanging", HANGING_DRIVER)
    bus = {"name": "stuck", "driver": "hanging", "devices": [{"name": "h", "points": [{"name": "p", "n": 1}]}]}
    return ("--plugin-dir", str(plugins.path), "--log-level", "debug"), bus


def test_it_ends_in_5_s_when_a_driver_hangs_in_a_call(tmp_path, broker, slave, gateway, subscriber):
    options, hanging = with_hanging_driver(tmp_path)
    config = make_config(broker, [hanging, tcp_bus(slave, [device()])])
    running = gateway(config, options=options)
    running.wait_for_log("stuck: hanging now")
    subscriber.wait_for("gw/u1/p0", count=3)  # nobody else is held up

    code, seconds = end_of(running)

    assert code == 0 and seconds < END_S, running.log
    assert "stuck: hangs in its driver" in running.log
    subscriber.wait_for("field2mqtt/gw/state", lambda p: p == "offline")


HELD_DISK = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static int flush(long call, int fd) {
    while (access(getenv("HELD_DISK_WHILE"), F_OK) == 0)
        usleep(2000);
    return (int)syscall(call, fd);
}
int fsync(int fd) { return flush(SYS_fsync, fd); }
int fdatasync(int fd) { return flush(SYS_fdatasync, fd); }
"""


def test_what_is_not_sent_is_saved_also_when_a_driver_hangs(tmp_path, broker, slave, gateway):
    options, hanging = with_hanging_driver(tmp_path)
    config = make_config(broker, [hanging, tcp_bus(slave, [device(count=7, interval="100ms")])])
    path = tmp_path / "kept.db"
    config["buffer"] = {"path": str(path), "durability": "outage", "commit_interval": "60s"}
    config["publish"] = {**config.get("publish", {}), "when": "every"}
    source = tmp_path / "held_disk.c"
    source.write_text(HELD_DISK)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "held_disk.so", source], check=True)
    broker.stop()
    is_held = tmp_path / "is_held"
    running = gateway(config, options=options, env={
        "HELD_DISK_WHILE": str(is_held),
        "LD_PRELOAD": str(tmp_path / "held_disk.so"),
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"})
    running.wait_for_log("stuck: hanging now")
    count = len(slave.recorded())
    slave.wait_for_requests(count + 21)  # fewer than fill a commit; the last one may not be answered yet
    is_held.touch()
    stopped = r"stopped: 0 messages flushed, (\d+) left and kept for the next start"

    def release_the_disk():
        running.wait_for_log(stopped)
        is_held.unlink()  # all threads were waited for; the disk is what the end still waits for

    code, seconds = end_of(running, meanwhile=release_the_disk)

    assert code == 0 and seconds < END_S, running.log
    left = int(running.wait_for_log(stopped).group(1))
    assert left >= 20 * 7
    kept = subprocess.run([PROGRAM, "outbox", str(path), "export"], capture_output=True, text=True, check=True).stdout
    assert len(kept.splitlines()) == left


@pytest.mark.quick
def test_sighup_is_answered_and_nothing_stops(broker, slave, gateway, subscriber):
    running = gateway(make_config(broker, [tcp_bus(slave, [device()])]))
    subscriber.wait_for("gw/u1/p0")

    running.signal(signal.SIGHUP)

    running.wait_for_log("reload: nothing has changed")
    subscriber.wait_for("gw/u1/p0", since=subscriber.mark(), count=3)


@pytest.mark.quick
def test_it_says_what_it_starts(broker, slave, gateway):
    running = gateway(make_config(broker, [tcp_bus(slave, [device(1), device(2, 1)])]))

    running.wait_for_log(r"field2mqtt \d+\.\d+\.\d+: gateway gw, 1 bus, 2 devices, 4 points")


def test_a_running_gateway_is_quiet(broker, slave, gateway, subscriber):
    """Transitions are logged, not polls: between the start and a stop there is nothing more to say."""
    running = gateway(make_config(broker, [tcp_bus(slave, [device()])], interval="20ms"))
    subscriber.wait_for("gw/u1/p0", count=10)
    running.signal(signal.SIGHUP)
    running.wait_for_log("reload: nothing has changed")  # all that was said at the start is before it
    lines = len(running.lines)

    subscriber.wait_for("gw/u1/p0", since=subscriber.mark(), count=90)
    running.signal(signal.SIGTERM)
    running.wait()

    said = running.lines[lines:]
    assert re.search("SIGTERM: stopping", said[0]), said


def test_what_is_down_is_told_once_and_its_return_once(tmp_path, broker, gateway, subscriber, started):
    slave = started.add(TcpSlave())
    slave.start()
    slave.unit(1)
    slave.unit(2).silent = True
    told = {"timeout": "2s", "retries": 0, "offline_after": "100ms", "retry_max": "100ms"}  # with time to answer when it does
    running = gateway(make_config(broker, [tcp_bus(slave, [device(1), device(2, **told)])]))
    running.wait_for_log(r"u2 \(plc\): offline: no answer for .* \(timeout\), trying again after")
    slave.wait_for_requests(len(slave.recorded(2)) + 3, unit=2)
    slave.unit(2).silent = False
    running.wait_for_log(r"u2 \(plc\): answering again after .*, \d+ polls? lost")
    slave.stop()
    running.wait_for_log(r"plc: .*, trying again after 100 ms, later every 300 ms")
    slave.start()
    running.wait_for_log(r"plc: open again after .*, \d+ polls? lost")
    subscriber.wait_for("gw/u2/p0", lambda p: '"good"' in p, since=subscriber.mark())
    running.stop()

    assert running.log.count("u2 (plc): offline") == 1, running.log
    assert running.log.count("answering again") == 1, running.log
    assert running.log.count("trying again after 100 ms, later every 300 ms") == 1, running.log
    assert running.log.count("open again") == 1, running.log


@pytest.mark.parametrize("transport", ["tcp", "rtu"])
def test_a_register_that_is_ignored_does_not_take_its_device_away(transport, broker, gateway, subscriber, request):
    """Cheap devices refuse a register by saying nothing; all 20 stand in one request."""
    slave = request.getfixturevalue(f"modbus_{transport}_slave")
    slave.unit(1).set("holding:0", range(20))
    slave.unit(1).refuse("holding:13", -1)
    bus = {"tcp": tcp_bus, "rtu": rtu_bus}[transport]
    fast = {"timeout": "300ms", "retries": 1, "offline_after": "900ms", "retry_max": "300ms"}

    running = gateway(make_config(broker, [bus(slave, [device(1, 20, **fast)])]))
    running.wait_for_log(r"u1 \(.*\): 1 point cannot be read \(timeout\): p13;", deadline_s=60)
    mark = subscriber.mark()
    # It is found; from then on only that one is bad.
    for n in set(range(20)) - {13}:
        subscriber.wait_for(f"gw/u1/p{n}", lambda p, n=n: f'"value":{n},' in p, since=mark, count=5)
        bad = [m.payload for m in subscriber.of(f"gw/u1/p{n}", mark) if '"good"' not in m.payload]
        assert not bad, f"p{n}: {bad}\n{running.log}"
    assert all('"reason":"timeout"' in m.payload for m in subscriber.of("gw/u1/p13"))


def test_a_full_buffer_is_told_once_and_its_end_once(tmp_path, broker, slave, gateway, started):
    config = make_config(broker, [tcp_bus(slave, [device(1, 100)])], interval="200ms",
                         buffer={"max_size": "64KiB"})
    broker.stop()
    running = gateway(config)

    running.wait_for_log(r"buffer: full with \d+ messages \(\d+ bytes\), dropping the oldest ones")
    slave.wait_for_requests(len(slave.recorded()) + 5)
    slave.answer = False  # no more, so that a slow broker does not let it get full again
    broker.start()
    running.wait_for_log(r"buffer: has room again, \d+ messages were dropped")
    running.stop()

    assert running.log.count("buffer: ") == 2, running.log


@pytest.mark.parametrize("options, word", [
    (["--log-level"], "needs an argument"),
    (["--log-level", "loud"], "loud is not error, warning, info or debug"),
    (["--simulated", "sim,70000"], "PORT_OFFSET"),
    (["--simulated", "sim,x"], "PORT_OFFSET"),
    (["--fast"], "unknown option --fast"),
    (["-c"], "needs an argument"),
])
def test_wrong_options_end_with_64_and_the_usage(options, word):
    wrong = subprocess.run([PROGRAM, "run", *options], capture_output=True, text=True, check=False)

    assert wrong.returncode == 64
    assert word in wrong.stderr and "usage: field2mqtt run" in wrong.stderr


def test_a_file_that_is_not_there_ends_with_78(tmp_path):
    wrong = subprocess.run([PROGRAM, "run", "-c", tmp_path / "none.yaml"], capture_output=True, text=True, check=False)

    assert wrong.returncode == 78 and "none.yaml" in wrong.stderr


def test_devices_and_broker_down_at_the_start_cost_no_processor_time(tmp_path, gateway, started):
    broker, slave = started.add(Broker(tmp_path)), started.add(TcpSlave())
    slave.unit(1)
    slave.start()
    slave.stop()
    running = gateway(make_config(broker, [tcp_bus(slave, [device(1, 100)])]))
    running.wait_for_log("plc: ")
    before, start = running.cpu_s(), time.monotonic()

    # Five seconds of wall time are what is measured here: nothing can be waited for.
    end = start + 5
    while (left := end - time.monotonic()) > 0:
        time.sleep(left)

    assert (running.cpu_s() - before) / (time.monotonic() - start) < 0.02
    slave.start()
    broker.start()
    started.add(Subscriber(broker)).wait_for("gw/u1/p99", lambda p: '"good"' in p)


def test_its_memory_stands_still(broker, slave, gateway, subscriber):
    def resident_kib(pid):
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    running = gateway(make_config(broker, [tcp_bus(slave, [device(1, 100)])]))
    subscriber.wait_for("gw/u1/p0", count=50, deadline_s=120)
    before = resident_kib(running.pid)

    subscriber.wait_for("gw/u1/p0", count=150, deadline_s=240)

    assert resident_kib(running.pid) - before < 512
