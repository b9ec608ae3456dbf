"""The values that a subscriber sees are those that stand in the slave: every type, every order, every transport."""
import time

import pytest

import vectors
from conftest import SLOW, Broker, Gateway, Subscriber, make_config, rtu_bus, tcp_bus, write_config
from modbus_slave import RtuSlave, TcpSlave

TRANSPORTS = ("tcp", "rtu", "rtu_over_tcp")


class Run:
    """A gateway that has seen both states of all vectors."""

    def __init__(self, transport, folder, started):
        broker = started.add(Broker(folder)).start()
        self.subscriber = started.add(Subscriber(broker))
        slave = {"tcp": TcpSlave, "rtu": lambda: RtuSlave(str(folder)), "rtu_over_tcp": lambda: TcpSlave(framing="rtu")}[transport]()
        started.add(slave).start()
        unit, addresses = slave.unit(17), vectors.layout()
        vectors.fill(unit, addresses, 0)
        device = {"name": "dev", "unit": 17, "interval": "200ms", "points": vectors.points(addresses)}
        keys = {"rtu_over_tcp": {"framing": "rtu", "baud": 115200}}.get(transport, {})
        bus = (rtu_bus if transport == "rtu" else tcp_bus)(slave, [device], **keys)
        started.add(Gateway(write_config(folder, make_config(broker, [bus]))))
        self.wait_for_all(0)
        self.changed_s = time.monotonic()
        vectors.fill(unit, addresses, 1)
        self.second = self.subscriber.mark()
        self.wait_for_all(self.second)

    def wait_for_all(self, since, deadline_s=60):
        """Until each point has two messages; what is missing then is told by the test of that point."""
        wanted = {f"gw/dev/{v.name}" for v in vectors.VECTORS}
        end = time.monotonic() + deadline_s * SLOW
        for topic in wanted:
            try:
                self.subscriber.wait_for(topic, since=since, count=2, deadline_s=max(0.1, end - time.monotonic()) / SLOW)
            except pytest.fail.Exception:
                pass


@pytest.fixture(scope="module", params=TRANSPORTS)
def run(request, tmp_path_factory, started_once):
    return Run(request.param, tmp_path_factory.mktemp(request.param), started_once)


@pytest.mark.parametrize("vector", vectors.VECTORS, ids=lambda v: v.name)
def test_what_stands_in_the_registers_arrives(run, vector):
    topic = f"gw/dev/{vector.name}"
    (_, first), (_, second) = vector.states

    before = [vectors.parse(m.payload) for m in run.subscriber.of(topic)[:2]]
    after = vectors.parse(run.subscriber.wait_for(topic, lambda p: second.fits(vectors.parse(p)), since=run.second).payload)

    assert before and all(first.fits(m) for m in before), f"want {first}, got {before}"
    assert second.fits(after)
    assert after.get("unit") == vector.keys.get("unit")


@pytest.mark.parametrize("vector", vectors.VECTORS, ids=lambda v: v.name)
def test_no_third_value_is_ever_seen(run, vector):
    states = [expected for _, expected in vector.states]

    for message in run.subscriber.of(f"gw/dev/{vector.name}"):
        body = vectors.parse(message.payload)
        assert any(s.fits(body) for s in states), f"{body} is neither {states[0]} nor {states[1]}"


def test_time_is_that_of_the_answer(run):
    """Which came after the value was there, and before the message."""
    expected = next(v.states[1][1] for v in vectors.VECTORS if v.name == "scale")
    message = run.subscriber.wait_for("gw/dev/scale", lambda p: expected.fits(vectors.parse(p)), since=run.second)

    ts = int(vectors.parse(message.payload)["ts"])
    to_wall_s = time.time() - time.monotonic()

    assert run.changed_s + to_wall_s - 0.1 < ts / 1000 < message.time + to_wall_s + 0.1
