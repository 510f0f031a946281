"""What every camera is."""

import itertools
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from inspection.errors import InspectionError
from inspection.frames import Frame
from inspection.verdict import Reason


class CameraUnavailable(InspectionError):
    """The camera a recipe names cannot be opened."""

    code = "camera_unavailable"


@dataclass(frozen=True)
class Fault:
    """A unit went by and there is no usable frame of it: it is rejected for `reason`."""

    reason: Reason
    message: str


Shot = Frame | Fault


class CameraOptions(BaseModel):
    """Base of a kind's options: unknown keys are refused. Relative paths are seen from the recipe's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Camera(ABC):
    """A source of frames. `Options` is the model of the keys that a recipe may set for this kind."""

    Options: ClassVar[type[CameraOptions]] = CameraOptions

    @abstractmethod
    def __init__(self, name: str, options: CameraOptions, folder: Path) -> None:
        """Open it; `folder` is the recipe's. Raises CameraUnavailable."""

    @abstractmethod
    def shots(self, stop: threading.Event) -> Iterator[Shot]:
        """One shot per unit, at the camera's own rate, until it ends or `stop` is set. Each unit gives exactly one."""


def paced(rate_hz: float, stop: threading.Event) -> Iterator[int]:
    """0, 1, 2… at `rate_hz`, without drifting, until `stop` is set. A consumer that is late is not rushed after."""
    period, due = 1 / rate_hz, time.monotonic()
    for number in itertools.count():
        if stop.wait(max(0.0, due - time.monotonic())):
            return
        yield number
        due = max(due + period, time.monotonic())
