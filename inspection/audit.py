"""The audit trail: who did what, when, to what, with the old and the new value, and why.

What people do is an event in the chain `audit`; what a station does by itself is an event in its own chain. Both are
found here. Values are plain JSON; secrets never are among them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select

from inspection.archive import Archive
from inspection.records import AUDIT, Draft, Entry, from_row
from inspection.schema import entries

SYSTEM = "system"
_NOT_VALUES = frozenset({"by", "why", "old", "new", "subject"})


@dataclass(frozen=True)
class AuditEvent:
    """One line of the trail. `at` is UTC in ISO 8601, `record` names its entry in the chains; `old` and `new` are None
    where nothing had or has a value; `more` is whatever else was recorded."""

    at: str
    by: str
    what: str
    subject: str
    old: Any
    new: Any
    why: str
    record: str
    hash: str
    more: dict[str, Any]


@dataclass(frozen=True)
class AuditQuery:
    """What is looked for: all of what is given. Times are UTC in ISO 8601, `until` not included; `text` is found
    anywhere in the details, without regard to upper and lower case."""

    by: str | None = None
    what: str | None = None
    since: str | None = None
    until: str | None = None
    text: str | None = None
    station: str | None = None


def audit_draft(
    what: str, by: str, subject: str, *, old: Any = None, new: Any = None, why: str = "", **more: Any
) -> Draft:
    """An event of the trail."""
    said = {"by": by, "subject": subject, "old": old, "new": new, "why": why} | more
    return Draft("event", reason=what, details={key: value for key, value in said.items() if value not in (None, "")})


def record_audit(archive: Archive, draft: Draft) -> Entry:
    """Put an event on the trail. Raises ArchiveFault."""
    return archive.append(draft, AUDIT)


def audit_event(entry: Entry) -> AuditEvent:
    """An event as a line of the trail."""
    details = entry.details
    subject = details.get("subject") or entry.unit or entry.batch or entry.recipe or entry.station
    more = {key: value for key, value in details.items() if key not in _NOT_VALUES}
    return AuditEvent(
        entry.recorded_at, str(details.get("by", SYSTEM)), str(entry.reason), str(subject), details.get("old"),
        details.get("new"), str(details.get("why", "")), entry.name, entry.hash, more,
    )  # fmt: skip


def find_audit(archive: Archive, query: AuditQuery, limit: int | None = None) -> Iterator[AuditEvent]:
    """What fits, the newest first, at most `limit`. Raises ArchiveFault."""
    table = entries.c
    wanted = select(entries).where(table.kind == "event").order_by(table.recorded_at.desc(), table.sequence.desc())
    for column, value in ((table.reason, query.what), (table.station, query.station)):
        wanted = wanted.where(column == value) if value else wanted
    wanted = wanted.where(table.recorded_at >= query.since) if query.since else wanted
    wanted = wanted.where(table.recorded_at < query.until) if query.until else wanted
    if query.by:
        said = json.dumps(query.by, ensure_ascii=False)
        by = table.details.contains(f'"by":{said}', autoescape=True)
        wanted = wanted.where(or_(by, ~table.details.contains('"by":')) if query.by == SYSTEM else by)
    if query.text:
        inside = [column.icontains(query.text, autoescape=True) for column in (table.details, table.unit, table.reason)]
        wanted = wanted.where(or_(*inside))
    with archive.reader() as connection:
        for row in connection.execute(wanted.limit(limit)).mappings():
            yield audit_event(from_row(row))
