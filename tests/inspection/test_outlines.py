"""Outlines run around what reaches a limit, and around nothing else."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inspection.outlines import Polygon, contours, outlines
from inspection.verdict import Limits

LIMITS = Limits(review_limit=1.0, reject_limit=2.0)


def painted(polygons: list[Polygon], height: int, width: int, side: int = 24) -> np.ndarray:
    """How much of each cell `[height, width]` lies inside of the polygons, 0 to 1."""
    canvas = np.zeros((height * side, width * side), np.uint8)
    for polygon in polygons:
        points = np.array(polygon) * (width * side, height * side) - 0.5
        cv2.fillPoly(canvas, [np.rint(points).astype(np.int32)], 1)
    return canvas.reshape(height, side, width, side).mean(axis=(1, 3))


@given(arrays(bool, st.tuples(st.integers(2, 14), st.integers(2, 14))))
@settings(deadline=None, max_examples=80)
def test_what_is_inside_is_surrounded_and_what_is_far_is_not(inside: np.ndarray) -> None:
    polygons = contours(inside)
    assert bool(polygons) is bool(inside.any())
    assert all(0 <= value <= 1 for polygon in polygons for point in polygon for value in point)
    share = painted(polygons, *inside.shape)
    assert (share[inside] > 0.5).all()
    # outer borders alone: what is False and not surrounded by True ones is outside
    outside = cv2.copyMakeBorder(inside.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    cv2.floodFill(outside, None, (0, 0), 2)
    outer = outside[1:-1, 1:-1] == 2
    assert (share[outer] < 0.6).all(), "a line cuts the corner of a notch one cell wide, which is half of the cell"
    far = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    assert (share[outer & far] < 0.05).all()


def test_the_regions_of_a_heatmap_at_both_limits() -> None:
    heatmap = np.zeros((28, 20), np.float32)
    heatmap[5:9, 4:8], heatmap[20:22, 14:16] = 4.0, 1.8
    found = outlines(heatmap, LIMITS, 20 / 28)
    assert (len(found["review"]), len(found["reject"])) == (2, 1)
    [around] = found["reject"]
    left, top = np.array(around).min(axis=0)
    right, bottom = np.array(around).max(axis=0)
    assert 3.5 / 20 < left < 5 / 20 and 7 / 20 < right < 8.5 / 20
    assert 4.5 / 28 < top < 6 / 28 and 8 / 28 < bottom < 9.5 / 28
    assert outlines(np.zeros((8, 8), np.float32), LIMITS) == {"review": [], "reject": []}
