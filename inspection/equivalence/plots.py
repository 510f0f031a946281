"""Pictures of a comparison: differences with their intervals and margins, and scores beside scores."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_INK, _SOFT, _LINE, _ACT = "#24272b", "#6a7077", "#c4c9cc", "#a3271f"
_MOST_ROWS = 14
_STYLE: Any = {
    "font.size": 8, "font.family": "DejaVu Sans", "svg.hashsalt": "inspection", "text.parse_math": False,
    "text.color": _INK, "axes.edgecolor": _LINE, "axes.labelcolor": _SOFT, "xtick.color": _SOFT, "ytick.color": _INK,
}  # fmt: skip
Kind = Literal["svg", "png"]


def difference_plot(answer: Mapping[str, Any], kind: Kind = "svg") -> bytes | None:
    """The difference of the detection rates, as a whole and for each defect class and camera, and that of the false
    rejects, with intervals; dashed is the margin, red what is not shown to be within it. None without truth."""
    rows = _rows(answer)
    if not rows:
        return None
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.6, 0.7 + 0.27 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for place, (name, rates, worse) in enumerate(rows):
            value, low, high = (100 * rates[key] for key in ("difference", "low", "high"))
            colour = _INK if rates["within"] else _ACT
            axes.plot([low, high], [place, place], color=colour, linewidth=1.4, solid_capstyle="butt")
            axes.plot([value], [place], "o", color=colour, markersize=4)
            edge = 100 * worse * rates["margin"]
            axes.plot([edge, edge], [place - 0.42, place + 0.42], "--", color=_SOFT, linewidth=1)
            axes.annotate(name, (0, place), xycoords=("axes fraction", "data"), xytext=(-6, 0),
                          textcoords="offset points", ha="right", va="center")  # fmt: skip
        axes.axvline(0, color=_LINE, linewidth=1)
        axes.set(ylim=(len(rows) - 0.4, -0.6), yticks=[], xlabel="new less old, percentage points")
        _bare(axes)
        return _saved(figure, kind)


def score_plot(answer: Mapping[str, Any], kind: Kind = "svg") -> bytes | None:
    """Old against new scores with the limits of both packages, and their differences against their means with the
    limits of agreement (Bland and Altman 1986). Red units are decided differently. None without scores."""
    points = answer["points"]
    if not points:
        return None
    scores = answer["figures"]["scores"]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.6, 3.1), layout="constrained")
        left, right = figure.subplots(1, 2)
        for changed, colour in ((False, _SOFT), (True, _ACT)):
            some = [(old, new) for old, new, other in points if bool(other) == changed]
            style = {"color": colour, "markersize": 2.6, "alpha": 0.9 if changed else 0.45, "markeredgewidth": 0}
            left.plot([old for old, _ in some], [new for _, new in some], "o", **style)
            right.plot([(old + new) / 2 for old, new in some], [new - old for old, new in some], "o", **style)
        for side, line in (("old", left.axvline), ("new", left.axhline)):
            limits = (answer["about"].get(side) or {}).get("limits") or {}
            for name in ("review_limit", "reject_limit"):
                if limits.get(name) is not None:
                    line(limits[name], color=_SOFT, linewidth=0.8, linestyle="--" if name[2] == "v" else "-")
        left.set(xlabel="old score", ylabel="new score", title="scores")
        for value in (scores["low_limit"], scores["mean_difference"], scores["high_limit"]):
            if value is not None:
                right.axhline(value, color=_SOFT, linewidth=0.8, linestyle="--")
        right.set(xlabel="mean of both scores", ylabel="new less old score", title="differences")
        for axes in (left, right):
            _bare(axes)
        return _saved(figure, kind)


def _rows(answer: Mapping[str, Any]) -> Sequence[tuple[str, Mapping[str, Any], int]]:
    """Name, rates, and on which side of 0 the margin lies."""
    whole = answer["figures"]
    rows = [("detection", whole["detection"], -1)]
    for title, kind in (("", "defects"), ("camera ", "cameras")):
        rows += [(f"{title}{group['name']}", group["figures"]["detection"], -1) for group in answer[kind]]
    rows = [*rows[: _MOST_ROWS - 1], ("false rejects", whole["false_reject"], 1)]
    return [(f"{name[:40]} (n = {rates['old']['total']:,})", rates, side) for name, rates, side in rows
            if rates["difference"] is not None]  # fmt: skip


def _bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.title.set_fontsize(8.5)
    axes.title.set_color(_INK)


def _saved(figure: Figure, kind: Kind) -> bytes:
    """Without a time in it: the same answer gives the same bytes."""
    out = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(out, format=kind, metadata=metadata, dpi=200)
    return out.getvalue()
