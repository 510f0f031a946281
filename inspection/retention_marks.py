"""What the retention rule has removed, as its records in the chain `audit` say: `verify` reads them, so that what was
removed by the rule is told from what somebody took away."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from inspection.archive import Archive
from inspection.records import AUDIT, canonical_json
from inspection.schema import entries
from inspection.signatures import statement_fault

REMOVED = "retention_removed"
_SUBJECT, _MEANING = "retention", "removed"
_NOT_SIGNED = frozenset({"by", "why", "subject", "statement"})


@dataclass(frozen=True)
class Kept:
    """`removed` is, of each station whose oldest records were removed, the hashes by sequence of the last one of each
    removal. `files` is, by (kind of file, outcome), the time before which such files were removed."""

    removed: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    files: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def may_be_gone(self, row: Mapping[str, Any], kind: str) -> bool:
        """Whether the rule removed a record's file of this kind (`image`, `heatmap`, `thumbnail`)."""
        return str(row["recorded_at"]) < self.files.get((kind, str(row["outcome"])), "")

    def record_may_be_gone(self, station: str, sequence: int) -> bool:
        """Whether the rule removed a record."""
        return 0 < sequence <= max(self.removed.get(station, {}), default=0)


def removal_digest(said: Mapping[str, Any]) -> str:
    """SHA-256 in hex of what a removal's record says was removed: what is signed."""
    return hashlib.sha256(canonical_json(dict(said)).encode()).hexdigest()


def removal_fault(details: Mapping[str, Any], keys: Collection[str] = ()) -> str:
    """Why a removal's record is not what somebody signed, with one of `keys` if there are any, or an empty text:
    whoever can write to the database could otherwise say of what they took away that the rule had removed it."""
    said = {key: value for key, value in details.items() if key not in _NOT_SIGNED}
    return statement_fault(details, _SUBJECT, removal_digest(said), _MEANING, keys)


def kept_marks(archive: Archive, keys: Collection[str] = ()) -> Kept:
    """What the archive's retention records say, those that are signed, with one of `keys` if there are any. Their own
    hashes are checked where the chain is walked."""
    query = select(entries.c.details).where(
        entries.c.kind == "event", entries.c.reason == REMOVED, entries.c.station == AUDIT
    )
    removed: dict[str, dict[int, str]] = {}
    files: dict[tuple[str, str], str] = {}
    with archive.reader() as connection:
        found = list(connection.scalars(query.order_by(entries.c.sequence)))
    for text in found:
        try:
            details = json.loads(text)
            if removal_fault(details, keys):
                continue  # `verify` names the record
            if details["kind"] == "record":
                for name, end in details["chains"].items():
                    removed.setdefault(str(name), {})[int(end[0])] = str(end[1])
            else:
                key = str(details["kind"]), str(details["outcome"])
                files[key] = max(files.get(key, ""), str(details["before"]))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            continue  # changed: `verify` names the record
    return Kept(removed, files)
