"""The summary of a re-inspection on paper: what was inspected with what, what changes, and the hashes of the files that
hold it all, so that a signature under this page is one under them."""

import io
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.platypus import KeepTogether, Paragraph, SimpleDocTemplate, Spacer

from inspection.equivalence.verdict import AGREES, EQUIVALENT
from inspection.equivalence.wording import difference_words, p_words, share_words
from inspection.pdf_style import box, numbered, styles, table
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
        table([["File", "SHA-256"], *([name, digest] for name, digest in hashes.items())], style, (40 * mm, 146 * mm)),
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
    return table(rows, style, (34 * mm, 152 * mm), head=False)


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
    flow = [Paragraph(escape(label), style["h2"]), table(rows, style, (34 * mm, 152 * mm), head=False)]
    if said["agreement"]:
        matrix = [["recorded", *(f"now {outcome}" for outcome in _OUTCOMES), "all"]]
        for old in [
            one for one in (*_OUTCOMES, *sorted(set(said["agreement"]) - {*_OUTCOMES})) if one in said["agreement"]
        ]:
            row = said["agreement"][old]
            matrix.append([old, *(f"{row[new]:,}" for new in _OUTCOMES), f"{sum(row.values()):,}"])
        flow += [Spacer(1, 2 * mm), table(matrix, style, (40 * mm, *[32 * mm] * 4))]
    return flow + _compared(said.get("comparison"), style)


def _compared(answer: Mapping[str, Any] | None, style: Any) -> list[Any]:
    """Whether the package is as good as what decided then."""
    if not answer:
        return []
    gap = Spacer(1, 2 * mm)
    if "verdict" not in answer:
        return [
            gap,
            Paragraph(escape(f"Not compared with what was recorded: {answer['not_compared']}."), style["text"]),
        ]
    verdict, figures = answer["verdict"], answer["figures"]
    sentence = verdict["sentence"]
    good_news = verdict["word"] in (EQUIVALENT, AGREES)
    rows = [["Rate where the truth is known", "Old", "New", "New less old", "p of the test"]]
    for name, key in (("Detection", "detection"), ("False rejects", "false_reject")):
        rates = figures[key]
        rows.append([name, share_words(rates["old"]), share_words(rates["new"]), difference_words(rates),
                     p_words(rates["p_value"])])  # fmt: skip
    told = Paragraph(escape(sentence), style["text"]) if good_news else box(sentence, style)
    return [gap, told, gap, table(rows, style, (40 * mm, 42 * mm, 42 * mm, 42 * mm, 20 * mm)), gap,
            Paragraph(escape(verdict["agreement_sentence"]), style["text"])]  # fmt: skip
