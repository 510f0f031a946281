"""One unit's re-inspection: from its images to the new verdict beside the old one."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from inspection.detector import Detector
from inspection.finding import finite
from inspection.image_finding import ImageFinding, find_in_image
from inspection.recipe_region import RegionCount, can_have_region
from inspection.verdict import Limits, Outcome, Reason, Verdict, combine, reject
from inspection.work_list import WorkItem, WorkList

LimitsFrom = Literal["package", "recorded"]


@dataclass(frozen=True)
class FrameResult:
    """One image's raw score, or the code of the error that kept it from one, with its sentence."""

    image: str
    score: float | None = None
    error: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class UnitResult:
    """A unit's old and new verdict. The old values are None where nothing was recorded; scores are raw, and None where
    there is no finite one. `limits` are the recorded review and reject limit where those decided, and None where the
    package's own did. `fault` says why its record could not be used; `half` that two packages decided it then, and one
    does now."""

    unit: str
    station: str | None
    sequence: int | None
    old: str | None
    old_reason: str | None
    old_score: float | None
    new: str
    new_reason: str
    new_score: float | None
    frames: tuple[FrameResult, ...]
    limits: tuple[float, float] | None = None
    fault: str | None = None
    half: bool = False

    @property
    def key(self) -> tuple[str | None, int | None, str]:
        """As the work item's."""
        return self.station, self.sequence, self.unit

    @property
    def changed(self) -> bool:
        """Whether there was an old outcome and the new one is another. Another reason alone is no change."""
        return self.old is not None and self.old != self.new

    @property
    def image(self) -> str | None:
        """The image that decided: the first that has no score, or else the one with the highest."""
        if not self.frames:
            return None
        return max(self.frames, key=lambda frame: math.inf if frame.score is None else frame.score).image

    def line(self) -> dict[str, Any]:
        """Plain JSON values, from which `from_line` makes the same result."""
        return asdict(self)

    @classmethod
    def from_line(cls, line: Mapping[str, Any]) -> "UnitResult":
        """The result in a line. Raises KeyError, TypeError or ValueError for a line that holds something else."""
        Outcome(line["new"])
        frames = tuple(FrameResult(**frame) for frame in line["frames"])
        limits = tuple(line["limits"]) if line["limits"] else None
        return cls(**{**line, "frames": frames, "limits": limits})


def inspect_unit(item: WorkItem, work: WorkList, detector: Detector, limits_from: LimitsFrom) -> UnitResult:
    """Inspect a unit's images again. `limits_from` says whose limits decide, and with recorded ones also the recorded
    region; a unit that was recorded without any is decided by the package's.
    Never raises for what an image or a record holds: such a unit is a REJECT."""
    found: list[ImageFinding] = []
    frames: list[FrameResult] = []
    for image in item.images:
        outcome = find_in_image(detector, work.title(image), partial(work.read, image))
        frames.append(_frame_result(image, outcome))
        found.append(ImageFinding(outcome.finding, failure=outcome.failure))  # lets go of the pixels
    recorded = item.limits if limits_from == "recorded" else None
    if recorded and item.regions and can_have_region(detector.manifest):
        count = RegionCount(detector.manifest)
        found = [count.count(outcome, shapes) for outcome, shapes in zip(found, item.regions, strict=True)]
        frames = [_frame_result(*pair) for pair in zip(item.images, found, strict=True)]
    if recorded and item.classifier_limits:
        found = [outcome.beside(item.classifier_limits) for outcome in found]
    verdict = _decide(found, recorded or detector.manifest.limits)
    return UnitResult(
        unit=item.unit,
        station=item.station,
        sequence=item.sequence,
        old=item.outcome,
        old_reason=item.reason,
        old_score=item.score,
        new=str(verdict.outcome),
        new_reason=str(verdict.reason),
        new_score=max((frame.score for frame in frames if frame.score is not None), default=None),
        frames=tuple(frames),
        limits=(recorded.review_limit, recorded.reject_limit) if recorded else None,
        fault=item.fault,
        half=item.classifier_limits is not None and "classifier" not in detector.identity,
    )


def _frame_result(image: str, outcome: ImageFinding) -> FrameResult:
    if outcome.failure:
        return FrameResult(image, error=outcome.failure.code, message=outcome.failure.message)
    return FrameResult(image, score=finite(outcome.finding.score) if outcome.finding else None)


def _decide(found: list[ImageFinding], limits: Limits) -> Verdict:
    """One verdict for all of a unit's images; anything without a finding rejects, with the first such image's
    reason."""
    failures = [outcome.failure.reason for outcome in found if outcome.failure]
    if failures or not found:
        return reject(failures[0] if failures else Reason.FRAME_UNREADABLE)
    return combine([outcome.verdict(limits) for outcome in found])
