"""A PLC's bit that rises for each unit, with a counter beside it if the PLC has one."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from serve.triggers.counting import EdgeCounter
from serve.triggers.modbus import Plc, PlcOptions, Width
from serve.triggers.trigger import Trigger, Triggered, TriggerFault, TriggerOptions

_MOST_AT_ONCE = 100  # units between two looks; more is a PLC that was restarted


class ModbusBitOptions(PlcOptions):
    """The bit, and a `counter` register that counts units, or else `pulse_ms`: how long the PLC holds each state of the
    bit at least. A look that comes later than that may have missed a unit, and nothing would tell."""

    bit: Literal["coil", "discrete_input"] = "discrete_input"
    address: int = Field(ge=0, le=65_535)
    pulse_ms: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    counter: int | None = Field(default=None, ge=0, le=65_534)
    counter_kind: Literal["holding", "input"] = "holding"
    counter_bits: Width = 16
    low_word_first: bool = False

    @model_validator(mode="after")
    def _missed_units_show(self) -> Self:
        if self.counter is None and self.pulse_ms is None:
            msg = "give a counter register, or pulse_ms: without either a missed unit would not be noticed"
            raise ValueError(msg)
        if self.counter is None and self.pulse_ms is not None and self.pulse_ms < 2 * self.poll_ms:
            msg = f"pulse_ms {self.pulse_ms:g} is too short for poll_ms {self.poll_ms:g}; it must be twice as long"
            raise ValueError(msg)
        return self


class ModbusBitTrigger(Trigger):
    """A rising edge opens a unit; with a counter, each advance of it does, and `count` is the PLC's count."""

    Options: ClassVar[type[TriggerOptions]] = ModbusBitOptions

    def __init__(self, options: TriggerOptions, folder: Path) -> None:  # noqa: ARG002 - it needs no files
        assert isinstance(options, ModbusBitOptions)
        self._options, self._plc = options, Plc(options)
        self._edges = EdgeCounter(options.counter_bits, _MOST_AT_ONCE)
        self._plc.open(self._look)

    def units(self, stop: threading.Event) -> Iterator[Triggered]:
        looked: float | None = None
        for at, (bit, counter) in self._plc.polls(self._look, stop):
            if looked is None:
                self._edges.resume(bit, counter)
            else:
                self._in_time(time.monotonic() - looked)  # from before that look to after this one
                came, count = self._edges.look(bit, counter)
                if came:
                    yield Triggered(at, count)
            looked = at

    def close(self) -> None:
        self._plc.close()

    def _look(self) -> tuple[bool, int | None]:
        options = self._options
        bit = self._plc.bit(options.bit, options.address)
        if options.counter is None:
            return bit, None
        return bit, self._plc.number(
            options.counter_kind, options.counter, options.counter_bits, options.low_word_first
        )

    def _in_time(self, pause_s: float) -> None:
        pulse_ms = self._options.pulse_ms
        if self._options.counter is None and pulse_ms is not None and 1000 * pause_s > pulse_ms:
            raise TriggerFault(
                f"the trigger bit was not looked at for {1000 * pause_s:.0f} ms, and its pulses last {pulse_ms:g} ms; "
                "a unit may have gone by unseen"
            )
