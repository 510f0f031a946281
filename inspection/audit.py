"""The audit trail: who did what, when, to what, with the old and the new value, and why.

What people do is an event in the chain `audit`; what a station does by itself is an event in its own chain. Both are
found here. Values are plain JSON; secrets never are among them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from inspection.archive import Archive
from inspection.records import AUDIT, Draft, Entry, from_row, place_of
from inspection.schema import entries

SYSTEM, PEOPLE = "system", "*"
_NOT_VALUES = frozenset({"by", "why", "old", "new", "subject"})
_BY = ("by", "reviewer")  # who did it, in an event's details


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

    @property
    def key(self) -> str:
        """Where the page after this line goes on."""
        return f"{self.at}@{self.record}"


@dataclass(frozen=True)
class AuditQuery:
    """What is looked for: all of what is given. Times are UTC in ISO 8601, `until` not included; `text` is found
    anywhere in the details, without regard to upper and lower case; `by` is a name, `system` or, for whoever is not,
    `*`."""

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
    sides = ("before", "after") if {"before", "after"} <= set(details) else ("old", "new")
    more = {key: value for key, value in details.items() if key not in _NOT_VALUES | set(sides)}
    by = next((str(details[key]) for key in _BY if details.get(key)), SYSTEM)
    return AuditEvent(
        entry.recorded_at, by, str(entry.reason), str(subject), details.get(sides[0]),
        details.get(sides[1]), str(details.get("why", "")), entry.name, entry.hash, more,
    )  # fmt: skip


def find_audit(archive: Archive, query: AuditQuery, limit: int | None = None, before: str = "") -> Iterator[AuditEvent]:
    """What fits, the newest first, at most `limit`; `before` is the `key` of the last line of the page before. Raises
    ArchiveFault."""
    table = entries.c
    wanted = select(entries).where(table.kind == "event", *_conditions(query), *_behind(before))
    wanted = wanted.order_by(table.recorded_at.desc(), table.station.desc(), table.sequence.desc())
    with archive.reader() as connection:
        for row in connection.execute(wanted.limit(limit)).mappings():
            yield audit_event(from_row(row))


def audit_kinds(archive: Archive) -> list[str]:
    """All kinds of events that there are, by the index of events, from one to the next. Raises ArchiveFault."""
    table, found = entries.c, [""]
    with archive.reader() as connection:
        while True:
            query = select(table.reason).where(table.kind == "event", table.reason > found[-1])
            reason = connection.scalar(query.order_by(table.reason).limit(1))
            if reason is None:
                return found[1:]
            found.append(str(reason))


def _conditions(query: AuditQuery) -> Iterator[ColumnElement[bool]]:
    table = entries.c
    if query.what:
        yield table.reason == query.what
    if query.station:
        yield table.station == query.station
    if query.since:
        yield table.recorded_at >= query.since
    if query.until:
        yield table.recorded_at < query.until
    if query.by:
        yield _by(query.by)
    if query.text:
        inside = (table.details, table.unit, table.batch, table.reason)
        yield or_(*(column.icontains(query.text, autoescape=True) for column in inside))


def _by(name: str) -> ColumnElement[bool]:
    details = entries.c.details

    def said(value: str) -> ColumnElement[bool]:
        return or_(*(details.contains(f'"{key}":{value}', autoescape=True) for key in _BY))

    system = details.contains(f'"by":"{SYSTEM}"', autoescape=True)
    if name == PEOPLE:
        return and_(said('"'), ~system)
    if name == SYSTEM:
        return or_(~said('"'), system)
    return said(json.dumps(name, ensure_ascii=False))


def _behind(key: str) -> Iterator[ColumnElement[bool]]:
    """What comes after a line in the trail's order. The first condition is the index's."""
    at, _, record = key.partition("@")
    if not at:
        return
    table = entries.c
    station, sequence = place_of(record)
    yield table.recorded_at <= at
    same = or_(table.station < station, and_(table.station == station, table.sequence < sequence))
    yield or_(table.recorded_at < at, same)
