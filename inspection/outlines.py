"""Outlines: where a heatmap reaches a limit, as polygons in shares of the frame."""

import cv2
import numpy as np

from inspection.heatmap import Heatmap, enlarge
from inspection.verdict import Limits

Polygon = list[tuple[float, float]]
_LONGEST = 512  # pixels of the grid that outlines are drawn on
_TOLERANCE = 0.5  # of half a pixel of it, that a simplified outline may be off
_MOST = 200


def outlines(heatmap: Heatmap, limits: Limits, aspect: float = 1.0) -> dict[str, list[Polygon]]:
    """The map's `[h, w]` regions at and above the review limit and the reject limit, each the largest ones first, as
    polygons of points (x, y) between 0 and 1. `aspect` is width over height of the frame. The map is smoothed as in
    the picture of it (`enlarge`), so that the lines run where the colours are."""
    longest = max(_LONGEST, *heatmap.shape)
    width, height = (longest, round(longest / aspect)) if aspect >= 1 else (round(longest * aspect), longest)
    large = enlarge(heatmap, max(1, height), max(1, width))
    return {"review": contours(large >= limits.review_limit), "reject": contours(large >= limits.reject_limit)}


def contours(inside: np.ndarray) -> list[Polygon]:
    """The outer borders of what is True in `[H, W]`, in shares of it, the largest first, 200 at most."""
    height, width = inside.shape
    # On a grid of cells and of the edges between them, so that lines run along edges and not through middles.
    fine = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)
    fine[1::2, 1::2] = inside
    fine = cv2.dilate(fine, np.ones((3, 3), np.uint8))
    found, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found = sorted(found, key=cv2.contourArea, reverse=True)[:_MOST]
    polygons = []
    for contour in found:
        points = cv2.approxPolyDP(contour, _TOLERANCE, closed=True).reshape(-1, 2)
        shares = points / (2 * width, 2 * height)
        polygons.append([(round(float(x), 4), round(float(y), 4)) for x, y in shares])
    return polygons
