"""Triggers of each kind, and what units they open."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inspection.recipe import TriggerConfig
from serve.triggers import Trigger, Triggered, TriggerFault, open_trigger
from tests.serve.serving import wait_for


def trigger_of(kind: str, recipe_file: Path, **options: Any) -> Trigger:
    return open_trigger(TriggerConfig.model_validate({"kind": kind, **options}), recipe_file)


class Reader:
    """Reads a trigger's units in a thread of its own, until it faults."""

    def __init__(self, trigger: Trigger) -> None:
        self.units: list[Triggered] = []
        self.fault: TriggerFault | None = None
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(trigger,))
        self._thread.start()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def until(self, count: int) -> list[Triggered]:
        """The units, once there are so many."""
        wait_for(lambda: len(self.units) >= count or self.ended)
        assert self.fault is None, self.fault
        return self.units

    def faults(self) -> str:
        """What the fault says, once there is one."""
        wait_for(lambda: self.ended)
        assert self.fault is not None, "it ended without a fault"
        return str(self.fault)

    def _read(self, trigger: Trigger) -> None:
        try:
            for triggered in trigger.units(self.stop):
                self.units.append(triggered)
        except TriggerFault as error:
            self.fault = error


@contextmanager
def reading(trigger: Trigger) -> Iterator[Reader]:
    """A reader of the trigger, stopped when the block ends."""
    reader = Reader(trigger)
    try:
        yield reader
    finally:
        reader.stop.set()
        wait_for(lambda: reader.ended, 10)
