"""Pictures of an evaluation: score histogram with the limits, ROC curve, and the worst errors with their heatmaps."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from inspection.files import make_folder, write_durably
from inspection.frames import Colour, read_frame
from inspection.heatmap import overlay
from inspection.verdict import Limits, Outcome
from training.evaluate import Scored
from training.metrics import roc

GOOD, DEFECTIVE, LIMIT = "#4c72b0", "#c44e52", "#333333"
_TILE = 240
_LABEL = 20


def write_plots(folder: Path, scored: Sequence[Scored], limits: Limits, colour: Colour, title: str) -> list[Path]:
    """Write `scores.png`, `roc.png` and `errors.png` (missed defects and false rejects, worst first) into `folder`."""
    make_folder(folder)
    drawn = {"scores.png": _histogram(scored, limits, title)}
    if {item.defective for item in scored} == {False, True}:
        drawn["roc.png"] = _roc(scored, limits, title)
    drawn["errors.png"] = _errors(scored, limits, colour, title)
    return [save(figure, folder / name) for name, figure in drawn.items()]


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, the same bytes for the same picture; returns `path`."""
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=110, metadata={"Software": None})
    write_durably(path, picture.getvalue())
    return path


def _histogram(scored: Sequence[Scored], limits: Limits, title: str) -> Figure:
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    scores = np.array([item.score for item in scored])
    bins = np.linspace(min(scores.min(), 0.0), max(scores.max(), limits.reject_limit) * 1.02, 50)
    for wanted, colour, name in ((False, GOOD, "good"), (True, DEFECTIVE, "defective")):
        chosen = [item.score for item in scored if item.defective is wanted]
        axes.hist(chosen, bins=bins.tolist(), color=colour, alpha=0.7, label=f"{name} ({len(chosen)})")
    axes.axvline(limits.review_limit, color=LIMIT, linestyle="--", label=f"review limit {limits.review_limit:.3g}")
    axes.axvline(limits.reject_limit, color=LIMIT, linestyle="-", label=f"reject limit {limits.reject_limit:.3g}")
    axes.set(title=f"{title}: scores", xlabel="score", ylabel="images")
    tidy(axes)
    axes.legend(frameon=False)
    return figure


def _roc(scored: Sequence[Scored], limits: Limits, title: str) -> Figure:
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    truth = np.array([item.defective for item in scored])
    scores = np.array([item.score for item in scored])
    false_positive, true_positive = roc(scores, truth)
    axes.plot(false_positive, true_positive, color=DEFECTIVE, drawstyle="steps-post")
    for limit, marker, name in ((limits.review_limit, "o", "review limit"), (limits.reject_limit, "s", "reject limit")):
        stopped = scores >= limit
        axes.plot(stopped[~truth].mean(), stopped[truth].mean(), marker, color=LIMIT, label=f"at the {name}")
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8)
    axes.set(title=f"{title}: ROC", xlabel="good units stopped", ylabel="defective units stopped", aspect="equal")
    tidy(axes)
    axes.legend(frameon=False, loc="lower right")
    return figure


def _errors(scored: Sequence[Scored], limits: Limits, colour: Colour, title: str, most: int = 6) -> Figure:
    """Two rows of pairs, picture and overlay: defective units that passed or nearly did, good ones that did not."""
    defective = sorted((item for item in scored if item.defective), key=lambda item: item.score)
    good = sorted((item for item in scored if not item.defective), key=lambda item: -item.score)
    rows = [("lowest-scoring defective", defective[:most]), ("highest-scoring good", good[:most])]
    columns = max(1, *(len(items) for _, items in rows))
    height, width = read_frame(scored[0].path, colour).pixels.shape[:2]
    figure = Figure(figsize=(2.3 * columns, 4 * 2.3 * height / width + 1.2), layout="constrained")
    figure.suptitle(f"{title}: worst first; framed: wrong at the limits; colours up to each image's own score")
    grid = figure.subplots(4, columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for row, (name, items) in enumerate(rows):
        for column, item in enumerate(items):
            pixels = read_frame(item.path, colour).pixels
            scale = _TILE / max(pixels.shape[:2])
            small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8)
            grid[2 * row, column].imshow(small)
            grid[2 * row + 1, column].imshow(overlay(small, item.heatmap, _own_scale(item, limits)))
            outcome = item.outcome(limits)
            wrong = (outcome is Outcome.PASS) == item.defective
            kind = item.file.defect or "good"
            kind = kind if len(kind) <= _LABEL else kind[: _LABEL - 1] + "…"
            label = f"{kind} {item.path.stem}\n{item.score:.2f} {outcome}"
            grid[2 * row, column].set_title(label, fontsize=8, color=DEFECTIVE if wrong else "black")
            if wrong:
                for axes in (grid[2 * row, column], grid[2 * row + 1, column]):
                    axes.add_patch(_frame(small.shape[1], small.shape[0]))
        grid[2 * row, 0].text(
            -0.06, 0.5, name, rotation=90, va="center", ha="right", fontsize=9, transform=grid[2 * row, 0].transAxes
        )
    return figure


def _own_scale(item: Scored, limits: Limits) -> Limits:
    """Limits no higher than the image's own score, so that a miss shows where the detector did look."""
    highest = max(item.score, 0.0)
    return Limits(review_limit=min(limits.review_limit, highest), reject_limit=min(limits.reject_limit, highest))


def _frame(width: int, height: int) -> Rectangle:
    return Rectangle((0, 0), width - 1, height - 1, fill=False, color=DEFECTIVE, linewidth=3)


def tidy(axes: Axes) -> None:
    """No lines at the top and on the right."""
    axes.spines[["top", "right"]].set_visible(False)
