"""What would have become of archived units at other limits: computed from their recorded scores by `verdict.decide`'s
rules, exactly, and checked against it.

A unit's verdict follows from its highest score and the classes that were sure in any of its frames (`redecide`), so
that one pass over the records suffices; where no class is on record, the database itself does it.
"""

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, select

from inspection.archive import Archive
from inspection.record_findings import CLASSIFIER
from inspection.records import correction, from_row, place_of
from inspection.reviews import REVIEW, counting, read_review
from inspection.schema import entries
from inspection.verdict import SHOWN, ClassFound, Limits, Outcome, Verdict, combine, decide

CORRECTIONS = ("late_record", "not_delivered")  # events that take back a PASS
BINS = 60
_T = entries.c
_SEEN = (_T.station, _T.sequence, _T.unit, _T.outcome, _T.reason, _T.score, _T.review_limit, _T.reject_limit,
         _T.details)  # fmt: skip
_CLASSES = _T.details.contains('"sure":', autoescape=True)
_CHUNK = 400
Change = tuple[str, str]


@dataclass(frozen=True)
class Chosen:
    """Which records: of units that were judged by the package with this digest, in one batch, or from `since` (UTC) on,
    or all."""

    package: str
    batch: str | None = None
    since: str | None = None

    def where(self) -> ColumnElement[bool]:
        """The condition."""
        return and_(_T.kind == "unit", _T.package == self.package, self._range())

    def _range(self) -> ColumnElement[bool]:
        parts = [_T.batch == self.batch] if self.batch is not None else []
        parts += [_T.recorded_at >= self.since] if self.since is not None else []
        return and_(literal(True), *parts) if parts else _T.recorded_at >= ""

    def events(self, reasons: Iterable[str]) -> Select[Any]:
        """Events of these reasons about units that may be among them: an event comes after its unit's record."""
        query = select(entries).where(_T.kind == "event", _T.reason.in_(list(reasons)), self._range())
        return query.order_by(_T.recorded_at, _T.sequence)


@dataclass(frozen=True)
class Example:
    """A unit whose verdict would change."""

    station: str
    sequence: int
    unit: str
    score: float
    old: str
    new: str


@dataclass
class WhatIf:
    """How many units have which outcome on record and would have which: `changes` of all that were judged, unchanged
    ones among them, and of those that a person reviewed as `good` or as `defective`. `faults` were rejected, or taken
    back, for a fault of the line: no limit changes that. Of the `untold` the record does not tell."""

    changes: Counter[Change] = field(default_factory=Counter)
    good: Counter[Change] = field(default_factory=Counter)
    defective: Counter[Change] = field(default_factory=Counter)
    faults: int = 0
    untold: int = 0
    examples: list[Example] = field(default_factory=list)

    @property
    def judged(self) -> int:
        """How many units were judged."""
        return self.changes.total()

    def as_json(self) -> dict[str, Any]:
        """Plain values."""

        def plain(counts: Counter[Change]) -> list[dict[str, Any]]:
            return [{"old": old, "new": new, "units": count} for (old, new), count in sorted(counts.items()) if count]

        return {
            "judged": self.judged, "changed": sum(n for (old, new), n in self.changes.items() if old != new),
            "changes": plain(self.changes), "good": plain(self.good), "defective": plain(self.defective),
            "faults": self.faults, "untold": self.untold, "examples": [vars(one) for one in self.examples],
        }  # fmt: skip


def redecide(row: Mapping[str, Any], limits: Limits) -> Verdict | None:
    """The verdict on a recorded unit if its package had these limits; None where the record does not tell.

    `row` has `score`, `outcome`, `reason`, both recorded limits and `details` (a mapping). A record names the classes
    that were sure, and not what their package does then (reject, or ask a person): of the two what gives the recorded
    outcome at the recorded limits is taken, and where both do, and it matters, nothing.
    """
    if row["reason"] not in SHOWN or row["score"] is None or row["review_limit"] is None:
        return None
    then = Limits(review_limit=row["review_limit"], reject_limit=row["reject_limit"])
    possible = {
        _decided(row, limits, actions)
        for actions in itertools.product(("reject", "review"), repeat=2)
        if _decided(row, then, actions).outcome == row["outcome"]
    }
    outcomes = {one.outcome for one in possible}
    return next(iter(possible)) if len(outcomes) == 1 else None


def _decided(row: Mapping[str, Any], limits: Limits, actions: Sequence[str]) -> Verdict:
    details: Mapping[str, Any] = row["details"]
    verdicts = [decide(row["score"], limits, _found(details, actions[0]))]
    if beside := details.get(CLASSIFIER):
        score = math.nan if beside["score"] is None else beside["score"]
        its = Limits(review_limit=beside["review_limit"], reject_limit=beside["reject_limit"])
        verdicts.append(decide(score, its, _found(beside, actions[1])))
    return combine(verdicts)


def _found(part: Mapping[str, Any], action: str) -> list[ClassFound]:
    sure = part.get("sure", ())
    return [ClassFound(name, "", float(name in sure), 1.0, action) for name in part.get("classes", ())]


def what_if(archive: Archive, chosen: Chosen, limits: Limits, examples: int = 24) -> WhatIf:
    """How the chosen units' verdicts would change at these limits. Raises ArchiveFault."""
    with archive.reader() as connection:
        return _what_if(connection, chosen, limits, examples)


def _what_if(connection: Connection, chosen: Chosen, limits: Limits, examples: int) -> WhatIf:
    found = WhatIf()
    corrected = _corrected(connection, chosen)
    new = _new_outcome(limits)
    query = select(_judged().label("judged"), _T.outcome, new.label("becomes"), func.count().label("units"))
    query = query.where(chosen.where(), ~_CLASSES).group_by("judged", _T.outcome, "becomes")
    for row in connection.execute(query):
        if row.judged:
            found.changes[(row.outcome, row.becomes)] += row.units
        else:
            found.faults += row.units
    for seen in _rows(connection, select(*_SEEN).where(chosen.where(), _CLASSES)):
        _count(found, seen, limits)
        _keep(found, seen, limits, examples, corrected)
    for seen in _named(connection, corrected, chosen):
        verdict = redecide(seen, limits)
        if verdict:
            found.changes[(seen["outcome"], verdict.outcome)] -= 1
            found.faults += 1
    changed = select(*_SEEN).where(chosen.where(), ~_CLASSES, _judged() == 1, new != _T.outcome)
    for seen in _rows(connection, changed.order_by(_T.recorded_at.desc()).limit(examples + len(corrected))):
        _keep(found, seen, limits, examples, corrected)
    defective = _reviews(connection, chosen)
    for seen in _named(connection, defective, chosen):
        verdict, name = redecide(seen, limits), (seen["station"], seen["sequence"])
        if verdict and name not in corrected:
            (found.defective if defective[name] else found.good)[(seen["outcome"], verdict.outcome)] += 1
    return found


def score_histogram(archive: Archive, chosen: Chosen, upper: float | None = None) -> dict[str, Any]:
    """Recorded scores of the chosen units in `BINS` bins of equal width: `edges` (one more than counts), and `counts`
    by recorded outcome. The last bin holds all above `upper` as well. Raises ArchiveFault."""
    has_score = and_(chosen.where(), _T.score.is_not(None), _T.reason.in_(sorted(SHOWN)))
    with archive.reader() as connection:
        low, high, units = connection.execute(
            select(func.min(_T.score), func.max(_T.score), func.count()).where(has_score)
        ).one()
        if not units:
            return {"edges": [], "counts": {}, "units": 0, "highest": None}
        first, last = min(0.0, low), min(high, upper) if upper is not None and upper > low else high
        width = (last - first) / BINS or 1.0
        edges = [first + width * index for index in range(BINS + 1)]
        # Comparisons alone: databases do not agree on how a number becomes a whole one.
        place = case(*((_T.score < edge, index) for index, edge in enumerate(edges[1:-1])), else_=BINS - 1)
        query = select(place.label("place"), _T.outcome, func.count().label("units")).where(has_score)
        counts: dict[str, list[int]] = {str(outcome): [0] * BINS for outcome in Outcome}
        for row in connection.execute(query.group_by("place", _T.outcome)):
            counts[row.outcome][row.place] = row.units
    return {"edges": edges, "counts": counts, "units": units, "highest": high}


def _judged() -> ColumnElement[int]:
    return case((and_(_T.reason.in_(sorted(SHOWN)), _T.score.is_not(None), _T.review_limit.is_not(None)), 1), else_=0)


def _new_outcome(limits: Limits) -> ColumnElement[str]:
    """`decide`, of a score without classes, in SQL."""
    return case(
        (_T.score >= limits.reject_limit, literal(str(Outcome.REJECT))),
        (_T.score >= limits.review_limit, literal(str(Outcome.REVIEW))),
        else_=literal(str(Outcome.PASS)),
    )


def _count(found: WhatIf, seen: Mapping[str, Any], limits: Limits) -> None:
    verdict = redecide(seen, limits)
    if verdict:
        found.changes[(seen["outcome"], str(verdict.outcome))] += 1
    elif seen["reason"] in SHOWN and seen["score"] is not None:
        found.untold += 1
    else:
        found.faults += 1


def _keep(found: WhatIf, seen: Mapping[str, Any], limits: Limits, most: int, corrected: set[tuple[str, int]]) -> None:
    verdict = redecide(seen, limits)
    if not verdict or verdict.outcome == seen["outcome"] or len(found.examples) >= most:
        return
    if (seen["station"], seen["sequence"]) not in corrected:
        found.examples.append(Example(seen["station"], seen["sequence"], str(seen["unit"]), seen["score"],
                                      seen["outcome"], str(verdict.outcome)))  # fmt: skip


def _rows(connection: Connection, query: Select[Any]) -> Iterator[dict[str, Any]]:
    for row in connection.execution_options(yield_per=1000).execute(query).mappings():
        yield dict(row) | {"details": json.loads(row["details"])}


def _corrected(connection: Connection, chosen: Chosen) -> set[tuple[str, int]]:
    """The records that a later event takes back."""
    rows = connection.execute(chosen.events(CORRECTIONS)).mappings()
    return {place for row in rows for name in correction(dict(row)) if (place := place_of(name))[1]}


def _reviews(connection: Connection, chosen: Chosen) -> dict[tuple[str, int], bool]:
    """Of each record that was reviewed, whether the review that counts found it defective; none that cannot tell."""
    rows = connection.execute(chosen.events([REVIEW])).mappings()
    counts = counting(read_review(from_row(row)) for row in rows)
    return {place_of(name): bool(one.found) for name, one in counts.items() if one.found is not None}


def _named(
    connection: Connection, names: Iterable[tuple[str, int]], chosen: Chosen
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The chosen ones of these records."""
    for station, group in itertools.groupby(sorted(names), key=lambda name: name[0]):
        for part in _parts([sequence for _, sequence in group]):
            yield from _rows(
                connection, select(*_SEEN).where(chosen.where(), _T.station == station, _T.sequence.in_(part))
            )


def _parts(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[at : at + _CHUNK] for at in range(0, len(numbers), _CHUNK))
