"""An archive as a source of work: each unit that was recorded with an image, station by station, in chain order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import or_, select

from inspection.archive import Archive, reading
from inspection.record_filter import EVERYTHING, RecordFilter
from inspection.recorded_items import Said, has_work, recorded_item
from inspection.retention_marks import Kept, kept_marks
from inspection.reviews import REVIEW
from inspection.schema import entries
from inspection.search_terms import EVENTS_ONLY
from inspection.work_list import Identity, Pinned, WorkItem

_PAGE = 400
_CORRECTS = '"corrects":'


class ArchiveWork:
    """The work list of an archive that is open to be read; it is never written to.

    A unit's old verdict is the record's, or that of the last correction that points at the record; its truth is the
    review that counts. Both are looked up for one page of units at a time, so that memory does not grow with the
    archive. A record that cannot be understood is an item with a `fault`.
    """

    def __init__(self, archive: Archive, wanted: RecordFilter = EVERYTHING) -> None:
        self._archive = archive
        self._wanted = wanted
        self._until: dict[str, int] = {}
        self._kept = Kept()
        self._nameless = Said()

    def pin(self, earlier: Identity | None = None) -> Pinned:
        """Note where each chain ends and count the units up to there. The chain of hashes names the content: each
        station's last sequence and its hash.

        Raises ArchiveFault where the database cannot be read.
        """
        folder = str(self._archive.folder.resolve())
        same = earlier is not None and earlier.get("kind") == "archive" and earlier.get("folder") == folder
        heads = (self._noted(earlier) if same and earlier else None) or self._heads()
        self._until = {station: head["sequence"] for station, head in heads.items()}
        self._kept = kept_marks(self._archive)
        self._nameless = self._said_without_unit()
        units = without_image = 0
        for item in self._all():
            units, without_image = units + has_work(item), without_image + (not has_work(item))
        removed = {f"{kind} {outcome}": before for (kind, outcome), before in sorted(self._kept.files.items())}
        identity: dict[str, Any] = {"kind": "archive", "folder": folder, "stations": heads}
        identity |= {"removed": removed} if removed else {}
        return Pinned(identity, units, without_image, self._wanted.plain())

    def items(self) -> Iterator[WorkItem]:
        """Units with at least one image. Raises ArchiveFault where the database cannot be read."""
        return (item for item in self._all() if has_work(item))

    def read(self, image: str) -> bytes:
        """The stored bytes, checked against their name. Raises ImageMissing or ImageChanged."""
        return self._archive.images.get(image)

    def title(self, image: str) -> str:
        """As the image store's own messages name it."""
        return f"image {image}"

    def _all(self) -> Iterator[WorkItem]:
        for station in sorted(self._until):
            after = -(2**63)
            while page := self._page(station, after):
                after = page[-1]["sequence"]
                said = self._said(page)
                for row in page:
                    item = recorded_item(row, said, self._gone)
                    if self._wanted.fits_outcome(item.outcome):
                        yield item

    def _gone(self, row: Mapping[str, Any], _image: str) -> bool:
        return self._kept.may_be_gone(row, "image")

    def _page(self, station: str, after: int) -> Sequence[Mapping[str, Any]]:
        """The next rows of units of a station, at most so many, up to its pinned end."""
        table = entries.c
        query = select(entries).where(
            table.station == station, table.sequence > after, table.sequence <= self._until[station],
            table.kind == "unit", *self._wanted.conditions(),
        )  # fmt: skip
        with self._archive.reader() as connection:
            found = connection.execute(query.order_by(table.sequence).limit(_PAGE)).mappings().all()
        return [dict(row) for row in found]

    def _said(self, page: Sequence[Mapping[str, Any]]) -> Said:
        """What events up to the pinned ends say of the page's units: an event names its unit, and an index finds it."""
        table = entries.c
        units = sorted({row["unit"] for row in page if row["unit"] is not None})
        query = select(entries).where(table.unit.in_(units), table.kind + "" == "event")
        with self._archive.reader() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        said = Said.of(self._in_time(rows))
        return said.beside(self._nameless)

    def _said_without_unit(self) -> Said:
        """Corrections and reviews by events that name no unit, as those of a record without a unit's name do: few, so
        they are kept."""
        table = entries.c
        said = or_(table.details.contains(_CORRECTS), table.reason == REVIEW)
        query = select(entries).where(EVENTS_ONLY, table.unit.is_(None), said)
        with self._archive.reader() as connection:
            return Said.of(self._in_time([dict(row) for row in connection.execute(query).mappings()]))

    def _in_time(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those up to the pinned ends, the oldest first."""
        inside = [row for row in rows if row["sequence"] <= self._until.get(row["station"], -1)]
        return sorted(inside, key=lambda row: (row["recorded_at"], row["station"], row["sequence"]))

    def _heads(self) -> dict[str, dict[str, Any]]:
        table, heads = entries.c, {}
        with self._archive.reader() as connection:
            for station in self._archive.stations():
                query = select(table.sequence, table.hash).where(table.station == station)
                row = connection.execute(query.order_by(table.sequence.desc()).limit(1)).one()
                heads[station] = {"sequence": row.sequence, "hash": row.hash}
        return heads

    def _noted(self, earlier: Identity) -> dict[str, dict[str, Any]] | None:
        """The ends that were noted, where each chain still holds them; None where one does not."""
        try:
            noted = {
                str(station): {"sequence": int(head["sequence"]), "hash": head["hash"]}
                for station, head in earlier["stations"].items()
            }
        except (AttributeError, KeyError, TypeError, ValueError):
            return None
        with reading(self._archive.folder):
            for station, head in noted.items():
                row = next(self._archive.rows(station, head["sequence"] - 1), None)
                if row is None or (row["sequence"], row["hash"]) != (head["sequence"], head["hash"]):
                    return None
        return noted
