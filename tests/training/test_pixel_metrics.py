"""Pixel metrics against their definitions, counted out the slow way: every threshold, every pair, every region."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from scipy import ndimage

from training.metrics import roc
from training.pixel_metrics import PixelCounts, count_pixels

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]
SHAPE = (2, 5, 6)
VALUES = st.one_of(  # mostly such that tie
    st.integers(0, 4).map(float), st.sampled_from([-0.0, np.inf, -np.inf]), st.floats(width=32, allow_nan=False)
)
MAPS = npst.arrays(np.float32, SHAPE, elements=VALUES)
MASKS = npst.arrays(np.bool_, SHAPE, elements=st.sampled_from([False, False, False, True]))
LIMITS = st.sampled_from([0.01, 0.05, 0.3, 0.5, 1.0])


def counted(maps: Sequence[Map] | Map, masks: Sequence[Mask] | Mask, good: Sequence[Map] = ()) -> PixelCounts:
    counts = count_pixels(lambda: zip(maps, masks, strict=True), good)
    assert counts is not None
    return counts


def regions_of(masks: Mask) -> list[Mask]:
    """Each region as a mask over all images `[n, h, w]`."""
    regions = []
    for image, mask in enumerate(masks):
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        for label in range(1, count + 1):
            region = np.zeros_like(masks)
            region[image] = labels == label
            regions.append(region)
    return regions


def found_at_each_threshold(maps: Map) -> list[Mask]:
    return [maps >= threshold for threshold in sorted(np.unique(maps), reverse=True)]


def overlap_curve(maps: Map, masks: Mask) -> list[tuple[float, float]]:
    """False-positive rate and mean share of each region found, at every threshold from the highest down."""
    regions = regions_of(masks)
    curve = [(0.0, 0.0)]
    for found in found_at_each_threshold(maps):
        share = [float(found[region].mean()) for region in regions]
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


@given(maps=MAPS, masks=MASKS, limit=LIMITS)
@settings(max_examples=200, deadline=None)
def test_aupro_is_the_mean_overlap_of_regions(maps: Map, masks: Mask, limit: float) -> None:
    assume(masks.any() and not masks.all())

    assert counted(maps, masks).aupro(limit) == pytest.approx(area_under(overlap_curve(maps, masks), limit), abs=1e-9)


@given(maps=MAPS, masks=MASKS, limit=LIMITS)
@settings(deadline=None)
def test_aupro_is_the_mean_of_the_areas_under_the_regions_own_curves(maps: Map, masks: Mask, limit: float) -> None:
    """As anomalib puts it; it differs in that it resamples each curve and divides by the last rate sampled."""
    assume(masks.any() and not masks.all())
    areas = []
    for region in regions_of(masks):
        used = region | ~masks
        false_positive, found = roc(maps[used], region[used])
        areas.append(area_under(list(zip(false_positive, found, strict=True)), limit))

    assert counted(maps, masks).aupro(limit) == pytest.approx(np.mean(areas), abs=1e-9)


@given(maps=MAPS, masks=MASKS)
@settings(deadline=None)
def test_pixel_auroc_is_the_share_of_pairs_in_order(maps: Map, masks: Mask) -> None:
    assume(masks.any() and not masks.all())
    bad, normal = maps[masks][:, None], maps[~masks][None]

    wanted = ((bad > normal) + 0.5 * (bad == normal)).mean()
    assert counted(maps, masks).auroc() == pytest.approx(wanted, abs=1e-12)


@given(maps=MAPS, masks=MASKS)
@settings(deadline=None)
def test_average_precision_and_f1_max_are_those_over_every_threshold(maps: Map, masks: Mask) -> None:
    assume(masks.any() and not masks.all())
    points = [(float(masks[found].mean()), float(found[masks].mean())) for found in found_at_each_threshold(maps)]
    average = sum(p * (recall - before) for (_, before), (p, recall) in pairwise([(1.0, 0.0), *points]))
    best = max(2 * p * recall / (p + recall) for p, recall in points if recall)

    counts = counted(maps, masks)
    assert counts.average_precision() == pytest.approx(average, abs=1e-12)
    assert counts.f1_max() == pytest.approx(best, abs=1e-12)


@given(maps=MAPS, masks=MASKS, chunk=st.integers(1, 70))
@settings(deadline=None)
def test_the_figures_do_not_depend_on_how_the_pixels_are_handed_over(maps: Map, masks: Mask, chunk: int) -> None:
    assume(masks.any() and not masks.all())
    whole = counted(maps, masks)
    marked = [(m, mask) for m, mask in zip(maps, masks, strict=True) if mask.any()]
    good = [m for m, mask in zip(maps, masks, strict=True) if not mask.any()]

    parts = count_pixels(lambda: reversed(marked), iter(good), chunk=chunk)

    assert parts is not None
    for name in ("normal_above", "normal_level", "defect_level", "normal"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))
    assert parts.overlap == pytest.approx(whole.overlap, abs=1e-12)


def test_float32_neighbours_are_told_apart_among_large_values_and_kept_as_float32() -> None:
    mask = np.array([[True, False]])
    higher = np.nextafter(np.float32(1e8), np.float32(np.inf))
    values = np.array([[higher, 1e8]], np.float32)

    assert counted([values], [mask]).auroc() == 1
    assert counted([values], [~mask]).auroc() == 0


def test_each_region_counts_the_same_whatever_its_size() -> None:
    mask = np.zeros((20, 20), bool)
    mask[:10, :10] = True
    mask[15, 15] = True
    only_large, only_small = mask.astype(np.float32), mask.astype(np.float32)
    only_large[15, 15] = -1
    only_small[:10, :10] = -1

    large, small = (counted([heatmap], [mask]).aupro(0.3) for heatmap in (only_large, only_small))
    assert large == pytest.approx(0.5, abs=0.01)
    assert small == pytest.approx(0.5, abs=0.01)


def test_regions_that_touch_at_a_corner_are_one() -> None:
    masks = np.zeros((1, 6, 6), bool)
    masks[0, 1, 1] = masks[0, 2, 2] = masks[0, 2, 3] = True
    maps = np.zeros((1, 6, 6), np.float32)
    maps[0, 1, 1] = 1

    wanted = area_under([(0.0, 0.0), (0.0, 1 / 3), (1.0, 1.0)], 0.3)
    assert counted(maps, masks).aupro(0.3) == pytest.approx(wanted)


def test_the_curve_is_cut_at_the_limit_itself_and_not_at_the_last_threshold_before_it() -> None:
    """Half of the normal pixels are level with the defect: a straight line from (0, 0) to (0.5, 1), as MVTec's
    evaluation has it. Code that drops the points beyond the limit would find nothing under the curve."""
    heatmap = np.array([[1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]], np.float32)
    mask = np.arange(11)[None] == 0

    counts = counted([heatmap], [mask])
    assert counts.aupro(0.3) == pytest.approx(0.3)
    assert counts.aupro(0.05) == pytest.approx(0.05)
    assert counts.aupro(1.0) == pytest.approx(0.75)


def test_images_may_differ_in_size_and_a_perfect_map_is_perfect() -> None:
    masks = [np.eye(4, 7).astype(bool), np.eye(9, 5).astype(bool)]

    counts = counted([mask.astype(np.float32) for mask in masks], masks, good=[np.zeros((3, 3), np.float32)])

    assert counts.normal == 4 * 7 - 4 + 9 * 5 - 5 + 9
    assert (counts.auroc(), counts.average_precision(), counts.f1_max()) == (1, 1, 1)
    assert (counts.aupro(0.3), counts.aupro(0.05)) == pytest.approx((1, 1))


def test_a_mask_may_cover_a_whole_image_where_another_one_has_normal_pixels() -> None:
    ones, zeros = np.ones((4, 4), np.float32), np.zeros((4, 4), np.float32)

    assert counted([ones], [ones > 0], good=[zeros]).aupro(0.3) == pytest.approx(1)
    assert counted([zeros], [ones > 0], good=[ones]).auroc() == 0


@pytest.mark.parametrize("defective", [False, True])
def test_without_regions_or_without_normal_pixels_nothing_can_be_told(defective: bool) -> None:
    heatmap = np.zeros((4, 4), np.float32)

    assert count_pixels(lambda: [(heatmap, np.full((4, 4), defective))]) is None


def test_of_good_images_alone_or_of_no_images_nothing_can_be_told() -> None:
    assert count_pixels(lambda: [], [np.zeros((4, 4), np.float32)]) is None
    assert count_pixels(lambda: []) is None


def test_a_map_with_nan_is_refused_wherever_it_is() -> None:
    fine, mask = np.zeros((4, 4), np.float32), np.eye(4) > 0
    for place in ((0, 0), (0, 1)):  # a defect pixel, a normal one
        broken = fine.copy()
        broken[place] = np.nan
        with pytest.raises(ValueError, match="NaN cannot be ranked, got 1 in a map"):
            counted([broken], [mask])
        with pytest.raises(ValueError, match="NaN cannot be ranked, got 1 in a map"):
            counted([fine], [mask], good=[broken])


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got a mask \(4, 5\) for a map \(4, 4\)"):
        counted([np.zeros((4, 4), np.float32)], [np.zeros((4, 5), bool)])


def test_images_that_can_be_walked_only_once_are_refused() -> None:
    once: Iterator[tuple[Map, Mask]] = iter([(np.zeros((4, 4), np.float32), np.eye(4) > 0)])

    with pytest.raises(ValueError, match="4 defect pixels on the first walk and 0 on the second"):
        count_pixels(lambda: once)


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.1, float("nan")])
def test_a_limit_that_is_no_rate_is_refused(limit: float) -> None:
    mask = np.eye(4) > 0

    with pytest.raises(ValueError, match=f"got {limit}"):
        counted([mask.astype(np.float32)], [mask]).aupro(limit)
