"""What there is to look for: batches, packages, reasons and so on, for lists to choose from.

Values that an index begins with are found by stepping from one to the next in it; DISTINCT would walk all records.
Others are taken from the newest units, from what lines were started with, and from reviews.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import ColumnElement, Connection, func, select

from inspection.archive import Archive
from inspection.record_findings import sure_defects
from inspection.records import from_row
from inspection.registry.runs import STARTED
from inspection.reviews import REVIEW
from inspection.schema import entries
from inspection.search_terms import EVENTS_ONLY, STOPPED_ONLY
from inspection.verdict import Reason

MOST = 200
_NEWEST = 300


@dataclass(frozen=True)
class Choices:
    """What stands in records, in the order in which it is offered."""

    batches: list[str]
    packages: list[str]
    reasons: list[str]
    defects: list[str]
    recipes: list[str]
    products: list[str]
    stations: list[str]


def choices(archive: Archive) -> Choices:
    """At most `MOST` of each kind; of batches those whose names come last. Raises ArchiveFault."""
    table = entries.c
    stations = archive.stations()
    with archive.reader() as connection:
        newest = select(entries).where(table.kind == "unit").order_by(table.recorded_at.desc()).limit(_NEWEST)
        stopped = select(entries).where(STOPPED_ONLY).order_by(table.recorded_at.desc()).limit(_NEWEST)
        units = [from_row(row) for of in (newest, stopped) for row in connection.execute(of).mappings()]
        events = {}
        for reason in (STARTED, REVIEW):
            of = select(entries).where(EVENTS_ONLY, table.reason == reason).order_by(table.recorded_at.desc())
            events[reason] = [from_row(row) for row in connection.execute(of.limit(_NEWEST)).mappings()]
        reasons = skipped(connection, table.reason, STOPPED_ONLY)
        batches, packages = skipped(connection, table.batch), skipped(connection, table.package)
    ran = [*units, *events[STARTED]]
    passed = [str(Reason.WITHIN_LIMITS)] if any(unit.reason == Reason.WITHIN_LIMITS for unit in units) else []
    reviewed = chain.from_iterable(review.details.get("labels", ()) for review in events[REVIEW])
    named = chain.from_iterable(sure_defects(unit.details) for unit in units)
    return Choices(
        batches, packages, passed + sorted(reasons), _sorted(chain(named, reviewed)),
        _sorted(one.recipe for one in ran), _sorted(one.product for one in ran), stations,
    )  # fmt: skip


def skipped(connection: Connection, column: ColumnElement[str], only: ColumnElement[bool] | None = None) -> list[str]:
    """The values of a column that an index begins with, the last first: one look-up for each."""
    highest = select(func.max(column).label("value"))
    highest = highest if only is None else highest.where(only)
    walk = highest.cte("walk", recursive=True)
    below = select(func.max(column)).where(column < walk.c.value)
    below = below if only is None else below.where(only)
    walk = walk.union_all(select(below.scalar_subquery()).where(walk.c.value.is_not(None)))
    found = connection.execute(select(walk.c.value).where(walk.c.value.is_not(None)).limit(MOST)).scalars()
    return [str(value) for value in found]


def _sorted(values: Iterable[str | None]) -> list[str]:
    return sorted({value for value in values if value})[:MOST]
