"""What goes wrong with a vial: drawn into the light in place; the coverage (HW, 0..1) makes the mask.

Every defect is dark or bright enough for a careful person, and lies where the glass is clear.
"""

import numpy as np

from data.simulator.drawing import (
    Field,
    Light,
    Placement,
    Points,
    outline,
    patch,
    soften,
    stroke,
    tint,
    wander,
)
from data.simulator.vial_canvas import (
    AXIS_X,
    BASE_Y,
    BORE,
    CAP,
    CAP_FOOT,
    CAP_Y,
    DISC,
    DISC_Y,
    PLUG,
    PLUG_FOOT,
    Canvas,
)
from data.simulator.vial_parts import liquid_body

Point = tuple[float, float]

CLEAR_HALF_WIDTH = 70.0  # beside it the walls are dark and would hide a particle
MARK = 0.22  # coverage from which a pixel counts as defect

_PARTICLE_COLOURS = ((0.012, 0.012, 0.014), (0.06, 0.028, 0.012), (0.09, 0.09, 0.10))
_FIBRE_COLOURS = ((0.03, 0.03, 0.035), (0.02, 0.05, 0.16), (0.10, 0.05, 0.03))


def particle(rng: np.random.Generator, place: Placement, light: Light, level: float) -> Field:
    """A speck that floats in the liquid or has settled on the bottom: rubber, rust, metal or glass."""
    radius = max(float(rng.uniform(1.9, 5.2)), 1.25 / place.scale)
    settled = rng.random() < 0.35
    y = BASE_Y - 24 - radius if settled else rng.uniform(level + 26, BASE_Y - 42)
    centre = (AXIS_X + float(rng.uniform(-CLEAR_HALF_WIDTH, CLEAR_HALF_WIDTH)), float(y))
    shape = patch(place.size, place.to_pixels(outline(rng, centre, radius, 0.35)))
    shape = soften(shape, float(rng.uniform(0.35, 0.75)))
    colour = _PARTICLE_COLOURS[rng.integers(len(_PARTICLE_COLOURS))]
    tint(light, colour, shape * np.float32(rng.uniform(0.75, 0.97)))
    if radius > 2.6 and rng.random() < 0.5:  # a facet that throws the light back
        facet = outline(rng, (centre[0] - radius * 0.2, centre[1] - radius * 0.25), radius * 0.35, 0.4)
        tint(light, (0.95, 0.95, 0.92), patch(place.size, place.to_pixels(facet)) * np.float32(0.8))
    return shape


def fibre(rng: np.random.Generator, place: Placement, light: Light, level: float) -> Field:
    """A curled thread in the liquid."""
    length = float(rng.uniform(30, 95))
    path = wander(rng, (0.0, 0.0), rng.uniform(0, 2 * np.pi), length, step=3.0, jitter=0.06, bend=0.055)
    low, high = path.min(axis=0), path.max(axis=0)
    top, foot = level + 24, BASE_Y - 34
    squeeze = min(1.0, (foot - top) / (high[1] - low[1]), 2 * CLEAR_HALF_WIDTH / (high[0] - low[0]))
    path, low, high = path * squeeze, low * squeeze, high * squeeze
    x = rng.uniform(AXIS_X - CLEAR_HALF_WIDTH - low[0], AXIS_X + CLEAR_HALF_WIDTH - high[0])
    y = rng.uniform(top - low[1], foot - high[1])
    width = max(float(rng.uniform(0.95, 1.9)) * place.scale, 0.8)
    points = place.to_pixels(path + np.array([x, y]))
    shape = stroke(place.size, points, width, taper=float(rng.uniform(0.7, 1.0)))
    colour = _FIBRE_COLOURS[rng.integers(len(_FIBRE_COLOURS))]
    tint(light, colour, shape * np.float32(rng.uniform(0.68, 0.95)))
    return shape


def crack(rng: np.random.Generator, place: Placement, light: Light) -> Field:
    """A branching crack in the front wall: a dark line, a bright one beside it, a glare where it gapes."""
    x = float(AXIS_X + rng.uniform(-72, 72))
    y, heading = _crack_origin(rng)
    paths = _branches(rng, (x, y), heading, float(rng.uniform(60, 170)))
    width = max(float(rng.uniform(1.1, 2.0)) * place.scale, 0.9)
    side = rng.choice((-1.0, 1.0))
    glare = place.to_pixels(np.vstack([paths[0], paths[0][::-1] + np.array([side * rng.uniform(3, 7), 1.5])]))
    sheet = soften(patch(place.size, glare), 0.8 * place.scale)
    dark, bright = np.zeros_like(sheet), np.zeros_like(sheet)
    for index, path in enumerate(paths):
        thick = width if index == 0 else max(width * 0.75, 0.8)
        np.maximum(dark, stroke(place.size, place.to_pixels(path), thick, taper=0.5), out=dark)
        beside = place.to_pixels(path + np.array([side * 1.3, 0.4]))
        np.maximum(bright, stroke(place.size, beside, thick, taper=0.6), out=bright)
    white = np.maximum(sheet * np.float32(rng.uniform(0.12, 0.3)), bright * np.float32(0.6))
    tint(light, (1.0, 1.0, 1.0), white)
    tint(light, (0.03, 0.035, 0.035), dark * np.float32(rng.uniform(0.7, 0.92)))
    return np.maximum(sheet, np.maximum(bright, dark))


def _crack_origin(rng: np.random.Generator) -> tuple[float, float]:
    """Height and heading: up from the heel, down from the shoulder, or anywhere in the wall."""
    kind = rng.integers(3)
    if kind == 0:
        return BASE_Y - 8.0, float(rng.normal(-np.pi / 2, 0.35))
    if kind == 1:
        return float(rng.uniform(196, 215)), float(rng.normal(np.pi / 2, 0.35))
    return float(rng.uniform(300, 380)), float(rng.choice((-np.pi / 2, np.pi / 2)) + rng.normal(0, 0.6))


def _branches(rng: np.random.Generator, start: Point, heading: float, length: float) -> list[Points]:
    """A trunk and up to three side cracks, kept on the front wall."""
    trunk = wander(rng, start, heading, length, step=6.0, jitter=0.42, bend=0.01)
    paths = [trunk]
    for _ in range(int(rng.integers(1, 4))):
        fork = trunk[int(rng.integers(len(trunk) // 4, max(len(trunk) // 4 + 1, len(trunk) - 2)))]
        turn = rng.choice((-1, 1)) * rng.uniform(0.5, 1.1)
        reach = length * rng.uniform(0.18, 0.45)
        paths.append(wander(rng, (fork[0], fork[1]), heading + turn, reach, step=5.0, jitter=0.4))
    return [_kept_on_wall(path) for path in paths]


def _kept_on_wall(path: Points) -> Points:
    """Turn back what would run off the front wall (a clipped crack would run straight along its border)."""
    low, high = np.array([AXIS_X - BORE + 8, 172.0]), np.array([AXIS_X + BORE - 8, BASE_Y + 2])
    path = np.where(path < low, 2 * low - path, path)
    return np.clip(np.where(path > high, 2 * high - path, path), low, high)


def missing_fill(canvas: Canvas, mark: Field, level: float, low_level: float) -> None:
    """Raise mark (HW, in place) where a vial filled to low_level differs from one filled to level."""
    near, marked = canvas.window(mark[None], level - 12, low_level + 28, BORE)
    below = near.y - np.float32(low_level) - near.sag(BORE)
    marked[0] = liquid_body(near, level) * near.edge(np.float32(13) - below)


def missing_closure(canvas: Canvas, mark: Field) -> None:
    """Raise mark (HW, in place) where stopper and cap should be."""
    near, marked = canvas.window(mark[None], DISC_Y - 10, PLUG_FOOT + 8, CAP)
    closure = np.maximum(near.drum(CAP, CAP_Y, CAP_FOOT), near.drum(DISC, DISC_Y, CAP_Y))
    marked[0] = np.maximum(closure, near.drum(PLUG, CAP_Y, PLUG_FOOT))
