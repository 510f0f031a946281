"""A comparison as an HTML page that needs nothing beside it, or as a part of another page."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from inspection.equivalence import wording
from inspection.equivalence.comparison import check_plain
from inspection.equivalence.pairs import OUTCOMES
from inspection.equivalence.plots import difference_plot, score_plot

MOST_GROUPS = 50
_TEMPLATES = Path(__file__).parent.parent / "templates"


def render_page(answer: Mapping[str, Any]) -> bytes:
    """The page for `Comparison.plain()`. Raises PairsInvalid for something else."""
    return _rendered("equivalence.html", answer).encode("utf-8", "replace")


def render_part(answer: Mapping[str, Any]) -> str:
    """The body alone, from `h2` down, without styles and without pictures, whose classes are those of the page. Raises
    PairsInvalid."""
    return _rendered("_equivalence.html", answer)


def _rendered(name: str, answer: Mapping[str, Any]) -> str:
    check_plain(answer)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "share": wording.share_words, "difference": wording.difference_words, "percent": wording.percent,
        "number": wording.number, "p": wording.p_words, "left_out": wording.left_out_words,
    }  # fmt: skip
    plots = {} if name.startswith("_") else {"differences": difference_plot(answer), "scores": score_plot(answer)}
    return environment.get_template(name).render(
        answer=answer,
        outcomes=OUTCOMES,
        interval=wording.interval_words,
        plots={key: _address(data) for key, data in plots.items() if data is not None},
        most=MOST_GROUPS,
    )


def _address(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")
