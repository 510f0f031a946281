"""Records: the durable account of what a station did, as rows whose hashes form one chain per station.

An entry's hash is the SHA-256 of the canonical JSON of all its columns but the hash itself, `previous` (the hash of
the entry before it) among them. Changing, removing, inserting or reordering entries therefore shows.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from inspection.verdict import Outcome

Kind = Literal["unit", "event"]
Correction = tuple[str, str | None]
GENESIS = "0" * 64
_NUMBER = re.compile(r"[0-9]{1,18}")  # what a database takes for one
AUDIT = "audit"  # the chain of what people do that belongs to no station
_HASHED = (
    "station", "sequence", "kind", "recorded_at", "unit", "batch", "product", "recipe", "package",
    "outcome", "reason", "score", "review_limit", "reject_limit", "latency_ms", "frames", "details", "previous",
)  # fmt: skip
_FLOATS = ("score", "review_limit", "reject_limit", "latency_ms")


@dataclass(frozen=True)
class FrameRecord:
    """One frame of a unit. `image` and `heatmap` are names in the image store; None where there was nothing to keep.
    `thumbnail` is one too, of a small picture that was kept instead of the image."""

    camera: str
    sequence: int
    captured_at: str
    image: str | None = None
    heatmap: str | None = None
    score: float | None = None
    thumbnail: str | None = None

    def plain(self) -> dict[str, Any]:
        """As it is hashed: what came later than the first records stands there only where it says something."""
        values = dict(vars(self))
        if self.thumbnail is None:
            del values["thumbnail"]
        return values

    @property
    def stored(self) -> list[str]:
        """The names of all that is kept of it."""
        return [name for name in (self.image, self.heatmap, self.thumbnail) if name is not None]


@dataclass(frozen=True)
class Draft:
    """What is to be recorded, before it has its place in a chain. Times are UTC in ISO 8601; durations in ms."""

    kind: Kind
    unit: str | None = None
    batch: str | None = None
    product: str | None = None
    recipe: str | None = None
    package: str | None = None
    outcome: str | None = None
    reason: str | None = None
    score: float | None = None
    review_limit: float | None = None
    reject_limit: float | None = None
    latency_ms: float | None = None
    frames: tuple[FrameRecord, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry(Draft):
    """A record in the chain of `station`; `(station, sequence)` names it."""

    station: str = ""
    sequence: int = 0
    recorded_at: str = ""
    previous: str = GENESIS
    hash: str = ""

    @property
    def name(self) -> str:
        """How people and messages name it."""
        return f"{self.station}/{self.sequence}"


def place_of(name: str) -> tuple[str, int]:
    """Station and number in a record's name; number 0, which no record has, where it is no record's name."""
    station, _, number = name.rpartition("/")
    return station, int(number) if _NUMBER.fullmatch(number) else 0


def utc_text(moment: datetime | None = None) -> str:
    """ISO 8601 in UTC with microseconds, always of the same length, so that text order is time order."""
    return (moment or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, and no NaN: one text for one value."""
    return _CANONICAL.encode(value)


def correction(row: Mapping[str, Any]) -> dict[str, Correction]:
    """Of an event's row: the name of the record that it corrects, with the outcome it gives and why; nothing where it
    corrects none."""
    try:
        details = json.loads(row["details"])
        return {str(details["corrects"]): (str(Outcome(details["outcome"])), row["reason"])}
    except (TypeError, ValueError, KeyError):
        return {}


def to_row(draft: Draft, station: str, sequence: int, previous: str, recorded_at: str) -> dict[str, Any]:
    """The columns of `draft` at its place in the chain, hash included."""
    row = dict(vars(draft))
    row["frames"] = canonical_json([frame.plain() for frame in draft.frames])
    row["details"] = canonical_json(dict(draft.details))
    for name in _FLOATS:  # a database returns 3.0 for 3 and 0.0 for -0.0, and the hash must not change by that
        row[name] = None if row[name] is None else float(row[name]) + 0.0
    row |= {"station": station, "sequence": sequence, "previous": previous, "recorded_at": recorded_at}
    return row | {"hash": row_hash(row)}


def row_hash(row: Mapping[str, Any]) -> str:
    """SHA-256 in hex over the canonical JSON of a row's columns, `hash` left out."""
    return hashlib.sha256(canonical_json({name: row[name] for name in _HASHED}).encode()).hexdigest()


def intact(entry: Entry) -> bool:
    """Whether a record's content is what its hash says (21 CFR 11.10(a): altered records are discerned)."""
    return bool(to_row(entry, entry.station, entry.sequence, entry.previous, entry.recorded_at)["hash"] == entry.hash)


def from_row(row: Mapping[Any, Any]) -> Entry:
    """The entry in a row."""
    values = dict(row)
    values["frames"] = tuple(FrameRecord(**frame) for frame in json.loads(values["frames"]))
    values["details"] = json.loads(values["details"])
    return Entry(**values)
