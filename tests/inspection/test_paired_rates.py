"""Paired rates: published examples, the duality of test and interval, and how often test and interval err."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from inspection.equivalence.figures import Codes, Margins, figures
from inspection.equivalence.paired_rates import (
    Discordance,
    compare_rates,
    mcnemar,
    score_interval,
    score_z,
    units_at_least,
    units_for_power,
)

counts = st.builds(Discordance, *[st.integers(0, 300)] * 4)
margins = st.floats(0.005, 0.3)


@pytest.mark.parametrize(
    ("plus", "minus", "units", "low", "high"),
    [
        # M. W. Fagerland, S. Lydersen, P. Laake, Statistical Analysis of Contingency Tables (2017), chapter 8: airway
        # hyper-responsiveness (Bentur 2009) and complete response (Cavo 2012), Tango's interval.
        (1, 7, 21, -0.517, -0.026),
        (6, 16, 161, -0.1240, -0.0054),
    ],
)
def test_the_interval_is_the_published_one(plus: int, minus: int, units: int, low: float, high: float) -> None:
    digits = 0.5 * 10 ** -len(str(low).partition(".")[2])
    assert score_interval(plus, minus, units) == pytest.approx((low, high), abs=digits)


@pytest.mark.parametrize(
    ("lost", "gained", "exact", "mid"), [(6, 16, 0.052479, 0.034690), (1, 7, 0.0703, 0.0391), (0, 0, 1, 1)]
)
def test_mcnemar_is_the_published_one(lost: int, gained: int, exact: float, mid: float) -> None:
    """The same two examples, exact conditional and mid-p (Fagerland 2013)."""
    found = mcnemar(lost, gained)
    assert found.p_exact == pytest.approx(exact, abs=5e-5)
    assert found.p_mid == pytest.approx(mid, abs=5e-5)


@given(st.integers(0, 400), st.integers(0, 400))
@settings(deadline=None)
def test_mcnemar_is_the_binomial_test_and_takes_no_side(lost: int, gained: int) -> None:
    found, turned = mcnemar(lost, gained), mcnemar(gained, lost)
    if lost + gained:
        assert found.p_exact == pytest.approx(stats.binomtest(lost, lost + gained).pvalue, rel=1e-9)
    assert (found.p_exact, found.p_mid) == (turned.p_exact, turned.p_mid)
    assert 0 <= found.p_mid <= found.p_exact <= 1


@given(counts, margins, st.booleans())
@settings(deadline=None)
def test_the_test_and_the_interval_say_the_same(found: Discordance, margin: float, better: bool) -> None:
    rates = compare_rates(found, margin, more_is_better=better)
    if not found.units:
        assert (rates.low, rates.high, rates.difference, rates.within) == (-1.0, 1.0, None, False)
        return
    assert rates.difference is not None and rates.old.rate is not None and rates.new.rate is not None
    assert -1 <= rates.low <= rates.difference <= rates.high <= 1
    assert rates.difference == pytest.approx(rates.new.rate - rates.old.rate)
    bound = rates.low if better else -rates.high
    if abs(bound + margin) > 1e-7:
        assert rates.within == (bound > -margin)


@given(counts, margins)
@settings(deadline=None)
def test_the_other_way_round_everything_is_mirrored(found: Discordance, margin: float) -> None:
    turned = Discordance(found.both, found.gained, found.lost, found.neither)
    one = compare_rates(found, margin, more_is_better=True)
    other = compare_rates(turned, margin, more_is_better=False)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-8)
    if found.units:
        assert one.p_value == pytest.approx(other.p_value, abs=1e-9)


@given(counts, margins)
@settings(deadline=None)
def test_one_more_lost_unit_never_helps(found: Discordance, margin: float) -> None:
    worse = Discordance(found.both, found.lost + 1, found.gained, max(0, found.neither - 1))
    if found.neither:
        before, after = (compare_rates(one, margin, more_is_better=True) for one in (found, worse))
        assert after.low <= before.low + 1e-9 and after.p_value is not None and before.p_value is not None
        assert after.p_value >= before.p_value - 1e-12


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_every_unit_is_counted_once(decided: list[tuple[bool, bool]]) -> None:
    old, new = (np.array([2 * pair[side] for pair in decided], dtype=np.int8) for side in (0, 1))
    none, unknown = np.full(len(decided), np.nan), np.zeros(len(decided), dtype=bool)
    found = figures(Codes(old, new, none, none, unknown, unknown), Margins())
    assert found.units == len(decided)
    assert (found.mcnemar.lost, found.mcnemar.gained) == (decided.count((True, False)), decided.count((False, True)))


@pytest.mark.parametrize("margin", [0.0, 1.0, -0.01, 1.5])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        compare_rates(Discordance(1, 0, 0, 1), margin, more_is_better=True)


def shown(units: int, margin: float, worse: float, better: float) -> float:
    """The exact probability that the test shows non-inferiority, summed over all trinomial outcomes."""
    lost, gained = np.meshgrid(np.arange(units + 1), np.arange(units + 1), indexing="ij")
    possible = lost + gained <= units
    lost, gained = lost[possible], gained[possible]
    chance = stats.binom.logpmf(lost, units, worse) + stats.binom.logpmf(gained, units - lost, better / (1 - worse))
    return float(np.exp(chance)[score_z(lost, gained, units, margin) < stats.norm.ppf(0.025)].sum())


@pytest.mark.parametrize("margin", [0.01, 0.02, 0.1])
@pytest.mark.parametrize("units", [40, 189, 381, 600])
def test_a_package_that_is_worse_by_the_margin_is_hardly_ever_called_as_good(units: int, margin: float) -> None:
    """Type-I error, exactly: nominal 2.5 %, nowhere on the grid above 2.7 %."""
    errors = [shown(units, margin, better + margin, better) for better in (0, 0.001, 0.005, 0.02, 0.1)]
    assert max(errors) < 0.027


@pytest.mark.parametrize(("units", "margin", "better"), [(400, 0.01, 0.005), (800, 0.02, 0.03), (60, 0.1, 0.05)])
def test_the_simulated_type_one_error_is_the_nominal_one(units: int, margin: float, better: float) -> None:
    chance = np.random.default_rng(20261128)
    worse = better + margin
    lost, gained, _ = chance.multinomial(units, [worse, better, 1 - worse - better], size=20_000).T
    error = np.mean(score_z(lost, gained, units, margin) < stats.norm.ppf(0.025))
    assert error < 0.025 + 4 * np.sqrt(0.025 * 0.975 / 20_000)


@pytest.mark.parametrize(
    ("units", "lost", "gained"), [(60, 0.05, 0.02), (200, 0.01, 0.01), (400, 0.02, 0.005), (1000, 0.1, 0.15)]
)
def test_the_interval_covers_the_truth_as_often_as_it_says(units: int, lost: float, gained: float) -> None:
    """By simulation: the interval holds a difference exactly where the statistic there is below its quantile."""
    chance = np.random.default_rng(8)
    seen = chance.multinomial(units, [gained, lost, 1 - gained - lost], size=20_000)
    held = np.abs(score_z(seen[:, 0], seen[:, 1], units, gained - lost)) <= stats.norm.ppf(0.975)
    assert 0.94 < held.mean() < 0.985
    for plus, minus, _ in seen[:20]:
        low, high = score_interval(int(plus), int(minus), units)
        inside = abs(score_z(plus, minus, units, gained - lost)) <= stats.norm.ppf(0.975)
        assert (low <= gained - lost <= high) == inside


@given(margins)
@settings(deadline=None)
def test_the_least_number_of_units_is_the_least(margin: float) -> None:
    least = units_at_least(margin)
    assert compare_rates(Discordance(least, 0, 0, 0), margin, more_is_better=True).within
    assert not compare_rates(Discordance(least - 1, 0, 0, 0), margin, more_is_better=True).within


def test_the_least_numbers_for_the_defaults() -> None:
    assert (units_at_least(0.01), units_at_least(0.02)) == (381, 189)


@pytest.mark.parametrize(
    ("changed", "worse", "margin"), [(0.02, 0, 0.02), (0.1, 0, 0.05), (0.005, 0, 0.02), (0.08, 0.02, 0.1)]
)
def test_the_number_for_power_gives_that_power(changed: float, worse: float, margin: float) -> None:
    units = units_for_power(changed, worse, margin)
    assert units is not None
    assert 0.78 < shown(units, margin, (changed + worse) / 2, (changed - worse) / 2) < 0.9


def test_what_is_worse_than_the_margin_is_not_shown_to_be_as_good_by_any_number() -> None:
    assert units_for_power(0.05, 0.02, 0.02) is None
