"""Figures of merit, on raw scores, each with its interval where it is a rate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Scores = NDArray[np.floating]
Truth = NDArray[np.bool_]


@dataclass(frozen=True)
class Rate:
    """`count` of `total` with its exact (Clopper-Pearson, 1934) interval at `confidence`."""

    count: int
    total: int
    rate: float | None
    low: float
    high: float
    confidence: float = 0.95


def clopper_pearson(count: int, total: int, confidence: float = 0.95) -> Rate:
    """The exact binomial interval. No trials prove nothing: rate None, interval 0 to 1."""
    if not 0 <= count <= total:
        msg = f"a count lies between 0 and its total, got {count} of {total}"
        raise ValueError(msg)
    alpha = (1 - confidence) / 2
    low = float(stats.beta.ppf(alpha, count, total - count + 1)) if count else 0.0
    high = float(stats.beta.ppf(1 - alpha, count + 1, total - count)) if count < total else 1.0
    return Rate(count, total, count / total if total else None, low, high, confidence)


def auroc(scores: Scores, defective: Truth) -> float | None:
    """Area under the ROC curve of `scores` `[n]` against `defective` `[n]`; None where one of the two is absent."""
    if defective.all() or not defective.any():
        return None
    return float(_areas(scores, defective))


def auroc_interval(scores: Scores, defective: Truth, samples: int = 1000) -> tuple[float, float] | None:
    """The 95 % interval of the AUROC, by seeded bootstrap samples within the good and within the defective; None where
    one of the two is absent."""
    if defective.all() or not defective.any():
        return None
    random = np.random.default_rng(0)
    good, bad = scores[~defective], scores[defective]
    drawn = [part[random.integers(len(part), size=(samples, len(part)))] for part in (good, bad)]
    areas = _areas(np.concatenate(drawn, axis=1), np.repeat([False, True], [len(good), len(bad)]))
    low, high = np.percentile(areas, [2.5, 97.5])
    return float(low), float(high)


def roc(scores: Scores, defective: Truth) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of good and share of defective ones at or above each distinct score `[m + 1]`, from (0, 0) to (1, 1)."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(order) - 1)  # the end of each run of equal values
    counts = [np.append(0, np.cumsum(which[order])[last]) for which in (~defective, defective)]
    return counts[0] / counts[0][-1], counts[1] / counts[1][-1]


def _areas(scores: Scores, defective: Truth) -> NDArray[np.float64]:
    """AUROC of `scores` `[..., n]`, from the sum of the defective ones' ranks (Mann and Whitney, 1947)."""
    bad = int(defective.sum())
    ranks = stats.rankdata(scores, axis=-1)[..., defective].sum(axis=-1)
    return np.asarray((ranks - bad * (bad + 1) / 2) / (bad * (len(defective) - bad)))
