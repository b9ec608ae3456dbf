"""The devices of the soak, in a process of their own: Modbus TCP and RTU slaves (pymodbus) and a balance, all of which count.

usage: soak_field.py FOLDER    prints a line of JSON: where they are. Each line of input is answered by one with the number of reads
of each device; the end of input ends it.

Every read of the registers below 1000 gives the next number, in each pair of them; those above are plain ones, to be written.
"""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from modbus_slave import RtuSlave, TcpSlave, Unit  # noqa: E402
from serial_instruments import MtSics  # noqa: E402

TCP_BUSES, RTU_UNITS = 3, (1, 2)
PLAIN_FROM = 1000


class CountingUnit(Unit):
    reads = 0

    def getValues(self, function, address, count=1):  # pylint: disable=invalid-name
        if address >= PLAIN_FROM:
            return super().getValues(function, address, count)
        self.reads += 1
        return [self.reads >> 16, self.reads & 0xFFFF] * (count // 2)


class CountingBalance(MtSics):
    reads = 0

    def reply(self, line):
        if line == b"SI":
            self.reads += 1
            self.weight = str(self.reads)
        return super().reply(line)


def main(folder):
    tcp = [TcpSlave().start() for _ in range(TCP_BUSES)]
    line = RtuSlave(folder).plug()
    balance = CountingBalance(Path(folder) / "balance")
    for slave, units in (*((slave, (1,)) for slave in tcp), (line, RTU_UNITS)):
        slave.units.update({number: CountingUnit(slave.lock) for number in units})
    print(json.dumps({"tcp": [slave.port for slave in tcp], "rtu": line.port, "serial": balance.port}), flush=True)
    for _ in sys.stdin:
        for slave in (*tcp, line):
            slave.clear()  # its record of requests would grow without end
        balance.heard.clear()
        counts = {f"tcp{n}": slave.units[1].reads for n, slave in enumerate(tcp)}
        counts.update({f"rtu{number}": line.units[number].reads for number in RTU_UNITS}, balance=balance.reads)
        print(json.dumps(counts), flush=True)
    for part in (*tcp, line, balance):
        part.stop()


if __name__ == "__main__":
    main(sys.argv[1])
