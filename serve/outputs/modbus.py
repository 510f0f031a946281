"""A PLC that is told of each unit over Modbus TCP: coils permit or reject, registers say which unit."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from inspection.verdict import Outcome
from serve.outputs.output import (
    OUTCOME_NUMBERS,
    Output,
    OutputFault,
    OutputOptions,
    OutputUnavailable,
    Signal,
    StationState,
)

# The block of holding registers: number (high word first), outcome; from _STATE on, what `show` writes.
_BLOCK = 14
_STATE = 3
STATE_NUMBERS = {"off": 0, "ready": 1, "running": 2, "stopped": 3, "failed": 4, "changeover": 5}
_OTHER_STATE = 9
_SAFE = (False, True)
_POLL_S = 0.002
# Shares of the timeout: no new request after the first, no answer awaited after the second, the rest for taking the
# permit back, so that a fault too is told in time.
_WORK, _ANSWER, _UNDO = 0.7, 0.8, 0.2


class ModbusOptions(OutputOptions):
    """`coils` is the first of two (pass permit, reject), `registers` the first of 14 holding registers, and
    `acknowledge_register` the first of two in which the PLC echoes the unit number; addresses count from 0."""

    host: str = Field(min_length=1)
    port: int = Field(default=502, ge=1, le=65_535)
    device_id: int = Field(default=1, ge=0, le=255)
    coils: int = Field(default=0, ge=0, le=65_534)
    registers: int = Field(default=0, ge=0, le=65_536 - _BLOCK)
    acknowledge_register: int | None = Field(default=None, ge=0, le=65_534)

    @model_validator(mode="after")
    def _apart(self) -> Self:
        echo = self.acknowledge_register
        if echo is not None and self.registers - 2 < echo < self.registers + _BLOCK:
            last = self.registers + _BLOCK - 1
            msg = f"acknowledge_register {echo} lies in the registers {self.registers} to {last} that are written"
            raise ValueError(msg)
        return self


class _Late(TimeoutError):
    """The time is up, and no request is under way."""


class ModbusOutput(Output):
    """A client of the PLC. Acknowledged means that the writes were answered and, with a register for it, echoed."""

    Options: ClassVar[type[OutputOptions]] = ModbusOptions

    def __init__(self, name: str, options: OutputOptions, folder: Path) -> None:  # noqa: ARG002 - it needs no files
        assert isinstance(options, ModbusOptions)
        self._options = options
        self._owner = f"output {name!r}: the PLC at {options.host}:{options.port}"
        self._runner: asyncio.Runner | None = None
        self._client: AsyncModbusTcpClient | None = None
        self._state: StationState | None = None
        self._beat, self._deadline = 0, 0.0

    def open(self, state: StationState) -> None:
        self._runner = asyncio.Runner()
        try:
            self.show(state)
        except OutputFault as error:
            self.close()
            raise OutputUnavailable(str(error)) from error

    def send(self, signal: Signal) -> None:
        self._do(self._write_signal(signal))

    def show(self, state: StationState) -> None:
        self._state = state
        self._do(self._write_state(state))

    def close(self) -> None:
        if self._runner is None:
            return
        try:
            if self._client is not None and self._state is not None:
                self.show(self._state.off())
        except OutputFault:
            pass  # the PLC misses the heartbeat
        finally:
            self._runner.run(self._drop())
            self._runner.close()
            self._runner = None

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        if self._runner is None:
            work.close()
            raise OutputFault(f"{self._owner} is not connected: the output is not open")
        try:
            self._runner.run(self._in_time(work))
        except TimeoutError as error:
            said = f"{self._owner} did not acknowledge within {self._options.timeout_ms} ms"
            raise OutputFault(said) from error
        except (ModbusException, OSError) as error:
            raise OutputFault(f"{self._owner} cannot be told ({error})") from error

    async def _in_time(self, work: Coroutine[Any, Any, None]) -> None:
        seconds = self._options.timeout_ms / 1000
        try:
            await self._until(work, _WORK * seconds, _ANSWER * seconds)
        except (ModbusException, OSError, TimeoutError) as error:
            # Whoever does not answer this either sees no heartbeat.
            with contextlib.suppress(ModbusException, OSError, TimeoutError):
                await self._until(self._withdraw(clean=isinstance(error, _Late)), _UNDO * seconds, _UNDO * seconds)
            await self._drop()
            raise

    async def _until(self, work: Coroutine[Any, Any, None], no_request_after_s: float, end_s: float) -> None:
        self._deadline = asyncio.get_running_loop().time() + no_request_after_s
        async with asyncio.timeout(end_s):
            await work

    async def _withdraw(self, *, clean: bool) -> None:
        # Behind a request that is still to be answered a PLC may lose the next one: on a new connection it does not.
        if not clean:
            await self._drop()
        await self._connect()
        await self._coils(_SAFE)

    def _check_time(self) -> None:
        # Between requests, so that none is cut off where the PLC answers and only does not echo. Nor would a timeout
        # alone do: before Python 3.12 the library's wait_for swallows it where an answer comes at the same moment.
        if asyncio.get_running_loop().time() > self._deadline:
            raise _Late

    async def _connect(self) -> AsyncModbusTcpClient:
        for _ in range(3):  # the loop stood still since the last call: let it see that the other side has hung up
            await asyncio.sleep(0)
        if self._client is not None and self._client.connected:
            return self._client
        await self._drop()
        options, seconds = self._options, self._options.timeout_ms / 1000
        self._client = AsyncModbusTcpClient(
            options.host, port=options.port, timeout=seconds, retries=0, reconnect_delay=0
        )
        if not await self._client.connect():
            raise ConnectionError("it cannot be reached")
        await self._coils(_SAFE)
        return self._client

    async def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
            await asyncio.sleep(0)

    async def _write_signal(self, signal: Signal) -> None:
        await self._connect()
        number = signal.number % 2**32
        words = [number >> 16, number & 0xFFFF]
        # Nothing is permitted or rejected while the number changes: a verdict never stands beside another's number.
        await self._coils((False, False))
        if self._options.acknowledge_register is not None and await self._echo() == number:
            # Left over from an earlier run or an earlier attempt: it acknowledges nothing.
            await self._registers(0, [0, 0, 0])
            await self._echoed(lambda echo: echo != number)
        passes = signal.outcome is Outcome.PASS
        await self._registers(0, [*words, OUTCOME_NUMBERS[signal.outcome]])
        await self._coils((passes, not passes))
        if self._options.acknowledge_register is not None:
            await self._echoed(lambda echo: echo == number)

    async def _write_state(self, state: StationState) -> None:
        await self._connect()
        if not state.running:
            await self._coils(_SAFE)
        self._beat = (self._beat + 1) % 2**16
        words = [STATE_NUMBERS.get(state.state, _OTHER_STATE), self._beat, min(len(state.alarms), 2**16 - 1)]
        for name in ("units", *OUTCOME_NUMBERS):
            count = state.counts.get(name, 0) % 2**32
            words += [count >> 16, count & 0xFFFF]
        await self._registers(_STATE, words)

    async def _echoed(self, wanted: Callable[[int], bool]) -> None:
        while not wanted(await self._echo()):
            await asyncio.sleep(_POLL_S)

    async def _echo(self) -> int:
        self._check_time()
        assert self._client is not None
        assert self._options.acknowledge_register is not None
        answer = _good(
            await self._client.read_holding_registers(
                self._options.acknowledge_register, count=2, device_id=self._options.device_id
            )
        )
        high, low = answer.registers
        return int(high << 16 | low)

    async def _coils(self, values: tuple[bool, bool]) -> None:
        self._check_time()
        assert self._client is not None
        options = self._options
        _good(await self._client.write_coils(options.coils, list(values), device_id=options.device_id))

    async def _registers(self, first: int, words: list[int]) -> None:
        self._check_time()
        assert self._client is not None
        options = self._options
        _good(await self._client.write_registers(options.registers + first, words, device_id=options.device_id))


def _good(answer: ModbusPDU) -> ModbusPDU:
    if answer.isError():
        raise ModbusException(f"it refused: {answer}")
    return answer
