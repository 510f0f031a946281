"""How our documents look on paper: greys, DejaVu Sans (it comes with matplotlib), page x of y."""

from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, Table, TableStyle

GREY, LINE, DARK = HexColor("#eef0f1"), HexColor("#c4c9cc"), HexColor("#22282b")
FONT, BOLD, MONO = "DejaVu", "DejaVu-Bold", "DejaVu-Mono"
WIDTH = 186 * mm  # of an A4 page between our margins


@cache
def _fonts() -> None:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name, file in ((FONT, "DejaVuSans"), (BOLD, "DejaVuSans-Bold"), (MONO, "DejaVuSansMono")):
        pdfmetrics.registerFont(TTFont(name, folder / f"{file}.ttf"))
    pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)


def styles() -> dict[str, ParagraphStyle]:
    """Paragraphs by what they are: title, text, head and cell of a table."""
    _fonts()
    text = ParagraphStyle("text", fontName=FONT, fontSize=9, leading=12, textColor=DARK)
    return {
        "text": text,
        "title": ParagraphStyle("title", text, fontName=BOLD, fontSize=16, leading=22),
        "h2": ParagraphStyle("h2", text, fontName=BOLD, fontSize=10, leading=14, spaceBefore=8, spaceAfter=3),
        "head": ParagraphStyle("head", text, fontName=BOLD, fontSize=7.5, leading=10),
        "cell": ParagraphStyle("cell", text, fontSize=7, leading=9, wordWrap="CJK"),
    }


def table(rows: Sequence[Sequence[str]], style: Any, widths: Sequence[float], *, head: bool = True) -> Table:
    """Rows of texts in columns of these widths, ruled; the first row is the head unless `head` says no."""
    cells = [
        [Paragraph(escape(text), style["head" if head and not number else "cell"]) for text in row]
        for number, row in enumerate(rows)
    ]
    made = Table(cells, colWidths=widths, repeatRows=1 if head else 0)
    rules: list[Any] = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, -1), 0.3, LINE),
                        ("LEFTPADDING", (0, 0), (-1, -1), 3), ("TOPPADDING", (0, 0), (-1, -1), 2)]  # fmt: skip
    made.setStyle(TableStyle(rules + ([("BACKGROUND", (0, 0), (-1, 0), GREY)] if head else [])))
    return made


def box(text: str, style: Any) -> Table:
    """A warning across the page."""
    made = Table([[Paragraph("▲ " + escape(text), style["head"])]], colWidths=[WIDTH])
    made.setStyle(TableStyle([("BOX", (0, 0), (-1, -1), 1.2, DARK), ("BOTTOMPADDING", (0, 0), (-1, -1), 5)]))
    return made


class numbered(Canvas):  # type: ignore[misc]  # noqa: N801  # reportlab calls it like a function
    """A canvas that writes a footer and `page x of y`, once it knows y."""

    def __init__(self, *arguments: Any, footer: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._footer = footer
        self._states: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802
        self._states.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, state in enumerate(list(self._states), 1):
            self.__dict__.update(state)
            self.setFont(FONT, 7)
            self.setFillColor(DARK)
            width = self._pagesize[0]
            self.drawString(12 * mm, 8 * mm, self._footer)
            self.drawRightString(width - 12 * mm, 8 * mm, f"page {number} of {len(self._states)}")
            super().showPage()
        super().save()
