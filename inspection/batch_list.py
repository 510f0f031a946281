"""Batches of an archive, listed: those that were begun and ended by a person, and those that records alone name."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from inspection.archive import Archive, rows_at
from inspection.batch_account import STARTED, STOPPED
from inspection.records import Entry, from_row, place_of
from inspection.reviews import REVIEW
from inspection.schema import entries
from inspection.signatures import SIGNED, Signature, signature
from inspection.verdict import Outcome

_STEPS = 400  # names looked at for one page of those that were never begun


@dataclass(frozen=True)
class Listed:
    """A batch that was begun. `counts` (triggered, passed, rejected, undecided) are those at its end, or of now while
    it runs, when nobody knows yet how many came by (`triggered` is None). `looked_at` counts the units that did not
    pass and that a person has looked at; `signatures` are those of its end."""

    batch: str
    station: str
    product: str | None
    recipe: str | None
    started: Entry
    stopped: Entry | None
    counts: dict[str, int | None]
    reconciled: bool | None
    looked_at: int
    signatures: tuple[Signature, ...]

    @property
    def units(self) -> int:
        """Units on record."""
        return sum(self.counts[name] or 0 for name in ("passed", "rejected", "undecided"))

    @property
    def open_reviews(self) -> int:
        """Units that did not pass and that nobody has looked at yet."""
        return max(0, self.units - (self.counts["passed"] or 0) - self.looked_at)

    @property
    def key(self) -> str:
        """Where the page after this one goes on."""
        return f"{self.started.recorded_at}@{self.started.name}"


def find_batches(archive: Archive, text: str = "", before: str = "", limit: int = 25) -> list[Listed]:
    """Batches that were begun, the newest first; `text` is part of the name, without regard to upper and lower case;
    `before` is the `key` of the last one of the page before. By the index of events. Raises ArchiveFault."""
    table = entries.c
    wanted = select(entries).where(table.kind == "event", table.reason == STARTED)
    if text:
        wanted = wanted.where(table.batch.icontains(text, autoescape=True))
    at, _, name = before.partition("@")
    if at:
        wanted = wanted.where(table.recorded_at <= at)
    wanted = wanted.order_by(table.recorded_at.desc(), table.station, table.sequence.desc())
    with archive.reader() as connection:
        # Of the same moment are those of several stations, a few: what comes up to the key is left out here.
        rows = connection.execute(wanted.limit(limit + (_same_moment(connection, at) if at else 0))).mappings().all()
        begun = [from_row(row) for row in rows]
        places = [one.name for one in begun]
        begun = begun[places.index(name) + 1 :] if name in places else begun
        return _listed(connection, begun[:limit])


def open_batches(archive: Archive) -> list[Listed]:
    """Of each station, the batch that was begun and not ended, if there is one. Raises ArchiveFault."""
    table = entries.c
    found = []
    with archive.reader() as connection:
        for station in archive.stations():
            query = select(entries).where(
                table.kind == "event", table.reason.in_((STARTED, STOPPED)), table.station == station
            )
            row = connection.execute(query.order_by(table.recorded_at.desc()).limit(1)).mappings().first()
            if row and row["reason"] == STARTED:
                found.append(from_row(row))
        return _listed(connection, found)


def unbegun_batches(archive: Archive, text: str = "", after: str = "", limit: int = 25) -> tuple[list[str], str]:
    """Batches that records name and nobody began (a recipe or a machine named them), by name from the one behind
    `after` on; and the name to go on from, empty at the end. From name to name by the index of batches; how many names
    are looked at for one answer is bounded. Raises ArchiveFault."""
    table = entries.c
    found: list[str] = []
    with archive.reader() as connection:
        for _ in range(_STEPS):
            query = select(table.batch).where(table.batch > after).order_by(table.batch).limit(1)
            name = connection.scalar(query)
            if name is None:
                return found, ""
            after = str(name)
            if text.lower() in after.lower() and not _begun(connection, after):
                found.append(after)
                if len(found) == limit:
                    break
    return found, after


def _begun(connection: Connection, batch: str) -> bool:
    """A batch that is begun has that as its first record: nobody begins one that there are records of."""
    first = select(entries.c.reason).where(entries.c.batch == batch).order_by(entries.c.recorded_at).limit(1)
    return connection.scalar(first) == STARTED


def _same_moment(connection: Connection, at: str) -> int:
    table = entries.c
    query = select(func.count()).where(table.kind == "event", table.reason == STARTED, table.recorded_at == at)
    return int(connection.scalar(query) or 0)


def _listed(connection: Connection, begun: Sequence[Entry]) -> list[Listed]:
    if not begun:
        return []
    names, since = {str(one.batch) for one in begun}, min(one.recorded_at for one in begun)
    stops: dict[str | None, Entry] = {one.batch: one for one in _events(connection, STOPPED, names, since)}
    looked_at = _looked_at(connection, names, since)
    signed = _events(connection, SIGNED, names, since)
    return [_one(connection, entry, stops.get(entry.batch), looked_at, signed) for entry in begun]


def _one(
    connection: Connection, entry: Entry, stop: Entry | None, looked_at: dict[str, int], signed: Sequence[Entry]
) -> Listed:
    batch = str(entry.batch)
    counts: dict[str, int | None] = (stop.details.get("counts") if stop else None) or _counts(connection, batch)
    return Listed(
        batch, entry.station, entry.product, entry.recipe, entry, stop, counts,
        stop.details.get("reconciled") if stop else None, looked_at.get(batch, 0),
        tuple(signature(one, stop) for one in signed if stop and one.details.get("signs") == stop.name),
    )  # fmt: skip


def _events(connection: Connection, reason: str, batches: set[str], since: str) -> list[Entry]:
    """Events of some batches, the oldest first."""
    query = select(entries).where(*_of(reason, batches, since)).order_by(entries.c.recorded_at)
    return [from_row(row) for row in connection.execute(query).mappings()]


def _of(reason: str, batches: set[str], since: str) -> tuple[ColumnElement[bool], ...]:
    """`coalesce` keeps the database from the index of batches, in which all units lie as well."""
    table = entries.c
    return (table.kind == "event", table.reason == reason, table.recorded_at >= since,
            func.coalesce(table.batch, "").in_(batches))  # fmt: skip


def _looked_at(connection: Connection, batches: set[str], since: str) -> dict[str, int]:
    """How many units of each batch did not pass and were looked at. Of thousands of reviews nothing but the names of
    their units is read."""
    said = connection.scalars(select(entries.c.details).where(*_of(REVIEW, batches, since)))
    names = {json.loads(details).get("reviews", "") for details in said}
    found: dict[str, int] = {}
    for row in rows_at(connection, map(place_of, names), "batch", "outcome"):
        if row["outcome"] != Outcome.PASS:
            found[row["batch"]] = found.get(row["batch"], 0) + 1
    return found


def _counts(connection: Connection, batch: str) -> dict[str, int | None]:
    table = entries.c
    query = select(table.outcome, func.count()).where(table.batch == batch, table.kind == "unit")
    found: dict[Any, int] = {row[0]: row[1] for row in connection.execute(query.group_by(table.outcome))}
    return {
        "triggered": None, "passed": found.get(Outcome.PASS, 0), "rejected": found.get(Outcome.REJECT, 0),
        "undecided": found.get(Outcome.REVIEW, 0),
    }  # fmt: skip
