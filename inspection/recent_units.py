"""A station's last units, read from the end of its chain, each with what became of it in the end: a PASS on record that
was not let through has a correction behind it."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import case, null, select

from inspection.archive import Archive
from inspection.records import Correction, Entry, correction, from_row
from inspection.reject_trend import UnitAt
from inspection.schema import entries
from inspection.verdict import Outcome

_MOST_READ = 30_000  # entries, for a trend
_EVENTS_BESIDE = 200  # entries that are no units, among those that a page shows


def recent_outcomes(archive: Archive, station: str, since: float) -> list[UnitAt]:
    """The units that were recorded after `since` (seconds since 1970), the oldest first, a bounded number. Raises
    ArchiveFault."""
    table = entries.c
    details = case((table.kind == "event", table.details), else_=null()).label("details")
    query = select(table.sequence, table.kind, table.recorded_at, table.batch, table.outcome, table.reason, details)
    query = query.where(table.station == station).order_by(table.sequence.desc()).limit(_MOST_READ)
    found, corrected = [], dict[str, Correction]()
    with archive.reader() as connection:
        for row in connection.execute(query).mappings():
            at = seconds(row["recorded_at"])
            if at < since:
                break
            if row["kind"] == "event":
                corrected |= correction(dict(row))
            else:
                outcome, _ = corrected.get(f"{station}/{row['sequence']}", (row["outcome"], None))
                found.append(UnitAt(at, row["batch"], outcome == Outcome.PASS))
    return found[::-1]


def last_units(archive: Archive, station: str, count: int) -> Iterator[tuple[Entry, str | None, str | None]]:
    """The newest units first, at most `count`: the record, and the outcome and the reason that hold. Raises
    ArchiveFault."""
    table = entries.c
    query = select(entries).where(table.station == station).order_by(table.sequence.desc())
    with archive.reader() as connection:
        rows = connection.execute(query.limit(count + _EVENTS_BESIDE)).mappings().all()
    corrected = dict[str, Correction]()
    for row in rows:
        if row["kind"] == "event":
            corrected |= correction(dict(row))
        elif count:
            count -= 1
            entry = from_row(row)
            yield entry, *corrected.get(entry.name, (entry.outcome, entry.reason))


def seconds(recorded_at: str) -> float:
    """Seconds since 1970 of a record's time."""
    return datetime.fromisoformat(recorded_at).timestamp()
