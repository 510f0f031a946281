"""The batch report on paper."""

import io
from functools import partial
from html import escape
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.platypus import Image, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table

from inspection.archive import Archive
from inspection.batch_account import BatchAccount
from inspection.errors import InspectionError
from inspection.frames import FrameWrongFormat, Pixels, decode_frame, encode_png
from inspection.heatmap import decode_heatmap, overlay
from inspection.pdf_style import WIDTH, box, numbered, styles, table
from inspection.record_findings import deciding_limits
from inspection.records import Entry, utc_text
from inspection.verdict import Outcome


def batch_pdf(archive: Archive, account: BatchAccount, by: str, now: str | None = None) -> bytes:
    """An A4 document. `by` is who prints it, `now` when (UTC)."""
    style = styles()
    printed = (now or utc_text())[:19].replace("T", " ")
    story: list[Any] = [Paragraph("Batch report", style["title"]), *_summary(account, style)]
    story += _section("Units", _units(account), style, (62 * mm, 31 * mm, 62 * mm, 31 * mm))
    story += _section("Recipes and packages that ran", _ran(account), style, (38 * mm, 82 * mm, 16 * mm, 50 * mm))
    story += _section("Sampling of the units that passed (ISO 2859-1, level II)", _acceptance(account), style,
                      (34 * mm, 20 * mm, 26 * mm, 26 * mm, 26 * mm, 26 * mm, 28 * mm))  # fmt: skip
    story += _section("Events while it ran", _events(account), style, (150 * mm, 36 * mm))
    story += [KeepTogether(_section("Signatures", _signatures(account), style, (40 * mm, 26 * mm, 40 * mm, 80 * mm)))]
    story += _section(
        "Where the chains stood at its end", _heads(account), style, (30 * mm, 20 * mm, 104 * mm, 32 * mm)
    )
    if account.worst:
        story += [Paragraph("Units furthest above their limit", style["h2"]), _pictures(archive, account, style)]
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=12 * mm, rightMargin=12 * mm, topMargin=12 * mm, bottomMargin=16 * mm,
        title=f"Batch report {account.batch}", author=by, invariant=True,
    )  # fmt: skip
    footer = f"batch {account.batch} · printed {printed} UTC by {by}"
    document.build(story, canvasmaker=partial(numbered, footer=footer))
    return out.getvalue()


def _summary(account: BatchAccount, style: Any) -> list[Any]:
    rows = [
        ["Batch", account.batch], ["Product", ", ".join(account.products)], ["Station", ", ".join(account.stations)],
        ["Time (UTC)", f"{_time(account.first_at)} to {_time(account.last_at)}"],
        ["Begun by", _by(account.started)], ["Ended by", _by(account.stopped)],
        *([["Challenge kit", _challenge(account.challenge)]] if account.challenge else []),
    ]  # fmt: skip
    warnings = []
    if account.stopped is None:
        warnings.append(
            "The batch was not stopped: its counts may still change, and nothing says how many units came by."
        )
    elif not account.reconciled:
        warnings.append(f"NOT RECONCILED: {account.triggered} units came by, and {account.totals.units} are on record.")
    if account.challenge and account.challenge.get("overridden"):
        warnings.append("The challenge kit was NOT PASSED before this batch: its start was overridden.")
    if not account.signatures:
        warnings.append("Not signed.")
    for signature in account.signatures:
        if signature.fault:
            warnings.append(f"The signature of {signature.full_name} does not hold: {signature.fault}.")
    boxes = [box(text, style) for text in warnings]
    return [table(rows, style, (34 * mm, 152 * mm), head=False), Spacer(1, 3 * mm), *boxes]


def _units(account: BatchAccount) -> list[list[str]]:
    totals = account.totals
    reasons = list(totals.reasons.items())
    left = [["triggered, as the line counted", "unknown" if account.triggered is None else str(account.triggered)]]
    names = {Outcome.PASS: "passed", Outcome.REVIEW: "undecided", Outcome.REJECT: "rejected"}
    left += [[names[Outcome(name)], str(count)] for name, count in totals.outcomes.items()]
    left += [["on record", str(totals.units)], ["reconciled", "yes" if account.reconciled else "NO"]]
    left += [[f"worst defect named: {name}", str(count)] for name, count in totals.severities.items() if count]
    rows = [["Units", "", "By reason", ""]]
    for index in range(max(len(left), len(reasons))):
        right = [reasons[index][0].replace("_", " "), str(reasons[index][1])] if index < len(reasons) else ["", ""]
        rows.append([*(left[index] if index < len(left) else ["", ""]), *right])
    return rows


def _ran(account: BatchAccount) -> list[list[str]]:
    head = ["Recipe", "Package (SHA-256)", "Units", "From – to (UTC)"]
    return [head, *([one.recipe, one.package, str(one.units), f"{_time(one.first_at)} – {_time(one.last_at)[11:]}"]
                    for one in account.ran)]  # fmt: skip


def _acceptance(account: BatchAccount) -> list[list[str]]:
    rows = [["Severity", "AQL %", "Sample", "Accept", "Reject", "Found", "Decision"]]
    for one in account.acceptance:
        plan = (one.plan.sample, one.plan.accept, one.plan.reject) if one.plan else ("–", "–", "–")
        decision = f"{one.missing} more to look at" if one.decision == "open" and one.missing else one.decision
        rows.append([one.severity, f"{one.aql:g}", *(str(part) for part in plan), str(one.found), decision])
    return rows


def _events(account: BatchAccount) -> list[list[str]]:
    return [["Event", "Count"], *([name.replace("_", " "), str(count)] for name, count in account.events.items())]


def _signatures(account: BatchAccount) -> list[list[str]]:
    rows = [["Name", "Meaning", "Time (UTC)", "Reason, and what was signed"]]
    for one in account.signatures:
        name = f"{one.full_name} ({one.by})"
        rows.append([name, one.meaning, _time(one.at), f"{one.why} · {one.signs}, SHA-256 {one.hash}"])
    return rows if len(rows) > 1 else [*rows, ["nobody has signed", "", "", ""]]


def _heads(account: BatchAccount) -> list[list[str]]:
    rows = [["Station", "Record", "SHA-256", "Signed head"]]
    return rows + [[one.station, str(one.sequence), one.hash, one.signed or "not signed"] for one in account.heads]


def _pictures(archive: Archive, account: BatchAccount, style: Any) -> Table:
    """Two units side by side, each with its image and the heatmap over it."""
    cells = [_unit(archive, entry, style) for entry in account.worst]
    cells += [[]] * (len(cells) % 2)
    return Table(list(zip(cells[::2], cells[1::2], strict=True)), colWidths=[WIDTH / 2] * 2, hAlign="LEFT")


def _unit(archive: Archive, entry: Entry, style: Any) -> list[Any]:
    limit = f"{entry.reject_limit:.3g}" if entry.reject_limit is not None else "none"
    said = f"{entry.name} · unit {entry.unit} · score {entry.score:.3g}, reject from {limit} · {entry.reason}"
    pictures: list[Any] = [_picture(data) for data in _images(archive, entry)]
    pictures = pictures or [Paragraph("no image is kept", style["cell"])]
    return [Table([pictures], hAlign="LEFT"), Paragraph(escape(said), style["cell"]), Spacer(1, 2 * mm)]


def _images(archive: Archive, entry: Entry) -> list[bytes]:
    """The image of the frame with the highest score, and its heatmap over it."""
    kept = [frame for frame in entry.frames if frame.image]
    if not kept:
        return []
    frame = max(kept, key=lambda one: one.score if one.score is not None else float("inf"))
    try:
        pixels = _decoded(archive.images.get(str(frame.image)), str(frame.image))
        limits = deciding_limits(entry)
        if frame.heatmap is None or limits is None:
            return [encode_png(pixels)]
        over = overlay(pixels, decode_heatmap(archive.images.get(frame.heatmap), frame.heatmap), limits)
        return [encode_png(pixels), encode_png(over)]
    except InspectionError:  # missing, changed, or no image at all: `verify` says which
        return []


def _decoded(data: bytes, name: str) -> Pixels:
    """Of whichever colour it is: the report has no package that says it."""
    try:
        return decode_frame(data, name)
    except FrameWrongFormat:
        return decode_frame(data, name, "mono")


def _picture(data: bytes) -> Image:
    picture = Image(io.BytesIO(data))
    scale = min(40 * mm / picture.imageWidth, 44 * mm / picture.imageHeight)
    picture.drawWidth, picture.drawHeight = picture.imageWidth * scale, picture.imageHeight * scale
    return picture


def _section(title: str, rows: list[list[str]], style: Any, widths: tuple[float, ...]) -> list[Any]:
    return [Paragraph(title, style["h2"]), table(rows, style, widths), Spacer(1, 2 * mm)]


def _time(at: str) -> str:
    return at[:19].replace("T", " ")


def _challenge(said: dict[str, Any]) -> str:
    kit = said.get("kit") or {}
    what = "OVERRIDDEN" if said.get("overridden") else f"passed with {kit.get('name')} {kit.get('version')}"
    return f"{what}, {said.get('by')}, {_time(str(said.get('at')))}: {said.get('why')} [{said.get('record')}]"


def _by(entry: Entry | None) -> str:
    if entry is None:
        return "not on record"
    return f"{entry.details.get('by')}, {_time(entry.recorded_at)}: {entry.details.get('why', '')} [{entry.name}]"
