"""Shares of a whole, each with its interval."""

from dataclasses import dataclass

from scipy import stats


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
