"""What the retention rule has removed, as its records in the chain `audit` say: `verify` reads them, so that what was
removed by the rule is told from what somebody took away."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from inspection.archive import Archive
from inspection.records import AUDIT
from inspection.schema import entries

REMOVED = "retention_removed"


@dataclass(frozen=True)
class Kept:
    """`removed` is, of each station whose oldest records were removed, the last one's sequence and hash. `files` is, by
    (kind of file, outcome), the time before which such files were removed."""

    removed: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    files: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def may_be_gone(self, row: Mapping[str, Any], kind: str) -> bool:
        """Whether the rule removed a record's file of this kind (`image`, `heatmap`, `thumbnail`)."""
        return str(row["recorded_at"]) < self.files.get((kind, str(row["outcome"])), "")


def kept_marks(archive: Archive) -> Kept:
    """What the archive's retention records say. Their own hashes are checked where the chain is walked."""
    query = select(entries.c.details).where(
        entries.c.kind == "event", entries.c.reason == REMOVED, entries.c.station == AUDIT
    )
    removed: dict[str, tuple[int, str]] = {}
    files: dict[tuple[str, str], str] = {}
    with archive.reader() as connection:
        found = list(connection.scalars(query.order_by(entries.c.sequence)))
    for text in found:
        try:
            details = json.loads(text)
            if details["kind"] == "record":
                removed |= {str(name): (int(end[0]), str(end[1])) for name, end in details["chains"].items()}
            else:
                key = str(details["kind"]), str(details["outcome"])
                files[key] = max(files.get(key, ""), str(details["before"]))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            continue  # changed: `verify` names the record
    return Kept(removed, files)
