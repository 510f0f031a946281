"""Figures of merit against their definitions, counted out the slow way."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from scipy import stats

from training.metrics import auroc, auroc_interval, clopper_pearson, roc

Map = NDArray[np.float64]
Mask = NDArray[np.bool_]
FEW_VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0, np.inf])  # so that values tie


def pairs_in_order(scores: Map, defective: Mask) -> float:
    """The chance that a defective one scores above a good one, ties counting half."""
    bad, good = scores[defective][:, None], scores[~defective][None]
    return float(((bad > good) + 0.5 * (bad == good)).mean())


@given(
    scores=npst.arrays(np.float64, 12, elements=FEW_VALUES),
    defective=npst.arrays(np.bool_, 12),
)
@settings(deadline=None)
def test_auroc_is_the_share_of_pairs_in_order(scores: Map, defective: Mask) -> None:
    assume(defective.any() and not defective.all())

    assert auroc(scores, defective) == pytest.approx(pairs_in_order(scores, defective))


@pytest.mark.parametrize("defective", [False, True])
def test_auroc_of_one_kind_alone_cannot_be_told(defective: bool) -> None:
    assert auroc(np.arange(3.0), np.full(3, defective)) is None


@given(
    scores=npst.arrays(np.float64, 12, elements=FEW_VALUES),
    defective=npst.arrays(np.bool_, 12),
)
@settings(deadline=None)
def test_the_roc_has_a_point_at_every_score(scores: Map, defective: Mask) -> None:
    assume(defective.any() and not defective.all())
    thresholds = sorted(np.unique(scores), reverse=True)
    wanted = [
        (0.0, 0.0),
        *((float((scores[~defective] >= t).mean()), float((scores[defective] >= t).mean())) for t in thresholds),
    ]

    assert np.allclose(np.transpose(roc(scores, defective)), wanted)


@pytest.mark.parametrize(("good", "bad", "area"), [(60, 40, 0.8), (15, 109, 0.97), (10, 12, 0.99), (200, 200, 0.5)])
def test_the_interval_of_the_auroc_covers_the_truth_about_as_often_as_it_says(good: int, bad: int, area: float) -> None:
    apart = stats.norm.ppf(area) * np.sqrt(2)
    random = np.random.default_rng(0)
    defective = np.repeat([False, True], [good, bad])
    covered = 0
    for _ in range(300):
        interval = auroc_interval(random.normal(size=good + bad) + apart * defective, defective)
        assert interval is not None
        covered += interval[0] <= area <= interval[1]

    assert covered >= 0.92 * 300


def test_the_interval_of_the_auroc_at_the_edges() -> None:
    defective = np.array([False, False, False, True, True, True])
    perfect, worst = (auroc_interval(scores, defective) for scores in (np.arange(6.0), -np.arange(6.0)))

    assert perfect is not None and worst is not None
    assert perfect[1] == 1 and perfect[0] < 0.7  # three of each prove little
    assert worst == pytest.approx((1 - perfect[1], 1 - perfect[0]), abs=1e-6)
    assert auroc_interval(np.arange(4.0), np.zeros(4, bool)) is None


@given(total=st.integers(1, 400), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=100, deadline=None)
def test_the_interval_is_the_exact_binomial_one(total: int, share: float, confidence: float) -> None:
    count = round(total * share)
    wanted = stats.binomtest(count, total).proportion_ci(confidence, method="exact")

    found = clopper_pearson(count, total, confidence)

    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
    assert found.rate == count / total
    assert (found.count, found.total, found.confidence) == (count, total, confidence)
    assert found.low <= found.rate <= found.high


def test_the_interval_at_the_edges() -> None:
    nothing, none, all_of_them = clopper_pearson(0, 0), clopper_pearson(0, 10), clopper_pearson(10, 10)

    assert (nothing.rate, nothing.low, nothing.high) == (None, 0.0, 1.0)
    assert (none.rate, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(0.3085, abs=1e-4)
    assert (all_of_them.rate, all_of_them.high) == (1.0, 1.0)
    assert all_of_them.low == pytest.approx(0.6915, abs=1e-4)


@pytest.mark.parametrize(("count", "total"), [(-1, 5), (6, 5)])
def test_a_count_outside_its_total_is_refused(count: int, total: int) -> None:
    with pytest.raises(ValueError, match=f"got {count} of {total}"):
        clopper_pearson(count, total)
