"""An archive as a source of work: each unit that was recorded with an image, station by station, in chain order."""

from collections.abc import Iterator
from typing import Any

from inspection.archive import Archive, reading
from inspection.recipe_region import read_shapes
from inspection.record_findings import recorded_limits
from inspection.records import Correction, correction, from_row
from inspection.verdict import Outcome
from inspection.work_list import Identity, Pinned, WorkItem


class ArchiveWork:
    """The work list of an archive that is open to be read; it is never written to.

    A unit's old verdict is the record's, or that of the last correction that points at the record. A record that
    cannot be understood is an item with a `fault`, so that it is counted and listed and never lost.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._until: dict[str, int] = {}
        self._corrections: dict[str, Correction] = {}

    def pin(self, earlier: Identity | None = None) -> Pinned:
        """Walk all rows once. The chain of hashes names the content: each station's last sequence and its hash.

        Raises ArchiveFault where the database cannot be read.
        """
        folder = str(self._archive.folder.resolve())
        bounds = self._bounds(earlier) if earlier and earlier.get("folder") == folder else None
        heads: dict[str, dict[str, Any]] = {}
        units = without_image = 0
        self._until, self._corrections = {}, {}
        for row in self._rows(bounds):
            heads[row["station"]] = {"sequence": row["sequence"], "hash": row["hash"]}
            if row["kind"] == "unit":
                item = _item(row, None)
                units, without_image = units + _has_work(item), without_image + (not _has_work(item))
            else:
                self._corrections |= correction(row)
        self._until = {station: head["sequence"] for station, head in heads.items()}
        identity = {"kind": "archive", "folder": folder, "stations": heads}
        return Pinned(identity, units, without_image)

    def items(self) -> Iterator[WorkItem]:
        """Units with at least one image. Raises ArchiveFault where the database cannot be read."""
        for row in self._rows(self._until):
            if row["kind"] == "unit":
                item = _item(row, self._corrections.get(f"{row['station']}/{row['sequence']}"))
                if _has_work(item):
                    yield item

    def read(self, image: str) -> bytes:
        """The stored bytes, checked against their name. Raises ImageMissing or ImageChanged."""
        return self._archive.images.get(image)

    def title(self, image: str) -> str:
        """As the image store's own messages name it."""
        return f"image {image}"

    def _rows(self, until: dict[str, int] | None) -> Iterator[dict[str, Any]]:
        """All rows, or those up to `until`'s sequence for each station that it names."""
        with reading(self._archive.folder):
            for station in self._archive.stations() if until is None else sorted(until):
                for row in self._archive.rows(station):
                    if until is not None and row["sequence"] > until[station]:
                        break
                    yield row

    def _bounds(self, earlier: Identity) -> dict[str, int] | None:
        """The sequences to stop at, where each chain still holds the head that was noted; None where one does not."""
        try:
            noted = {
                str(station): (int(head["sequence"]), head["hash"]) for station, head in earlier["stations"].items()
            }
        except (AttributeError, KeyError, TypeError, ValueError):
            return None
        with reading(self._archive.folder):
            for station, head in noted.items():
                row = next(self._archive.rows(station, head[0] - 1), None)
                if row is None or (row["sequence"], row["hash"]) != head:
                    return None
        return {station: sequence for station, (sequence, _) in noted.items()}


def _has_work(item: WorkItem) -> bool:
    return bool(item.images or item.fault)


def _item(row: dict[str, Any], corrected: Correction | None) -> WorkItem:
    name = f"{row['station']}/{row['sequence']}"
    try:
        entry = from_row(row)
        images = tuple(frame.image for frame in entry.frames if frame.image is not None)
        outcome, reason = corrected or (str(Outcome(str(entry.outcome))), entry.reason)
        score = None if entry.score is None else float(entry.score)
        limits, classifier_limits = recorded_limits(entry)
        region = {camera: read_shapes(shapes) for camera, shapes in (entry.details.get("region") or {}).items()}
        regions = tuple(region.get(frame.camera) for frame in entry.frames if frame.image is not None)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        return WorkItem(
            unit=str(row["unit"] or name),
            station=row["station"],
            sequence=row["sequence"],
            outcome=str(row["outcome"]),
            reason=str(row["reason"]),
            fault=f"record {name} cannot be understood ({type(error).__name__}); run `inspection verify`",
        )
    return WorkItem(
        unit=entry.unit or name,
        images=images,
        station=entry.station,
        sequence=entry.sequence,
        outcome=outcome,
        reason=reason,
        score=score,
        limits=limits,
        classifier_limits=classifier_limits,
        regions=regions if region else (),
    )
