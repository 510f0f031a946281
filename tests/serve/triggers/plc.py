"""A PLC: a real Modbus server in a process of its own, which a test can kill, stop and start again."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymodbus.client import ModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from tests.serve.serving import wait_for

BIT, COUNTER, ENCODER, LOOKS = 3, 10, 20, 40  # a coil (a discrete input has the same bits), and registers
SIZE = 64


class Plc:
    """The server at `port`, as the machine's builder sees it: what is written here, triggers see."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.where = {"host": "127.0.0.1", "port": port}
        self.start()

    def start(self) -> None:
        """Switch it on; all is zero then."""
        command = [sys.executable, "-m", "tests.serve.triggers.plc", str(self.port)]
        self._process = subprocess.Popen(command, cwd=Path(__file__).parents[3])
        wait_for(self._answers)
        self._client = ModbusTcpClient("127.0.0.1", port=self.port)

    def kill(self) -> None:
        """Pull its plug."""
        self._client.close()  # type: ignore[no-untyped-call]
        self._process.kill()
        self._process.wait(10)

    def zero(self) -> None:
        """As it is when it is switched on."""
        self.bit(False)
        self.counter(0)
        self.encoder(0)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It keeps its connections and says nothing, until the block ends."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def bit(self, value: bool) -> None:
        assert not self._client.write_coil(BIT, value).isError()

    def looked_at(self) -> None:
        """Wait until a look has begun and ended after now."""
        before = self._looks()
        wait_for(lambda: (self._looks() - before) % 65536 >= 3)

    def counter(self, value: int) -> None:
        assert not self._client.write_register(COUNTER, value).isError()

    def encoder(self, value: int, *, low_word_first: bool = False) -> None:
        words = [value >> 16 & 0xFFFF, value & 0xFFFF]
        assert not self._client.write_registers(ENCODER, words[::-1] if low_word_first else words).isError()

    def _looks(self) -> int:
        return int(self._client.read_holding_registers(LOOKS, count=1).registers[0])

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
    looks = 0

    async def access(
        _: int, __: int, address: int, ___: int, registers: list[int], values: list[Any] | None
    ) -> ExcCodes | None:
        nonlocal looks
        looks += values is None and address != LOOKS
        registers[LOOKS] = looks % 65536
        return None

    words = [SimData(0, count=SIZE, values=0, datatype=DataType.REGISTERS)]
    device = SimDevice(id=1, simdata=words, use_bit_addressing=True, action=access)
    await ModbusTcpServer(device, address=("127.0.0.1", port)).serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
