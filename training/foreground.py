"""Where the product is, on a plain background: the rectangle that holds it in every training image."""

from collections.abc import Iterable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.frames import Pixels
from inspection.region import WHOLE, Bounds

_SIDE = 160  # pixels of the longer side at which the product is looked for
_RING = 0.04  # width of the frame's border, which must be background
_LEAST_CONTRAST = 11.999  # grey levels; below a whole one, so that rounding decides no pixel on a clipped background
_NOISE = 6.0  # times the border's own deviation
_PLAIN = 0.9  # share of the border that must look like background, in every image
_MARGIN = 0.03  # of the frame's longer side, on each side of the product


def product_bounds(pixels: Pixels) -> Bounds | None:
    """The rectangle around the product on one frame `[H, W, 3]`, with a margin; None where the background is not plain
    or nothing is on it."""
    product = find_product(pixels)
    if product is None:
        return None
    rows, columns = np.flatnonzero(product.any(axis=1)), np.flatnonzero(product.any(axis=0))
    height, width = product.shape
    x_margin, y_margin = (_MARGIN * max(height, width) / length for length in (width, height))
    left, top = columns[0] / width - x_margin, rows[0] / height - y_margin
    right, bottom = (columns[-1] + 1) / width + x_margin, (rows[-1] + 1) / height + y_margin
    return max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0)


def around(products: Iterable[Bounds | None]) -> Bounds:
    """The rectangle around all of them; the whole frame from the first that is None on, or where there are none."""
    left, top, right, bottom = 1.0, 1.0, 0.0, 0.0
    for bounds in products:
        if bounds is None:
            return WHOLE
        left, top = min(left, bounds[0]), min(top, bounds[1])
        right, bottom = max(right, bounds[2]), max(bottom, bounds[3])
    return (float(left), float(top), float(right), float(bottom)) if left < right else WHOLE


def find_product(pixels: Pixels) -> NDArray[np.bool_] | None:
    """Where the product is on a frame `[H, W, 3]`: `[h, w]` with the longer side `_SIDE`; None where the background is
    not plain or nothing is on it."""
    product, plain = _foreground(pixels)
    return product if plain >= _PLAIN and product.any() else None


def _foreground(pixels: Pixels) -> tuple[NDArray[np.bool_], float]:
    """What differs from the background, `[h, w]` with the longer side `_SIDE`, and which share of the border does not.

    The background is a second-degree surface through the frame's border in each colour: light that falls off towards
    the corners is not taken for a product.
    """
    scale = _SIDE / max(pixels.shape[:2])
    size = (max(8, round(pixels.shape[1] * scale)), max(8, round(pixels.shape[0] * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float64)
    border, terms = _background_of(*small.shape[:2])
    edge, places = small[border], terms[border]
    used = np.ones(len(edge), dtype=bool)
    for _ in range(3):  # what sticks out of the border is left out of the next surface
        known = places[used]
        surface = np.linalg.solve(known.T @ known, known.T @ edge[used])
        difference = np.abs(edge - places @ surface).max(axis=1)
        deviation = 1.4826 * np.median(difference)
        inner = difference <= max(3 * deviation, 4.0)
        if inner.sum() < len(edge) / 2:
            break
        used = inner
    contrast = max(_NOISE * deviation, _LEAST_CONTRAST)
    unlike = (np.abs(small - terms @ surface) > contrast).any(axis=2)
    product = cv2.morphologyEx(unlike.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    return product, float((difference <= contrast).mean())


@lru_cache(maxsize=8)
def _background_of(height: int, width: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which pixels `[h, w]` are the frame's border, and the surface's terms `[h, w, 6]` at each."""
    ring = max(2, round(_RING * min(height, width)))
    border = np.ones((height, width), dtype=bool)
    border[ring:-ring, ring:-ring] = False
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return border, np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)
