"""The way along an index: which one a search walks, in steps of so many of its rows, from one place to the next."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from inspection.archive import Archive
from inspection.schema import entries
from inspection.search_query import NOT_PASSED, Order, RecordQuery, SearchInvalid, utc_moment
from inspection.search_terms import ABSENT, STOPPED_ONLY, Terms, conditions, is_stopped

SEPARATOR = "~"
Conditions = list[ColumnElement[bool]]


@dataclass(frozen=True)
class Key:
    """A place in time order, excluded; without a station all records of that time are."""

    at: str
    station: str = ""
    sequence: int = 0

    @property
    def text(self) -> str:
        """As an address has it."""
        return SEPARATOR.join((self.at, self.station, str(self.sequence)))


@dataclass(frozen=True)
class Walk:
    """`enter` is what the index is entered with, `span` the time; together with `wanted` they say all that is looked
    for. The worst first walks from the newest on."""

    connection: Connection
    enter: Conditions
    span: Conditions
    wanted: Conditions
    order: Order

    @property
    def down(self) -> bool:
        """From the newest to the oldest."""
        return self.order != "oldest"

    def edge(self, start: Key | None, step: int) -> str | None:
        """The time that so many rows of the index lead to; None where there are fewer."""
        at = entries.c.recorded_at
        walked = select(at).where(*self.enter, *self.span)
        walked = walked.where(at <= start.at if self.down else at >= start.at) if start else walked
        walked = walked.order_by(at.desc() if self.down else at)
        edge: str | None = self.connection.scalar(walked.offset(step).limit(1))
        if edge is None or start is None or edge != start.at:
            return edge
        further = select(at).where(*self.enter, *self.span, at < start.at if self.down else at > start.at)
        edge = self.connection.scalar(further.order_by(at.desc() if self.down else at).limit(1))
        return edge  # so many of one time: on to the next one

    def between(self, start: Key | None, edge: str | None) -> Select[Any]:
        """Keys of all that fits from a place up to an edge, which is included."""
        table = entries.c
        found = select(table.recorded_at, table.station, table.sequence)
        found = found.where(*self.enter, *self.span, *self.wanted)
        found = found.where(self.after(start)) if start else found
        if edge is None:  # said all the same: without a time SQLite reads all records rather than a partial index
            return found.where(table.recorded_at > "")
        return found.where(table.recorded_at >= edge if self.down else table.recorded_at <= edge)

    def sorted(self, found: Select[Any], most: int) -> list[Key]:
        """The first of these keys."""
        table = entries.c
        by = (table.recorded_at, table.station, table.sequence)
        found = found.order_by(*(one.desc() if self.down else one.asc() for one in by)).limit(most)
        return [key_of(row) for row in self.connection.execute(found)]

    def after(self, key: Key) -> ColumnElement[bool]:
        """What comes after a key."""
        table = entries.c
        beyond = table.recorded_at < key.at if self.down else table.recorded_at > key.at
        if not key.station:
            return beyond
        upto = table.recorded_at <= key.at if self.down else table.recorded_at >= key.at
        number = table.sequence < key.sequence if self.down else table.sequence > key.sequence
        station = table.station < key.station if self.down else table.station > key.station
        return and_(upto, or_(beyond, station, and_(table.station == key.station, number)))


def walk_of(archive: Archive, connection: Connection, query: RecordQuery) -> Walk:
    """The walk of a search: by the most selective of what is looked for. Units that did not pass are few: their
    index comes before that of a batch."""
    ran = {one: _judged(connection, one) for one in query.packages}
    return Walk(
        connection, _enter(query, ran), _span(connection, query), conditions(_terms(archive, query, ran)), query.order
    )


def _enter(query: RecordQuery, ran: dict[str, bool]) -> Conditions:
    table = entries.c
    if query.unit:
        return [table.unit == query.unit]
    if query.reason and is_stopped(query.reason):
        return [STOPPED_ONLY, table.reason == query.reason]
    if query.outcome in ("REVIEW", "REJECT"):
        return [table.outcome == query.outcome]
    if query.defect or query.outcome == NOT_PASSED:
        return [STOPPED_ONLY]
    if query.batch:
        return [table.batch == query.batch]
    if len(query.packages) == 1 and ran[query.packages[0]]:
        return [table.package == query.packages[0]]
    return []


def _span(connection: Connection, query: RecordQuery) -> Conditions:
    """From when to when: as asked, and as the batch and the station have records."""
    table = entries.c
    span: Conditions = []
    lower, last = [query.since], []
    for narrowed, column in ((query.batch, table.batch), (query.station, table.station)):
        if narrowed:
            ends = _ends(connection, column, narrowed)
            lower.append(ends[0])
            last.append(ends[1])
    lowest = max((one for one in lower if one), default=None)
    span += [table.recorded_at >= lowest] if lowest else []
    span += [table.recorded_at <= min(last)] if last else []
    span += [table.recorded_at < query.until] if query.until else []
    return span


def _terms(archive: Archive, query: RecordQuery, ran: dict[str, bool]) -> Terms:
    passed_by = query.outcome if query.outcome != NOT_PASSED else None
    return Terms(
        batch=query.batch, outcome=passed_by, stopped=query.outcome == NOT_PASSED, reason=query.reason,
        min_score=query.min_score, max_score=query.max_score, defect=query.defect,
        packages=tuple(one for one in query.packages if ran[one]),
        classifiers=tuple(one for one in query.packages if not ran[one]),
        recipe=query.recipe, product=query.product, station=query.station, unit=query.unit,
        unreviewed=query.reviewed == ABSENT, postgresql=archive.postgresql,
    )  # fmt: skip


def _judged(connection: Connection, digest: str) -> bool:
    """Whether units name this package as the one that judged them; a classifier beside it stands in their details."""
    return connection.scalar(select(entries.c.kind).where(entries.c.package == digest).limit(1)) is not None


def _ends(connection: Connection, column: ColumnElement[Any], value: str) -> tuple[str, str]:
    """The times of the first and the last record with this value: by an index that has them in order of time."""
    table = entries.c
    if column is table.station:
        of = select(table.recorded_at).where(column == value).limit(1)
        first = connection.scalar(of.order_by(table.sequence))
        return first or "", connection.scalar(of.order_by(table.sequence.desc())) or ""
    first, last = (
        connection.scalar(select(end(table.recorded_at)).where(column == value)) for end in (func.min, func.max)
    )
    return first or "", last or ""


def key_of(row: Any) -> Key:
    """The key of a row."""
    return Key(row.recorded_at, row.station, row.sequence)


def read_key(text: str) -> Key:
    """A key as an address has it. Raises SearchInvalid."""
    try:
        at, station, number = text.split(SEPARATOR)
        utc_moment(at)
        sequence = int(number)
        if not 0 <= sequence < 2**63:
            raise ValueError(number)
    except ValueError as error:
        raise SearchInvalid(f"{text!r} is no place to go on from; search again") from error
    return Key(at, station, sequence)
