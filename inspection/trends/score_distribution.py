"""Whether scores are distributed as they were: histograms on common bins, the population stability index and the
distance of Kolmogorov and Smirnov between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, kstwobign

from inspection.errors import BadUsage

Counts = NDArray[np.int64]
_GROUPS = 10  # bins of the index, each with about a tenth of the reference
_RESAMPLED, _SEED = 500, 0
# Siddiqi, Credit Risk Scorecards (2006): below the first nothing to speak of, from the second on a shift.
STABLE, SHIFTED = 0.10, 0.25


@dataclass(frozen=True)
class Drift:
    """How far scores moved from a reference of other units. `psi` with a percentile bootstrap interval of 95 % and the
    p value for no change at all; `distance` is Kolmogorov's and Smirnov's, to the bins' width, with its p value."""

    units: int
    reference: int
    psi: float
    low: float
    high: float
    p_value: float
    distance: float
    distance_p_value: float

    @property
    def verdict(self) -> str:
        """`stable`, `moved` or `shifted`, by the usual marks of the index."""
        return "stable" if self.psi < STABLE else "moved" if self.psi < SHIFTED else "shifted"


def drift(counts: Sequence[int], reference: Sequence[int]) -> Drift:
    """From histograms on the same fine bins. Raises BadUsage where one has no unit.

    PSI = Σ (a_i - e_i) ln(a_i / e_i) over bins that each hold about a tenth of the reference, half a unit added to each
    so that none is empty; without a change it is distributed as (1/n + 1/m) χ² with one degree of freedom less than
    bins (Yurdakul and Naranjo, Journal of Risk Model Validation 14 (2020) 89)."""
    now, then = np.asarray(counts, np.int64), np.asarray(reference, np.int64)
    if now.shape != then.shape or now.sum() < 1 or then.sum() < 1:
        raise BadUsage("two histograms on the same bins, with a unit in each, are needed to compare them")
    n, m = int(now.sum()), int(then.sum())
    groups = _groups(then)
    grouped_now, grouped_then = (np.bincount(groups, of) for of in (now, then))
    psi = float(_psi(grouped_now, grouped_then))
    random = np.random.default_rng(_SEED)
    again = [random.multinomial(total, of / total, _RESAMPLED) for of, total in ((grouped_now, n), (grouped_then, m))]
    low, high = np.percentile(_psi(*again), [2.5, 97.5])
    freedom = len(grouped_then) - 1
    distance = float(np.abs(np.cumsum(now) / n - np.cumsum(then) / m).max())
    return Drift(
        n, m, psi, float(min(low, psi)), float(max(high, psi)),
        float(chi2.sf(psi / (1 / n + 1 / m), freedom)) if freedom else 1.0,
        distance, float(kstwobign.sf(distance * np.sqrt(n * m / (n + m)))),
    )  # fmt: skip


def _groups(reference: Counts) -> NDArray[np.intp]:
    """Of each fine bin the number of the group it belongs to: about a tenth of the reference in each."""
    before = (np.cumsum(reference) - reference) / reference.sum()
    _, groups = np.unique(np.minimum((before * _GROUPS).astype(int), _GROUPS - 1), return_inverse=True)
    return np.asarray(groups, np.intp)


def _psi(now: NDArray[np.generic], then: NDArray[np.generic]) -> NDArray[np.float64]:
    shares = []
    for of in (now, then):
        filled = np.asarray(of, float) + 0.5
        shares.append(filled / filled.sum(axis=-1, keepdims=True))
    a, e = shares
    return np.asarray(((a - e) * np.log(a / e)).sum(axis=-1))
