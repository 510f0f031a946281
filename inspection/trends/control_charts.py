"""Control charts of a share of units: Shewhart's p-chart and the EWMA chart (Montgomery, Introduction to Statistical
Quality Control, 7th ed., 7.2 and 9.2), with the tests for runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inspection.errors import BadUsage

Rule = Literal["beyond_limits", "two_of_three", "four_of_five", "run_of_eight", "run_of_nine", "six_trending"]
RuleSet = Literal["limits", "western_electric", "nelson"]
# Western Electric, Statistical Quality Control Handbook (1956); Nelson, Journal of Quality Technology 16 (1984) 237.
RULES: dict[RuleSet, tuple[Rule, ...]] = {
    "limits": ("beyond_limits",),
    "western_electric": ("beyond_limits", "two_of_three", "four_of_five", "run_of_eight"),
    "nelson": ("beyond_limits", "two_of_three", "four_of_five", "run_of_nine", "six_trending"),
}
_ROUGH = 3.0  # expected units below which three sigma of a normal distribution say little about a count
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Signal:
    """A point, by its place, at which a rule is fulfilled, and on which side: 1 above the centre, -1 below."""

    at: int
    rule: Rule
    side: int


@dataclass(frozen=True)
class Chart:
    """`values` with `lower` and `upper` limits of each, around `centre`; what of it is out of control."""

    values: Floats
    centre: float
    lower: Floats
    upper: Floats
    signals: tuple[Signal, ...]


@dataclass(frozen=True)
class Baseline:
    """What limits are computed from: `found` of `units`."""

    found: int
    units: int

    @property
    def share(self) -> float:
        """Between 0 and 1. Raises BadUsage where there is no unit."""
        if self.units < 1:
            raise BadUsage("limits need at least one unit to be computed from")
        return self.found / self.units

    def rough(self, sizes: Sequence[int]) -> bool:
        """Whether subgroups of these sizes are too small for three-sigma limits: fewer than three units that count are
        to be expected in the usual one."""
        return bool(len(sizes)) and float(np.median(sizes)) * self.share < _ROUGH


def p_chart(
    found: Sequence[int], sizes: Sequence[int], baseline: Baseline, rules: RuleSet = "western_electric",
    judged_from: int = 0,
) -> Chart:  # fmt: skip
    """The p-chart of `found` of `sizes` units in each subgroup: limits p̄ ± 3 √(p̄(1-p̄)/n) of each size, within 0 and 1.
    Subgroups before `judged_from`, which the baseline is made of, are not judged."""
    counts, units = _checked(found, sizes)
    share = baseline.share
    sigma = np.sqrt(share * (1 - share) / units)
    values = counts / units
    return Chart(
        values, share, np.maximum(0, share - 3 * sigma), np.minimum(1, share + 3 * sigma),
        signals_of(_standardised(values, share, sigma), rules, judged_from),
    )  # fmt: skip


def ewma_chart(
    found: Sequence[int], sizes: Sequence[int], baseline: Baseline, weight: float = 0.2, width: float = 2.7,
    judged_from: int = 0,
) -> Chart:  # fmt: skip
    """The EWMA of the shares from `judged_from` on (before it, not a number), which begins at the baseline's; `weight`
    is Montgomery's λ, `width` his L."""
    counts, units = _checked(found, sizes)
    share = baseline.share
    values, lower, upper = (np.full(len(units), np.nan) for _ in range(3))
    part = slice(judged_from, None)
    values[part], spread = ewma(counts[part] / units[part], share * (1 - share) / units[part], share, weight)
    lower[part], upper[part] = np.maximum(0, share - width * spread), np.minimum(1, share + width * spread)
    signals = tuple(
        Signal(int(at), "beyond_limits", 1 if values[at] > share else -1)
        for at in np.flatnonzero((values > upper + 1e-12) | (values < lower - 1e-12))
    )
    return Chart(values, share, lower, upper, signals)


def ewma(values: Floats, variances: Floats, centre: float, weight: float) -> tuple[Floats, Floats]:
    """z_i = λ x_i + (1-λ) z_(i-1) from z_0 = `centre`, and its exact standard deviation, whose square is
    λ² σ_i² + (1-λ)² times the one before (for equal variances Montgomery's 9.25: λ/(2-λ) (1-(1-λ)^(2i)) σ²).

    Raises BadUsage unless 0 < λ ≤ 1."""
    if not 0 < weight <= 1:
        raise BadUsage(f"the weight of an EWMA must be above 0 and at most 1, not {weight:g}")
    smooth, squared = np.empty(len(values)), np.empty(len(values))
    last, variance = centre, 0.0
    for at, (value, own) in enumerate(zip(values, variances, strict=True)):
        last = weight * value + (1 - weight) * last
        variance = weight**2 * own + (1 - weight) ** 2 * variance
        smooth[at], squared[at] = last, variance
    return smooth, np.sqrt(squared)


def signals_of(standardised: Floats, rules: RuleSet, judged_from: int = 0) -> tuple[Signal, ...]:
    """Where the rules are fulfilled by points in units of their own standard deviation; of a run, each point from the
    one on that fulfils it. Runs begin at `judged_from`."""
    found: list[Signal] = []
    for at in range(judged_from, len(standardised)):
        seen = standardised[judged_from : at + 1]
        found += [Signal(at, rule, side) for rule in RULES[rules] if (side := _fulfilled(rule, seen))]
    return tuple(found)


def _fulfilled(rule: Rule, seen: Floats) -> int:
    """The side on which the last point fulfils a rule, 0 where it does not."""
    for side in (1, -1):
        towards = side * seen
        if rule == "beyond_limits" and towards[-1] > 3 + 1e-9:
            return side
        if rule == "two_of_three" and towards[-1] > 2 and (towards[-3:] > 2).sum() >= 2:
            return side
        if rule == "four_of_five" and towards[-1] > 1 and (towards[-5:] > 1).sum() >= 4:
            return side
        length = {"run_of_eight": 8, "run_of_nine": 9}.get(rule)
        if length and len(seen) >= length and (towards[-length:] > 0).all():
            return side
        if rule == "six_trending" and len(seen) >= 6 and (np.diff(towards[-6:]) > 0).all():
            return side
    return 0


def _standardised(values: Floats, share: float, sigma: Floats) -> Floats:
    """In standard deviations; where there is none (a baseline without any, or of nothing else), infinitely many."""
    away = values - share
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(away == 0, 0.0, away / sigma)


def _checked(found: Sequence[int], sizes: Sequence[int]) -> tuple[Floats, Floats]:
    counts, units = np.asarray(found, float), np.asarray(sizes, float)
    if counts.shape != units.shape or (units < 1).any() or (counts < 0).any() or (counts > units).any():
        raise BadUsage("each subgroup needs at least one unit, and cannot have more that count than units")
    return counts, units
