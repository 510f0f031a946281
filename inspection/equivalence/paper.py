"""A comparison on paper, to be signed."""

import io
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.platypus import CondPageBreak, Image, KeepTogether, Paragraph, SimpleDocTemplate, Spacer

from inspection.equivalence.comparison import check_plain
from inspection.equivalence.pairs import OUTCOMES
from inspection.equivalence.plots import difference_plot, score_plot
from inspection.equivalence.verdict import AGREES, EQUIVALENT
from inspection.equivalence.wording import (
    counted,
    difference_words,
    interval_words,
    left_out_words,
    number,
    p_words,
    percent,
    share_words,
)
from inspection.pdf_style import WIDTH, box, numbered, styles, table

MOST_GROUPS, MOST_UNITS = 40, 20
Rows = list[list[str]]


def render_pdf(answer: Mapping[str, Any], by: str) -> bytes:
    """An A4 document for `Comparison.plain()`; `by` is who prints it. It names no time: the same answer gives the same
    bytes. Raises PairsInvalid for something else."""
    check_plain(answer)
    style = styles()
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=12 * mm, rightMargin=12 * mm, topMargin=12 * mm, bottomMargin=16 * mm,
        title=f"Comparison: {answer['verdict']['word']}", author=by, invariant=True,
    )  # fmt: skip
    footer = f"comparison of {answer['figures']['units']:,} units · {answer['verdict']['word']} · printed by {by}"
    document.build(_story(answer, style), canvasmaker=partial(numbered, footer=footer, invariant=1))
    return out.getvalue()


def _story(answer: Mapping[str, Any], style: Any) -> list[Any]:
    verdict, figures = answer["verdict"], answer["figures"]
    story: list[Any] = [Paragraph(escape(f"New and old package: {verdict['word']}"), style["title"])]
    sentence = verdict["sentence"]
    good_news = verdict["word"] in (EQUIVALENT, AGREES)
    story += [Paragraph(escape(sentence), style["text"]) if good_news else box(sentence, style), Spacer(1, 3 * mm)]
    story += [table(_about(answer), style, (34 * mm, 152 * mm), head=False)]
    story += _section("Rates where the truth is known", _rates(figures), style, (24, 42, 42, 38, 16, 24))
    story += _section("How many units it takes", _needs(verdict), style, (46, 40, 40, 60))
    story += _picture(difference_plot(answer, "png"))
    story += _section("Decisions of both", _matrix(figures["agreement"]), style, (66, 40, 40, 40))
    gap = Spacer(1, 2 * mm)
    story += [gap, Paragraph(escape(verdict["agreement_sentence"]), style["text"]), gap]
    story += [table(_agreement(figures), style, (46 * mm, 140 * mm), head=False)]
    escapes = answer["changes"]["escapes"]
    if escapes:
        story += _section(
            "Defective units that would newly pass (all)", _units(escapes), style, (40, 40, 28, 26, 26, 26)
        )
    for way in answer["changes"]["directions"]:
        if way["count"]:
            shown = way["units"][:MOST_UNITS]
            title = f"{way['old']} to {way['new']}: {counted(way['count'])}, {way['defective']:,} defective, "
            title += f"{way['good']:,} good, {way['unknown']:,} not known"
            title += f"; the worst {len(shown)}" if len(shown) < way["count"] else ""
            story += _section(title, _units(shown), style, (40, 40, 28, 26, 26, 26))
    for name, kind in (("Defects", "defects"), ("Cameras", "cameras"), ("Batches", "batches")):
        if answer[kind]:
            more = len(answer[kind]) + (answer["batches_left_out"] if kind == "batches" else 0) - MOST_GROUPS
            title = f"{name}, {MOST_GROUPS} shown, {more:,} not" if more > 0 else name
            story += _section(title, _groups(answer[kind][:MOST_GROUPS]), style, (40, 18, 18, 46, 46, 18))
    return [*story, *_picture(score_plot(answer, "png"))]


def _about(answer: Mapping[str, Any]) -> Rows:
    figures, about, margins = answer["figures"], answer["about"], answer["margins"]
    rows = []
    for name, side in (("Old", about.get("old")), ("New", about.get("new"))):
        if side:
            made_by = ", ".join(f"{package} ({count:,} units)" for package, count in side["packages"].items())
            rows.append([name, f"{made_by}, SHA-256 {side['sha256']}" if side["sha256"] else made_by])
    rows += [["File", f"{file['name']}, SHA-256 {file['sha256']}"] for file in about.get("files", [])]
    if shadow := about.get("shadow"):
        failed = "".join(f"; no finding, counted as REJECT: {count:,} ({reason})"
                         for reason, count in shadow["failed"].items())  # fmt: skip
        rows.append(["Shadow", f"on the live line, trial {shadow['trial']['trial']}, records {shadow['first']} to "
                     f"{shadow['last']}{failed}"])  # fmt: skip
    counts = ", ".join(f"{figures[key]:,} {name}" for key, name in
                       (("defective", "defective"), ("good", "good"), ("unknown", "not known")))  # fmt: skip
    rows.append(["Units compared", f"{figures['units']:,}: {counts}"])
    rows += [["Left out", words] for words in left_out_words(answer["left_out"])]
    if answer["repeated"]:
        rows.append(["Inspected again", f"{answer['repeated']:,} units several times: intervals are too narrow"])
    rows.append(["Margins", f"detection may fall by less than {percent(margins['detection'])}, false rejects rise by "
                 f"less than {percent(margins['false_reject'])}"])  # fmt: skip
    rows.append(["Intervals", f"at {percent(margins['confidence'])}: exact for a rate, Tango's for a difference"])
    rows.append(["Format", f"{answer['format']}, pharma-inspection {answer['software']}"])
    return rows


def _rates(figures: Mapping[str, Any]) -> Rows:
    rows = [["Rate of stopped units", "Old", "New", "New less old", "Margin", "Within"]]
    for name, key, sign in (("detection", "detection", "−"), ("false rejects", "false_reject", "+")):
        one = figures[key]
        within = f"{'shown' if one['within'] else 'NOT SHOWN'}, p {p_words(one['p_value'])}"
        rows.append([name, share_words(one["old"]), share_words(one["new"]), difference_words(one),
                     f"{sign}{percent(one['margin'])}", within])  # fmt: skip
    return rows


def _needs(verdict: Mapping[str, Any]) -> Rows:
    rows = [["Units known to be", "There are", "At least", "If as many change as here"]]
    for name in ("defective", "good"):
        need = verdict[name]
        wanted = "no number: beyond the margin" if need["for_power"] is None else f"{need['for_power']:,}"
        rows.append([name, f"{need['have']:,}", f"{need['at_least']:,}", wanted])
    return rows


def _matrix(agreement: Mapping[str, Any]) -> Rows:
    head = ["old", *(f"new {outcome}" for outcome in OUTCOMES)]
    return [head, *([old, *(f"{count:,}" for count in row)]
                    for old, row in zip(OUTCOMES, agreement["table"], strict=True))]  # fmt: skip


def _agreement(figures: Mapping[str, Any]) -> Rows:
    agreement, scores = figures["agreement"], figures["scores"]
    rows = [["Cohen's kappa", interval_words(agreement["kappa"], agreement["low"], agreement["high"])]]
    for name, key in (("McNemar, all units", "mcnemar"), ("McNemar, truth known", "mcnemar_with_truth")):
        one = figures[key]
        rows.append([name, f"{one['lost']:,} newly pass, {one['gained']:,} newly stopped; exact p "
                     f"{p_words(one['p_exact'])}, mid-p {p_words(one['p_mid'])}"])  # fmt: skip
    for name in ("spearman", "pearson"):
        one = scores[name]
        rows.append([f"{name.capitalize()} of scores", interval_words(one["value"], one["low"], one["high"])])
    rows.append(["Scores, new less old", f"mean {number(scores['mean_difference'])}, limits of agreement "
                 f"{number(scores['low_limit'])} to {number(scores['high_limit'])}, largest "
                 f"{number(scores['largest_difference'])}"])  # fmt: skip
    return rows


def _units(units: Sequence[Mapping[str, Any]]) -> Rows:
    rows = [["Unit", "Record", "Batch", "Old", "New", "Truth"]]
    return rows + [
        [one["unit"], one["record"] or "–", one["batch"] or "–", f"{one['old']} {number(one['old_score'])}",
         f"{one['new']} {number(one['new_score'])}", ", ".join(one["defects"]) or one["truth"] or "not known"]
        for one in units
    ]  # fmt: skip


def _groups(groups: Sequence[Mapping[str, Any]]) -> Rows:
    rows = [["Name", "Units", "Changed", "Detection, new less old", "False rejects, new less old", "Kappa"]]
    for group in groups:
        one = group["figures"]
        rows.append([group["name"], f"{one['units']:,}", f"{one['changed']:,}", difference_words(one["detection"]),
                     difference_words(one["false_reject"]), number(one["agreement"]["kappa"])])  # fmt: skip
    return rows


def _section(title: str, rows: Rows, style: Any, widths: Sequence[float]) -> list[Any]:
    made = [Paragraph(escape(title), style["h2"]), table(rows, style, [width * mm for width in widths])]
    return [KeepTogether(made)] if len(rows) < 12 else [CondPageBreak(40 * mm), *made]


def _picture(png: bytes | None) -> list[Any]:
    if png is None:
        return []
    picture = Image(io.BytesIO(png))
    scale = min(WIDTH * 0.9 / picture.imageWidth, 150 * mm / picture.imageHeight)
    picture.drawWidth, picture.drawHeight = picture.imageWidth * scale, picture.imageHeight * scale
    return [Spacer(1, 3 * mm), picture]
