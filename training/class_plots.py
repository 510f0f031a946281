"""Pictures of a classifier's evaluation: confusion matrix, reliability diagram, precision and recall of each class."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from inspection.manifest import Manifest
from training.class_figures import truth_of
from training.evaluate import Scored
from training.plots import DEFECTIVE, GOOD, save, tidy


def write_class_plots(folder: Path, scored: Sequence[Scored], manifest: Manifest, part: dict[str, Any]) -> list[Path]:
    """Write `confusion.png`, `reliability.png` and `precision-recall.png` of the figures in `part` into `folder`."""
    drawn = {
        "confusion.png": _confusion(part["confusion"], manifest.name),
        "reliability.png": _reliability(part, manifest.name),
        "precision-recall.png": _precision_recall(scored, manifest),
    }
    return [save(figure, folder / name) for name, figure in drawn.items()]


def _confusion(matrix: dict[str, dict[str, int]], title: str) -> Figure:
    rows, columns = list(matrix), list(next(iter(matrix.values())))
    counts = np.array([list(row.values()) for row in matrix.values()])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(1.6 + 0.9 * len(columns), 1.4 + 0.6 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.set(title=f"{title}: answers", xlabel="answered", ylabel="true")
    axes.spines[:].set_visible(False)
    return figure


def _reliability(part: dict[str, Any], title: str) -> Figure:
    curve = part["reliability"]
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0.5, 1], [0.5, 1], color="#bbbbbb", linewidth=0.8)
    axes.plot(curve["confidence"], curve["accuracy"], "o-", color=GOOD)
    for confidence, accuracy, count in zip(curve["confidence"], curve["accuracy"], curve["counts"], strict=True):
        axes.annotate(str(count), (confidence, accuracy), textcoords="offset points", xytext=(5, -10), fontsize=8)
    axes.set(
        title=f"{title}: calibration error {100 * curve['error']:.1f} %",
        xlabel='probability of the answer "good" or "defective"',
        ylabel="share that was right",
    )
    tidy(axes)
    return figure


def _precision_recall(scored: Sequence[Scored], manifest: Manifest) -> Figure:
    names = [one.name for one in manifest.classes]
    found = np.array([[one.probability for one in item.classes] for item in scored])
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    for index, name in enumerate(names):
        truth = np.array([name in truth_of(item, names) for item in scored])
        if not truth.any():
            continue
        order = np.argsort(-found[:, index], kind="stable")
        hits = np.cumsum(truth[order])
        colour = DEFECTIVE if len(names) == 1 else None
        axes.step(hits / truth.sum(), hits / np.arange(1, len(hits) + 1), where="post", label=name, color=colour)
    axes.set(title=f"{manifest.name}: each class", xlabel="recall", ylabel="precision", ylim=(0, 1.03))
    tidy(axes)
    axes.legend(frameon=False, loc="lower left")
    return figure
