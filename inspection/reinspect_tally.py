"""What a re-inspection comes to: counts, the agreement of old and new verdicts, and the lists a person reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inspection.unit_result import UnitResult
from inspection.verdict import Outcome

Counts = dict[str, int]


@dataclass
class Tally:
    """Fed one result at a time; it keeps the changed, the stopped and the unreadable ones, and counts the others.

    `stopped` (new verdict not PASS) is kept only of units that have no old verdict to be compared with.
    """

    units: int = 0
    frames: int = 0
    verdicts: Counts = field(default_factory=lambda: {str(outcome): 0 for outcome in Outcome})
    agreement: dict[str, Counts] = field(default_factory=dict)
    largest_difference: float | None = None
    changed: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[dict[str, Any]] = field(default_factory=list)
    without_classifier: int = 0

    def add(self, result: UnitResult) -> None:
        """Count one unit."""
        self.units += 1
        self.frames += len(result.frames)
        self.verdicts[result.new] += 1
        if result.old is not None:
            row = self.agreement.setdefault(result.old, {str(outcome): 0 for outcome in Outcome})
            row[result.new] += 1
        if result.old_score is not None and result.new_score is not None:
            difference = abs(result.new_score - result.old_score)
            self.largest_difference = max(difference, self.largest_difference or 0.0)
        if result.changed:
            self.changed.append(_comparison(result))
        elif result.old is None and result.new != Outcome.PASS:
            self.stopped.append(_comparison(result))
        self.unreadable += _unreadable(result)
        self.without_classifier += result.half

    def summary(self, header: Mapping[str, Any], without_image: int) -> dict[str, Any]:
        """All of it as plain JSON values, after the run's `header`. Without old verdicts, `agreement` is empty,
        `largest_score_difference` is None, and `stopped` lists the units that do not pass, the highest score first."""
        return {
            **header,
            "units": self.units,
            "frames": self.frames,
            "without_image": without_image,
            "without_classifier": self.without_classifier,
            "verdicts": self.verdicts,
            "agreement": {old: self.agreement[old] for old in sorted(self.agreement)},
            "largest_score_difference": self.largest_difference,
            "changed_verdicts": self.changed,
            "stopped": sorted(self.stopped, key=_worst_first),
            "unreadable": self.unreadable,
        }


def _comparison(result: UnitResult) -> dict[str, Any]:
    return {
        "unit": result.unit,
        "station": result.station,
        "sequence": result.sequence,
        "old": result.old,
        "old_reason": result.old_reason,
        "old_score": result.old_score,
        "new": result.new,
        "new_reason": result.new_reason,
        "new_score": result.new_score,
        "image": result.image,
        "limits": result.limits,
    }


def _unreadable(result: UnitResult) -> list[dict[str, Any]]:
    """The images that have no finding, and the record where it could not be used."""
    place = {"unit": result.unit, "station": result.station, "sequence": result.sequence}
    images = [
        {**place, "image": frame.image, "error": frame.error, "message": frame.message}
        for frame in result.frames
        if frame.error is not None
    ]
    fault = {**place, "image": None, "error": "record_unreadable", "message": result.fault}
    return [fault, *images] if result.fault else images


def _worst_first(item: Mapping[str, Any]) -> tuple[bool, float, str]:
    score = item["new_score"]
    return score is None, -(score or 0.0), item["unit"]
