"""Where a version ran, when, and which records it made."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, or_, select, true

from inspection.archive import Archive
from inspection.records import AUDIT, utc_text
from inspection.registry.items import Version
from inspection.schema import entries, station_of_event

STARTED = "line_started"
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Run:
    """A line's run: from its start's record to its end's, exclusive, or to the chain's end while it runs. `units` made
    records from `first` to `last`."""

    station: str
    started_at: str
    ended_at: str | None
    recipe: str
    package: str
    units: int
    first: str | None
    last: str | None


def runs_of(archive: Archive, version: Version) -> list[Run]:
    """All runs of a recipe or package, the oldest first. Raises ArchiveFault."""
    table = entries.c
    mine = table.recipe == f"{version.name} {version.version}" if version.kind == "recipe" else or_(
        table.package == version.digest, table.details.contains(version.digest)
    )  # fmt: skip
    query = select(entries).where(table.kind == "event", table.reason == STARTED, mine, table.station != AUDIT)
    with archive.reader() as connection:
        starts = connection.execute(query.order_by(table.recorded_at)).mappings().all()
        return [_run(connection, dict(start)) for start in starts]


def _run(connection: Connection, start: dict[str, Any]) -> Run:
    table, station, begin = entries.c, start["station"], start["sequence"]
    end = select(table.sequence, table.recorded_at).where(
        table.kind == "event", station_of_event == station, table.sequence > begin,
        table.reason.in_((STARTED, "line_stopped", "line_finished", "line_failed")),
    )  # fmt: skip
    ended = connection.execute(end.order_by(table.sequence).limit(1)).first()
    mine = table.station == station, table.sequence > begin, table.kind == "unit"
    units = select(table.sequence).where(*mine, table.sequence < ended.sequence if ended else true()).limit(1)
    first = connection.scalar(units.order_by(table.sequence))
    last = connection.scalar(units.order_by(table.sequence.desc()))
    count = last - first + 1 - _events(connection, start, first, last, ended) if first and last else 0
    return Run(
        station, start["recorded_at"], ended.recorded_at if ended else None, start["recipe"], start["package"], count,
        f"{station}/{first}" if count else None, f"{station}/{last}" if count else None,
    )  # fmt: skip


def _events(connection: Connection, start: dict[str, Any], first: int, last: int, ended: Any) -> int:
    """How many records between two are events, by the index of their times: counting the units themselves would walk
    all of them. The clock may have been set meanwhile, by less than a day."""
    table = entries.c
    query = select(func.count()).where(
        table.kind == "event", station_of_event == start["station"], table.sequence.between(first, last),
        table.recorded_at >= _moved(start["recorded_at"], -_DAY),
    )  # fmt: skip
    query = query.where(table.recorded_at <= _moved(ended.recorded_at, _DAY)) if ended else query
    return int(connection.execute(query).scalar_one())


def _moved(at: str, by: timedelta) -> str:
    return utc_text(datetime.fromisoformat(at) + by)
