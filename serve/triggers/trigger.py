"""What every trigger is."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from inspection.errors import InspectionError


class TriggerUnavailable(InspectionError):
    """The trigger a recipe names cannot be opened."""

    code = "trigger_unavailable"


class TriggerFault(InspectionError):
    """Units may have gone by unseen: the connection was lost, a counter jumped, an announcement was refused."""

    code = "trigger_fault"


@dataclass(frozen=True)
class Triggered:
    """A unit came by at `at`, in seconds of time.monotonic(): when the source says, or when it was seen. A gap in
    `count`, the source's own counter, means units that nobody announced; just after a fault its length is a guess.
    `unit` is the source's id for it, if any."""

    at: float
    count: int | None = None
    unit: str | None = None


class TriggerOptions(BaseModel):
    """Base of a kind's options: unknown keys are refused. Relative paths are seen from the recipe's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Trigger(ABC):
    """A source of units. `Options` is the model of the keys that a recipe may set for this kind."""

    Options: ClassVar[type[TriggerOptions]] = TriggerOptions

    @abstractmethod
    def __init__(self, options: TriggerOptions, folder: Path) -> None:
        """Open it; `folder` is the recipe's. Raises TriggerUnavailable."""

    @abstractmethod
    def units(self, stop: threading.Event) -> Iterator[Triggered]:
        """Each unit as it comes by. Ends within about a second of `stop`; a source that has an end ends there.

        Raises TriggerFault where units may go by unseen; calling it again, after a pause, goes on, with a new
        connection if need be, or raises TriggerFault again. To be called from one thread at a time.
        """

    @abstractmethod
    def close(self) -> None:
        """Release it; after `stop` is set and `units` has ended. May be called twice. Never raises."""
