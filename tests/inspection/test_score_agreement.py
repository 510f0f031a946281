"""How two packages' scores go together, against scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from inspection.equivalence.scores import largest_differences, score_agreement

scores = st.lists(st.tuples(*[st.floats(-100, 100, width=32)] * 2), min_size=4, max_size=60)


@given(scores)
@settings(deadline=None)
def test_the_correlations_are_scipy_s(pairs: list[tuple[float, float]]) -> None:
    old, new = np.array(pairs, dtype=np.float64).T
    found = score_agreement(old, new)
    assert found.units == len(pairs)
    assert found.mean_difference == pytest.approx(np.mean(new - old))
    if np.ptp(old) < 1e-6 or np.ptp(new) < 1e-6:
        return
    pearson = stats.pearsonr(old, new)
    assert found.pearson.value == pytest.approx(pearson.statistic, abs=1e-6)
    assert found.spearman.value == pytest.approx(stats.spearmanr(old, new).statistic, abs=1e-9)
    if abs(pearson.statistic) < 0.999:
        assert (found.pearson.low, found.pearson.high) == pytest.approx(pearson.confidence_interval(), abs=1e-5)


def test_the_interval_of_ranks_covers_by_simulation() -> None:
    """Normal pairs with correlation 0.8: Spearman's is 6/pi asin(0.4) (Pearson 1907)."""
    chance, truth = np.random.default_rng(3), 6 / np.pi * np.arcsin(0.4)
    inside = 0
    for _ in range(1000):
        old = chance.normal(size=80)
        new = 0.8 * old + 0.6 * chance.normal(size=80)
        ranks = score_agreement(old, new).spearman
        assert ranks.low is not None and ranks.high is not None
        inside += ranks.low <= truth <= ranks.high
    assert 930 <= inside <= 975


def test_without_enough_or_without_variation_there_is_no_correlation() -> None:
    for old, new in (([1.0, 2, 3], [1.0, 2, 3]), ([1.0] * 9, list(range(9))), ([], []), ([np.nan] * 5, [1.0] * 5)):
        found = score_agreement(np.array(old, dtype=np.float64), np.array(new, dtype=np.float64))
        assert found.pearson.value is None and found.spearman.low is None


def test_units_without_a_score_are_left_out_and_equal_scores_correlate_wholly() -> None:
    old = np.array([1.0, 2, 3, 4, np.nan])
    found = score_agreement(old, np.append(old[:4], 9.0))
    assert (found.units, found.pearson.value, found.largest_difference) == (4, 1.0, 0.0)
    assert (found.low_limit, found.high_limit) == (0.0, 0.0)


def test_the_largest_differences_come_first_and_none_is_no_difference() -> None:
    old, new = np.array([0.0, 1, 2, np.nan, 4]), np.array([0.5, 1, -1, 3, 4.1])
    assert largest_differences(old, new, 5) == [2, 0, 4]
    assert largest_differences(old, new, 1) == [2]
