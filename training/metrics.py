"""Figures of merit, on raw scores, each with its interval where it is a rate."""

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from inspection.rates import Rate as Rate
from inspection.rates import clopper_pearson as clopper_pearson

Scores = NDArray[np.floating]
Truth = NDArray[np.bool_]
_STEP = 1e-9


def auroc(scores: Scores, defective: Truth) -> float | None:
    """Area under the ROC curve of `scores` `[n]` against `defective` `[n]`; None where one of the two is absent."""
    bad = int(defective.sum())
    if bad in (0, len(defective)):
        return None
    ranks = stats.rankdata(scores)[defective].sum()  # Mann and Whitney, 1947
    return float((ranks - bad * (bad + 1) / 2) / (bad * (len(defective) - bad)))


def auroc_interval(scores: Scores, defective: Truth) -> tuple[float, float] | None:
    """The 95 % interval of the AUROC (Newcombe, 2006, part 2, method 5): all areas that the measured one is no further
    from than 1.96 of their own standard errors, by Hanley and McNeil (1982). Unlike a bootstrap's it does not shrink to
    a point where a few images happen to be ranked without a mistake. None where good or defective ones are absent."""
    area = auroc(scores, defective)
    if area is None:
        return None
    bad, good = int(defective.sum()), int((~defective).sum())
    quantile = float(stats.norm.ppf(0.975))

    def beyond(other: float) -> float:
        spread = (1 - other) / (2 - other) + other / (1 + other)
        variance = other * (1 - other) * (1 + ((bad + good) / 2 - 1) * spread) / (bad * good)
        return (area - other) ** 2 - quantile**2 * variance

    # At an area of 0 or 1 the function is zero too: the other root lies beyond a little step inwards.
    low = 0.0 if area == 0 else optimize.brentq(beyond, 0.0, min(area, 1 - _STEP))
    high = 1.0 if area == 1 else optimize.brentq(beyond, max(area, _STEP), 1.0)
    return float(low), float(high)


def roc(scores: Scores, defective: Truth) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of good and share of defective ones at or above each distinct score `[m + 1]`, from (0, 0) to (1, 1)."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(order) - 1)  # the end of each run of equal values
    counts = [np.append(0, np.cumsum(which[order])[last]) for which in (~defective, defective)]
    return counts[0] / counts[0][-1], counts[1] / counts[1][-1]


def average_precision(scores: Scores, defective: Truth) -> float | None:
    """The mean, over the defective ones, of the precision at their score: the step-wise area under the precision-recall
    curve; None where there are none."""
    if not defective.any():
        return None
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order], defective[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(order) - 1)  # the end of each run of equal values
    hits = np.cumsum(truth)[last]
    return float((np.diff(hits, prepend=0) * hits / (last + 1)).sum() / hits[-1])
