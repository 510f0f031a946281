"""What goes wrong with a tablet: the blank is changed in place; the coverage (HW, 0..1) makes the mask."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data.simulator.drawing import Field, Placement, Points, cover, outline, patch, soften, stroke, wander

RADIUS = 166.0
MARK = 0.25  # coverage from which a pixel counts as defect

_STAINS = (  # linear RGB: soot, rust, red dye, grease, metal
    (0.035, 0.030, 0.028),
    (0.16, 0.075, 0.03),
    (0.30, 0.05, 0.05),
    (0.36, 0.30, 0.20),
    (0.10, 0.13, 0.17),
)


@dataclass(frozen=True)
class Stain:
    """A colour over the white; strength HW float32, 0..1."""

    strength: Field
    colour: tuple[float, float, float]


@dataclass
class Blank:
    """A tablet before the light falls on it; every field HW float32, lengths in reference units.

    x, y, radius: place from the tablet's centre. height: of the surface. albedo and cover: 0..1.
    fine, grains: its own noise (standard deviation 1), for broken surfaces.
    """

    x: Field
    y: Field
    radius: Field
    height: Field
    albedo: Field
    cover: Field
    fine: Field
    grains: Field
    stain: Stain | None = None


def _rim(angle: float, inset: float) -> tuple[float, float]:
    reach = RADIUS - inset
    return reach * float(np.cos(angle)), reach * float(np.sin(angle))


def _pixels(place: Placement, points: Points) -> Points:
    return place.to_pixels(points + place.pivot)


def chip(rng: np.random.Generator, place: Placement, blank: Blank) -> Field:
    """A shallow shell knocked out of the rim: rough floor, sharp border, a bite out of the outline."""
    size = float(rng.uniform(13, 34))
    centre = _rim(float(rng.uniform(0, 2 * np.pi)), size * float(rng.uniform(0.1, 0.45)))
    shape = patch(place.size, _pixels(place, outline(rng, centre, size, 0.28)))
    mark = shape * blank.cover
    reach = np.sqrt((blank.x - np.float32(centre[0])) ** 2 + (blank.y - np.float32(centre[1])) ** 2)
    bowl = np.clip(1 - (reach / np.float32(size * 1.5)) ** 2, 0, 1)
    floor = bowl * np.float32(rng.uniform(0.22, 0.36) * size)
    sharp = soften(shape, 1.2 * place.scale)
    rough = blank.grains * np.float32(0.4) + blank.fine * np.float32(0.2)
    blank.height -= sharp * (floor + np.float32(1.2) + rough)
    blank.albedo *= 1 - shape * np.float32(rng.uniform(0.10, 0.22))
    bitten = np.float32(RADIUS - size * rng.uniform(0.12, 0.28)) + blank.grains * np.float32(0.7)
    kept = cover((bitten - blank.radius) * np.float32(place.scale))
    blank.cover *= 1 - shape * (1 - kept)
    return mark


def broken_edge(rng: np.random.Generator, place: Placement, blank: Blank) -> Field:
    """A piece broken away across the rim: the belt shows, and a strip of rough fracture face."""
    angle = float(rng.uniform(0, 2 * np.pi))
    depth, face = float(rng.uniform(24, 85)), float(rng.uniform(7, 16))
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    out, along = blank.x * cos + blank.y * sin, blank.y * cos - blank.x * sin
    past = out - np.float32(RADIUS - depth) + blank.grains * np.float32(0.9)
    for order in (1, 2, 5):
        wave, phase = order * rng.uniform(0.02, 0.06), rng.uniform(0, 2 * np.pi)
        past += np.sin(along * np.float32(wave) + np.float32(phase)) * np.float32(depth * 0.09 / order)
    past += along * np.float32(rng.uniform(-0.12, 0.12))
    gone = cover((past - np.float32(face)) * np.float32(place.scale))
    fracture = cover(past * np.float32(place.scale))
    rough = blank.grains * np.float32(0.55) + blank.fine * np.float32(0.25)
    mark = fracture * blank.cover
    blank.height += fracture * (rough - np.clip(past, 0, face) * np.float32(0.75))
    blank.albedo *= 1 - fracture * np.float32(rng.uniform(0.12, 0.22))
    blank.cover *= 1 - gone
    return mark


def crack(rng: np.random.Generator, place: Placement, blank: Blank) -> Field:
    """A crack that runs in from the rim or across the face: a dark gap, one lip raised."""
    angle = float(rng.uniform(0, 2 * np.pi))
    start = _rim(angle, float(rng.choice((2.0, rng.uniform(20, 70)))))
    length = float(rng.uniform(60, 190))
    trunk = wander(rng, start, angle + np.pi + rng.normal(0, 0.45), length, step=7.0, jitter=0.38, bend=0.01)
    paths = [trunk]
    if rng.random() < 0.6:
        fork = trunk[len(trunk) // 2]
        heading = angle + np.pi + rng.choice((-1, 1)) * rng.uniform(0.5, 1.0)
        paths.append(wander(rng, (fork[0], fork[1]), heading, length * 0.35, step=6.0, jitter=0.35))
    width = max(float(rng.uniform(1.2, 2.6)) * place.scale, 1.0)
    gap = np.zeros_like(blank.x)
    for index, path in enumerate(paths):
        line = stroke(place.size, _pixels(place, path), width if index == 0 else width * 0.7, taper=0.45)
        np.maximum(gap, line * blank.cover, out=gap)
    blank.height -= gap * np.float32(rng.uniform(1.2, 2.4))
    blank.albedo *= 1 - gap * np.float32(rng.uniform(0.6, 0.88))
    return gap


def spot(rng: np.random.Generator, place: Placement, blank: Blank) -> Field:
    """Foreign matter pressed into the face, or a stain: a dark or coloured spot."""
    radius = max(float(rng.uniform(2.4, 10.5)), 1.5 / place.scale)
    centre = _rim(float(rng.uniform(0, 2 * np.pi)), float(RADIUS - np.sqrt(rng.uniform(0, 1)) * 138))
    shape = patch(place.size, _pixels(place, outline(rng, centre, radius, 0.25)))
    shape = soften(shape, float(rng.uniform(0.5, 0.28 * radius + 0.5)) * place.scale)
    strength = shape * np.float32(rng.uniform(0.72, 0.97))
    blank.stain = Stain(strength, _STAINS[rng.integers(len(_STAINS))])
    return shape * blank.cover


DRAW: dict[str, Callable[[np.random.Generator, Placement, Blank], Field]] = {
    "chip": chip,
    "crack": crack,
    "spot": spot,
    "broken_edge": broken_edge,
}
