"""The back-up of docs/installation.md: the outbox copied while the gateway runs, held for the moment of the copy."""
import json
import shutil
import signal
import subprocess
from pathlib import Path

from conftest import PROGRAM, SLOW, make_config, tcp_bus, wait_until


def is_held(pid):
    """All its threads are."""
    states = [task.read_text().rsplit(")", 1)[1].split()[0] for task in Path(f"/proc/{pid}/task").glob("*/stat")]
    return set(states) == {"T"}


def waiting(file):
    done = subprocess.run([PROGRAM, "outbox", file, "export"], capture_output=True, text=True, timeout=60 * SLOW)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_copy_of_a_held_gateway_holds_what_waits_and_can_be_put_back(tmp_path, broker, modbus_tcp_slave, gateway, subscriber):
    modbus_tcp_slave.unit(1)
    folder, copy = tmp_path / "var", tmp_path / "backup"
    folder.mkdir()
    config = make_config(broker, [tcp_bus(modbus_tcp_slave, [{"name": "m", "unit": 1, "interval": "20ms",
                                                              "points": [{"name": "p", "register": "holding:0"}]}])],
                         buffer={"path": str(folder / "outbox.db"), "commit_interval": "50ms"}, publish={"seq": True})
    running = gateway(config)
    subscriber.wait_for("gw/m/p")
    broker.stop()
    wait_until(lambda: (folder / "outbox.db-wal").exists() and (folder / "outbox.db-wal").stat().st_size > 500000)  # dozens of commits

    running.signal(signal.SIGSTOP)
    wait_until(lambda: is_held(running.pid))
    shutil.copytree(folder, copy)
    running.signal(signal.SIGCONT)
    modbus_tcp_slave.wait_for_requests(len(modbus_tcp_slave.recorded()) + 3)

    saved = waiting(copy / "outbox.db")
    seqs = [message["seq"] for message in saved]
    assert len(seqs) > 20 and seqs == sorted(set(seqs))
    # It went on undisturbed: all that was saved, and what came later, is there at the end.
    running.signal(signal.SIGTERM)
    assert running.wait() == 0, running.log
    assert set(seqs) < {message["seq"] for message in waiting(folder / "outbox.db")}

    # Put back, the copy is sent.
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    broker.start()
    subscriber.wait_subscribed(2, 60 * SLOW)
    again = gateway(config)
    subscriber.wait_for("gw/m/p", lambda p: json.loads(p)["seq"] == seqs[-1])
    again.stop()
