"""Drawing primitives: where a unit stands in the frame, soft curves, antialiased strokes, camera noise.

Light is linear (0 dark, 1 sensor saturation) until `expose` turns it into an 8-bit frame. Lengths are in
reference units (the pixels of the product's default frame), so that a unit looks alike at every size.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from data.simulator.unit import Size

Field = NDArray[np.float32]  # HW
Light = NDArray[np.float32]  # CHW, linear RGB: planes, because every step works on one colour at a time
Points = NDArray[np.float64]  # N x 2, (x, y)

SUPERSAMPLING = 4
_SHEET_MARGIN = 240

# Quantiles of the normal distribution: picking among them evenly is quicker than a normal generator.
_QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / 4096) for i in range(4096)], np.float32)


def stream(seed: int, purpose: str) -> np.random.Generator:
    """An independent random stream per purpose: drawing a defect never shifts the pose or the noise."""
    return np.random.default_rng([seed, *purpose.encode()])


def sensor_stream(seed: int, view: int) -> np.random.Generator:
    """The sensor's noise: another for each view of a unit."""
    return stream(seed, f"sensor {view}" if view else "sensor")


@dataclass(frozen=True)
class Placement:
    """Maps the reference drawing into the frame: shift (reference units), angle (radians) and zoom."""

    size: Size
    reference: Size
    shift: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    zoom: float = 1.0
    pivot: tuple[float, float] = (0.0, 0.0)

    @cached_property
    def grain(self) -> float:
        """Frame pixels per reference unit before the zoom: textures keep one grain from unit to unit."""
        return min(self.size[0] / self.reference[0], self.size[1] / self.reference[1])

    @cached_property
    def scale(self) -> float:
        """Frame pixels per reference unit."""
        return self.zoom * self.grain

    @cached_property
    def matrix(self) -> NDArray[np.float64]:
        """2 x 3 affine, reference point to pixel (pixel centres at whole numbers)."""
        cos, sin = self.scale * np.cos(self.angle), self.scale * np.sin(self.angle)
        linear = np.array([[cos, -sin], [sin, cos]])
        pivot = np.array(self.pivot)
        home = self.grain * (pivot + self.shift - np.array(self.reference) / 2)
        home += np.array(self.size) / 2 - 0.5
        return np.column_stack([linear, home - linear @ pivot])

    def coordinates(self) -> tuple[Field, Field]:
        """Reference x and y of every pixel, each HW float32."""
        inverse = cv2.invertAffineTransform(self.matrix)
        width, height = self.size
        column = np.arange(width, dtype=np.float32)[None, :]
        row = np.arange(height, dtype=np.float32)[:, None]
        a = inverse.astype(np.float32)
        return a[0, 0] * column + (a[0, 1] * row + a[0, 2]), a[1, 0] * column + (a[1, 1] * row + a[1, 2])

    def to_pixels(self, points: Points) -> Points:
        """Reference points (N x 2) to pixel positions (N x 2)."""
        return np.asarray(points @ self.matrix[:, :2].T + self.matrix[:, 2])


class Curve:
    """A soft one-dimensional curve through knots, looked up over whole fields quickly."""

    SAMPLES = 4096

    def __init__(self, knots: list[tuple[float, float]], softness: float = 0.012) -> None:
        """knots: (position, value), positions rising. softness: blur, as a fraction of the whole span."""
        position, value = np.array(knots, dtype=np.float64).T
        self._low = np.float32(position[0])
        self._step = np.float32((self.SAMPLES - 1) / (position[-1] - position[0]))
        table = np.interp(np.linspace(position[0], position[-1], self.SAMPLES), position, value)
        sigma = softness * self.SAMPLES
        row = cv2.GaussianBlur(table[None, :], (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        self._table = row[0].astype(np.float32)

    def __call__(self, field: Field) -> Field:
        """The curve's value at every entry of field (HW); beyond the ends it stays level."""
        where = (field - self._low) * self._step
        return np.asarray(self._table.take(where.astype(np.intp), mode="clip"), np.float32)


def cover(distance: Field, softness: float = 1.0) -> Field:
    """Antialiased coverage, 0..1, from a signed distance (positive inside) and an edge width, same unit."""
    return np.asarray(np.clip(distance / np.float32(softness) + np.float32(0.5), 0, 1), np.float32)


def bell(distance: Field, width: float) -> Field:
    """A soft ridge: 1 where distance is 0, fading over about `width` to either side."""
    return np.asarray(np.exp(-((distance / np.float32(width)) ** 2)), np.float32)


def soften(field: Field, radius: float) -> Field:
    """A Gaussian blur; radius is its standard deviation in pixels."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), radius), np.float32)


def tint(light: Light, colour: tuple[float, float, float], alpha: Field) -> None:
    """Lay an opaque colour over light, in place, with coverage alpha (HW, 0..1)."""
    rows = np.flatnonzero(alpha.any(axis=1))
    if rows.size == 0:
        return
    band = slice(rows[0], rows[-1] + 1)
    light, alpha = light[:, band], alpha[band]
    for plane, value in zip(light, colour, strict=True):
        plane += (np.float32(value) - plane) * alpha


def cloud(rng: np.random.Generator, size: Size, cell: float) -> Field:
    """Smooth noise, HW float32, mean 0, standard deviation 1; `cell` (at least 1) is the grain in pixels.

    Cut from a larger sheet, at random and perhaps mirrored: a fresh sheet would take most of a unit's time.
    """
    left, top = rng.integers(0, _SHEET_MARGIN + 1, 2)
    across, down = rng.choice((-1, 1), 2)
    piece = _sheet(size, round(cell, 2))[top : top + size[1], left : left + size[0]]
    return np.ascontiguousarray(piece[::down, ::across])


@lru_cache(maxsize=16)
def _sheet(size: Size, cell: float) -> Field:
    """A sheet of smooth noise, _SHEET_MARGIN pixels wider and higher than size."""
    width, height = size[0] + _SHEET_MARGIN, size[1] + _SHEET_MARGIN
    rng = np.random.default_rng([round(cell * 100), width, height])
    coarse = rng.standard_normal((int(height / cell) + 4, int(width / cell) + 4), dtype=np.float32)
    grown = (round(coarse.shape[1] * cell), round(coarse.shape[0] * cell))
    fine = cv2.resize(coarse, grown, interpolation=cv2.INTER_CUBIC)
    skip = int(cell)
    sheet = fine[skip : skip + height, skip : skip + width]
    return np.asarray((sheet - sheet.mean()) / sheet.std(), np.float32)


def wander(
    rng: np.random.Generator,
    start: tuple[float, float],
    heading: float,
    length: float,
    *,
    step: float,
    jitter: float,
    bend: float = 0.0,
) -> Points:
    """A random path, N x 2. jitter: kink per step (radians, jagged); bend: slow turning (radians, curly)."""
    count = max(2, round(length / step))
    turning = np.cumsum(rng.normal(0, bend, count)) + rng.normal(0, bend, 1)
    direction = heading + np.cumsum(turning) + rng.normal(0, jitter, count)
    steps = step * np.column_stack([np.cos(direction), np.sin(direction)])
    return np.vstack([start, np.array(start) + np.cumsum(steps, axis=0)])


def outline(rng: np.random.Generator, centre: tuple[float, float], radius: float, roughness: float) -> Points:
    """A closed irregular outline (N x 2) about centre; roughness 0 is a circle, 0.4 a splinter."""
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    reach = np.ones_like(angle)
    for order in (1, 2, 3, 5):
        reach += roughness / order * rng.normal() * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    reach = radius * np.clip(reach, 0.45, 1.8)
    stretch, turn = 1 + roughness * rng.uniform(0, 1), rng.uniform(0, np.pi)
    x, y = reach * np.cos(angle) * stretch, reach * np.sin(angle) / stretch
    cos, sin = np.cos(turn), np.sin(turn)
    return np.column_stack([centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos])


def stroke(size: Size, points: Points, width: float, *, taper: float = 1.0) -> Field:
    """Coverage (HW, 0..1) of a path in pixels; the width runs from `width` to `width * taper` along it."""
    fine, origin, alpha = _fine_canvas(size, points, width)
    dots = np.round((points - origin + 0.5) * SUPERSAMPLING * 16 - 8).astype(np.int32)
    for index in range(len(dots) - 1):
        here = width * (1 + (taper - 1) * index / max(1, len(dots) - 2))
        thick = max(1, round(here * SUPERSAMPLING))
        cv2.line(fine, dots[index].tolist(), dots[index + 1].tolist(), 255, thick, cv2.LINE_AA, 4)
    return _settle(fine, origin, alpha)


def patch(size: Size, points: Points) -> Field:
    """Coverage (HW, 0..1) of a closed outline in pixels."""
    fine, origin, alpha = _fine_canvas(size, points, 2.0)
    dots = np.round((points - origin + 0.5) * SUPERSAMPLING * 16 - 8).astype(np.int32)
    cv2.fillPoly(fine, [dots], 255, cv2.LINE_AA, 4)
    return _settle(fine, origin, alpha)


def _fine_canvas(size: Size, points: Points, margin: float) -> tuple[NDArray[np.uint8], Points, Field]:
    """A supersampled canvas around points (clipped to the frame), its pixel origin, and an empty HW field."""
    limit = np.array(size)
    origin = np.clip(np.floor(points.min(axis=0) - margin - 2), 0, limit - 1)
    end = np.clip(np.ceil(points.max(axis=0) + margin + 2), origin + 1, limit)
    span = ((end - origin) * SUPERSAMPLING).astype(int)
    return np.zeros((span[1], span[0]), np.uint8), origin, np.zeros((size[1], size[0]), np.float32)


def _settle(fine: NDArray[np.uint8], origin: Points, alpha: Field) -> Field:
    """Average the supersampled canvas down into its place in alpha."""
    height, width = fine.shape[0] // SUPERSAMPLING, fine.shape[1] // SUPERSAMPLING
    left, top = int(origin[0]), int(origin[1])
    small = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    alpha[top : top + height, left : left + width] = small.astype(np.float32) / 255
    return alpha


def expose(light: Light, rng: np.random.Generator, *, blur: float, noise: float) -> NDArray[np.uint8]:
    """Linear light to an 8-bit RGB frame: lens blur (pixels), gamma 2, sensor noise (grey levels).

    Shot noise grows with the root of the light, so after the root of gamma 2 it is the same everywhere.
    """
    height, width = light.shape[1:]
    # One field read at three offsets: independent at every pixel, a third of the random numbers.
    field = _QUANTILES.take(rng.integers(0, _QUANTILES.size, (height + 11, width + 11), dtype=np.uint16))
    planes = []
    for plane, offset in zip(light, (0, 5, 11), strict=True):
        seen = cv2.GaussianBlur(plane, (0, 0), blur)
        seen = np.sqrt(np.maximum(seen, 0, out=seen), out=seen)
        grain = field[offset : offset + height, 11 - offset : 11 - offset + width]
        planes.append(cv2.addWeighted(seen, 255, grain, noise, 0, dtype=cv2.CV_8U))  # rounds and saturates
    return np.ascontiguousarray(cv2.merge(planes), np.uint8)
