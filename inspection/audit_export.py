"""The audit trail as a file: CSV for tables, JSON for programs, PDF for paper."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any, Literal

from inspection.audit import AuditEvent, AuditQuery
from inspection.records import utc_text

Form = Literal["csv", "json", "pdf"]
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json", "pdf": "application/pdf"}
_COLUMNS = ("at", "by", "what", "subject", "old", "new", "why", "more", "record", "hash")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute


def as_plain(event: AuditEvent) -> dict[str, Any]:
    """An event as JSON values."""
    return dict(vars(event))


def export_audit(events: Iterable[AuditEvent], form: Form, query: AuditQuery, by: str) -> bytes:
    """A file's content; the PDF says what was looked for, and who printed it."""
    if form == "csv":
        return _csv(events)
    if form == "json":
        said = {key: value for key, value in vars(query).items() if value}
        content = {"format": "inspection-audit/1", "query": said, "exported_by": by, "exported_at": utc_text(),
                   "events": [as_plain(event) for event in events]}  # fmt: skip
        return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()
    from inspection.audit_pdf import audit_pdf

    return audit_pdf(events, query, by)


def _csv(events: Iterable[AuditEvent]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for event in events:
        writer.writerow([cell(getattr(event, name)) for name in _COLUMNS])
    return text.getvalue().encode("utf-8-sig")


def readable(value: Any) -> str:
    """A value as one text."""
    if value is None or value == {}:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def cell(value: Any) -> str:
    """A value as one text, which no spreadsheet takes for a formula."""
    said = readable(value)
    return "'" + said if said.startswith(_FORMULA) else said
