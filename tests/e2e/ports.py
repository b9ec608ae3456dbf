"""Ports for servers that tests start, and start again on the same port."""
import os
import socket
from pathlib import Path

import pytest

_held_ports = []  # a socket for each port that is this process's own


def free_port():
    """A port of the loopback that no other test running at the same time is given, and no outgoing connection takes:
    below those that the kernel hands out, and held by a name as long as this process lives."""
    first_of_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = range(10240, first_of_kernel) if first_of_kernel > 12000 else range(61100, 65000)
    start = (os.getpid() * 97 + len(_held_ports)) % len(ports)
    for port in (*ports[start:], *ports[:start]):
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0field2mqtt-test-port-{port}")
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("0.0.0.0", port))
        except OSError:
            name.close()
            continue
        _held_ports.append(name)
        return port
    pytest.fail("no free port")
