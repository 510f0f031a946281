"""A re-inspection's results as a table: one row for each unit and package, in the order of the work list."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from inspection.errors import OutputNotWritable
from inspection.files import sync_folder
from inspection.unit_result import UnitResults

TABLE = "result.parquet"
_ROWS = 4096
_text, _number, _words = pa.string(), pa.float64(), pa.list_(pa.string())
COLUMNS = pa.schema([
    ("record", _text), ("unit", _text), ("station", _text), ("sequence", pa.int64()), ("batch", _text),
    ("product", _text), ("recorded_at", _text), ("record_hash", _text), ("cameras", _words), ("images", _words),
    ("frame_scores", pa.list_(_number)), ("old_package", _text), ("old_outcome", _text), ("old_reason", _text),
    ("old_score", _number), ("old_review_limit", _number), ("old_reject_limit", _number), ("package", _text),
    ("package_name", _text), ("new_outcome", _text), ("new_reason", _text), ("new_score", _number),
    ("new_review_limit", _number), ("new_reject_limit", _number), ("changed", pa.bool_()), ("truth", _text),
    ("defects", _words), ("fault", _text), ("heatmap", _text),
])  # fmt: skip


class ResultTable:
    """Writes `result.parquet` in `folder`, a few thousand rows at a time; use it in a `with`. The file is there, whole,
    only where the block ended well. `packages` are the digest, the name with version, and the two limits of each.

    Raises OutputNotWritable.
    """

    def __init__(self, folder: Path, packages: Sequence[tuple[str, str, tuple[float, float]]]) -> None:
        self._path, self._part = folder / TABLE, folder / f".{TABLE}.new.part"
        self._packages = packages
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        try:
            self._writer = pq.ParquetWriter(self._part, COLUMNS, compression="zstd")
        except OSError as error:
            raise OutputNotWritable(f"{self._part} cannot be written ({error}); choose another folder") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        try:
            if kind is None:
                self._flush()
            self._writer.close()
            if kind is not None:
                self._part.unlink(missing_ok=True)
                return
            with self._part.open("rb+") as file:
                os.fsync(file.fileno())
            self._part.replace(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            self._part.unlink(missing_ok=True)
            raise OutputNotWritable(f"{self._path} could not be written ({error}); start the same again") from error

    def add(self, results: UnitResults) -> None:
        """The rows of one unit."""
        self._rows += rows_of(results, self._packages)
        if len(self._rows) >= _ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, COLUMNS))
            self._rows.clear()


def rows_of(results: UnitResults, packages: Sequence[tuple[str, str, tuple[float, float]]]) -> list[dict[str, Any]]:
    """One unit's rows: one for each package. `truth` and `defects` are what the counting review says, `defects` else
    what a classifier surely named; limits are those that decided."""
    rows = []
    for one, (digest, name, limits) in zip(results.each, packages, strict=True):
        recorded = one.recorded
        old, new = recorded.limits or (None, None), one.limits or limits
        faults = [one.fault, recorded.review_fault, *(frame.message for frame in one.frames)]
        rows.append({
            "record": one.record, "unit": one.unit, "station": one.station, "sequence": one.sequence,
            "batch": recorded.batch, "product": recorded.product, "recorded_at": recorded.recorded_at,
            "record_hash": recorded.hash, "cameras": list(recorded.cameras),
            "images": [frame.image for frame in one.frames], "frame_scores": [frame.score for frame in one.frames],
            "old_package": recorded.package, "old_outcome": one.old, "old_reason": one.old_reason,
            "old_score": one.old_score, "old_review_limit": old[0], "old_reject_limit": old[1], "package": digest,
            "package_name": name, "new_outcome": one.new, "new_reason": one.new_reason, "new_score": one.new_score,
            "new_review_limit": new[0], "new_reject_limit": new[1], "changed": one.changed, "truth": recorded.truth,
            "defects": list(recorded.defects), "fault": "; ".join(fault for fault in faults if fault) or None,
            "heatmap": one.heatmap,
        })  # fmt: skip
    return rows
