"""A unit at a fixed rate: for replay, commissioning and load."""

import itertools
import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from serve.triggers.trigger import Trigger, Triggered, TriggerOptions


class TimerOptions(TriggerOptions):
    """`units` is how many there are in all; without it there is no end."""

    rate_hz: float = Field(gt=0, le=1000, allow_inf_nan=False)
    units: int | None = Field(default=None, ge=1)


class TimerTrigger(Trigger):
    """Units are due at fixed times, however late they are asked for: a real line waits for nobody either. These are the
    multiples of the period on the monotonic clock, at which simulated cameras of the same rate shoot."""

    Options: ClassVar[type[TriggerOptions]] = TimerOptions

    def __init__(self, options: TriggerOptions, folder: Path) -> None:  # noqa: ARG002 - it needs no files
        assert isinstance(options, TimerOptions)
        self._options, self._given = options, 0

    def units(self, stop: threading.Event) -> Iterator[Triggered]:
        began = math.ceil(time.monotonic() * self._options.rate_hz) / self._options.rate_hz
        for number in itertools.count():
            due = began + number / self._options.rate_hz
            if self._given == self._options.units or stop.wait(max(0.0, due - time.monotonic())):
                return
            self._given += 1
            yield Triggered(due, self._given)

    def close(self) -> None:
        """There is nothing to release."""
