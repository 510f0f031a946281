"""Units counted by the database: outcomes and reasons, and fine histograms of score and latency. One statement each
subgroup, by an index, so that nothing larger than a subgroup is sorted, and no unit's row comes out of the database."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Float, Integer, String, bindparam, case, cast, func, literal, null, select, union_all

from inspection.schema import entries
from inspection.trends.corrections import Corrected, Pair, corrected
from inspection.trends.query import Selection
from inspection.verdict import Outcome

_FAR = 4000  # bins on either side of a score of 0; what lies further is in the last one
_LONG = 4000  # steps of latency; what took longer is in the last one
_STEPS = 200
_OTHERS = -1
_LAST = "~"  # after every time


@dataclass(frozen=True)
class Scale:
    """How finely scores and latencies are counted: bins `width` wide, steps of `step_ms`. Only scores of `package` (its
    digest) are: another one's are not on the same scale."""

    package: str | None
    width: float
    step_ms: float


@dataclass
class Tally:
    """Units recorded from `first` to `last`: by outcome and reason, scores by their bin (its number times the width is
    where it begins), latencies by steps, and how many another package judged."""

    scale: Scale
    since: str = ""
    first: str = ""
    last: str = ""
    counts: Counter[Pair] = field(default_factory=Counter)
    scores: Counter[int] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)
    worst_ms: float | None = None
    of_others: int = 0

    @property
    def units(self) -> int:
        """All of them."""
        return self.counts.total()

    def of(self, *outcomes: Outcome) -> int:
        """Units with one of these outcomes."""
        return sum(count for (outcome, _), count in self.counts.items() if outcome in outcomes)

    def score_quantile(self, share: float) -> float | None:
        """To half a bin; None without scores."""
        place = _quantile(self.scores, share)
        return None if place is None else (place + 0.5) * self.scale.width

    def latency_ms(self, share: float) -> float | None:
        """The latency (nearest rank) to a step; None without any."""
        place = _quantile(self.latencies, share)
        return None if place is None else place * self.scale.step_ms

    def correct(self, one: Corrected) -> None:
        """Count a unit as what it is now."""
        self.counts[one.old] -= 1
        self.counts[one.new] += 1
        if self.counts[one.old] <= 0:
            del self.counts[one.old]


def scale_of(connection: Connection, selection: Selection, package: str | None, limit: float | None) -> Scale:
    """As fine as the newest units and the limit to reject need."""
    table = entries.c
    newest = select(table.score, table.latency_ms).where(*selection.conditions())
    found = newest.order_by(table.recorded_at.desc()).limit(500).subquery()
    row = connection.execute(select(func.max(func.abs(found.c.score)), func.max(found.c.latency_ms))).one()
    score = max(abs(row[0] or 0.0), abs(limit or 0.0)) or 1.0
    step = 10.0 ** math.floor(math.log10(max(row[1] or 0.0, 1.0) / (_STEPS / 2)))
    return Scale(package, score / _STEPS, max(step, 0.01))


def read_tallies(connection: Connection, selection: Selection, edges: list[str], scale: Scale) -> list[Tally]:
    """The tallies of subgroups that begin at `edges` and have a unit, corrections counted."""
    statement, ends = _statement(connection, selection, scale), selection.until or _LAST
    found = []
    for since, until in pairwise([*edges, ends]):
        one = Tally(scale, since)
        for row in connection.execute(statement, {"lo": since, "hi": until}):
            _add(one, *row)
        if one.counts:
            found.append(one)
    if found:
        begins = [one.since for one in found]
        for moved in corrected(connection, selection, found[0].first, selection.until):
            found[bisect_right(begins, moved.at) - 1].correct(moved)
    return found


def together(tallies: Iterable[Tally], scale: Scale) -> Tally:
    """One tally of all."""
    found = Tally(scale)
    for one in tallies:
        found.first, found.last = min(found.first or one.first, one.first), max(found.last, one.last)
        found.counts.update(one.counts)
        found.scores.update(one.scores)
        found.latencies.update(one.latencies)
        found.of_others += one.of_others
        worst = [value for value in (found.worst_ms, one.worst_ms) if value is not None]
        found.worst_ms = max(worst, default=None)
    return found


def _add(one: Tally, what: str, outcome: str, reason: str, place: float, count: int, first: str, last: str) -> None:
    if what == "units":
        one.counts[str(outcome), str(reason)] += count
        one.first, one.last = min(one.first or first, first), max(one.last, last)
        one.worst_ms = place if one.worst_ms is None else max(one.worst_ms, place or 0.0)
    elif what == "score" and place == _OTHERS:
        one.of_others += count
    elif what == "score":
        one.scores[int(place) - _FAR] += count
    else:
        one.latencies[int(place)] += count


def _quantile(histogram: Counter[int], share: float) -> int | None:
    total, so_far = histogram.total(), 0
    for place, count in sorted(histogram.items()):
        so_far += count
        if so_far >= share * total:
            return place
    return None


def _statement(connection: Connection, selection: Selection, scale: Scale) -> Any:
    table, score, took = entries.c, entries.c.score, entries.c.latency_ms

    def whole(value: Any) -> Any:
        # A cast to a whole number rounds in PostgreSQL, and cuts in SQLite.
        return cast(func.floor(value) if connection.dialect.name == "postgresql" else value, Integer)

    bins = score / scale.width + _FAR
    place = case((bins < 0, 0), (bins >= 2 * _FAR, 2 * _FAR), else_=whole(bins))
    steps = took / scale.step_ms + 0.5
    own = table.package == scale.package if scale.package is not None else table.package.is_(None)
    units = (
        select(
            table.outcome, table.reason, took.label("took"), table.recorded_at,
            case((score.is_(None), None), (own, place), else_=_OTHERS).label("place"),
            case((took.is_(None), None), (steps >= _LONG, _LONG), else_=whole(steps)).label("steps"),
        )
        .where(*selection.conditions(), table.recorded_at >= bindparam("lo"), table.recorded_at < bindparam("hi"))
        .cte("units")
    )  # fmt: skip
    no_text = cast(null(), String)
    counted = select(
        literal("units"), units.c.outcome, units.c.reason, cast(func.max(units.c.took), Float), func.count(),
        func.min(units.c.recorded_at), func.max(units.c.recorded_at),
    ).group_by(units.c.outcome, units.c.reason)  # fmt: skip
    parts = [
        select(literal(name), no_text, no_text, cast(column, Float), func.count(), no_text, no_text)
        .where(which).group_by(column)
        for name, column, which in (
            ("score", units.c.place, units.c.place.is_not(None)),
            ("latency", units.c.steps, units.c.steps.is_not(None)),
        )
    ]  # fmt: skip
    return union_all(counted, *parts)
