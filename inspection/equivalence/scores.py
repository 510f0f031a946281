"""How the scores of two packages go together: correlation, and by how much they differ.

Scores of different packages need not be on one scale: correlation says whether they rank units alike, and the
differences mean something only where the scales are the same (a package rebuilt, or run in another runtime).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Correlation:
    """A coefficient from -1 to 1 with its interval; None where scores do not vary, or with fewer than four units."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ScoreAgreement:
    """Of the `units` with both scores: correlations, the mean of new less old, and the limits between which 95 % of
    the differences lie if they are normal (J. M. Bland, D. G. Altman, Lancet 327 (1986) 307-310)."""

    units: int
    pearson: Correlation
    spearman: Correlation
    mean_difference: float | None
    low_limit: float | None
    high_limit: float | None
    largest_difference: float | None


def score_agreement(old: np.ndarray, new: np.ndarray, confidence: float = 0.95) -> ScoreAgreement:
    """What two arrays `[N]` of scores have in common; units with a NaN in one of them are left out."""
    known = ~(np.isnan(old) | np.isnan(new))
    old, new = old[known], new[known]
    gap = new - old
    mean = float(gap.mean()) if len(gap) else None
    spread = float(gap.std(ddof=1)) if len(gap) > 1 else None
    low, high = (None, None) if mean is None or spread is None else (mean - 1.96 * spread, mean + 1.96 * spread)
    ranks = stats.rankdata(old), stats.rankdata(new)
    return ScoreAgreement(
        units=len(gap),
        pearson=_correlation(old, new, confidence, ranked=False),
        spearman=_correlation(*ranks, confidence, ranked=True),
        mean_difference=mean,
        low_limit=low,
        high_limit=high,
        largest_difference=float(np.abs(gap).max()) if len(gap) else None,
    )


def largest_differences(old: np.ndarray, new: np.ndarray, most: int) -> list[int]:
    """The indices of the units whose scores differ most, the largest first; without those that do not differ."""
    gap = np.abs(new - old)
    order = np.argsort(-np.where(np.isnan(gap), -1.0, gap), kind="stable")[:most]
    return [int(at) for at in order if gap[at] > 0]


def _correlation(one: np.ndarray, other: np.ndarray, confidence: float, *, ranked: bool) -> Correlation:
    """With the interval of R. A. Fisher's z (Metron 1 (1921) 3-32); for ranks with the variance of D. G. Bonett and
    T. A. Wright (Psychometrika 65 (2000) 23-28)."""
    units = len(one)
    if units < 4 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return Correlation(None, None, None)
    a, b = one - one.mean(), other - other.mean()
    scale = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
    if scale == 0 or not math.isfinite(scale):
        return Correlation(None, None, None)
    value = min(1.0, max(-1.0, float(a @ b) / scale))
    if abs(value) > 1 - 1e-12:  # a straight line: z would be infinite, and so is what it leaves open
        value = math.copysign(1.0, value)
        return Correlation(value, value, value)
    variance = (1 + value * value / 2 if ranked else 1.0) / (units - 3)
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt(variance)
    middle = math.atanh(value)
    return Correlation(value, math.tanh(middle - reach), math.tanh(middle + reach))
