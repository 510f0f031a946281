"""Where a version ran, when, and which records it made."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, or_, select

from inspection.archive import Archive
from inspection.records import AUDIT
from inspection.registry.items import Version
from inspection.schema import entries

STARTED = "line_started"


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
    table, station = entries.c, start["station"]
    end = select(table.sequence, table.recorded_at).where(
        table.kind == "event", table.station == station, table.sequence > start["sequence"],
        table.reason.in_((STARTED, "line_stopped", "line_finished", "line_failed")),
    )  # fmt: skip
    ended = connection.execute(end.order_by(table.sequence).limit(1)).first()
    units = select(func.count(), func.min(table.sequence), func.max(table.sequence)).where(
        table.station == station, table.sequence > start["sequence"], table.kind == "unit"
    )
    units = units.where(table.sequence < ended.sequence) if ended else units
    count, first, last = connection.execute(units).one()
    return Run(
        station, start["recorded_at"], ended.recorded_at if ended else None, start["recipe"], start["package"], count,
        f"{station}/{first}" if count else None, f"{station}/{last}" if count else None,
    )  # fmt: skip
