"""Where every pixel lies on a vial: the measures of glass and closure, and the shapes the camera sees.

Everything is a body of revolution seen from slightly above, so a shape is a half-width by height, and
ellipses of one flatness. Lengths are reference units (400 x 560 frame), x from the axis, y down.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from data.simulator.drawing import Curve, Field, Light, Placement, cover

FLATNESS = 0.075  # height over width of every horizontal circle: the camera looks down about 4 degrees
AXIS_X, BASE_Y = 200.0, 506.0
BODY, BORE = 113.0, 104.0  # outer and inner half-width of the body
PLUG, PLUG_FOOT = 58.0, 162.0  # the stopper's plug, inside the neck
LIP, LIP_Y, LIP_FOOT = 90.0, 96.0, 124.0
CAP, CAP_Y, CAP_FOOT = 95.0, 86.0, 134.0
DISC, DISC_Y = 88.0, 70.0

_HALF_WIDTH = Curve(
    [(90, 89), (97, 90), (122, 90), (128, 85), (134, 77), (140, 76), (158, 76), (168, 79), (180, 90),
     (192, 102), (202, 109), (214, BODY), (488, BODY), (497, 111.5), (504, 106), (512, 96)],
    softness=0.006,
)  # fmt: skip
_SLOPE = Curve([(124, 0), (132, -1), (138, 0), (160, 0), (172, 0.75), (196, 0.85), (214, 0), (520, 0)])


@dataclass(frozen=True)
class Look:
    """What differs from one good unit to the next. Factors are about 1, `level` is a height in the frame."""

    level: float
    panel: float
    warmth: float
    slant: tuple[float, float]
    highlight: float
    metal_turn: float
    rubber: float


class Canvas:
    """Where every pixel is on the vial: x from the axis, y down, both HW float32 reference units."""

    def __init__(self, x: Field, y: Field, scale: float) -> None:
        self.x, self.y, self.scale = x, y, scale

    @classmethod
    def of(cls, placement: Placement) -> Self:
        x, y = placement.coordinates()
        return cls(x - np.float32(AXIS_X), y, placement.scale)

    def window(self, light: Light, top: float, foot: float, half: float) -> tuple["Canvas", Light]:
        """The part of the canvas, and of light, with these heights and this half-width (cheaper to draw)."""
        y, x = self.y[:, [0, -1]], self.x[[0, -1]]  # both fields are linear: the extremes are at the ends
        rows = np.flatnonzero((y.max(axis=1) >= top - 3) & (y.min(axis=1) <= foot + 3))
        columns = np.flatnonzero((x.max(axis=0) >= -half - 3) & (x.min(axis=0) <= half + 3))
        box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        return Canvas(self.x[box], self.y[box], self.scale), light[:, box[0], box[1]]

    @cached_property
    def across(self) -> Field:
        """Place across the glass: -1 at its left edge, 1 at its right."""
        return self.x / self._half_width

    @cached_property
    def _half_width(self) -> Field:
        return _HALF_WIDTH(self.y)

    @cached_property
    def glass(self) -> Field:
        """Coverage of the glass, lip to foot."""
        steep = 1 + np.abs(_SLOPE(self.y))
        walls = self.edge((self._half_width - np.abs(self.x)) / steep)
        return walls * self.edge(BASE_Y + self.sag(BODY - 8) - self.y) * self.edge(self.y - np.float32(LIP_Y))

    def edge(self, distance: Field) -> Field:
        """Coverage from a distance in reference units, one frame pixel soft."""
        return cover(distance * np.float32(self.scale))

    def sag(self, radius: float) -> Field:
        """How far the near side of a horizontal circle hangs below its centre, HW (0 beyond its ends)."""
        across = self.x / np.float32(radius)
        chord = np.sqrt(np.clip(1 - across * across, 0, None))
        return np.asarray(chord * np.float32(radius * FLATNESS), np.float32)

    def disc(self, radius: float, y: float) -> Field:
        """Signed distance (about) into a horizontal disc seen as an ellipse, positive inside, HW."""
        height = np.float32(radius * FLATNESS)
        across, up = self.x / np.float32(radius), (self.y - np.float32(y)) / height
        return np.asarray((1 - np.sqrt(across * across + up * up)) * height, np.float32)

    def drum(self, radius: float, top: float, foot: float) -> Field:
        """Coverage of an upright cylinder from the far rim of its top face to the near rim of its foot."""
        sag = self.sag(radius)
        inside = np.minimum(self.y - np.float32(top) + sag, np.float32(foot) + sag - self.y)
        return self.edge(np.minimum(inside, np.float32(radius) - np.abs(self.x)))
