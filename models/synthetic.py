"""Synthetic defects on good images, from which the head learns what a defect may look like (after DRAEM, Zavrtanik et
al., 2021, and CutPaste, Li et al., 2021).

A shape (blob, line, spots, rectangle) is filled in one of several ways (a piece of another unit, a colour, lighter or
darker, tinted, noise, blurred, warped). All sizes are in pixels of model input.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inspection.frames import Pixels

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
VISIBLE = 25.0  # grey levels: less of a change is not called a defect, or the head learns to fear noise
_LEAST_PIXELS = 4
_TRIES = 8
_ON_PRODUCT = 0.9
_LARGEST, _WHOLE = 0.25, 0.6  # of the shorter side: a usual defect, and the largest
_GROSS = 0.1  # of blobs and rectangles are larger than usual


def paint_defects(random: Generator, pixels: Pixels, donor: Pixels, product: Mask | None) -> tuple[Pixels, Mask]:
    """One to three defects on `pixels` `[H, W, 3]`, and where they are `[H, W]`.

    `donor` is another good unit of the same shape, pieces of which are pasted. Most defects are centred on `product`
    `[H, W]`, all of them anywhere where it is None. A defect that nobody would see is tried again.
    """
    before = pixels.astype(np.float32)
    for _ in range(_TRIES):
        after = before.copy()
        for _ in range(random.choice([1, 2, 3], p=[0.6, 0.25, 0.15])):
            _paint(random, after, donor, product)
        np.clip(after, 0, 255, out=after)
        changed = np.abs(after - before).max(axis=2) > VISIBLE
        if changed.sum() >= _LEAST_PIXELS:
            return np.round(after).astype(np.uint8), changed
    return pixels, np.zeros(pixels.shape[:2], dtype=bool)


def vary(random: Generator, pixels: Pixels) -> Pixels:
    """What the same unit might look like the next time `[H, W, 3]`: moved by up to 3 pixels, a little lighter or
    darker, with camera noise."""
    move = np.array([[1, 0, random.integers(-3, 4)], [0, 1, random.integers(-3, 4)]], dtype=np.float32)
    size = (pixels.shape[1], pixels.shape[0])
    image = cv2.warpAffine(pixels, move, size, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    image *= random.uniform(0.95, 1.05)
    image += random.uniform(-5, 5)
    if random.random() < 0.5:
        noise = random.standard_normal(image.shape, dtype=np.float32)
        noise *= random.uniform(0, 2.5)
        image += noise
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def _paint(random: Generator, image: Floats, donor: Pixels, product: Mask | None) -> None:
    """One defect into `image`, in place. Only the window around it is worked on."""
    height, width = image.shape[:2]
    x, y = _centre(random, height, width, product)
    draw = _SHAPES[random.choice(len(_SHAPES), p=[0.4, 0.25, 0.2, 0.15])]
    shape = draw(random, min(height, width))
    reach = shape.shape[0] // 2
    top, left = max(0, y - reach), max(0, x - reach)
    bottom, right = min(height, y + reach), min(width, x + reach)
    weight = shape[top - y + reach : bottom - y + reach, left - x + reach : right - x + reach]
    if weight.size == 0:
        return
    if random.random() < 0.6:
        weight = np.asarray(cv2.GaussianBlur(weight, (0, 0), random.uniform(0.4, 1.6)), dtype=np.float32)
    window = image[top:bottom, left:right]
    fill = _FILLS[random.choice(len(_FILLS), p=[0.25, 0.2, 0.15, 0.1, 0.1, 0.1, 0.1])]
    window += (fill(random, window, image, donor) - window) * weight[:, :, None]


def _centre(random: Generator, height: int, width: int, product: Mask | None) -> tuple[int, int]:
    if product is not None and random.random() < _ON_PRODUCT:
        for _ in range(50):
            x, y = int(random.integers(width)), int(random.integers(height))
            if product[y, x]:
                return x, y
    return int(random.integers(width)), int(random.integers(height))


def _field(random: Generator, height: int, width: int, cell: float) -> Floats:
    """Smooth noise `[height, width]` of deviation about one; it varies over `cell` pixels."""
    size = (max(2, round(height / cell)) + 1, max(2, round(width / cell)) + 1)
    coarse = random.standard_normal(size, dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def _log_uniform(random: Generator, low: float, high: float) -> float:
    return float(np.exp(random.uniform(np.log(low), np.log(max(low, high)))))


def _extent(random: Generator, low: float, side: int) -> float:
    """A length in pixels: small ones are as frequent as large ones, and now and then it is that of the product."""
    if random.random() < _GROSS:
        return random.uniform(_LARGEST, _WHOLE) * side
    return _log_uniform(random, low, _LARGEST * side)


def _blob(random: Generator, side: int) -> Floats:
    radius = 0.9 * _extent(random, 2.5, side)
    other = radius * random.uniform(0.35, 1)
    reach = int(radius * 1.6) + 4
    y, x = np.mgrid[-reach:reach, -reach:reach].astype(np.float32)
    angle = random.uniform(0, np.pi)
    u = (x * np.cos(angle) + y * np.sin(angle)) / radius
    v = (y * np.cos(angle) - x * np.sin(angle)) / other
    ragged = random.uniform(0, 0.6) * _field(random, 2 * reach, 2 * reach, max(3, radius / 1.5))
    return np.asarray(u * u + v * v + ragged < 1, dtype=np.float32)


def _line(random: Generator, side: int) -> Floats:
    length, parts = _log_uniform(random, 6, side / 2), int(random.integers(2, 7))
    angles = random.uniform(0, 2 * np.pi) + np.cumsum(random.normal(0, 0.5, parts))
    steps = length / parts * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    reach = int(np.abs(points).max()) + 4
    shape = np.zeros((2 * reach, 2 * reach), dtype=np.float32)
    corners = np.round((points + reach) * 8).astype(np.int32)
    cv2.polylines(shape, [corners], False, 1.0, int(random.choice([1, 1, 2, 2, 3])), cv2.LINE_AA, 3)
    return shape


def _spots(random: Generator, side: int) -> Floats:
    places = random.normal(0, side * 0.04, (int(random.integers(1, 4)), 2))
    reach = int(np.abs(places).max()) + 8
    shape = np.zeros((2 * reach, 2 * reach), dtype=np.float32)
    for place in places:
        centre = (int(place[0]) + reach, int(place[1]) + reach)
        cv2.circle(shape, centre, int(random.integers(1, 5)), 1.0, -1, cv2.LINE_AA)
    return shape


def _rectangle(random: Generator, side: int) -> Floats:
    size = (_extent(random, 4, side), _extent(random, 4, side))
    reach = int(np.hypot(*size) / 2) + 4
    shape = np.zeros((2 * reach, 2 * reach), dtype=np.float32)
    corners = cv2.boxPoints(((float(reach), float(reach)), size, random.uniform(0, 180)))
    cv2.fillPoly(shape, [np.round(corners * 8).astype(np.int32)], 1.0, cv2.LINE_AA, 3)
    return shape


def _paste(random: Generator, window: Floats, image: Floats, donor: Pixels) -> Floats:  # noqa: ARG001
    height, width = window.shape[:2]
    top = int(random.integers(donor.shape[0] - height + 1))
    left = int(random.integers(donor.shape[1] - width + 1))
    piece = donor[top : top + height, left : left + width].astype(np.float32)
    piece = piece[::-1] if random.random() < 0.5 else piece
    piece = piece[:, ::-1] if random.random() < 0.5 else piece
    return np.asarray(piece * random.uniform(0.8, 1.2) + random.uniform(-15, 15), dtype=np.float32)


def _colour(random: Generator, window: Floats, image: Floats, donor: Pixels) -> Floats:  # noqa: ARG001
    place = random.integers(image.shape[0]), random.integers(image.shape[1])
    colour = random.uniform(0, 255, 3) if random.random() < 0.5 else image[place]
    opacity = random.uniform(0.3, 1)
    return np.asarray(opacity * colour + (1 - opacity) * window, dtype=np.float32)


def _lightness(random: Generator, window: Floats, image: Floats, donor: Pixels) -> Floats:  # noqa: ARG001
    factor = random.uniform(0.3, 0.85) if random.random() < 0.5 else random.uniform(1.15, 1.8)
    return np.asarray(window * factor + random.uniform(-25, 25), dtype=np.float32)


def _tint(random: Generator, window: Floats, image: Floats, donor: Pixels) -> Floats:  # noqa: ARG001
    return np.asarray(window * random.uniform(0.6, 1.4, 3), dtype=np.float32)


def _noise(random: Generator, window: Floats, image: Floats, donor: Pixels) -> Floats:  # noqa: ARG001
    height, width = window.shape[:2]
    grain = _field(random, height, width, random.uniform(1.5, 6))[:, :, None]
    return np.asarray(window + random.uniform(12, 50) * grain * random.uniform(0.3, 1, 3), dtype=np.float32)


def _blur(random: Generator, window: Floats, image: Floats, donor: Pixels) -> Floats:  # noqa: ARG001
    return np.asarray(cv2.GaussianBlur(window, (0, 0), random.uniform(1.5, 6)), dtype=np.float32)


def _warp(random: Generator, window: Floats, image: Floats, donor: Pixels) -> Floats:  # noqa: ARG001
    height, width = window.shape[:2]
    far, cell = random.uniform(2, 8), random.uniform(6, 25)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = (axis + np.float32(far) * _field(random, height, width, cell) for axis in (x, y))
    return np.asarray(cv2.remap(window, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), dtype=np.float32)


_SHAPES: list[Callable[[Generator, int], Floats]] = [_blob, _line, _spots, _rectangle]
_FILLS: list[Callable[[Generator, Floats, Floats, Pixels], Floats]] = [
    _paste, _colour, _lightness, _tint, _noise, _blur, _warp,
]  # fmt: skip
