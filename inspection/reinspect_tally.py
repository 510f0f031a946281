"""What a re-inspection by one package comes to: counts, the agreement of old and new verdicts, and what a person reads.

Counts are exact; lists are cut at `MOST_LISTED`, so that memory does not grow with the archive.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inspection.unit_result import UnitResult
from inspection.verdict import Outcome

Counts = dict[str, int]
Item = dict[str, Any]
Direction = tuple[str | None, str]
MOST_LISTED = 10_000
MOST_SHOWN = 200


@dataclass
class Foremost:
    """The items with the lowest rank, at most so many; among equals the earlier ones."""

    most: int
    rank: Callable[[Item], Any]
    total: int = 0
    _kept: list[tuple[Any, int, Item]] = field(default_factory=list)

    def add(self, item: Item) -> None:
        """Count one item, and keep it where it is among the foremost."""
        self._kept.append((self.rank(item), self.total, item))
        self.total += 1
        if len(self._kept) >= 2 * self.most:
            self._cut()

    @property
    def items(self) -> list[Item]:
        """The foremost first."""
        self._cut()
        return [item for _, _, item in self._kept]

    def _cut(self) -> None:
        self._kept.sort(key=lambda one: one[:2])
        del self._kept[self.most :]


def _rank(item: Item) -> tuple[bool, float]:
    """What would be stopped now: the highest new score first. What would pass now: the highest old score first."""
    score = item["old_score"] if item["new"] == Outcome.PASS else item["new_score"]
    return score is None, -(score or 0.0)


def _worst_first(item: Item) -> tuple[bool, float, str]:
    score = item["new_score"]
    return score is None, -(score or 0.0), item["unit"]


@dataclass
class Tally:
    """Fed one result at a time. `foremost` are the changed units by direction, those that matter most first; `stopped`
    (new verdict not PASS) is kept only of units that have no old verdict to be compared with."""

    units: int = 0
    frames: int = 0
    verdicts: Counts = field(default_factory=lambda: {str(outcome): 0 for outcome in Outcome})
    agreement: dict[str, Counts] = field(default_factory=dict)
    largest_difference: float | None = None
    changed: int = 0
    changed_listed: list[Item] = field(default_factory=list)
    foremost: dict[Direction, Foremost] = field(default_factory=dict)
    stopped: Foremost = field(default_factory=lambda: Foremost(MOST_LISTED, _worst_first))
    unreadable: int = 0
    unreadable_listed: list[Item] = field(default_factory=list)
    without_classifier: int = 0
    truths: Counter[str] = field(default_factory=Counter)

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
            self._changed(_comparison(result))
        elif result.to_show:
            self.stopped.add(_comparison(result))
        for fault in _unreadable(result):
            self.unreadable += 1
            if len(self.unreadable_listed) < MOST_LISTED:
                self.unreadable_listed.append(fault)
        self.without_classifier += result.half
        if result.recorded.truth is not None:
            self.truths[result.recorded.truth] += 1

    def _changed(self, item: Item) -> None:
        self.changed += 1
        if len(self.changed_listed) < MOST_LISTED:
            self.changed_listed.append(item)
        direction = item["old"], item["new"]
        self.foremost.setdefault(direction, Foremost(MOST_SHOWN, _rank)).add(item)

    def summary(self) -> dict[str, Any]:
        """What one package changes, as plain JSON values. `changed` and `unreadable_count` are exact; of the lists
        there are at most `MOST_LISTED`. Without old verdicts, `agreement` is empty, `largest_score_difference` is None,
        and `stopped` lists the units that do not pass, the highest score first."""
        return {
            "without_classifier": self.without_classifier,
            "verdicts": self.verdicts,
            "agreement": {old: self.agreement[old] for old in sorted(self.agreement)},
            "largest_score_difference": self.largest_difference,
            "changed": self.changed,
            "changed_verdicts": self.changed_listed,
            "stopped": self.stopped.items,
            "unreadable_count": self.unreadable,
            "unreadable": self.unreadable_listed,
        }


def _comparison(result: UnitResult) -> Item:
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
        "truth": result.recorded.truth,
        "heatmap": result.heatmap,
    }


def _unreadable(result: UnitResult) -> list[Item]:
    """The images that have no finding, and the record or the review where it could not be used."""
    place = {"unit": result.unit, "station": result.station, "sequence": result.sequence}
    images = [
        {**place, "image": frame.image, "error": frame.error, "message": frame.message}
        for frame in result.frames
        if frame.error is not None
    ]
    said: Mapping[str, str | None] = {
        "record_unreadable": result.fault, "review_unreadable": result.recorded.review_fault,
    }  # fmt: skip
    return [{**place, "image": None, "error": error, "message": message}
            for error, message in said.items() if message] + images  # fmt: skip
