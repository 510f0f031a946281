"""What a unit's record says of each of its frames alone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inspection.record_findings import CLASSIFIER, recorded_limits
from inspection.records import Entry
from inspection.verdict import Limits, Outcome

_WORSE = (Outcome.PASS, Outcome.REVIEW, Outcome.REJECT)
_BAD = (Outcome.PASS, Outcome.REVIEW, None, Outcome.REJECT)


@dataclass(frozen=True)
class FrameVerdict:
    """A frame's own outcome with the score and the limits that it comes from, the classifier's where that is the worse
    one. All None for a frame that was not looked at, or whose score is no number: there is nothing to say of it."""

    outcome: Outcome | None = None
    score: float | None = None
    limits: Limits | None = None


def frame_verdicts(entry: Entry) -> tuple[FrameVerdict, ...]:
    """One for each frame of a unit's record, in its order. Never better than what the record says: a frame in which a
    defect was surely named is as bad as the unit."""
    try:
        own, classifier = recorded_limits(entry)
    except (ValueError, TypeError):  # a record that was damaged: `inspection verify` says so
        return tuple(FrameVerdict() for _ in entry.frames)
    parts = entry.details.get("frames") or [entry.details]
    return tuple(
        _worst(entry, frame.score, own, classifier, parts[number] if number < len(parts) else {})
        for number, frame in enumerate(entry.frames)
    )


def worst_frame(entry: Entry) -> int | None:
    """The number of the frame that says the worst of the unit, the highest score among equals; None without frames."""
    said = frame_verdicts(entry)
    return max(range(len(said)), key=lambda number: _badness(said[number]), default=None)


def _badness(said: FrameVerdict) -> tuple[int, float]:
    """A frame that was not looked at is worse than one for review."""
    return _BAD.index(said.outcome), said.score if said.score is not None else -math.inf


def _worst(
    entry: Entry, score: float | None, own: Limits | None, classifier: Limits | None, part: Mapping[str, Any]
) -> FrameVerdict:
    found = [_verdict(entry, score, own, part)]
    if other := part.get(CLASSIFIER):
        found.append(_verdict(entry, other.get("score"), classifier, other))
    known = [(_WORSE.index(one.outcome), one) for one in found if one.outcome]
    return max(known, key=lambda pair: pair[0])[1] if len(known) == len(found) else FrameVerdict()


def _verdict(entry: Entry, score: float | None, limits: Limits | None, part: Mapping[str, Any]) -> FrameVerdict:
    if score is None or limits is None:
        return FrameVerdict()
    return FrameVerdict(_outcome(entry, score, limits, part), score, limits)


def _outcome(entry: Entry, score: float, limits: Limits, part: Mapping[str, Any]) -> Outcome:
    if part.get("sure"):  # the record does not say what its package wants of the class: no better than the unit
        return Outcome.REVIEW if entry.outcome == Outcome.REVIEW else Outcome.REJECT
    if score >= limits.reject_limit:
        return Outcome.REVIEW if part.get("classes") else Outcome.REJECT
    return Outcome.REVIEW if score >= limits.review_limit else Outcome.PASS
