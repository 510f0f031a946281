"""A unit at a fixed rate: for replay, commissioning and load."""

import itertools
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
    """Unit n is due n periods after the first, whenever it is asked for: a real line waits for nobody either."""

    Options: ClassVar[type[TriggerOptions]] = TimerOptions

    def __init__(self, options: TriggerOptions, folder: Path) -> None:  # noqa: ARG002 - it needs no files
        assert isinstance(options, TimerOptions)
        self._options = options

    def units(self, stop: threading.Event) -> Iterator[Triggered]:
        began = time.monotonic()
        for number in itertools.count() if self._options.units is None else range(self._options.units):
            due = began + number / self._options.rate_hz
            if stop.wait(max(0.0, due - time.monotonic())):
                return
            yield Triggered(due, number + 1)

    def close(self) -> None:
        """There is nothing to release."""
