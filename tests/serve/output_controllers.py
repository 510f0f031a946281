"""Controllers at the other end of an output: a PLC that is a Modbus server, and one that is an OPC UA client."""

import contextlib
import math
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from asyncua import Client, ua
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from serve.outputs.opcua_model import NAMESPACE
from serve.outputs.output import OUTCOME_NUMBERS
from tests.serve.output_receivers import Loop, Receiver, Result


class Controller(Receiver):
    """Has an event loop; `muted`, it acknowledges nothing."""

    def __init__(self) -> None:
        self._loop, self.muted = Loop(), False

    def mute(self, muted: bool) -> None:
        self.muted = muted

    def end(self) -> None:
        super().end()
        self._loop.end()


class Plc(Controller):
    """A Modbus TCP server that echoes the number once exactly one coil is up."""

    carries = ("number", "outcome")
    ECHO = 100

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port, self._server = port, None
        self.coils, self.registers = [False, False], [0] * 14
        self.echo = [0, 0]
        self.on_coils: Callable[[], None] | None = None
        self.options = {"host": "127.0.0.1", "port": port, "acknowledge_register": self.ECHO}

    def start(self) -> None:
        async def serve() -> ModbusTcpServer:
            bits = [SimData(0, values=False, count=16, datatype=DataType.BITS)]
            words = [SimData(0, values=0, count=120, datatype=DataType.REGISTERS)]
            device = SimDevice(1, simdata=(bits, bits, words, words), action=self._access)
            server = ModbusTcpServer(device, address=("127.0.0.1", self._port))
            await server.serve_forever(background=True)
            return server

        self._server = self._loop.run(serve())

    async def _access(
        self, function: int, _: int, address: int, count: int, current: list[int], values: list[Any] | None
    ) -> ExcCodes | None:
        if function == 15 and values is not None:
            self.coils = [bool(value) for value in values[:2]]
            if self.on_coils:
                self.on_coils()
        if function == 16 and values is not None:
            self.registers[address : address + count] = values
        if not self.muted and (sum(self.coils) == 1 or self.registers[:2] == [0, 0]):
            self.echo = self.registers[:2]
        if function == 3:
            current[self.ECHO : self.ECHO + 2] = self.echo
        return None

    def stop(self) -> None:
        self._loop.run(self._server.shutdown())

    def unit(self) -> dict[str, Any]:
        outcomes = {number: outcome.value for outcome, number in OUTCOME_NUMBERS.items()}
        high, low, outcome = self.registers[:3]
        return {"number": high << 16 | low, "outcome": outcomes.get(outcome)}

    def permits(self) -> bool:
        return self.coils[0]

    def running(self) -> bool:
        return self.registers[3] == 2


class OpcUaClient(Controller):
    """Subscribes to the number, reads the rest and acknowledges; a lost connection is no permit."""

    _RESULT: ClassVar = {
        "number": "Number", "unit": "PartId", "outcome": "Outcome", "reason": "Reason", "score": "Score",
        "record": "ResultId",
    }  # fmt: skip
    carries = tuple(_RESULT)

    def __init__(self, port: int) -> None:
        self.endpoint = f"opc.tcp://127.0.0.1:{port}/inspection"
        super().__init__()
        self.prepare: Callable[[Client], Coroutine[Any, Any, None]] | None = None
        self._client, self._unit = None, dict[str, Any]()
        self._permit = False
        self.options = {"endpoint": self.endpoint}

    def start(self) -> None:
        """The server is the output itself: see `attach`."""

    def attach(self) -> None:
        self.stop()
        self._loop.run(self._connect())

    async def _connect(self) -> None:
        client = Client(self.endpoint, timeout=10, watchdog_intervall=60)
        if self.prepare is not None:
            await self.prepare(client)
        await client.connect()
        self._client, self._index = client, await client.get_namespace_index(NAMESPACE)
        subscription = await client.create_subscription(10, self)
        await subscription.subscribe_data_change([self.node("Pass"), self.node("Number")])

    def node(self, name: str, folder: str = "ResultManagement/Result") -> Any:
        """A node of the result, or of another folder."""
        return self._client.get_node(f"ns={self._index};s=VisionSystem/{folder}/{name}")

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a client's call."""
        return self._loop.run(work)

    async def datachange_notification(self, node: Any, value: Any, _: Any) -> None:
        if str(node.nodeid.Identifier).endswith("/Pass"):
            self._permit = bool(value)
        elif value:
            unit = {key: await self.node(name).read_value() for key, name in self._RESULT.items()}
            self._unit = unit | {"score": None if math.isnan(unit["score"]) else unit["score"]}
            if not self.muted:
                await self.node("AcknowledgedNumber").write_value(unit["number"], ua.VariantType.UInt32)

    def stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._permit = False
            with contextlib.suppress(Exception):  # the server may have gone first
                self._loop.run(client.disconnect())

    def unit(self) -> dict[str, Any]:
        return self._unit

    def permits(self) -> bool:
        return self._permit

    def running(self) -> bool:
        try:
            return bool(self._loop.run(self.node("State", "Station").read_value()) == "running")
        except (TimeoutError, ConnectionError, AttributeError):
            return False
