"""What every output is, and what it tells."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from inspection.errors import InspectionError
from inspection.verdict import Outcome, Reason

# Numbers for receivers that have no text. 0 is "no verdict".
OUTCOME_NUMBERS = {Outcome.PASS: 1, Outcome.REVIEW: 2, Outcome.REJECT: 3}
OFF = "off"
RUNNING = "running"


class OutputUnavailable(InspectionError):
    """The output a recipe names cannot be opened as it is configured."""

    code = "output_unavailable"


class OutputFault(InspectionError):
    """A signal was not acknowledged: nobody knows whether the receiver has it."""

    code = "output_fault"


@dataclass(frozen=True)
class Signal:
    """What happens to one unit. `number` counts from 1 since the service started, so that receivers see gaps;
    `record` is "station/sequence", None where the unit is not on record."""

    number: int
    unit: str
    outcome: Outcome
    reason: Reason
    score: float | None
    opened_at: str
    record: str | None

    def fields(self) -> dict[str, Any]:
        """Plain values by name; a score that is not a finite number is None, as JSON has no such number."""
        score = self.score if self.score is not None and math.isfinite(self.score) else None
        return {**vars(self), "outcome": self.outcome.value, "reason": self.reason.value, "score": score}


@dataclass(frozen=True)
class Alarm:
    """Something that a person has to see to, since a UTC time."""

    code: str
    message: str
    since: str


@dataclass(frozen=True)
class StationState:
    """How a station is. `state` is "ready", "running", "stopped", "failed", "changeover", or "off" for a closed output;
    `counts` holds "units" and one number for each outcome."""

    station: str
    recipe: str
    product: str
    batch: str | None
    package: str
    state: str
    alarms: tuple[Alarm, ...]
    counts: Mapping[str, int]

    @property
    def running(self) -> bool:
        """Whether units may pass at all."""
        return self.state == RUNNING

    def fields(self) -> dict[str, Any]:
        """Plain values by name."""
        return {**vars(self), "alarms": [vars(alarm) for alarm in self.alarms], "counts": dict(self.counts)}

    def off(self) -> "StationState":
        """What receivers are told when the output is closed."""
        return replace(self, state=OFF)


class OutputOptions(BaseModel):
    """Base of a kind's options: unknown keys are refused. Relative paths are seen from the recipe's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout_ms: int = Field(default=1000, ge=1, le=60_000)


class Output(ABC):
    """A receiver of signals. All four calls come from one thread.

    A PASS is permitted only by `send`; whatever fails, the receiver must be left without a permit as far as it can be
    reached. After an OutputFault the next call connects again: the object stays in use.
    """

    Options: ClassVar[type[OutputOptions]] = OutputOptions

    @abstractmethod
    def __init__(self, name: str, options: OutputOptions, folder: Path) -> None:
        """Keep the options; `folder` is the recipe's. Nothing is connected yet."""

    @abstractmethod
    def open(self, state: StationState) -> None:
        """Connect, or start to listen, and show `state`. Raises OutputUnavailable."""

    @abstractmethod
    def send(self, signal: Signal) -> None:
        """Tell of a unit; returns once the receiver has acknowledged it. Raises OutputFault after `timeout_ms`."""

    @abstractmethod
    def show(self, state: StationState) -> None:
        """Tell how the station is: a heartbeat. Raises OutputFault."""

    @abstractmethod
    def close(self) -> None:
        """Tell that the station is off, withdraw any permit, and disconnect. Never raises; may be called twice."""
