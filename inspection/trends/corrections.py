"""Records that later events corrected: a unit counts as what it is said to be now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, tuple_

from inspection.records import Correction, correction, place_of
from inspection.schema import entries
from inspection.trends.query import IS_EVENT, Selection

_CHUNK = 500
Pair = tuple[str, str]


@dataclass(frozen=True)
class Corrected:
    """A unit recorded at a time as `old`, outcome and reason, that is `new` now."""

    at: str
    old: Pair
    new: Pair


def corrected(connection: Connection, selection: Selection, first: str, until: str | None) -> list[Corrected]:
    """The units of the selection recorded in that time that were corrected then or later. What corrects is among the
    station's events, which have an index of their own, and few of which hold a unit's record's name."""
    table = entries.c
    now: dict[str, Correction] = {}
    events = select(table.details, table.reason).where(
        IS_EVENT, table.recorded_at >= first, table.unit.is_not(None), table.details.like('%"corrects":%')
    )
    for row in connection.execute(events.order_by(table.recorded_at, table.sequence)).mappings():
        now |= correction(dict(row))
    moved = []
    end = [table.recorded_at < until] if until is not None else []
    for places in _chunks(now):
        query = select(table.station, table.sequence, table.recorded_at, table.outcome, table.reason).where(
            *selection.conditions(), table.recorded_at >= first, *end, tuple_(table.station, table.sequence).in_(places)
        )
        for station, sequence, at, outcome, reason in connection.execute(query):
            new = now[f"{station}/{sequence}"]
            moved.append(Corrected(str(at), (str(outcome), str(reason)), (str(new[0]), str(new[1]))))
    return moved


def _chunks(now: Mapping[str, Any]) -> Iterable[list[tuple[str, int]]]:
    places = [place for name in now if (place := place_of(name))[1]]
    return (places[start : start + _CHUNK] for start in range(0, len(places), _CHUNK))
