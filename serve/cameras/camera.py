"""What every camera is."""

import itertools
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from inspection.errors import InspectionError
from inspection.frames import Frame
from inspection.verdict import Reason


class CameraUnavailable(InspectionError):
    """The camera a recipe names cannot be opened."""

    code = "camera_unavailable"


@dataclass(frozen=True)
class Fault:
    """There is no usable frame where one should be: its unit is rejected for `reason`. `sequence` is the frame's place
    in the camera's count, where it is known."""

    reason: Reason
    message: str
    sequence: int | None = None


Shot = Frame | Fault


def _off_or_repeated(count: int) -> int:
    if count == 1:
        msg = "one frame alone cannot be frozen; it must be 2 or more, or 0 for never"
        raise ValueError(msg)
    return count


FrozenAfter = Annotated[int, Field(ge=0), AfterValidator(_off_or_repeated)]
_Side = Annotated[int, Field(ge=1)]


class CameraOptions(BaseModel):
    """What every kind has: unknown keys are refused. Relative paths are seen from the recipe's folder.

    Of each unit it gives `frames`, which come `after_ms` to `within_ms` after the trigger, where there is one.
    A camera without a frame for `silence_s` is silent (left out: it may wait for triggers as long as it likes). From
    the `frozen_after`-th identical frame in a row it is frozen (0: never). Frames have the shape `expect`, [height,
    width], or else that of the first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    frames: int = Field(default=1, ge=1, le=100)
    after_ms: float = Field(default=0.0, ge=-10_000, le=60_000)
    within_ms: float = Field(default=100.0, gt=0, le=60_000)
    silence_s: float | None = Field(default=None, gt=0, le=3600)
    frozen_after: FrozenAfter = 3
    expect: tuple[_Side, _Side] | None = None

    @model_validator(mode="after")
    def _frames_have_time(self) -> "CameraOptions":
        if self.within_ms <= self.after_ms:
            msg = f"within_ms must be more than after_ms, got {self.within_ms:g} and {self.after_ms:g}"
            raise ValueError(msg)
        return self


@dataclass(frozen=True)
class Watched:
    """What a camera is watched for; see `CameraOptions`."""

    silence_s: float | None
    frozen_after: int
    expect: tuple[int, int] | None


class Camera(ABC):
    """A source of frames. `Options` is the model of the keys that a recipe may set for this kind. It has a process of
    its own, unless it is `in_service`: without a driver that could hang or die."""

    Options: ClassVar[type[CameraOptions]] = CameraOptions
    in_service: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, name: str, options: CameraOptions, folder: Path) -> None:
        """Open it; `folder` is the recipe's. Raises CameraUnavailable."""

    @classmethod
    def watched(cls, options: CameraOptions) -> Watched:
        """What to watch for, given its options."""
        return Watched(options.silence_s, options.frozen_after, options.expect)

    @abstractmethod
    def shots(self, stop: threading.Event) -> Iterator[Shot]:
        """One shot per unit, at the camera's own rate, until it ends or `stop` is set. Each unit gives exactly one."""


def paced(rate_hz: float, stop: threading.Event) -> Iterator[int]:
    """0, 1, 2… at `rate_hz`, without drifting, until `stop` is set: at the multiples of the period on the monotonic
    clock, so that simulated cameras and a timer as trigger go together. A consumer that is late is not rushed after."""
    due = math.ceil(time.monotonic() * rate_hz)
    for number in itertools.count():
        if stop.wait(max(0.0, due / rate_hz - time.monotonic())):
            return
        yield number
        due = max(due + 1, math.floor(time.monotonic() * rate_hz))
