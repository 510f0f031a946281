"""What a start finds of the run before it: half-written files, a note that lags behind, a chain that does not fit.

What a crash may leave is mended and put on record. What no crash can leave is damage or tampering: the station does not
start on it, unless a person says why it may; that is on record too.
"""

import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from inspection.archive import Archive
from inspection.errors import InspectionError
from inspection.image_store import ImageChanged, ImageMissing, ImageStore
from inspection.records import Draft, Entry, from_row, row_hash
from inspection.retention_marks import kept_marks
from inspection.schema import entries, station_of_event

RECOVERED = "recovered"
_LAST = 200  # records at the chain's end that are looked at
_ABANDONED_S = 60.0
_RUN = ("line_started", "line_stopped", "line_finished", "line_failed")


class RecoveryRefused(InspectionError):
    """The archive is damaged in a way that no crash explains."""

    code = "recovery_refused"


@dataclass(frozen=True)
class Recovery:
    """What was found: `mended` is what a crash leaves, `damage` what it cannot."""

    mended: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)

    @property
    def sentences(self) -> list[str]:
        """All of it, for people."""
        return [*self.mended, *self.damage]


def recover(archive: Archive, station: str, accept_damage: str = "") -> Recovery:
    """Look at how the last run ended, mend what a crash leaves, and put on record what was found. `accept_damage` is
    the reason why a damaged archive may be used. Raises RecoveryRefused, ArchiveFault, and ImagesUnreachable where the
    store of images does not answer: that is no damage."""
    found = Recovery()
    _half_written(archive, found)
    last = _last_entries(archive, station)
    _note(archive, station, last, found)
    _chain_end(archive, last, found)
    _ending(archive, station, found)
    if found.damage and not accept_damage:
        raise RecoveryRefused(
            f"{found.damage[0]}; run `inspection verify` and restore the archive from its backup, or start with "
            "--accept-damage and the reason"
        )
    if found.sentences:
        details: dict[str, Any] = {"mended": found.mended, "damage": found.damage}
        details |= {"why": accept_damage} if found.damage else {}
        archive.append(Draft("event", reason=RECOVERED, details=details), station)
    return found


def _half_written(archive: Archive, found: Recovery) -> None:
    parts = list((archive.folder / "heads").glob("*.part"))
    parts += archive.images.unfinished() if isinstance(archive.images, ImageStore) else []
    parts = [path for path in parts if _abandoned(path)]
    for path in parts:
        with suppress(OSError):
            path.unlink()
    if parts:
        found.mended.append(f"{len(parts)} half-written files were removed; no record names them")


def _abandoned(path: Path) -> bool:
    """Whether nobody can still be writing it: another station may share the folder."""
    try:
        return time.time() - path.stat().st_mtime > _ABANDONED_S
    except OSError:
        return False


def _last_entries(archive: Archive, station: str) -> list[dict[str, Any]]:
    query = select(entries).where(entries.c.station == station).order_by(entries.c.sequence.desc()).limit(_LAST)
    with archive.reader() as connection:
        return [dict(row) for row in connection.execute(query).mappings()][::-1]


def _note(archive: Archive, station: str, last: list[dict[str, Any]], found: Recovery) -> None:
    """A note behind the database is what a crash leaves; one ahead of it says that records are gone."""
    noted = archive.noted_heads().get(station)
    head = (last[-1]["sequence"], last[-1]["hash"]) if last else (0, "")
    if noted and noted[0] > head[0]:
        found.damage.append(f"record {station}/{noted[0]} was on record and is gone: the chain ends at {head[0]}")
    elif noted and noted[0] == head[0] and noted[1] != head[1]:
        found.damage.append(f"record {station}/{head[0]} is another than was noted when it was written")
    elif last and noted != head:
        archive.note_head(from_row(last[-1]))
        found.mended.append(f"the note of the last record of {station} was behind, and is written anew")


def _chain_end(archive: Archive, last: list[dict[str, Any]], found: Recovery) -> None:
    kept = kept_marks(archive)
    for before, row in zip([None, *last], last, strict=False):
        name = f"record {row['station']}/{row['sequence']}"
        if row_hash(row) != row["hash"] or (before and row["previous"] != before["hash"]):
            found.damage.append(f"{name} was changed: its hash does not fit")
            continue
        for frame in from_row(row).frames:
            for kind in ("image", "heatmap", "thumbnail"):
                image = getattr(frame, kind)
                try:
                    if image:
                        archive.images.get(image)
                except (ImageMissing, ImageChanged) as error:
                    if isinstance(error, ImageChanged) or not kept.may_be_gone(row, kind):
                        found.damage.append(f"{name}: {error}")


def _ending(archive: Archive, station: str, found: Recovery) -> None:
    table = entries.c
    query = select(entries).where(table.kind == "event", station_of_event == station, table.reason.in_(_RUN))
    with archive.reader() as connection:
        row = connection.execute(query.order_by(table.sequence.desc()).limit(1)).mappings().first()
    entry: Entry | None = from_row(row) if row else None
    if entry and entry.reason == _RUN[0]:
        found.mended.append(f"the line that was started at {entry.recorded_at[:19]} UTC did not come to its end")
