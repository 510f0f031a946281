"""Sampling plans are those of the standard, and protect what they are to protect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from inspection.errors import BadUsage
from inspection.sampling import AQLS, LETTERS, LEVELS, SIZES, SamplingPlan, sampling_plan

# Cells of the standard's table that a person looked up: lot, AQL, level, then letter, sample, accept.
CELLS = [
    (1000, 1.0, "II", "J", 80, 2),
    (1000, 0.65, "II", "J", 80, 1),
    (1000, 4.0, "II", "J", 80, 7),
    (100, 4.0, "II", "F", 20, 2),
    (100, 1.0, "II", "E", 13, 0),  # F: arrow up
    (200, 1.0, "II", "H", 50, 1),  # G: arrow down
    (20_000, 0.65, "II", "M", 315, 5),
    (20_000, 0.065, "II", "L", 200, 0),  # M: arrow up
    (20_000, 0.010, "II", "Q", 1250, 0),  # M: arrows down
    (600_000, 2.5, "III", "N", 500, 21),  # R: arrows up
    (40_000, 2.5, "II", "N", 500, 21),
    (1200, 0.65, "I", "F", 20, 0),  # G: arrow up
    (1201, 0.65, "I", "J", 80, 1),  # H: arrow down
    (6, 6.5, "II", "A", 2, 0),
    (6, 10.0, "II", "C", 5, 1),
]
PLANS = st.tuples(st.integers(2, 10**6), st.sampled_from(AQLS), st.sampled_from(LEVELS))


@pytest.mark.parametrize(("lot", "aql", "level", "letter", "sample", "accept"), CELLS)
def test_the_plan_is_the_standard_s(lot: int, aql: float, level: str, letter: str, sample: int, accept: int) -> None:
    assert sampling_plan(lot, aql, level) == SamplingPlan(letter, sample, accept)  # type: ignore[arg-type]


@given(PLANS)
def test_a_lot_as_good_as_the_limit_is_nearly_always_accepted(what: tuple[int, float, str]) -> None:
    """The standard says so of every plan; a wrong cell would not hold it."""
    lot, aql, level = what
    plan = sampling_plan(lot, aql, level)  # type: ignore[arg-type]

    assert plan.sample <= lot
    assert binom.cdf(plan.accept, plan.sample, aql / 100) > 0.87
    if plan.sample == SIZES[LETTERS.index(plan.letter)]:  # and a lot ten times as bad, or all bad, hardly ever
        assert binom.cdf(plan.accept, plan.sample, min(1.0, 17 * aql / 100)) < 0.26


@given(PLANS, PLANS)
def test_a_looser_limit_never_allows_fewer_defective_units_of_as_many(
    one: tuple[int, float, str], two: tuple[int, float, str]
) -> None:
    lot, level = one[0], one[2]
    strict, loose = (sampling_plan(lot, aql, level) for aql in sorted((one[1], two[1])))  # type: ignore[arg-type]

    assert loose.accept / loose.sample >= strict.accept / strict.sample


@pytest.mark.parametrize(("lot", "aql", "told"), [(1, 1.0, "at least 2"), (100, 0.7, "no AQL of ISO 2859-1")])
def test_what_has_no_plan_is_said(lot: int, aql: float, told: str) -> None:
    with pytest.raises(BadUsage, match=told):
        sampling_plan(lot, aql)
