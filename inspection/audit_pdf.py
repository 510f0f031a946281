"""The audit trail on paper."""

import io
from collections.abc import Iterable
from functools import partial
from html import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from inspection.audit import AuditEvent, AuditQuery
from inspection.audit_export import readable
from inspection.pdf_style import GREY, LINE, numbered, styles
from inspection.records import utc_text

_WIDTHS = (33 * mm, 28 * mm, 34 * mm, 42 * mm, 90 * mm, 46 * mm)
_FOR_MACHINES = frozenset({"public_key", "signature", "format", "statement"})  # in the record that is named
_HEAD = ("Time (UTC)", "By", "What", "Subject", "Old → new, and more", "Why")


def audit_pdf(events: Iterable[AuditEvent], query: AuditQuery, by: str) -> bytes:
    """A4 on its side, the newest first."""
    out = io.BytesIO()
    style = styles()
    rows = [[Paragraph(text, style["head"]) for text in _HEAD]]
    for event in events:
        rows.append([Paragraph(text, style["cell"]) for text in _row(event)])
    looked_for = ", ".join(f"{key} {value}" for key, value in vars(query).items() if value) or "everything"
    table = Table(rows, colWidths=_WIDTHS, repeatRows=1)
    table.setStyle(TableStyle([
        ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, -1), 0.3, LINE),
        ("BACKGROUND", (0, 0), (-1, 0), GREY), ("ROWBACKGROUNDS", (0, 1), (-1, -1), [colors.white]),
        ("LEFTPADDING", (0, 0), (-1, -1), 3), ("RIGHTPADDING", (0, 0), (-1, -1), 3),
    ]))  # fmt: skip
    footer = f"printed {utc_text()[:19].replace('T', ' ')} UTC by {by}"
    story = [
        Paragraph("Audit trail", style["title"]),
        Paragraph(escape(f"{len(rows) - 1} events, newest first; looked for: {looked_for}"), style["text"]),
        Spacer(1, 4 * mm),
        table,
    ]
    document = SimpleDocTemplate(
        out, pagesize=landscape(A4), leftMargin=12 * mm, rightMargin=12 * mm, topMargin=12 * mm, bottomMargin=16 * mm,
        title="Audit trail", author=by,
    )  # fmt: skip
    document.build(story, canvasmaker=partial(numbered, footer=footer))
    return out.getvalue()


def _row(event: AuditEvent) -> list[str]:
    changed = " → ".join(readable(value) for value in (event.old, event.new) if value is not None)
    more = {key: value for key, value in event.more.items() if key not in _FOR_MACHINES}
    details = "<br/>".join(escape(text) for text in (changed, readable(more)) if text)
    when = event.at[:19].replace("T", " ")
    record = f'<br/><font size="6" color="#666666">{escape(event.record)} · {event.hash[:12]}…</font>'
    what = escape(event.what.replace("_", " "))
    return [escape(when), escape(event.by), what, escape(event.subject), details, escape(event.why) + record]
