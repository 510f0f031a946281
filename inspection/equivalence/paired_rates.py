"""Two rates of the same units: their difference, its interval, and whether it stays within a margin.

The interval and the test are the score interval and the score test of T. Tango, "Equivalence test and confidence
interval for the difference in proportions for the paired-sample design", Statistics in Medicine 17 (1998) 891-908:
both invert one statistic, so that the test rejects exactly where the interval clears the margin; it needs no continuity
correction, and says something where no unit is decided differently. M. W. Fagerland, S. Lydersen, P. Laake,
"Recommended tests and confidence intervals for paired binomial proportions", Statistics in Medicine 33 (2014)
2850-2875, compare it with others. A new package that is worse by just the margin is called as good in at most 2.7 % of
cases (nominal 2.5 %), counted exactly for 40 to 600 units: tests/inspection/test_paired_rates.py.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import optimize, stats

from inspection.rates import Rate, clopper_pearson


@dataclass(frozen=True)
class Discordance:
    """Units by whether the old and the new package stopped them (REVIEW or REJECT): `lost` are those that only the old
    one stopped, `gained` those that only the new one did."""

    both: int
    lost: int
    gained: int
    neither: int

    @property
    def units(self) -> int:
        """All of them."""
        return self.both + self.lost + self.gained + self.neither

    @property
    def difference(self) -> float | None:
        """The new rate of stopped units less the old one; None without units."""
        return (self.gained - self.lost) / self.units if self.units else None


@dataclass(frozen=True)
class McNemar:
    """Whether as many units changed one way as the other. `p_exact` and `p_mid` are two-sided."""

    lost: int
    gained: int
    p_exact: float
    p_mid: float


@dataclass(frozen=True)
class PairedRates:
    """The rate of stopped units of the old and the new package with exact intervals, and new less old with Tango's, all
    at `confidence`. `p_value` is of the one-sided test that the difference is beyond `margin` on the worse side (None
    without units); `within` says that it is not: p below half of what `confidence` leaves."""

    counts: Discordance
    old: Rate
    new: Rate
    difference: float | None
    low: float
    high: float
    margin: float
    p_value: float | None
    within: bool
    confidence: float


def mcnemar(lost: int, gained: int) -> McNemar:
    """Q. McNemar, Psychometrika 12 (1947) 153-157, exactly: the binomial test of the changed units. Mid-p as in M. W.
    Fagerland, S. Lydersen, P. Laake, "The McNemar test for binary matched-pairs data: mid-p and asymptotic are better
    than exact conditional", BMC Medical Research Methodology 13 (2013) 91. No changed unit: both p are 1."""
    changed, least = lost + gained, min(lost, gained)
    if changed == 0:
        return McNemar(0, 0, 1.0, 1.0)
    at = float(stats.binom.pmf(least, changed, 0.5))
    exact = min(1.0, 2 * float(stats.binom.cdf(least, changed, 0.5)))
    return McNemar(lost, gained, exact, 1 - at / 2 if lost == gained else max(0.0, exact - at))


def score_z(plus: Any, minus: Any, units: Any, difference: Any) -> Any:
    """Tango's statistic (1998) that (plus - minus) / units differs from `difference` in (-1, 1): normal where it
    does not. `plus` and `minus` count the units of either change. Arrays are taken elementwise; 0 where nothing
    differs and nothing is expected to."""
    plus, minus, units, delta = (np.asarray(one, dtype=np.float64) for one in (plus, minus, units, difference))
    variance = units * (2 * constrained(plus, minus, units, delta) + delta * (1 - delta))
    above = plus - minus - units * delta
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > 0, above / np.sqrt(variance), np.where(above == 0, 0.0, np.sign(above) * np.inf))[()]


def constrained(plus: Any, minus: Any, units: Any, difference: Any) -> Any:
    """The most likely probability of a `minus` unit where plus less minus is held at `difference` (Tango 1998)."""
    a = 2 * units
    b = -plus - minus + (2 * units - plus + minus) * difference
    c = -minus * difference * (1 - difference)
    return (np.sqrt(np.maximum(0.0, b * b - 4 * a * c)) - b) / (2 * a)


@lru_cache(4096)  # many groups of units have the same counts
def score_interval(plus: int, minus: int, units: int, confidence: float = 0.95) -> tuple[float, float]:
    """Tango's interval for (plus - minus) / units, from -1 to 1. No units prove nothing: -1 to 1."""
    if units == 0:
        return -1.0, 1.0
    z = float(stats.norm.ppf((1 + confidence) / 2))
    seen, edge = (plus - minus) / units, 1 - 1e-9

    def bound(sign: float) -> float:
        """Where the statistic is `sign` z, beyond what was seen on the other side."""
        if seen * sign <= -edge:
            return -sign
        found = optimize.brentq(
            lambda delta: float(score_z(plus, minus, units, delta)) - sign * z, -sign * edge, seen, xtol=1e-12
        )
        return float(found)

    return bound(1.0), bound(-1.0)


def compare_rates(counts: Discordance, margin: float, *, more_is_better: bool, confidence: float = 0.95) -> PairedRates:
    """Both rates of stopped units, and whether the new one is worse by less than `margin` (0 to 1, exclusive):
    detection, where more is better, or false rejects, where more is worse. One-sided at (1 - confidence) / 2.
    Raises ValueError for a margin or a confidence outside (0, 1)."""
    if not 0 < margin < 1 or not 0 < confidence < 1:
        msg = f"a margin and a confidence lie between 0 and 1, got {margin} and {confidence}"
        raise ValueError(msg)
    lost, gained, units = counts.lost, counts.gained, counts.units
    low, high = score_interval(gained, lost, units, confidence)
    p_value = None
    if units:
        worse, better = (lost, gained) if more_is_better else (gained, lost)
        p_value = float(stats.norm.cdf(score_z(worse, better, units, margin)))
    return PairedRates(
        counts=counts,
        old=clopper_pearson(counts.both + lost, units, confidence),
        new=clopper_pearson(counts.both + gained, units, confidence),
        difference=counts.difference,
        low=low,
        high=high,
        margin=margin,
        p_value=p_value,
        within=p_value is not None and p_value < (1 - confidence) / 2,
        confidence=confidence,
    )


def units_at_least(margin: float, confidence: float = 0.95) -> int:
    """The fewest units that can show a difference within `margin`: with none of them decided differently. Near the rule
    of three (J. A. Hanley, A. Lippman-Hand, JAMA 249 (1983) 1743), which is of one-sided 95 %: here 3.84 / margin."""
    z = float(stats.norm.ppf((1 + confidence) / 2))
    return math.floor(z * z * (1 - margin) / margin) + 1


def units_for_power(
    changed: float, worse: float, margin: float, confidence: float = 0.95, power: float = 0.8
) -> int | None:
    """How many units show with probability `power` that a difference is within `margin`, where a share `changed` of
    them is decided differently and the new rate is in truth `worse` by so much (negative: better). The score test's
    large sample size (J. Nam, "Establishing equivalence of two treatments and sample size requirements in
    matched-pairs design", Biometrics 53 (1997) 1422-1430). None where the truth itself is at or beyond the margin."""
    if worse >= margin:
        return None
    changed = max(changed, abs(worse))
    plus, minus = (changed + worse) / 2, (changed - worse) / 2
    assumed = 2 * float(constrained(plus, minus, 1.0, margin)) + margin * (1 - margin)
    true = max(0.0, changed - worse**2)
    alpha, beta = float(stats.norm.ppf((1 + confidence) / 2)), float(stats.norm.ppf(power))
    wanted = ((alpha * math.sqrt(assumed) + beta * math.sqrt(true)) / (margin - worse)) ** 2
    return max(units_at_least(margin, confidence), math.ceil(wanted))
