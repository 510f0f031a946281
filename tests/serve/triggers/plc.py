"""A PLC: a real Modbus server in a process of its own, which a test can kill and start again."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pymodbus.client import ModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from tests.serve.serving import wait_for

BIT, COUNTER, ENCODER = 3, 10, 20  # a coil (a discrete input has the same bits), and holding registers


class Plc:
    """The server at `port`, as the machine's builder sees it: what is written here, triggers see."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.where = {"host": "127.0.0.1", "port": port}
        self.start()

    def start(self) -> None:
        """Switch it on; all is zero then."""
        self._process = subprocess.Popen([sys.executable, "-m", "tests.serve.triggers.plc", str(self.port)])
        wait_for(self._answers)
        self._client = ModbusTcpClient("127.0.0.1", port=self.port)

    def kill(self) -> None:
        """Pull its plug."""
        self._client.close()  # type: ignore[no-untyped-call]
        self._process.kill()
        self._process.wait(10)

    def bit(self, value: bool) -> None:
        assert not self._client.write_coil(BIT, value).isError()

    def counter(self, value: int) -> None:
        assert not self._client.write_register(COUNTER, value).isError()

    def encoder(self, value: int, *, low_word_first: bool = False) -> None:
        words = [value >> 16 & 0xFFFF, value & 0xFFFF]
        assert not self._client.write_registers(ENCODER, words[::-1] if low_word_first else words).isError()

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the Modbus server ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def plc(port: int) -> Iterator[Plc]:
    """One that is switched on, until the block ends."""
    running = Plc(port)
    try:
        yield running
    finally:
        running.kill()


async def _serve(port: int) -> None:
    registers = [SimData(0, count=64, values=0, datatype=DataType.REGISTERS)]
    device = SimDevice(id=1, simdata=registers, use_bit_addressing=True)
    await ModbusTcpServer(device, address=("127.0.0.1", port)).serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
