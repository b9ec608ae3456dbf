"""A system that fails on demand, around one program: tests/faults/shim.c, and the file that tells it what to do."""
import mmap
import os
import struct
import subprocess
import tempfile

import pytest

from conftest import ROOT, SLOW, wait_until

FIELDS = ("wall_offset_ms", "dns_hang_ms", "dns_begun", "dns_ended", "io_errno", "io_from", "io_until", "io_calls",
          "io_failed", "alloc_at", "alloc_everywhere", "alloc_calls", "alloc_failed", "heap_asked", "heap_answered", "heap_bytes")


class Shim:
    """One running program's system. Give `env` to the program; set and read the fields while it runs."""

    def __init__(self, folder, library=None):
        if SLOW != 1:
            pytest.skip("a sanitizer wants to be the first library itself")
        self.library = library or build(folder)
        handle, file = tempfile.mkstemp(prefix="shim-", dir=folder)
        os.write(handle, bytes(8 * len(FIELDS)))
        os.close(handle)
        with open(file, "r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), 8 * len(FIELDS))
        self.env = {"LD_PRELOAD": str(self.library), "FIELD2MQTT_SHIM": str(file)}

    def __getitem__(self, name):
        return struct.unpack_from("q", self._memory, 8 * FIELDS.index(name))[0]

    def set(self, **fields):
        for name, value in fields.items():
            struct.pack_into("q", self._memory, 8 * FIELDS.index(name), value)

    def heap_bytes(self):
        """What the program has allocated now, of all its arenas."""
        asked = self["heap_asked"] + 1
        self.set(heap_asked=asked)
        wait_until(lambda: self["heap_answered"] == asked)
        return self["heap_bytes"]

    def close(self):
        self._memory.close()


def build(folder):
    library = folder / "shim.so"
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-pthread",
                    "-o", library, ROOT / "tests/faults/shim.c", "-ldl"], check=True)
    return library
