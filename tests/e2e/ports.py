"""Ports for servers that tests and the demo start, and start again on the same port."""
import os
import socket
from pathlib import Path

_held_ports = []  # a socket for each port that is this process's own


def hold_port(port):
    """Whether nobody else has it. From then on no other test or demo is given it as long as this process lives."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0field2mqtt-test-port-{port}")
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("0.0.0.0", port))
    except OSError:
        name.close()
        return False
    _held_ports.append(name)
    return True


def free_port():
    """A port of the loopback that is held, and that no outgoing connection takes: not one of those that the kernel hands out."""
    first_of_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = range(10240, first_of_kernel) if first_of_kernel > 12000 else range(61100, 65000)
    start = (os.getpid() * 97 + len(_held_ports)) % len(ports)
    port = next(filter(hold_port, (*ports[start:], *ports[:start])), None)
    assert port, "no free port"
    return port
