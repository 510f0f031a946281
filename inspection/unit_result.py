"""One unit's re-inspection by one package: the new verdict beside the old one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from inspection.detector import Detector
from inspection.finding import Finding, finite
from inspection.image_finding import ImageFinding, find_with_each
from inspection.recipe_region import RegionCount, can_have_region
from inspection.verdict import Limits, Outcome, Reason, Verdict, combine, reject
from inspection.work_list import NOTHING, Recorded, WorkItem, WorkList

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
    does now; `heatmap` is the file that was kept of a changed one, without its extension."""

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
    heatmap: str | None = None
    recorded: Recorded = NOTHING

    @property
    def key(self) -> tuple[str | None, int | None, str]:
        """As the work item's."""
        return self.station, self.sequence, self.unit

    @property
    def record(self) -> str | None:
        """The record's name, where there is one."""
        return None if self.station is None else f"{self.station}/{self.sequence}"

    @property
    def changed(self) -> bool:
        """Whether there was an old outcome and the new one is another. Another reason alone is no change."""
        return self.old is not None and self.old != self.new

    @property
    def to_show(self) -> bool:
        """Whether a person should look at it: it changed, or it has no old outcome and does not pass."""
        return self.changed or (self.old is None and self.new != Outcome.PASS)

    @property
    def image(self) -> str | None:
        """The image that decided: the first that has no score, or else the one with the highest."""
        return self.frames[self.deciding].image if self.frames else None

    @property
    def deciding(self) -> int:
        """That image's place among the frames."""
        scores = [math.inf if frame.score is None else frame.score for frame in self.frames]
        return scores.index(max(scores))


# What each package says of a unit; all else is the unit's own and stands in a line once.
_OF_A_PACKAGE = ("new", "new_reason", "new_score", "frames", "limits", "half", "heatmap")


@dataclass(frozen=True)
class UnitResults:
    """One unit's results by each of the run's packages, in their order: at least one."""

    each: tuple[UnitResult, ...]

    @property
    def key(self) -> tuple[str | None, int | None, str]:
        """As the work item's."""
        return self.each[0].key

    def line(self) -> dict[str, Any]:
        """Plain JSON values, from which `from_line` makes the same: the first package's result, then what the others
        say under `further`."""
        first, *others = (asdict(one) for one in self.each)
        further = [{name: other[name] for name in _OF_A_PACKAGE} for other in others]
        return first | ({"further": further} if further else {})

    @classmethod
    def from_line(cls, line: Mapping[str, Any]) -> "UnitResults":
        """The results in a line. Raises KeyError, TypeError or ValueError for a line that holds something else."""
        first = {name: value for name, value in line.items() if name != "further"}
        further = [{name: part[name] for name in _OF_A_PACKAGE} for part in line.get("further", ())]
        return cls(tuple(_result({**first, **part}) for part in ({}, *further)))

    def with_heatmaps(self, names: Sequence[str | None]) -> "UnitResults":
        """The same, with the name of the heatmap that was kept for each package."""
        return UnitResults(tuple(replace(one, heatmap=name) for one, name in zip(self.each, names, strict=True)))


@dataclass(frozen=True)
class Inspected:
    """What came of one item: its results, and of each package the heatmap `[h, w]` that decided, with the limits it is
    drawn at, where a person should look at it."""

    results: UnitResults
    maps: tuple[tuple[Finding, Limits] | None, ...]


def inspect_unit(item: WorkItem, work: WorkList, detectors: Sequence[Detector], limits_from: LimitsFrom) -> Inspected:
    """Inspect a unit's images again by each of the detectors; each image is read and decoded once. `limits_from` says
    whose limits decide, and with recorded ones also the recorded region; a unit that was recorded without any is
    decided by the package's. Never raises for what an image or a record holds: such a unit is a REJECT."""
    by_image = []
    for image in item.images:
        outcomes = find_with_each(detectors, work.title(image), lambda image=image: work.read(image))  # type: ignore[misc]
        by_image.append([ImageFinding(one.finding, failure=one.failure) for one in outcomes])  # lets go of the pixels
    results, maps = [], []
    for index, detector in enumerate(detectors):
        found = [outcomes[index] for outcomes in by_image]
        result, counted = _result_of(item, found, detector, limits_from)
        results.append(result)
        maps.append(_map(result, counted, detector) if result.to_show else None)
    return Inspected(UnitResults(tuple(results)), tuple(maps))


def _result_of(
    item: WorkItem, found: list[ImageFinding], detector: Detector, limits_from: LimitsFrom
) -> tuple[UnitResult, list[ImageFinding]]:
    recorded = item.limits if limits_from == "recorded" else None
    if recorded and item.regions and can_have_region(detector.manifest):
        count = RegionCount(detector.manifest)
        found = [count.count(outcome, shapes) for outcome, shapes in zip(found, item.regions, strict=True)]
    frames = [_frame_result(*pair) for pair in zip(item.images, found, strict=True)]
    if recorded and item.classifier_limits:
        found = [outcome.beside(item.classifier_limits) for outcome in found]
    verdict = _decide(found, recorded or detector.manifest.limits)
    result = UnitResult(
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
        recorded=item.recorded,
    )
    return result, found


def _map(result: UnitResult, found: Sequence[ImageFinding], detector: Detector) -> tuple[Finding, Limits] | None:
    """What decided in the deciding image, with its limits; None where it has no finding."""
    finding = found[result.deciding].finding if found else None
    if finding is None:
        return None
    limits = detector.manifest.limits
    if result.limits:
        limits = Limits(review_limit=result.limits[0], reject_limit=result.limits[1])
    decided, its_limits, _ = finding.deciding(limits)
    return decided, its_limits


def _result(values: Mapping[str, Any]) -> UnitResult:
    Outcome(values["new"])
    recorded: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values["recorded"].items()
    }
    if len(values) != len(fields(UnitResult)):
        raise ValueError(f"a result has {len(fields(UnitResult))} values, and this has {len(values)}")
    return UnitResult(**{
        **values,
        "frames": tuple(FrameResult(**frame) for frame in values["frames"]),
        "limits": tuple(values["limits"]) if values["limits"] else None,
        "recorded": Recorded(**recorded),
    })  # fmt: skip


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
