"""A white, uncoated, biconvex tablet on a dark belt: score line, embossed code, powder texture, side light.

The tablet is a height map. Defects change the height, the colour or the outline, and the same light then
falls on whatever is there, so a chip or a crack is shaded as the rest is.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from data.simulator import tablet_defects
from data.simulator.drawing import Curve, Field, Light, Placement, cloud, cover, expose, sensor_stream, soften, stream
from data.simulator.tablet_defects import RADIUS, Blank
from data.simulator.unit import Defect, Product, Size

Point = tuple[float, float]

REFERENCE: Size = (480, 480)
CENTRE = (240.0, 240.0)
EMBOSSING_SCALE = 2  # the embossing is drawn once, at this many pixels per reference unit
GROOVE = 3.6  # depth of score line and code, reference units


def _arc(centre: Point, radius: float, start_deg: float, end_deg: float) -> list[Point]:
    angles = np.radians(np.linspace(start_deg, end_deg, 24))
    return [(centre[0] + radius * float(np.cos(a)), centre[1] + radius * float(np.sin(a))) for a in angles]


# Strokes of the punch, from the tablet's centre: a score line, MX above it and 25 below.
_SCORE_LINE: list[Point] = [(-148, 0), (148, 0)]
_CODE: tuple[list[Point], ...] = (
    [(-62, -40), (-62, -98), (-36, -58), (-10, -98), (-10, -40)],
    [(16, -98), (60, -40)],
    [(60, -98), (16, -40)],
    [*_arc((-35, 60), 21, -165, 35), (-57, 99), (-12, 99)],
    [(52, 40), (20, 40), (16, 68), *_arc((32, 79), 20, -118, 150)],
)

# Height over the rim by distance from the centre: a shallow dome, then the narrow flat land of the punch.
_DOME = Curve(
    [(0, 36), (30, 35), (60, 31.2), (90, 25), (115, 17.6), (135, 10), (148, 4), (152, 2.6), (160, 2.4),
     (164, 1.2), (168, -2.5)],
    softness=0.012,
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What differs from one good tablet to the next; factors are about 1."""

    light_turn: float
    brightness: float
    whiteness: tuple[float, float, float]
    belt: float
    belt_shift: tuple[float, float]


def _good(seed: int, size: Size) -> tuple[Placement, Look]:
    """Pose and look of the good unit with this seed; a defect never changes them."""
    rng = stream(seed, "pose")
    placement = Placement(
        size,
        REFERENCE,
        shift=(float(rng.uniform(-7, 7)), float(rng.uniform(-7, 7))),
        angle=float(np.radians(rng.uniform(-6, 6))),
        zoom=float(rng.uniform(0.99, 1.01)),
        pivot=CENTRE,
    )
    look = Look(
        light_turn=float(rng.uniform(-0.06, 0.06)),
        brightness=float(rng.uniform(0.965, 1.035)),
        whiteness=(1.0, float(rng.uniform(0.965, 0.978)), float(rng.uniform(0.89, 0.92))),
        belt=float(rng.uniform(0.92, 1.08)),
        belt_shift=(float(rng.uniform(0, 40)), float(rng.uniform(0, 40))),
    )
    return placement, look


@cache
def _embossing() -> Field:
    """Depth of score line and code, 0..1, in the reference frame at EMBOSSING_SCALE pixels per unit."""
    scale = EMBOSSING_SCALE
    stamp = np.zeros((REFERENCE[1] * scale, REFERENCE[0] * scale), np.uint8)
    for path in (_SCORE_LINE, *_CODE):
        points = np.round((np.array(path) + CENTRE) * scale * 16).astype(np.int32)
        cv2.polylines(stamp, [points], False, 255, 8 * scale, cv2.LINE_AA, 4)
    return soften(stamp.astype(np.float32) / np.float32(255), 1.8 * scale)


def _belt(placement: Placement, look: Look, rng: np.random.Generator) -> Light:
    """A woven dark belt, a little out of focus: CHW linear light."""
    width, height = placement.size
    scale = np.float32(2 * np.pi / (7.0 * placement.scale))
    across = np.sin(np.arange(width, dtype=np.float32) * scale + np.float32(look.belt_shift[0]))[None]
    along = np.sin(np.arange(height, dtype=np.float32) * scale + np.float32(look.belt_shift[1]))[:, None]
    lint = cloud(rng, placement.size, max(2.2 * placement.grain, 1.0))
    weave = 1 + across * along * np.float32(0.11) + lint * np.float32(0.05)
    x = (np.arange(width, dtype=np.float32) / np.float32(width) - np.float32(0.38))[None]
    y = (np.arange(height, dtype=np.float32) / np.float32(height) - np.float32(0.36))[:, None]
    weave *= (np.float32(1.12) - (x * x + y * y) * np.float32(1.1)) * np.float32(look.belt)
    return np.stack([weave * np.float32(colour) for colour in (0.042, 0.058, 0.070)])


def _blank(placement: Placement, seed: int) -> Blank:
    """The good tablet's surface."""
    x, y = placement.coordinates()
    x, y = x - np.float32(CENTRE[0]), y - np.float32(CENTRE[1])
    radius = np.sqrt(x * x + y * y)
    rng = stream(seed, "surface")
    fine = cloud(rng, placement.size, max(1.6 * placement.grain, 1.0))
    grains = cloud(rng, placement.size, max(3.6 * placement.grain, 1.0))
    dents = cloud(rng, placement.size, max(15 * placement.grain, 1.0))
    lift = np.array([[1 / EMBOSSING_SCALE, 0, 0], [0, 1 / EMBOSSING_SCALE, 0], [0, 0, 1]])
    carry = (np.vstack([placement.matrix, [0, 0, 1]]) @ lift)[:2]
    groove = cv2.warpAffine(_embossing(), carry, placement.size, flags=cv2.INTER_LINEAR)
    rough = fine * np.float32(0.075) + grains * np.float32(0.075) + dents * np.float32(0.11)
    height = _DOME(radius) - groove * np.float32(GROOVE) + rough
    albedo = np.float32(0.80) + (grains + dents) * np.float32(0.006) - groove * np.float32(0.10)
    outline = (np.float32(RADIUS) - radius) * np.float32(placement.scale)
    return Blank(x, y, radius, height, albedo, cover(outline), fine, grains)


def _lit(blank: Blank, placement: Placement, look: Look) -> Field:
    """How bright the surface is: a low key light from the upper left, a soft ring light, a faint sheen."""
    slope = np.float32(0.5 * placement.scale)
    across = cv2.Sobel(blank.height, cv2.CV_32F, 1, 0, ksize=1) * slope
    down = cv2.Sobel(blank.height, cv2.CV_32F, 0, 1, ksize=1) * slope
    steep = 1 / np.sqrt(1 + across * across + down * down)
    turn = np.float32(np.radians(225) + look.light_turn)
    key = (np.float32(0.66) - (across * np.cos(turn) + down * np.sin(turn)) * np.float32(0.75)) * steep
    np.clip(key, 0, None, out=key)
    return np.asarray(key * np.float32(0.95) + steep * np.float32(0.30), np.float32)


def _shadow(silhouette: Field, placement: Placement) -> Field:
    """The tablet's soft shadow on the belt, HW 0..1: drawn at a quarter of the size, as it has no detail."""
    quarter = (max(1, placement.size[0] // 4), max(1, placement.size[1] // 4))
    small = cv2.resize(silhouette, quarter, interpolation=cv2.INTER_AREA)
    away = np.float32(9 * placement.scale / 4)
    cast = cv2.warpAffine(small, np.array([[1, 0, away], [0, 1, away]]), quarter)
    soft = soften(np.asarray(cast, np.float32), max(6 * placement.scale / 4, 0.3)) * np.float32(0.72)
    return np.asarray(cv2.resize(soft, placement.size, interpolation=cv2.INTER_LINEAR), np.float32)


def render_tablet(
    seed: int, defect: str | None, size: Size, view: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The tablet with this seed, good or with one defect: frame (HWC uint8 RGB) and mask (HW bool)."""
    placement, look = _good(seed, size)
    blank = _blank(placement, seed)
    mark = np.zeros_like(blank.cover)
    if defect is not None:
        mark = tablet_defects.DRAW[defect](stream(seed, f"defect {defect}"), placement, blank)
    light = _belt(placement, look, stream(seed, "belt"))
    light *= (1 - _shadow(blank.cover, placement)) * (1 - blank.cover)
    face = _lit(blank, placement, look) * blank.albedo * blank.cover * np.float32(look.brightness)
    for plane, white in zip(light, look.whiteness, strict=True):
        plane += face * np.float32(white)
    if blank.stain is not None:
        for plane, white, colour in zip(light, look.whiteness, blank.stain.colour, strict=True):
            plane += face * blank.stain.strength * np.float32(colour - white)
    return expose(light, sensor_stream(seed, view), blur=0.6, noise=1.4), mark > tablet_defects.MARK


TABLET = Product(
    name="tablet",
    size=REFERENCE,
    defects=(
        Defect("chip", "minor"),
        Defect("crack", "major"),
        Defect("spot", "major"),
        Defect("broken_edge", "major"),
    ),
    render=render_tablet,
)
