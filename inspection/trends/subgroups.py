"""Units counted subgroup by subgroup: outcomes and reasons as corrected, and latency. One statement each, by the index, so
that the database has no more than a subgroup to sort."""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from sqlalchemy import Connection, Float, String, bindparam, cast, func, literal, null, select, tuple_, union_all

from inspection.records import Correction, correction
from inspection.schema import entries
from inspection.trends.query import Selection
from inspection.verdict import Outcome

_AFTER_ALL = "~"
_CHUNK = 500
Counts = Counter[tuple[str, str]]


@dataclass
class Subgroup:
    """Units recorded from `since` up to but without `until`: their number by outcome and reason, latency in ms, and the
    range of their scores. `first` and `last` are the times of its records."""

    since: str
    until: str
    first: str
    last: str
    counts: Counts = field(default_factory=Counter)
    latency_p50: float | None = None
    latency_p99: float | None = None
    latency_worst: float | None = None
    lowest: float | None = None
    highest: float | None = None

    @property
    def units(self) -> int:
        """All of them."""
        return self.counts.total()

    def of(self, *outcomes: Outcome) -> int:
        """Units with one of these outcomes."""
        return sum(count for (outcome, _), count in self.counts.items() if outcome in outcomes)


def read_subgroups_of(connection: Connection, selection: Selection, edges: list[str]) -> list[Subgroup]:
    """The subgroups that begin at `edges` and have a unit, corrections counted."""
    statement = _statement(selection)
    found = []
    for since, until in pairwise([*edges, _AFTER_ALL]):
        one = Subgroup(since, until, "", "")
        for what, outcome, reason, count, low, high, first, last in connection.execute(
            statement, {"lo": since, "hi": until}
        ):
            if what == "units":
                one.counts[str(outcome), str(reason)] += count
                one.first, one.last = min(one.first or first, first), max(one.last, last)
                one.lowest = low if one.lowest is None else min(one.lowest, low if low is not None else one.lowest)
                one.highest = high if one.highest is None else max(one.highest, high if high is not None else high or 0)
            else:  # nearest rank; one row may stand for several
                one.latency_p50 = low if count == (int(outcome) + 1) // 2 else one.latency_p50
                one.latency_p99 = low if count == (99 * int(outcome) + 99) // 100 else one.latency_p99
                one.latency_worst = low if count == int(outcome) else one.latency_worst
        if one.counts:
            found.append(one)
    correct(connection, selection, found)
    return found


def correct(connection: Connection, selection: Selection, subgroups: list[Subgroup]) -> None:
    """Move what was corrected later, in or after the time of the subgroups, to the outcome that it has now."""
    if not subgroups:
        return
    begins = [one.since for one in subgroups]
    for at, old, new in corrected(connection, selection, subgroups[0].first, subgroups[-1].until):
        one = subgroups[bisect_right(begins, at) - 1]
        move(one.counts, old, new)


def move(counts: Counts, old: tuple[str, str], new: tuple[str, str]) -> None:
    """Count a unit there instead of here."""
    counts[old] -= 1
    counts[new] += 1
    if counts[old] <= 0:
        del counts[old]


def corrected(
    connection: Connection, selection: Selection, first: str, until: str
) -> list[tuple[str, tuple[str, str], tuple[str, str]]]:
    """Of each unit of the selection recorded in that time that was corrected: when it was recorded, its outcome and
    reason then, and now."""
    table = entries.c
    now: dict[str, Correction] = {}
    events = select(table.details, table.reason).where(
        table.kind == "event", table.recorded_at >= first, table.details.like('%"corrects":%')
    )
    for row in connection.execute(events.order_by(table.recorded_at, table.sequence)).mappings():
        now |= correction(dict(row))
    moved = []
    for places in _chunks(now):
        query = select(
            table.station, table.sequence, table.recorded_at, table.outcome, table.reason
        ).where(*selection.conditions(), table.recorded_at >= first, table.recorded_at < until,
                tuple_(table.station, table.sequence).in_(places))  # fmt: skip
        for station, sequence, at, outcome, reason in connection.execute(query):
            new = now[f"{station}/{sequence}"]
            moved.append((str(at), (str(outcome), str(reason)), (str(new[0]), str(new[1]))))
    return moved


def decode_details(text: str) -> Mapping[str, object]:
    """A record's details; nothing of what is no JSON object."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _chunks(names: Iterable[str]) -> Iterable[list[tuple[str, int]]]:
    places = []
    for name in names:
        station, _, number = name.rpartition("/")
        if number.isdecimal() and len(number) < 19:
            places.append((station, int(number)))
    return (places[start : start + _CHUNK] for start in range(0, len(places), _CHUNK))


def _statement(selection: Selection):  # type: ignore[no-untyped-def]
    """Of one subgroup, from `lo` to `hi`: rows `units` by outcome and reason, and rows `latency` of the ranks that are
    shown, with the number of latencies in the second column and the rank in the fourth."""
    table = entries.c
    units = (
        select(table.outcome, table.reason, table.score, table.latency_ms, table.recorded_at)
        .where(*selection.conditions(), table.recorded_at >= bindparam("lo"), table.recorded_at < bindparam("hi"))
        .cte("units")
    )
    counted = select(
        literal("units"), units.c.outcome, units.c.reason, func.count(), func.min(units.c.score),
        func.max(units.c.score), func.min(units.c.recorded_at), func.max(units.c.recorded_at),
    ).group_by(units.c.outcome, units.c.reason)  # fmt: skip
    rank = func.row_number().over(order_by=units.c.latency_ms).label("rank")
    ranked = (
        select(units.c.latency_ms, rank, func.count().over().label("all")).where(units.c.latency_ms.is_not(None))
    ).subquery()  # fmt: skip
    of_all = ranked.c["all"]
    shown = ranked.c.rank.in_([(of_all + 1) // 2, (99 * of_all + 99) // 100, of_all])
    no_text, no_number = cast(null(), String), cast(null(), Float)
    latency = select(
        literal("latency"), cast(of_all, String), no_text, ranked.c.rank, ranked.c.latency_ms, no_number, no_text, no_text
    ).where(shown)  # fmt: skip
    return union_all(counted, latency)
