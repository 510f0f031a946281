"""Statistics of trends against published examples and scipy, and what holds of them for whatever is counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, fisher_exact, ks_2samp

from inspection.errors import BadUsage
from inspection.trends.comparison import difference, same_share, wilson
from inspection.trends.control_charts import Baseline, ewma, ewma_chart, p_chart, signals_of
from inspection.trends.pareto import OTHERS, pareto
from inspection.trends.score_distribution import drift

# Montgomery, Introduction to Statistical Quality Control, 7th ed.: table 7.1 (cans of orange juice, n = 50).
CANS = [12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22, 8, 10, 5, 13, 11, 20, 18, 24, 15, 9, 12, 7, 13, 9, 6]
# Table 7.4 (purchase orders, varying n).
ORDERS = [12, 8, 6, 9, 10, 12, 11, 16, 10, 6, 20, 15, 9, 8, 6, 8, 10, 7, 5, 8, 5, 8, 10, 6, 9]
SIZES = [
    100,
    80,
    80,
    100,
    110,
    110,
    100,
    100,
    90,
    90,
    110,
    120,
    120,
    120,
    110,
    80,
    80,
    80,
    90,
    100,
    100,
    100,
    100,
    90,
    90,
]
# Table 9.1 and, from table 9.10, its EWMA with λ = 0.1 and target 10; the first 20 are in control.
SHIFTED = [9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34, 9.03, 11.47, 10.51, 9.40, 10.08, 9.37,
           10.62, 10.31, 8.52, 10.84, 10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31, 10.52]  # fmt: skip
SMOOTH = [9.945, 9.7495, 9.70355, 9.8992, 10.1253, 10.1307, 9.92167, 10.0755, 9.98796, 10.0232, 9.92384, 10.0785,
          10.1216, 10.0495, 10.0525, 9.98426, 10.0478, 10.074, 9.91864, 10.0108, 10.0997, 10.0227, 10.2495, 10.3745,
          10.3971, 10.4654, 10.4568, 10.5731, 10.6468, 10.6341]  # fmt: skip


def test_p_chart_of_the_textbook() -> None:
    chart = p_chart(CANS, [50] * 30, Baseline(sum(CANS), 1500), "limits")
    assert chart.centre == pytest.approx(0.2313, abs=5e-5)
    assert chart.upper[0] == pytest.approx(0.4102, abs=5e-5) and chart.lower[0] == pytest.approx(0.0524, abs=5e-5)
    assert [one.at + 1 for one in chart.signals] == [15, 23]


def test_p_chart_with_varying_sizes_of_the_textbook() -> None:
    chart = p_chart(ORDERS, SIZES, Baseline(sum(ORDERS), sum(SIZES)), "limits")
    assert chart.centre == pytest.approx(0.0955, abs=5e-5)
    for at, size in enumerate(SIZES):
        assert chart.upper[at] == pytest.approx(0.0955 + 3 * (0.0955 * 0.9045 / size) ** 0.5, abs=2e-4)
    assert [one.at + 1 for one in chart.signals] == [11]


def test_ewma_of_the_textbook() -> None:
    smooth, spread = ewma(np.array(SHIFTED), np.ones(30), 10.0, 0.1)
    assert smooth == pytest.approx(SMOOTH, abs=6e-4)
    assert 10 + 2.7 * spread[0] == pytest.approx(10.27) and 10 + 2.7 * spread[-1] == pytest.approx(10.62, abs=5e-3)
    assert [at + 1 for at in range(30) if abs(smooth[at] - 10) > 2.7 * spread[at]] == [29, 30]


@given(st.floats(0.01, 1), st.integers(1, 60), st.floats(0.01, 9))
def test_spread_of_an_ewma_is_the_closed_form_for_equal_sizes(weight: float, count: int, variance: float) -> None:
    _, spread = ewma(np.zeros(count), np.full(count, variance), 0.0, weight)
    number = np.arange(1, count + 1)
    closed = variance * weight / (2 - weight) * (1 - (1 - weight) ** (2 * number))
    assert spread**2 == pytest.approx(closed, rel=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0, 1)), min_size=1, max_size=40), st.floats(0, 1))
def test_charts_of_whatever_is_counted(subgroups: list[tuple[int, float]], share: float) -> None:
    sizes = [size for size, _ in subgroups]
    found = [int(size * part) for size, part in subgroups]
    baseline = Baseline(int(1000 * share), 1000)
    for chart in (p_chart(found, sizes, baseline, "nelson"), ewma_chart(found, sizes, baseline)):
        assert (chart.lower >= 0).all() and (chart.upper <= 1).all()
        assert (chart.lower <= chart.centre + 1e-12).all() and (chart.upper >= chart.centre - 1e-12).all()
        beyond = {one.at for one in chart.signals if one.rule == "beyond_limits"}
        outside = {
            int(at) for at in np.flatnonzero((chart.values > chart.upper + 1e-7) | (chart.values < chart.lower - 1e-7))
        }
        assert outside <= beyond


def test_without_a_reject_in_the_baseline_any_reject_is_a_signal() -> None:
    chart = p_chart([0, 1, 0], [50, 50, 50], Baseline(0, 500), "limits")
    assert [(one.at, one.side) for one in chart.signals] == [(1, 1)]
    assert not p_chart([0, 0], [50, 50], Baseline(0, 500)).signals


@pytest.mark.parametrize(("points", "rule", "at"), [
    ([0, 3.1], "beyond_limits", 1), ([2.1, 0, 2.2], "two_of_three", 2), ([1.1, 1.2, 0.5, 1.3, 1.4], "four_of_five", 4),
    ([0.1] * 8, "run_of_eight", 7),
])  # fmt: skip
def test_western_electric_rules(points: list[float], rule: str, at: int) -> None:
    for side in (1, -1):
        found = signals_of(side * np.array(points), "western_electric")
        assert [(one.rule, one.at, one.side) for one in found] == [(rule, at, side)]


def test_runs_begin_where_judging_does() -> None:
    assert not signals_of(np.full(14, 0.1), "western_electric", judged_from=7)
    assert [one.rule for one in signals_of(np.array([-2.0, -1.5, -0.5, 0.5, 0.7, 0.9]), "nelson")] == ["six_trending"]
    assert not signals_of(np.array([0.5, 0.5, 0.5]), "nelson")


def test_wilson_and_newcombe_of_the_papers() -> None:
    # Newcombe, Statistics in Medicine 17 (1998): 857, table I (81 of 263; 1 of 29), and 873, table II, method 10.
    for found, units, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
                                    (1, 29, 0.0061, 0.1718)):  # fmt: skip
        share = wilson(found, units)
        assert (share.low, share.high) == pytest.approx((low, high), abs=5e-5)
    for one, other, low, high in (((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090),
                                  ((10, 10), (0, 20), 0.6791, 1.0), ((0, 10), (0, 20), -0.1611, 0.2775)):  # fmt: skip
        gap = difference(wilson(*one), wilson(*other))
        assert (gap.low, gap.high) == pytest.approx((low, high), abs=5e-5)


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.floats(0, 1), st.floats(0, 1))
def test_differences_hold_together(n: int, m: int, p: float, q: float) -> None:
    one, other = wilson(int(n * p), n), wilson(int(m * q), m)
    gap, back = difference(one, other), difference(other, one)
    assert gap.low - 1e-12 <= gap.difference <= gap.high + 1e-12
    assert (gap.difference, gap.low, gap.high) == pytest.approx((-back.difference, -back.high, -back.low), abs=1e-12)
    assert 0 <= gap.p_value <= 1 and gap.p_value == pytest.approx(back.p_value)


def test_tests_are_scipys() -> None:
    small, large = [wilson(1, 12), wilson(6, 11)], [wilson(30, 400), wilson(55, 420), wilson(20, 300)]
    assert same_share(small) == ("fisher", pytest.approx(fisher_exact([[1, 11], [6, 5]])[1]))
    table = [[one.found, one.units - one.found] for one in large]
    assert same_share(large) == ("chi_square", pytest.approx(chi2_contingency(table, correction=False)[1]))
    assert same_share([wilson(0, 9), wilson(0, 7)]) == ("fisher", 1.0)
    with pytest.raises(BadUsage):
        wilson(1, 0)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(50, 3000), st.integers(50, 3000), st.floats(-1, 1))
def test_distance_is_that_of_kolmogorov_and_smirnov_on_the_bins(seed: int, n: int, m: int, shift: float) -> None:
    random = np.random.default_rng(seed)
    now, then = (np.round(random.normal(mean, 1, size) * 20).astype(int) for mean, size in ((shift, n), (0.0, m)))
    edges = np.arange(min(now.min(), then.min()), max(now.max(), then.max()) + 2)
    found = drift(np.histogram(now, edges)[0].tolist(), np.histogram(then, edges)[0].tolist())
    known = ks_2samp(now, then, method="auto")
    assert found.distance == pytest.approx(known.statistic, abs=1e-12)
    assert found.distance_p_value == pytest.approx(known.pvalue, abs=0.05)
    assert found.low <= found.psi <= found.high and 0 <= found.p_value <= 1


def test_no_change_is_called_one_as_often_as_chance_says() -> None:
    random = np.random.default_rng(3)
    edges = np.linspace(-5, 5, 400)
    p_values = []
    for _ in range(200):
        now, then = (np.histogram(random.normal(0, 1, size), edges)[0].tolist() for size in (1500, 2500))
        p_values.append(drift(now, then).p_value)
    assert 0.01 < np.mean(np.array(p_values) < 0.05) < 0.12
    shifted = np.histogram(random.normal(0.8, 1, 1500), edges)[0].tolist()
    assert drift(shifted, then).verdict == "shifted" and drift(shifted, then).p_value < 1e-6


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.integers(0, 1000), max_size=30))
def test_bars_fall_and_count_everything_once(counts: dict[str, int]) -> None:
    bars = pareto(counts)
    assert sum(one.count for one in bars) == sum(counts.values())
    own = [one for one in bars if one.name != OTHERS or OTHERS in counts]
    assert [one.count for one in own] == sorted((one.count for one in own), reverse=True) or OTHERS in counts
    assert not bars or bars[-1].cumulative == pytest.approx(1)
