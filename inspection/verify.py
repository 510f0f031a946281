"""Walk an archive and name everything in it that is not as it was recorded."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspection.archive import Archive, reading
from inspection.image_store import ImageChanged, ImageMissing
from inspection.records import GENESIS, row_hash
from inspection.registry.items import contents_of
from inspection.retention_marks import Kept, kept_marks
from inspection.signing import HEAD_SIGNED, fingerprint, head_fault
from inspection.verify_signatures import check_signatures

SignedHead = Mapping[str, Any]


@dataclass
class Verification:
    """What was walked, and what does not fit: `problems` holds one sentence each, the first in the chain first.
    `signed` is each station's last signed record; `keys` are the fingerprints of the keys that signed."""

    entries: int = 0
    files: int = 0
    heads: dict[str, str] = field(default_factory=dict)
    signed: dict[str, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


@dataclass(frozen=True)
class Trust:
    """What the one who verifies brings along: public keys in base64, and signed heads from a copy kept elsewhere."""

    keys: frozenset[str] = frozenset()
    heads: Sequence[SignedHead] = ()

    def noted(self, station: str) -> dict[int, str]:
        """Of a station, the hashes by sequence that the copy says."""
        return {int(head["sequence"]): str(head["hash"]) for head in self.heads if head["station"] == station}

    @property
    def stations(self) -> set[str]:
        """Those of the copy."""
        return {str(head["station"]) for head in self.heads}


def count_records(folder: Path) -> int:
    """How many records `verify_archive` will walk. Raises as that does."""
    with reading(folder), Archive(folder, read_only=True) as archive:
        return archive.count_entries()


def verify_archive(
    folder: Path, progress: Callable[[], object] = lambda: None, trust: Trust | None = None
) -> Verification:
    """Check every entry's hash, every chain with its signed heads, every image; `progress` is called once per entry.

    Raises ArchiveMissing where there is no archive, ArchiveFault where the database itself cannot be read,
    ImagesUnreachable where the store of images does not answer.
    """
    trust = trust or Trust()
    result = Verification()
    checked: dict[str, str] = {}
    with reading(folder), Archive(folder, read_only=True) as archive:
        noted = archive.noted_heads()
        for name in archive.missing_guards():
            result.problems.append(f"the database's guard {name} was removed")
        kept = kept_marks(archive, trust.keys)
        for station in sorted({*archive.stations(), *noted, *trust.stations}, key=str):
            if noted.get(station) is None and not archive.postgresql:
                result.problems.append(f"the note of the last record of {station} is missing or unreadable")
            chain = Chain(station, result, trust, noted.get(station), kept)
            for row in chain.walk(archive.rows(station)):
                _check_images(archive, row, checked, result, kept)
                progress()
        check_signatures(archive, kept, trust.keys, result.problems.append)
    result.files = len(checked)
    return result


class Chain:
    """One station's chain while it is walked, from whichever source its rows come."""

    def __init__(
        self, station: str, result: Verification, trust: Trust, noted: tuple[int, str] | None = None,
        kept: Kept | None = None, begins: tuple[int, str] = (0, GENESIS),
    ) -> None:  # fmt: skip
        self._station, self._result, self._trust = station, result, trust
        self._marks = kept.removed.get(station, {}) if kept else {}
        self._noted = {**self._marks, **trust.noted(station), **(dict([noted]) if noted else {})}
        self._sequence, self._previous = begins
        self._signed = 0

    def walk(self, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Check and pass on each row that has a place in the chain."""
        begun = False
        for row in rows:
            if not begun:
                self._begin(row["sequence"])
                begun = True
            if self._fits(row):
                yield row
        self._end()

    def _begin(self, first: Any) -> None:
        """Where the retention rule has cut the chain before the first row, it begins there. A backup may hold what was
        removed from its original later: then the rule's marks are checked on the way."""
        cut = max((mark for mark in self._marks if isinstance(first, int) and mark < first), default=0)
        if not cut:
            return
        self._sequence, self._previous = cut, self._marks[cut]
        if self._noted.get(cut) != self._previous:
            self._result.problems.append(f"record {self._station}/{cut} was removed, and another than is noted")
        self._noted = {sequence: hash_ for sequence, hash_ in self._noted.items() if sequence > cut}

    def _fits(self, row: dict[str, Any]) -> bool:
        name, sequence, expected = f"record {self._station}/{row['sequence']}", row["sequence"], self._sequence + 1
        problems = self._result.problems
        if not isinstance(sequence, int) or sequence < expected:
            problems.append(f"{name} has no place in the chain: records are numbered 1, 2, 3…")
            return False
        if sequence != expected:
            gone = f"{expected}" if sequence == expected + 1 else f"{expected} to {sequence - 1}"
            problems.append(f"record {self._station}/{gone} is missing")
        elif row["previous"] != self._previous:
            problems.append(f"{name} does not follow the record before it: one of the two was changed")
        if _hash_of(row) != row["hash"]:
            problems.append(f"{name} was changed: its hash does not fit its content")
        elif row["reason"] == HEAD_SIGNED and row["kind"] == "event":
            self._check_signature(name, row)
        if self._noted.pop(sequence, row["hash"]) != row["hash"]:
            problems.append(f"{name} was changed: the noted head of the chain is another")
        self._result.entries += 1
        self._sequence, self._previous = sequence, row["hash"]
        return True

    def _check_signature(self, name: str, row: dict[str, Any]) -> None:
        details = json.loads(row["details"])
        fault = head_fault(self._station, (row["sequence"] - 1, row["previous"]), details)
        if not fault and self._trust.keys and details["public_key"] not in self._trust.keys:
            fault = f"was signed with another key ({fingerprint(details['public_key'])[:16]}…) than the trusted"
        if fault:
            self._result.problems.append(f"{name} {fault}")
            return
        self._result.keys.add(fingerprint(details["public_key"]))
        self._signed = row["sequence"] - 1

    def _end(self) -> None:
        station, result = self._station, self._result
        result.heads[station] = self._previous
        if self._signed:
            result.signed[station] = self._signed
        elif self._trust.keys and self._sequence:
            result.problems.append(f"no head of the chain of {station} is signed, and a trusted key was given")
        if self._noted:
            gone = max(self._noted)
            result.problems.append(f"record {station}/{gone} is missing: the chain was cut off after {self._sequence}")


def _hash_of(row: dict[str, Any]) -> str | None:
    try:
        return row_hash(row)
    except (TypeError, ValueError):  # a value of a kind that no record holds
        return None


def _check_images(
    archive: Archive, row: dict[str, Any], checked: dict[str, str], result: Verification, kept: Kept
) -> None:
    """`checked` holds each file's name with what is wrong with it: the rule may have removed it for one record, and
    another with the same content must have it all the same."""
    name = f"record {row['station']}/{row['sequence']}"
    try:
        frames = json.loads(row["frames"])
        names = [
            (key, str(frame[key])) for frame in frames for key in ("image", "heatmap") if frame[key] is not None
        ] + [("thumbnail", str(frame["thumbnail"])) for frame in frames if frame.get("thumbnail") is not None]
        names += [("content", content) for content in contents_of(row)]
    except (TypeError, ValueError, KeyError, AttributeError):
        result.problems.append(f"{name} has an unreadable list of files")
        return
    for kind, image in names:
        if image not in checked:
            checked[image] = ""
            try:
                archive.images.get(image)
            except ImageMissing as error:
                checked[image] = str(error)
            except ImageChanged as error:
                result.problems.append(f"{name}: {error}")
        if checked[image] and not kept.may_be_gone(row, kind):
            result.problems.append(f"{name}: {checked[image]}")
            checked[image] = ""  # named once
