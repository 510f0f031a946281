"""The process in which a candidate looks at frames: of the lowest priority from its first line on.

What is imported at the top is light. The detector and its libraries are loaded once the process has given way.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serve.pipeline.worker import Ready

if TYPE_CHECKING:
    from inspection.recipe import Recipe

_NICEST = 19


@dataclass(frozen=True)
class Look:
    """A unit for the candidate: of each frame its camera and its pixels `[H, W, 3]` uint8 RGB."""

    token: int
    frames: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Looked:
    """What the candidate decides on a unit. Scores are finite or None; `message` says what went wrong, if anything did;
    `took_s` went by meanwhile, of which the process worked `cpu_s` on one core."""

    token: int
    outcome: str
    reason: str
    score: float | None
    scores: tuple[float | None, ...]
    message: str
    took_s: float
    cpu_s: float


@dataclass(frozen=True)
class Loaded:
    """The candidate is loaded and proved: in which runtime, and which limits decide."""

    runtime: str
    limits: dict[str, float]


def look_at_units(connection: Connection, recipe: "Recipe", folder: Path, runtime: str | None) -> None:
    """Load the package of a recipe in `folder` on one thread, prove it, and answer units until asked to end."""
    give_way()
    import cv2

    from inspection.recipe import recipe_detector
    from inspection.recipe_region import RegionCount

    cv2.setNumThreads(1)
    detector = recipe_detector(recipe, folder, runtime, threads=1)
    limits = recipe.limits or detector.manifest.limits
    count = RegionCount(detector.manifest) if recipe.region else None

    def counted(camera: str, found: Any) -> Any:
        return count.count(found, recipe.region.of(camera)) if count and recipe.region else found

    connection.send(Ready(Loaded(detector.runtime, limits.model_dump())))
    while (asked := connection.recv()) is not None:
        connection.send(_look(asked, detector, counted, limits))


def give_way() -> None:
    """Let everything else on this machine go first, and let this process be the first to die where memory is short. A
    system that does not allow one of these runs without it."""
    with suppress(OSError, AttributeError):
        os.nice(_NICEST)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _look(asked: Look, detector: Any, counted: Callable[[str, Any], Any], limits: Any) -> Looked:
    from inspection.finding import finite
    from inspection.image_finding import find_in_frame
    from inspection.verdict import combine

    began, cpu = time.monotonic(), time.process_time()
    found = [counted(camera, find_in_frame(detector, camera, pixels)) for camera, pixels in asked.frames]
    verdict = combine([one.verdict(limits) for one in found])
    scores = tuple(finite(one.finding.score) if one.finding else None for one in found)
    known = [score for score in scores if score is not None]
    return Looked(
        asked.token, str(verdict.outcome), str(verdict.reason),
        max(known) if known and len(known) == len(scores) else None, scores,
        next((one.failure.message for one in found if one.failure), ""),
        time.monotonic() - began, time.process_time() - cpu,
    )  # fmt: skip
