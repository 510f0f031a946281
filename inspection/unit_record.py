"""What a unit's record says: one draft from all that was seen of it, whoever saw it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inspection.detector import FrameDetector
from inspection.finding import Finding, finite
from inspection.frames import Frame
from inspection.image_quality import glance
from inspection.recipe import Recipe
from inspection.record_findings import CLASSIFIER, PACKAGE
from inspection.records import Draft, Entry, FrameRecord
from inspection.verdict import Limits, Outcome, Reason, Verdict

CHALLENGE = "challenge"  # the key of what is known of a challenge kit's unit, which is of no batch
IMAGE_QUALITY = "image_quality"  # the key in a record's details; records made before it was kept lack it


@dataclass(frozen=True)
class Seen:
    """A frame of a unit with what was found in it, or without where it was not inspected."""

    frame: Frame
    finding: Finding | None = None


@dataclass(frozen=True)
class UnitAccount:
    """What became of a unit. `opened` is when it was triggered, on the station's monotonic clock in seconds; `message`
    says what went wrong, if anything did; `more` is added to the record's details."""

    unit: str
    verdict: Verdict
    opened: float
    seen: tuple[Seen, ...] = ()
    message: str = ""
    batch: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


def unit_draft(
    account: UnitAccount,
    recipe: Recipe,
    detector: FrameDetector,
    limits: Limits,
    frames: Sequence[FrameRecord],
    latency_ms: float,
) -> Draft:
    """The record of a unit whose frames are kept as `frames`. Of several frames it says the worst: the highest score,
    each class's highest probability, and which package decided; `details.frames` then has what was found in each.
    `details.image_quality` has brightness, sharpness and saturated share of each frame, in the order of the frames,
    judged or not."""
    findings = [one.finding for one in account.seen if one.finding]
    found = _found(findings, detector, limits)
    if len(account.seen) > 1:
        found["frames"] = [_found([one.finding] if one.finding else [], detector, limits) for one in account.seen]
    quality = [_quality(one.frame) for one in account.seen]
    truth = next((one.frame.truth for one in account.seen if one.frame.truth), None)
    said: dict[str, Any] = {"message": account.message, "truth": truth}
    if recipe.region and findings:
        said["region"] = recipe.region.applied(one.frame.camera for one in account.seen)
        said["frame_score"] = _worst([one.score if one.frame_score is None else one.frame_score for one in findings])
    return Draft(
        kind="unit",
        unit=account.unit,
        batch=None if CHALLENGE in account.more else account.batch or recipe.batch,
        product=recipe.product,
        recipe=recipe.label,
        package=detector.package.digest,
        outcome=account.verdict.outcome,
        reason=account.verdict.reason,
        score=_highest(findings),
        review_limit=limits.review_limit,
        reject_limit=limits.reject_limit,
        latency_ms=round(latency_ms, 3),
        frames=tuple(frames),
        details={key: value for key, value in said.items() if value or value == 0}
        | ({"runtime": detector.runtime} if findings else {})
        | found
        | ({IMAGE_QUALITY: quality} if quality else {})
        | dict(account.more),
    )


def _quality(frame: Frame) -> dict[str, float]:
    """What trends show of a frame, rounded to what it is worth; nothing of one without pixels."""
    if frame.pixels.ndim != 3 or not frame.pixels.size:
        return {}
    found = glance(frame.pixels)
    return {
        "brightness": round(found.brightness, 1),
        "sharpness": float(f"{found.sharpness:.4g}"),
        "saturated": round(found.saturated, 4),
    }


def correction_draft(entry: Entry, what: str, message: str) -> Draft:
    """The event that corrects a PASS on record: the unit was not let through, and why."""
    assert entry.unit is not None
    details = {"corrects": entry.name, "outcome": Outcome.REJECT, "message": message}
    return Draft("event", unit=entry.unit, batch=entry.batch, product=entry.product, recipe=entry.recipe,
                 package=entry.package, reason=what, details=details)  # fmt: skip


def unrecorded_draft(draft: Draft, message: str) -> Draft:
    """The record of a unit that was rejected because its record could not be written in time: what remains of it."""
    kept = {key: value for key, value in draft.details.items() if key != "message"}
    return Draft(
        kind="unit", unit=draft.unit, batch=draft.batch, product=draft.product, recipe=draft.recipe,
        package=draft.package, outcome=Outcome.REJECT, reason=Reason.ARCHIVE_FAULT, score=draft.score,
        review_limit=draft.review_limit, reject_limit=draft.reject_limit, latency_ms=draft.latency_ms,
        details=kept | {"message": message, "decided": [str(draft.outcome), str(draft.reason)]},
    )  # fmt: skip


def _found(findings: Sequence[Finding], detector: FrameDetector, limits: Limits) -> dict[str, Any]:
    """What was found beside the score: the classes, and a second package's finding with who decided; the heatmap on
    record is of the one that did."""
    if not findings:
        return {}
    found = _classes(findings)
    if detector.classifier:
        others = [other for finding in findings for other, _ in finding.also]
        its_limits = findings[0].also[0][1]
        part = {"package": detector.classifier.package.digest, "score": _highest(others)}
        found[CLASSIFIER] = part | its_limits.model_dump() | _classes(others)
        worst = max(findings, key=lambda finding: _RANK[finding.verdict(limits).outcome])
        found["decided_by"] = PACKAGE if worst.deciding(limits)[0] is worst else CLASSIFIER
    return found


_RANK = {Outcome.PASS: 0, Outcome.REVIEW: 1, Outcome.REJECT: 2}


def _classes(findings: Sequence[Finding]) -> dict[str, Any]:
    """Of each class its highest probability, its severity, and which are sure in any frame."""
    if not findings or not findings[0].classes:
        return {}
    each = list(zip(*(finding.classes for finding in findings), strict=True))
    return {
        "classes": {of[0].name: _worst([one.probability for one in of]) for of in each},
        "severity": {of[0].name: of[0].severity for of in each},
        "sure": [of[0].name for of in each if any(one.sure for one in of)],
    }


def _highest(findings: Sequence[Finding]) -> float | None:
    return _worst([finding.score for finding in findings])


def _worst(values: Sequence[float]) -> float | None:
    """The highest, or None where there is none or one is not a finite number."""
    if any(finite(value) is None for value in values):
        return None
    return max(values, default=None)
