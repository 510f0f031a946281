"""Figures of merit against their definitions, counted out the slow way."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from scipy import ndimage, stats

from training.metrics import aupro, auroc, auroc_interval, clopper_pearson, roc

Map = NDArray[np.float64]
Mask = NDArray[np.bool_]
FEW_VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0, np.inf])  # so that values tie
MAPS = npst.arrays(np.float64, (2, 5, 6), elements=st.integers(0, 4).map(float))
MASKS = npst.arrays(np.bool_, (2, 5, 6), elements=st.sampled_from([False, False, False, True]))
EIGHT = np.ones((3, 3))


def pairs_in_order(scores: Map, defective: Mask) -> float:
    """The chance that a defective one scores above a good one, ties counting half."""
    bad, good = scores[defective][:, None], scores[~defective][None]
    return float(((bad > good) + 0.5 * (bad == good)).mean())


def overlap_curve(maps: Map, masks: Mask) -> list[tuple[float, float]]:
    """False-positive rate and mean share of each region found, at every threshold from the highest down."""
    regions = []
    for image, mask in enumerate(masks):
        labels, count = ndimage.label(mask, structure=EIGHT)
        regions += [(image, labels == label) for label in range(1, count + 1)]
    curve = [(0.0, 0.0)]
    for threshold in sorted(np.unique(maps), reverse=True):
        found = maps >= threshold
        share = [float(found[image][region].mean()) for image, region in regions]
        curve.append((float(found[~masks].mean()), float(np.mean(share))))
    return curve


def area_under(curve: list[tuple[float, float]], limit: float) -> float:
    """The integral of straight lines between the points, from 0 to `limit`, divided by it."""
    total = 0.0
    for (left, low), (right, high) in pairwise(curve):
        end = min(right, limit)
        if left < end:
            at_end = low + (high - low) * (end - left) / (right - left)
            total += (end - left) * (low + at_end) / 2
    return total / limit


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


def test_the_interval_of_the_auroc_covers_the_truth_about_as_often_as_it_says() -> None:
    truth = stats.norm.cdf(1.2 / np.sqrt(2))
    random = np.random.default_rng(0)
    defective = np.repeat([False, True], [60, 40])
    covered = 0
    for _ in range(200):
        interval = auroc_interval(random.normal(size=100) + 1.2 * defective, defective)
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]

    assert 180 <= covered <= 198
    assert auroc_interval(np.arange(4.0), np.array([False, False, True, True])) == (1.0, 1.0)
    assert auroc_interval(np.arange(4.0), np.zeros(4, bool)) is None


@given(maps=MAPS, masks=MASKS, limit=st.sampled_from([0.05, 0.3, 0.5, 1.0]))
@settings(max_examples=200, deadline=None)
def test_aupro_is_the_mean_overlap_of_regions(maps: Map, masks: Mask, limit: float) -> None:
    assume(masks.any() and not masks.all())

    (found,) = aupro(list(maps), list(masks), max_fprs=(limit,))

    assert found == pytest.approx(area_under(overlap_curve(maps, masks), limit), abs=1e-9)


def test_each_region_counts_the_same_whatever_its_size() -> None:
    masks = np.zeros((1, 20, 20), bool)
    masks[0, :10, :10] = True
    masks[0, 15, 15] = True
    only_large, only_small = masks * 1.0, masks * 1.0
    only_large[0, 15, 15] = -1
    only_small[0, :10, :10] = -1

    large, small = (aupro(list(maps), list(masks), max_fprs=(0.3,))[0] for maps in (only_large, only_small))
    assert large == pytest.approx(0.5, abs=0.01)
    assert small == pytest.approx(0.5, abs=0.01)


def test_regions_that_touch_at_a_corner_are_one() -> None:
    masks = np.zeros((1, 6, 6), bool)
    masks[0, 1, 1] = masks[0, 2, 2] = masks[0, 2, 3] = True
    maps = np.zeros((1, 6, 6))
    maps[0, 1, 1] = 1

    (found,) = aupro(list(maps), list(masks), max_fprs=(0.3,))
    assert found == pytest.approx(area_under([(0.0, 0.0), (0.0, 1 / 3), (1.0, 1.0)], 0.3))


def test_images_may_differ_in_size_and_a_perfect_map_is_perfect() -> None:
    masks = [np.eye(4, 7).astype(bool), np.eye(9, 5).astype(bool), np.zeros((3, 3), bool)]

    assert aupro([mask.astype(np.float32) for mask in masks], masks) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("defective", [False, True])
def test_aupro_without_regions_or_without_normal_pixels_cannot_be_told(defective: bool) -> None:
    assert aupro([np.zeros((4, 4))], [np.full((4, 4), defective)]) == [None, None]


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
