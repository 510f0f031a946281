"""Looking at a PLC over Modbus TCP, again and again."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NoReturn, TypeVar

from pydantic import Field
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from serve.triggers.trigger import TriggerFault, TriggerOptions, TriggerUnavailable

Width = Literal[16, 32]
Seen = TypeVar("Seen")
_EXCEPTIONS = {1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "device failure"}


class PlcOptions(TriggerOptions):
    """Where the PLC is; `timeout_ms` is for connecting and for each answer. Addresses count from 0."""

    host: str = Field(min_length=1)
    port: int = Field(default=502, ge=1, le=65_535)
    device_id: int = Field(default=1, ge=0, le=255)
    timeout_ms: int = Field(default=500, ge=10, le=800)  # so that a stop is obeyed within a second
    poll_ms: float = Field(default=5, ge=1, le=1000, allow_inf_nan=False)


class Plc:
    """One connection at a time, made where it is needed and dropped at the first thing that goes wrong."""

    def __init__(self, options: PlcOptions) -> None:
        self._options = options
        self._name = f"the PLC at {options.host}:{options.port}"
        self._client: ModbusTcpClient | None = None

    def open(self, look: Callable[[], object]) -> None:
        """Connect and `look` once. Raises TriggerUnavailable."""
        try:
            look()
        except TriggerFault as error:
            raise TriggerUnavailable(f"trigger: {error}; check host, port, device_id and addresses") from error

    def polls(self, look: Callable[[], Seen], stop: threading.Event) -> Iterator[tuple[float, Seen]]:
        """What `look` sees every `poll_ms`, with the monotonic time at which it began to look. Raises TriggerFault."""
        period, due = self._options.poll_ms / 1000, time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            at = time.monotonic()
            yield at, look()
            due = max(due + period, time.monotonic())

    def bit(self, kind: Literal["coil", "discrete_input"], address: int) -> bool:
        """One bit. Raises TriggerFault."""

        def ask(client: ModbusTcpClient) -> ModbusPDU:
            read = client.read_coils if kind == "coil" else client.read_discrete_inputs
            return read(address, count=1, device_id=self._options.device_id)

        bits = self._asked(f"{kind} {address}", ask).bits
        if not bits:
            self._lost(f"its answer for {kind} {address} is empty")
        return bool(bits[0])

    def number(self, kind: Literal["holding", "input"], address: int, bits: Width, low_word_first: bool) -> int:
        """An unsigned number of one or two registers. Raises TriggerFault."""
        count = bits // 16

        def ask(client: ModbusTcpClient) -> ModbusPDU:
            read = client.read_holding_registers if kind == "holding" else client.read_input_registers
            return read(address, count=count, device_id=self._options.device_id)

        words: Sequence[int] = self._asked(f"{kind} register {address}", ask).registers
        if len(words) != count:
            self._lost(f"its answer for {kind} register {address} has {len(words)} words and not {count}")
        total = 0
        for word in reversed(words) if low_word_first else words:
            total = total << 16 | word
        return total

    def close(self) -> None:
        """Drop the connection."""
        if self._client is not None:
            self._client.close()  # type: ignore[no-untyped-call]
            self._client = None

    def _asked(self, what: str, ask: Callable[[ModbusTcpClient], ModbusPDU]) -> ModbusPDU:
        if self._client is None:
            self._client = self._connected()
        try:
            answer = ask(self._client)
        except (ModbusException, OSError) as error:
            self._lost(f"it did not answer for {what} ({' '.join(str(error).split())})", error)
        if answer.isError():
            code = getattr(answer, "exception_code", 0)
            self._lost(f"it refuses {what} ({_EXCEPTIONS.get(code, f'exception {code}')})")
        return answer

    def _connected(self) -> ModbusTcpClient:
        # No retries: a request that is asked twice is a look that came late, and late looks miss pulses.
        client = ModbusTcpClient(
            self._options.host, port=self._options.port, timeout=self._options.timeout_ms / 1000, retries=0
        )
        try:
            if client.connect():  # type: ignore[no-untyped-call]
                return client
        except (ModbusException, OSError, ValueError) as error:  # ValueError: a host that is no name
            self._lost("it cannot be connected to, as that is no host", error)
        self._lost(f"it cannot be connected to within {self._options.timeout_ms} ms")

    def _lost(self, why: str, cause: Exception | None = None) -> NoReturn:
        self.close()
        raise TriggerFault(f"{self._name}: {why}") from cause
