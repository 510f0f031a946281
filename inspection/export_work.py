"""An exported batch as a source of work: its units in the order of its records, with the images beside them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from inspection.batch_export import IMAGES, MANIFEST, RECORDS, ExportInvalid
from inspection.image_store import ImageStore
from inspection.record_filter import EVERYTHING, RecordFilter
from inspection.recorded_items import Said, has_work, recorded_item
from inspection.work_list import Identity, Pinned, WorkItem

_PAGE = 400
_READ = 2**20


class ExportWork:
    """The work list of the folder that `inspection export-batch` wrote. Corrections and reviews are those that were
    exported with it; they are kept, a batch's at most."""

    def __init__(self, folder: Path, wanted: RecordFilter = EVERYTHING) -> None:
        self._folder = folder
        self._wanted = wanted
        self._images = ImageStore(folder / IMAGES)
        self._batch: str | None = None
        self._said = Said()
        self._removed: frozenset[str] = frozenset()

    def pin(self, earlier: Identity | None = None) -> Pinned:  # noqa: ARG002 (a folder is the same or it is not)
        """Check that the records are those of the manifest, and count the units. Raises ExportInvalid."""
        try:
            manifest = json.loads((self._folder / MANIFEST).read_text())
            self._batch, wanted_digest = str(manifest["batch"]), manifest["records_sha256"]
            self._removed = frozenset(manifest.get("removed", ()))
            digest = _digest(self._folder / RECORDS)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ExportInvalid(
                f"{self._folder} cannot be read as an exported batch ({error}); give a folder of export-batch"
            ) from error
        if digest != wanted_digest:
            raise ExportInvalid(f"{self._folder / RECORDS} is another file than was exported; take a sound copy")
        self._said = Said.of(sorted(
            (row for row in self._rows() if row["kind"] == "event"),
            key=lambda row: (row["recorded_at"], row["station"], row["sequence"]),
        ))  # fmt: skip
        units = without_image = 0
        for item in self._all():
            units, without_image = units + has_work(item), without_image + (not has_work(item))
        identity = {
            "kind": "export", "folder": str(self._folder.resolve()), "batch": self._batch, "records_sha256": digest,
            "stations": {part["station"]: {"sequence": part["last"], "hash": part["last_hash"]}
                         for part in manifest["chains"]},
        }  # fmt: skip
        return Pinned(identity, units, without_image, self._wanted.plain())

    def items(self) -> Iterator[WorkItem]:
        """Units with at least one image. Raises ExportInvalid."""
        return (item for item in self._all() if has_work(item))

    def read(self, image: str) -> bytes:
        """The stored bytes, checked against their name. Raises ImageMissing or ImageChanged."""
        return self._images.get(image)

    def title(self, image: str) -> str:
        """As the image store's own messages name it."""
        return f"image {image}"

    def _all(self) -> Iterator[WorkItem]:
        for row in self._rows():
            if row["kind"] == "unit" and row["batch"] == self._batch and self._wanted.fits(row):
                item = recorded_item(row, self._said, self._gone)
                if self._wanted.fits_outcome(item.outcome):
                    yield item

    def _gone(self, _row: Mapping[str, Any], image: str) -> bool:
        return image in self._removed

    def _rows(self) -> Iterator[dict[str, Any]]:
        try:
            with pq.ParquetFile(self._folder / RECORDS) as table:
                for group in table.iter_batches(_PAGE):
                    yield from group.to_pylist()
        except (OSError, pa.ArrowException, KeyError) as error:
            raise ExportInvalid(f"{self._folder / RECORDS} cannot be read ({error}); take a sound copy") from error


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_READ):
            digest.update(part)
    return digest.hexdigest()
