"""Units' records found by what stands in them, page by page, in an archive of any size.

A search walks one index in order of time (`search_walk`), in steps of so many of its rows, and stops where its page is
full or its time is up: what no index serves is answered bit by bit, and the answer says how far one has looked. Pages
begin after a key (time, station, number), never at an offset.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from inspection.archive import Archive
from inspection.records import Entry, from_row
from inspection.schema import entries
from inspection.search_query import RecordQuery, SearchInvalid, utc_moment
from inspection.search_terms import ABSENT, ANY, reviewed_records
from inspection.search_walk import SEPARATOR, Key, Walk, key_of, read_key, walk_of

PAGE = 60
COUNTED = 10_000  # more are "more than 10,000"
_STEP = 10_000  # rows of an index between two looks at the clock
_RANKED = 20_000  # units of which the worst are shown
_CHUNK = 400
_NO_SCORE = 1e308  # a unit without a score was not judged: nothing is worse


@dataclass(frozen=True)
class Page:
    """Records found. `after` is where the next page begins, None at the end. `looked_to` is the time that was reached
    where the search stopped before its page was full."""

    found: list[Entry]
    after: str | None = None
    looked_to: str | None = None


@dataclass(frozen=True)
class Count:
    """How many units fit: exactly, or `more` than that, or so many as far as one looked (`looked_to`)."""

    units: int
    more: bool = False
    looked_to: str | None = None


@dataclass(frozen=True)
class Budget:
    """How long a search may take, in seconds by `clock`. One step is always made."""

    seconds: float = 0.2
    clock: Callable[[], float] = time.monotonic


def search(
    archive: Archive, query: RecordQuery, limit: int = PAGE, after: str | None = None, budget: Budget | None = None
) -> Page:
    """The page of at most `limit` records that begins after `after`. Raises SearchInvalid, ArchiveFault."""
    if query.order == "worst":
        return _worst(archive, query, limit, after)
    started = read_key(after) if after else None
    keys: list[Key] = []
    looked_to: str | None = None
    with archive.reader() as connection:
        for rows, reached in _steps(archive, connection, query, limit + 1, started, budget or Budget()):
            keys, looked_to = keys + rows, reached
            if len(keys) > limit:
                return Page(_entries(connection, keys[:limit]), keys[limit - 1].text)
        return Page(_entries(connection, keys), Key(looked_to).text if looked_to else None, looked_to)


def count(archive: Archive, query: RecordQuery, most: int = COUNTED, budget: Budget | None = None) -> Count:
    """How many fit, counted up to `most`. Raises ArchiveFault."""
    units, looked_to = 0, None
    query = replace(query, order="newest")
    with archive.reader() as connection:
        for found, reached in _steps(archive, connection, query, most + 1, None, budget or Budget(), counting=True):
            units, looked_to = units + found, reached
            if units > most:
                return Count(most, more=True)
    return Count(units, looked_to=looked_to)


def matching(archive: Archive, query: RecordQuery, most: int) -> Iterator[Entry]:
    """All that fit, at most `most`, however long it takes. Raises ArchiveFault."""
    after, left = None, most
    unhurried = Budget(float("inf"))
    query = replace(query, order="newest") if query.order == "worst" else query
    while left > 0:
        page = search(archive, query, min(left, 500), after, unhurried)
        yield from page.found
        left -= len(page.found)
        if page.after is None:
            return
        after = page.after


def records_named(archive: Archive, names: Sequence[str]) -> list[Entry]:
    """Units' records by their names (station/number), in this order. Raises SearchInvalid for a name that is none or a
    record that is not there, ArchiveFault."""
    keys = []
    for name in dict.fromkeys(names):
        station, _, number = name.rpartition("/")
        if not (station and number.isascii() and number.isdecimal() and len(number) < 19):
            raise SearchInvalid(f"{name!r} is no record's name; write station/number")
        keys.append(Key("", station, int(number)))
    with archive.reader() as connection:
        found = _entries(connection, keys)
    if len(found) < len(keys):
        there = {entry.name for entry in found}
        missing = next(name for name in names if name not in there)
        raise SearchInvalid(f"the archive has no unit's record {missing}; search again")
    return found


def _worst(archive: Archive, query: RecordQuery, limit: int, after: str | None) -> Page:
    """The worst of the newest units that an index leads to; how far they go stands in the key."""
    if query.reviewed not in (None, ABSENT):
        raise SearchInvalid("reviewed units are shown by time; choose newest or oldest")
    table, score = entries.c, func.coalesce(entries.c.score, _NO_SCORE)
    order = (score.desc(), table.recorded_at.desc(), table.station.desc(), table.sequence.desc())
    floor, last = _read_worst(after) if after else (None, None)
    with archive.reader() as connection:
        walk = walk_of(archive, connection, query)
        if floor is None:
            floor = walk.edge(None, _RANKED) or ""
        wanted = walk.between(None, floor).add_columns(score.label("score"))
        if last:
            wanted = wanted.where(or_(score < last[0], and_(score == last[0], walk.after(last[1]))))
        rows = connection.execute(wanted.order_by(*order).limit(limit + 1)).all()
        keys = [key_of(row) for row in rows[:limit]]
        more = SEPARATOR.join((floor, repr(float(rows[limit - 1].score)), keys[-1].text)) if rows[limit:] else None
        return Page(_entries(connection, keys), more, floor or None)


def _steps(
    archive: Archive, connection: Connection, query: RecordQuery, most: int, start: Key | None, budget: Budget,
    counting: bool = False,
) -> Iterator[tuple[Any, str | None]]:  # fmt: skip
    """Step by step what was found, keys or how many of them, at most `most` in one step, and the time reached: None at
    the end of all there is. It ends where the time is up as well."""
    walk, began = walk_of(archive, connection, query), budget.clock()
    if query.reviewed not in (None, ABSENT):
        keys = _reviewed(walk, query, start)
        yield (len(keys) if counting else keys[:most]), None
        return
    while True:
        edge = walk.edge(start, _STEP)
        found = walk.between(start, edge)
        if counting:
            units = connection.scalar(select(func.count()).select_from(found.limit(most).subquery())) or 0
            yield units, edge
        else:
            yield walk.sorted(found, most), edge
        if edge is None or budget.clock() - began >= budget.seconds:
            return
        start = Key(edge)


def _reviewed(walk: Walk, query: RecordQuery, start: Key | None) -> list[Key]:
    """Reviews are few among units: those that fit lead to their units."""
    table = entries.c
    names = reviewed_records(walk.connection, None if query.reviewed == ANY else query.reviewed, query.batch)
    found = select(table.recorded_at, table.station, table.sequence).where(*walk.span, *walk.wanted)
    found = found.where(walk.after(start)) if start else found
    keys = [
        key_of(row)
        for station, numbers in _chunks(names)
        for row in walk.connection.execute(found.where(table.station == station, table.sequence.in_(numbers)))
    ]
    return sorted(keys, key=lambda key: (key.at, key.station, key.sequence), reverse=walk.down)


def _entries(connection: Connection, keys: Sequence[Key]) -> list[Entry]:
    """The records of the keys, in their order."""
    table = entries.c
    found: dict[tuple[str, int], Entry] = {}
    for station, numbers in _chunks([(key.station, key.sequence) for key in keys]):
        wanted = select(entries).where(table.station == station, table.sequence.in_(numbers), table.kind == "unit")
        found |= {(row["station"], row["sequence"]): from_row(row) for row in connection.execute(wanted).mappings()}
    return [found[key.station, key.sequence] for key in keys if (key.station, key.sequence) in found]


def _chunks(names: Sequence[tuple[str, int]]) -> Iterator[tuple[str, list[int]]]:
    """The numbers of each station, some at a time."""
    by_station: dict[str, list[int]] = {}
    for station, number in names:
        by_station.setdefault(station, []).append(number)
    for station, numbers in by_station.items():
        for first in range(0, len(numbers), _CHUNK):
            yield station, numbers[first : first + _CHUNK]


def _read_worst(text: str) -> tuple[str, tuple[float, Key]]:
    floor, _, rest = text.partition(SEPARATOR)
    score, _, key = rest.partition(SEPARATOR)
    try:
        return floor and utc_moment(floor), (float(score), read_key(key))
    except ValueError as error:
        raise SearchInvalid(f"{text!r} is no place to go on from; search again") from error
