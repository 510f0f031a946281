"""The summary of a re-inspection on paper: what was inspected with what, what changes, and the hashes of the files that
hold it all, so that a signature under this page is one under them."""

import io
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.platypus import KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from inspection.pdf_style import GREY, LINE, numbered, styles
from inspection.reinspect_report import per_package
from inspection.reinspect_tally import Tally
from inspection.verdict import Outcome

_OUTCOMES = [str(outcome) for outcome in (Outcome.PASS, Outcome.REVIEW, Outcome.REJECT)]
_MOST_STATIONS = 12


def summary_pdf(summary: Mapping[str, Any], tallies: Sequence[Tally], hashes: Mapping[str, str]) -> bytes:
    """An A4 document of `result.json`'s content; `hashes` are SHA-256 in hex by file name. The same content gives the
    same bytes: it names no time but the source's."""
    style = styles()
    story: list[Any] = [Paragraph("Re-inspection", style["title"]), _about(summary, style)]
    for said, tally in zip(per_package(summary), tallies, strict=True):
        story.append(KeepTogether(_package(said, tally, style)))
    story.append(KeepTogether([
        Paragraph("Files", style["h2"]),
        _table([["File", "SHA-256"], *([name, digest] for name, digest in hashes.items())], style, (40, 146)),
    ]))  # fmt: skip
    out = io.BytesIO()
    names = ", ".join(f"{said['package']['name']} {said['package']['version']}" for said in per_package(summary))
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=12 * mm, rightMargin=12 * mm, topMargin=12 * mm, bottomMargin=16 * mm,
        title=f"Re-inspection with {names}", author=f"pharma-inspection {summary['software']}", invariant=True,
    )  # fmt: skip
    footer = f"run {summary['run']} · pharma-inspection {summary['software']}"
    document.build(story, canvasmaker=partial(numbered, footer=footer, invariant=1))
    return out.getvalue()


def _about(summary: Mapping[str, Any], style: Any) -> Any:
    source, truths = summary["source"], summary["truths"]
    only = "; ".join(
        f"{name} {value if isinstance(value, str) else ' or '.join(value)}"
        for name, value in summary["filters"].items()
    )
    rows = [
        ["Source", f"{source['kind']} {source['folder']}"],
        ["Only", only or "everything"],
        [
            "Units",
            f"{summary['units']:,} with {summary['frames']:,} images; {summary['without_image']:,} without image",
        ],
        ["Reviewed", f"{truths['defective']:,} defective and {truths['good']:,} good by reviewers' decisions"],
    ]
    stations = source.get("stations", {})
    for station, head in list(stations.items())[:_MOST_STATIONS]:
        rows.append([f"Station {station}", f"up to record {head['sequence']}, hash {head['hash']}"])
    if len(stations) > _MOST_STATIONS:
        rows.append(["", f"and {len(stations) - _MOST_STATIONS} more stations; see result.json"])
    return _table(rows, style, (34, 152), head=False)


def _package(said: Mapping[str, Any], tally: Tally, style: Any) -> list[Any]:
    parts = [("Package", said["package"])]
    parts += [("Classifier", said["classifier"])] if "classifier" in said else []
    limits = said["limits"]["package"]
    rows = [[what, f"{one['name']} {one['version']}, SHA-256 {one['sha256']}"] for what, one in parts]
    rows.append(["Limits", "those recorded with each unit" if said["limits"]["from"] == "recorded" else
                 f"review {limits['review_limit']:.6g}, reject {limits['reject_limit']:.6g}"])  # fmt: skip
    rows.append(["Runtime", said["runtime"]])
    rows.append(["Verdicts", ", ".join(f"{said['verdicts'][outcome]:,} {outcome}" for outcome in _OUTCOMES)])
    shift = said["largest_score_difference"]
    rows += [["Changed", f"{tally.changed:,} of {tally.units:,} verdicts"]] if said["agreement"] else []
    rows += [] if shift is None else [["Largest score shift", f"{shift:.4g}"]]
    rows.append(["Not inspectable", f"{tally.unreadable:,} images or records; they count as REJECT"])
    label = f"{said['package']['name']} {said['package']['version']}"
    flow = [Paragraph(escape(label), style["h2"]), _table(rows, style, (34, 152), head=False)]
    if said["agreement"]:
        matrix = [["recorded", *(f"now {outcome}" for outcome in _OUTCOMES), "all"]]
        for old in [
            one for one in (*_OUTCOMES, *sorted(set(said["agreement"]) - {*_OUTCOMES})) if one in said["agreement"]
        ]:
            row = said["agreement"][old]
            matrix.append([old, *(f"{row[new]:,}" for new in _OUTCOMES), f"{sum(row.values()):,}"])
        flow += [Spacer(1, 2 * mm), _table(matrix, style, (40, 32, 32, 32, 32))]
    return flow


def _table(rows: Sequence[Sequence[str]], style: Any, widths: Sequence[float], head: bool = True) -> Any:
    cells = [
        [Paragraph(escape(text), style["head" if head and not number else "cell"]) for text in row]
        for number, row in enumerate(rows)
    ]
    made = Table(cells, colWidths=[width * mm for width in widths], repeatRows=int(head), hAlign="LEFT")
    rules = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, -1), 0.3, LINE),
             ("LEFTPADDING", (0, 0), (-1, -1), 3), ("RIGHTPADDING", (0, 0), (-1, -1), 3)]  # fmt: skip
    made.setStyle(TableStyle(rules + ([("BACKGROUND", (0, 0), (-1, 0), GREY)] if head else [])))
    return made
