"""What a classifier's answers are worth, class by class."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.labelled import DEFECTIVE, GOOD, LabelledFile
from data.splits import SplitFile
from inspection.manifest import Manifest
from inspection.package import Package
from inspection.verdict import Outcome
from training.class_calibration import reliability
from training.evaluate import Scored
from training.metrics import auroc, auroc_interval, average_precision, clopper_pearson

UNSURE = "unsure"
LABELS = ";"


def unseen(package: Package, files: Sequence[LabelledFile]) -> list[SplitFile]:
    """The labelled files that a classifier has not seen, neither in training nor in validation, nor near-duplicates of
    such, as `evaluate` takes them."""
    seen = {file.group for file in files if package.was_trained_on(file.sha256)}
    return [as_split_file(file) for file in files if file.group not in seen]


def as_split_file(file: LabelledFile) -> SplitFile:
    """A labelled file as `evaluate` takes it: several labels with semicolons between them."""
    return SplitFile(path=file.path, sha256=file.sha256, defect=LABELS.join(file.labels) or None, mask=file.mask)


def class_figures(scored: Sequence[Scored], manifest: Manifest) -> dict[str, Any]:
    """Figures of a classifier as plain JSON values: the confusion matrix (rows: what is true; columns: what was
    answered, `unsure` among it), precision and recall of each class with their intervals, and the calibration error."""
    names = [one.name for one in manifest.classes]
    truth = np.array([[name in truth_of(item, names) for name in names] for item in scored]).reshape(len(scored), -1)
    found = np.array([[one.probability for one in item.classes] for item in scored])
    answers = [answer(item, manifest) for item in scored]
    rows = [GOOD, *sorted({_row(item, names) for item in scored} - {GOOD})]
    columns = [GOOD, *names, UNSURE]
    matrix = {row: dict.fromkeys(columns, 0) for row in rows}
    for item, (first, *_) in zip(scored, answers, strict=True):
        matrix[_row(item, names)][first] += 1
    good = np.exp(-np.array([item.score for item in scored]))
    defective = np.array([item.defective for item in scored])
    curve = reliability(np.maximum(good, 1 - good), (good < 0.5) == defective)
    return {
        "confusion": matrix,
        "per_class": {
            name: _of_class(truth[:, index], found[:, index], np.array([name in given for given in answers]))
            for index, name in enumerate(names)
        },
        "calibration_error": curve.error,
        "reliability": asdict(curve),
    }


def answer(item: Scored, manifest: Manifest) -> list[str]:
    """What the package says of an image: good where it passes, else the classes it is sure of, the likeliest first, or
    that it is unsure."""
    if item.outcome(manifest.limits) is Outcome.PASS:
        return [GOOD]
    sure = sorted((one for one in item.classes if one.sure), key=lambda one: -one.probability)
    return [one.name for one in sure] or [UNSURE]


def truth_of(item: Scored, names: Sequence[str]) -> set[str]:
    """The labels of an image, in the classes of a package that may know defects only as such."""
    labels = set(filter(None, (item.file.defect or "").split(LABELS)))
    return {DEFECTIVE} if labels and names == [DEFECTIVE] else labels


def _row(item: Scored, names: Sequence[str]) -> str:
    return LABELS.join(sorted(truth_of(item, names))) or GOOD


def _of_class(truth: NDArray[np.bool_], found: NDArray[np.float64], named: NDArray[np.bool_]) -> dict[str, Any]:
    right = int((truth & named).sum())
    return {
        "images": int(truth.sum()),
        "precision": asdict(clopper_pearson(right, int(named.sum()))),
        "recall": asdict(clopper_pearson(right, int(truth.sum()))),
        "auroc": auroc(found, truth),
        "auroc_interval": auroc_interval(found, truth),
        "average_precision": average_precision(found, truth),
    }
