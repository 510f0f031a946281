"""Shares of two and more groups of units beside each other, each figure with what chance alone could do to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from scipy.stats import binomtest, chi2_contingency, fisher_exact

from inspection.errors import BadUsage

_LARGE = 5.0  # expected counts from which chi-square's approximation is taken (Cochran, Biometrics 10 (1954) 417)


@dataclass(frozen=True)
class Share:
    """`found` of `units`, with a Wilson interval of 95 % (Wilson, JASA 22 (1927) 209)."""

    found: int
    units: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """One share less another, with Newcombe's hybrid score interval of 95 % (Newcombe, Statistics in Medicine 17 (1998)
    873, method 10), and the two-sided p value of `test`."""

    difference: float
    low: float
    high: float
    p_value: float
    test: str

    @property
    def clear(self) -> bool:
        """Whether chance alone is no good explanation, at 5 %."""
        return self.p_value < 0.05


def wilson(found: int, units: int, confidence: float = 0.95) -> Share:
    """A share and its interval. Raises BadUsage for no units, or more found than units."""
    if not 0 <= found <= units or units < 1:
        raise BadUsage(f"{found} of {units} units is no share")
    interval = binomtest(found, units).proportion_ci(confidence, method="wilson")
    return Share(found, units, found / units, float(interval.low), float(interval.high))


def difference(one: Share, other: Share) -> Difference:
    """How much `one` is above `other`. Small counts are tested by Fisher's exact test, others by chi-square without a
    correction."""
    gap = one.share - other.share
    low = gap - sqrt((one.share - one.low) ** 2 + (other.high - other.share) ** 2)
    high = gap + sqrt((one.high - one.share) ** 2 + (other.share - other.low) ** 2)
    test, p_value = same_share([one, other])
    return Difference(gap, max(-1.0, low), min(1.0, high), p_value, test)


def same_share(shares: Sequence[Share]) -> tuple[str, float]:
    """The test's name and its p value for one and the same share behind all. Fisher's exact test of two groups where an
    expected count is below 5, otherwise chi-square."""
    table = [[one.found, one.units - one.found] for one in shares]
    found, units = sum(one.found for one in shares), sum(one.units for one in shares)
    if found in (0, units):
        return "fisher" if len(shares) == 2 else "chi_square", 1.0
    expected = min(min(found, units - found) * one.units / units for one in shares)
    if len(shares) == 2 and expected < _LARGE:
        return "fisher", float(fisher_exact(table)[1])
    return "chi_square", float(chi2_contingency(table, correction=False)[1])
