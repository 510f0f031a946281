"""Walk an archive and name everything in it that is not as it was recorded."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspection.archive import Archive, reading
from inspection.image_store import ImageChanged, ImageMissing
from inspection.records import GENESIS, row_hash


@dataclass
class Verification:
    """What was walked, and what does not fit: `problems` holds one sentence each, the first in the chain first."""

    entries: int = 0
    files: int = 0
    heads: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


def count_records(folder: Path) -> int:
    """How many records `verify_archive` will walk. Raises as that does."""
    with reading(folder), Archive(folder, read_only=True) as archive:
        return archive.count_entries()


def verify_archive(folder: Path, progress: Callable[[], object] = lambda: None) -> Verification:
    """Check every entry's hash, every chain, every image file. `progress` is called once per entry.

    Raises ArchiveMissing where there is no archive, ArchiveFault where the database itself cannot be read.
    """
    result = Verification()
    checked: set[str] = set()
    with reading(folder), Archive(folder, read_only=True) as archive:
        noted = archive.noted_heads()
        for name in archive.missing_guards():
            result.problems.append(f"the database's guard {name} was removed")
        for station in sorted({*archive.stations(), *noted}, key=str):
            if noted.get(station) is None:
                result.problems.append(f"the note of the last record of {station} is missing or unreadable")
            for row in _walk_chain(archive, station, noted.get(station), result):
                _check_images(archive, row, checked, result)
                progress()
    result.files = len(checked)
    return result


def _walk_chain(
    archive: Archive, station: str, noted: tuple[int, str] | None, result: Verification
) -> Iterator[dict[str, Any]]:
    expected, previous, noted_seen = 1, GENESIS, noted is None
    for row in archive.rows(station):
        name, sequence = f"record {station}/{row['sequence']}", row["sequence"]
        if not isinstance(sequence, int) or sequence < expected:
            result.problems.append(f"{name} has no place in the chain: records are numbered 1, 2, 3…")
            continue
        if sequence != expected:
            gone = f"{expected}" if sequence == expected + 1 else f"{expected} to {sequence - 1}"
            result.problems.append(f"record {station}/{gone} is missing")
        elif row["previous"] != previous:
            result.problems.append(f"{name} does not follow the record before it: one of the two was changed")
        if _hash_of(row) != row["hash"]:
            result.problems.append(f"{name} was changed: its hash does not fit its content")
        if noted and sequence == noted[0]:
            noted_seen = True
            if row["hash"] != noted[1]:
                result.problems.append(f"{name} was changed: the noted head of the chain is another")
        result.entries += 1
        expected, previous = sequence + 1, row["hash"]
        yield row
    result.heads[station] = previous
    if not noted_seen and noted:
        result.problems.append(f"record {station}/{noted[0]} is missing: the chain was cut off after {expected - 1}")


def _hash_of(row: dict[str, Any]) -> str | None:
    try:
        return row_hash(row)
    except (TypeError, ValueError):  # a value of a kind that no record holds
        return None


def _check_images(archive: Archive, row: dict[str, Any], checked: set[str], result: Verification) -> None:
    name = f"record {row['station']}/{row['sequence']}"
    try:
        frames = json.loads(row["frames"])
        names = [str(frame[key]) for frame in frames for key in ("image", "heatmap") if frame[key] is not None]
    except (TypeError, ValueError, KeyError):
        result.problems.append(f"{name} has an unreadable list of frames")
        return
    for image in names:
        if image in checked:
            continue
        checked.add(image)
        try:
            archive.images.get(image)
        except (ImageMissing, ImageChanged) as error:
            result.problems.append(f"{name}: {error}")
