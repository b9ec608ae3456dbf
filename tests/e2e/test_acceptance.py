"""Devices as their manuals describe them, read by the shipped templates: raw registers in, engineering values out.

Registers and values are those of the makers' documents (the source of each template), not of our own output.
"""
import struct

import pytest

from conftest import Broker, Gateway, Subscriber, make_config, tcp_bus, write_config
from modbus_slave import TcpSlave


def float32(x):
    return list(struct.unpack(">HH", struct.pack(">f", x)))


NAN = [0xFFC0, 0x0000]

# template, registers of the device, what each topic has to say: a good value, or the reason of a bad one.
BAD = "bad: "
DEVICES = [
    ("eastron-sdm630",
     {"input:0": float32(230.1), "input:52": float32(-1234.5), "holding:18": float32(2.0), "holding:20": float32(17)},
     {"voltage_l1": 230.1, "power": -1234.5, "cfg_network_parity_stop": "8O1", "cfg_network_node": 17}),
    ("schneider-pm5100",
     {"holding:3027": float32(231.5), "holding:3029": NAN, "holding:3083": float32(-1.05),
      "holding:3203": [0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF], "holding:1843": [2026, 11 << 8 | 24, 10 << 8 | 5, 12345]},
     {"voltage_l1n": 231.5, "voltage_l2n": BAD + "not_a_number", "power_factor_total": -0.95,
      "active_energy_delivered": 9223372036854775807, "date_time_words": "2026-11-24T10:05:12.345"}),
    ("schneider-pm800", {"holding:1699": [4567, 123, 0, 0]}, {"energy_real_in": 1234567}),
    ("solaredge-sunspec",
     {"holding:40000": [0x5375, 0x6E53], "holding:40071": [1234, 0xFFFF, 1, 2, 0xFFFE],
      "holding:40076": [4000, 4001, 4002, 2300, 2301, 2302, 0x8000], "holding:40091": [0xD8F1, 0xFFFE],
      "holding:40004": [0x536F, 0x6C61, 0x7245, 0x6467, 0x6500]},
     {"suns_marker": 0x53756E53, "A": 12.34, "AphA": BAD + "not_available", "AphB": 0.01,
      "PhVphA": BAD + "scale_not_available", "PF": -99.99, "manufacturer": "SolarEdge"}),
    ("victron-gx-battery",
     {"holding:265": [55], "holding:266": [987], "holding:280": [1], "holding:256": [0xFFFF, 0xFF6A]},
     {"consumedamphours": -5.5, "soc": 98.7, "relay_0_state": "Closed", "dc_0_power": -150}),
    ("victron-gx-system", {"holding:806": [0, 1]}, {"relay_0_state": "Open", "relay_1_state": "Closed"}),
    ("autonics-tk",
     {"input:1000": [235, 1, 0, 0xFF38], "coil:0": [1], "holding:0": [1500], "holding:50": [1]},
     {"pv": 23.5, "pv_unit": "°C", "sv_readback": -20, "coil_run_stop": "stop", "sv": 150, "run_stop": "stop"}),
    ("waveshare-relay-8ch", {"coil:2": [1], "holding:32768": [200]}, {"relay_2": False, "relay_3": True, "software_version": 2}),
    ("peacefair-pzem-016",
     {"input:0": [2301, 0x1234, 0x0001, 0x86A0, 0x0001, 42, 0, 500, 97, 0xFFFF]},
     {"voltage": 230.1, "current": 70.196, "power": 10000, "energy": 42, "frequency": 50, "power_factor": 0.97,
      "alarm": "alarm"}),
    ("xy-md02", {"input:1": [0xFF33, 0x0222]}, {"temperature": -20.5, "humidity": 54.6}),
    ("janitza-b23", {"holding:19000": float32(230.5), "holding:19026": float32(-42.25), "holding:19062": float32(1500)},
     {"voltage_l1": 230.5, "power": -42.25, "import_l1": 1.5}),
]
ROWS = [(template, point, value) for template, _, values in DEVICES for point, value in values.items()]


@pytest.fixture(scope="module")
def seen(tmp_path_factory, started_once):
    folder = tmp_path_factory.mktemp("plant")
    broker = started_once.add(Broker(folder)).start()
    subscriber = started_once.add(Subscriber(broker))
    slave = started_once.add(TcpSlave()).start()
    devices = []
    for unit, (template, registers, _) in enumerate(DEVICES, 1):
        for register, words in registers.items():
            slave.unit(unit).set(register, words)
        devices.append({"name": template, "template": template, "unit": unit, "interval": "200ms"})
    started_once.add(Gateway(write_config(folder, make_config(broker, [tcp_bus(slave, devices)]))))
    return subscriber


@pytest.mark.parametrize("template,point,value", ROWS, ids=lambda v: str(v))
def test_a_device_reads_as_its_manual_says(seen, template, point, value):
    message = seen.wait_for_json(f"gw/{template}/{point}")

    if isinstance(value, str) and value.startswith(BAD):
        assert (message["value"], message["quality"], message["reason"]) == (None, "bad", value[len(BAD):])
    else:
        assert (message["value"], message["quality"]) == (value, "good")
        assert type(message["value"]) is type(value) or not isinstance(value, bool)
