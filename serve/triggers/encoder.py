"""An encoder's count in a PLC: a unit for each pitch of the belt."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from serve.triggers.counting import PitchCounter
from serve.triggers.modbus import Plc, PlcOptions, Width
from serve.triggers.trigger import Trigger, Triggered, TriggerFault, TriggerOptions

_LONGEST_PAUSE_S = 1.0  # between two looks, beside `poll_ms`: in a longer one a quick count could go once round


class EncoderOptions(PlcOptions):
    """A unit at `offset` plus every multiple of `counts_per_unit`. A move of more than `units_at_once` pitches between
    two looks is a fault, as no belt is so quick; so is a belt that went back by more than that."""

    register_kind: Literal["holding", "input"] = "input"
    address: int = Field(ge=0, le=65_535)
    bits: Width = 32
    low_word_first: bool = False
    counts_per_unit: int = Field(ge=1, le=2**30)
    offset: int = Field(default=0, ge=-(2**31), lt=2**31)
    units_at_once: int = Field(default=10, ge=1, le=1000)

    @model_validator(mode="after")
    def _unmistakable(self) -> Self:
        most, half = self.units_at_once * self.counts_per_unit, 2 ** (self.bits - 1)
        if most >= half:
            msg = (
                f"units_at_once x counts_per_unit is {most}, and in a count of {self.bits} bits only moves below "
                f"{half} can be told from moves back; make units_at_once smaller, or use 32 bits"
            )
            raise ValueError(msg)
        return self


class EncoderTrigger(Trigger):
    """`count` is the number of pitches since it was opened, those passed while nobody could look among them."""

    Options: ClassVar[type[TriggerOptions]] = EncoderOptions

    def __init__(self, options: TriggerOptions, folder: Path) -> None:  # noqa: ARG002 - it needs no files
        assert isinstance(options, EncoderOptions)
        self._options, self._plc = options, Plc(options)
        self._pitches = PitchCounter(options.counts_per_unit, options.offset, options.bits, options.units_at_once)
        self._plc.open(self._look)

    def units(self, stop: threading.Event) -> Iterator[Triggered]:
        looked: float | None = None
        for at, raw in self._plc.polls(self._look, stop):
            if looked is None:
                self._pitches.resume(raw)
            else:
                self._in_time(time.monotonic() - looked)
                for crossing in self._pitches.read(raw):
                    yield Triggered(looked + crossing.share * (at - looked), crossing.number)
            looked = at

    def close(self) -> None:
        self._plc.close()

    def _in_time(self, pause_s: float) -> None:
        if pause_s > _LONGEST_PAUSE_S + self._options.poll_ms / 1000:
            raise TriggerFault(f"the encoder was not looked at for {pause_s:.1f} s; units may have gone by unseen")

    def _look(self) -> int:
        options = self._options
        return self._plc.number(options.register_kind, options.address, options.bits, options.low_word_first)
