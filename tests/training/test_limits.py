"""The false-reject rate that was asked for is the one that fresh good units get."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from scipy import stats

from inspection.errors import BadUsage
from inspection.verdict import Outcome, decide
from training.limits import set_limits

Scores = NDArray[np.float64]
DISTRIBUTIONS = {
    "exponential": stats.expon(5),
    "normal": stats.norm(10, 1),
    "lognormal": stats.lognorm(0.25),
    "gumbel": stats.gumbel_r(10, 1),
}


def reached(distribution: stats.rv_continuous, count: int, rate: float, runs: int = 300) -> tuple[float, float]:
    """The mean share of fresh units at or above the review and the reject limit, over limits from many samples."""
    shares = []
    for seed in range(runs):
        limits = set_limits(distribution.rvs(count, random_state=seed), rate).limits
        shares.append((distribution.sf(limits.review_limit), distribution.sf(limits.reject_limit)))
    review, reject = np.mean(shares, axis=0)
    return float(review), float(reject)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("count", [20, 50, 200, 600, 2000])
def test_exponential_tails_get_the_rate_asked_for(count: int, rate: float) -> None:
    """Within a tenth of the review rate; the reject limit's rate is a tenth of it, and its estimate coarser."""
    review, reject = reached(DISTRIBUTIONS["exponential"], count, rate)

    assert review == pytest.approx(rate, rel=0.1)
    assert reject == pytest.approx(rate / 10, rel=0.35)


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
@pytest.mark.parametrize("count", [50, 200, 2000])
def test_no_usual_tail_gets_much_more_than_the_rate_asked_for(count: int, name: str) -> None:
    """Lighter tails get less while few images are held out, never more than a tenth above; with 600 it is exact."""
    review, reject = reached(DISTRIBUTIONS[name], count, 0.02)

    assert 0.6 * 0.02 < review < 1.1 * 0.02
    assert reject < 1.35 * 0.002
    if count * 0.02 >= 10:
        assert review == pytest.approx(0.02, rel=0.05)


def test_a_heavy_tail_gets_at_most_half_as_much_again() -> None:
    review, _ = reached(stats.lognorm(1.0), 50, 0.02)

    assert review < 1.5 * 0.02


@given(
    scores=npst.arrays(np.float64, st.integers(2, 80), elements=st.floats(-1e6, 1e6)),
    rate=st.floats(0.001, 0.5),
)
@settings(deadline=None)
def test_limits_are_in_order_and_the_count_is_that_of_the_verdicts(scores: Scores, rate: float) -> None:
    setting = set_limits(scores, rate)

    assert setting.limits.review_limit <= setting.limits.reject_limit
    stopped = [decide(float(score), setting.limits).outcome is not Outcome.PASS for score in scores]
    assert setting.above_review == sum(stopped)


@given(
    scores=npst.arrays(np.float64, st.integers(2, 60), elements=st.floats(0, 100)),
    rate=st.floats(0.001, 0.5),
)
@settings(deadline=None)
def test_the_order_of_the_scores_does_not_matter(scores: Scores, rate: float) -> None:
    assert set_limits(scores, rate) == set_limits(scores[::-1], rate)


def shifted(count: int, odd: float | None, rate: float = 0.02) -> float:
    """The review limit of `count` ordinary scores, with the highest replaced by an odd one."""
    scores = np.random.default_rng(0).normal(10, 1, count)
    if odd is not None:
        scores[scores.argmax()] = odd
    return set_limits(scores, rate).limits.review_limit


@pytest.mark.parametrize("count", [50, 200, 2000])
def test_one_odd_image_does_not_set_the_limit(count: int) -> None:
    """A limit at the highest score would follow the odd one all the way."""
    usual = shifted(count, None)

    assert shifted(count, 40.0) - usual < 0.35 * (40 - usual)
    if count * 0.02 >= 10:
        assert shifted(count, 40.0) == usual


def test_a_smaller_rate_is_a_higher_limit() -> None:
    scores = np.random.default_rng(0).gumbel(10, 1, 300)

    limits = [set_limits(scores, rate).limits for rate in (0.3, 0.1, 0.03, 0.01, 0.003)]
    assert sorted(limit.review_limit for limit in limits) == [limit.review_limit for limit in limits]
    assert sorted(limit.reject_limit for limit in limits) == [limit.reject_limit for limit in limits]


def test_units_that_are_all_alike_pass() -> None:
    setting = set_limits(np.full(30, 7.5), 0.02)

    assert decide(7.5, setting.limits).outcome is Outcome.PASS
    assert decide(7.6, setting.limits).outcome is Outcome.REJECT
    assert setting.above_review == 0


def test_how_the_limits_were_set_is_said() -> None:
    draw: Callable[[int], Scores] = np.random.default_rng(0).exponential
    few, many = set_limits(draw(size=100), 0.02), set_limits(draw(size=1000), 0.02)

    assert few.method == "review: exponential tail; reject: exponential tail"
    assert many.method == "review: order statistic; reject: exponential tail"


@pytest.mark.parametrize("rate", [0, -0.1, 0.51, 2, float("nan")])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(BadUsage, match=f"above 0 and at most 0.5, got {rate}"):
        set_limits(np.arange(10.0), rate)


@pytest.mark.parametrize("scores", [[], [1.0]])
def test_too_few_scores_are_refused(scores: list[float]) -> None:
    with pytest.raises(BadUsage, match=f"at least two held-out good images, got {len(scores)}"):
        set_limits(np.array(scores), 0.1)


@pytest.mark.parametrize("count", [5, 10, 19])
def test_with_few_images_the_limits_are_wide_but_near_the_scores(count: int) -> None:
    """Exact for normal scores; up to four times the rate for exponential ones; never far beyond what was seen."""
    review, reject = reached(DISTRIBUTIONS["normal"], count, 0.02, runs=1000)
    assert review == pytest.approx(0.02, rel=0.2)
    assert reject == pytest.approx(0.002, rel=0.6)

    assert reached(DISTRIBUTIONS["exponential"], count, 0.02)[0] < 4 * 0.02
    for seed in range(200):
        scores = stats.norm(10, 1).rvs(count, random_state=seed)
        setting = set_limits(scores, 0.02)
        assert setting.limits.review_limit < scores.mean() + 3.5 * scores.std(ddof=1)
        assert setting.limits.reject_limit < scores.mean() + 6.6 * scores.std(ddof=1)
        assert "normal prediction limit" in setting.method
