"""The parts of a vial, drawn back to front: light panel, plug, glass, liquid, highlights, cap or open neck.

Each part takes the canvas and the light so far (CHW, linear) and changes the light in place.
"""

import numpy as np

from data.simulator.drawing import Curve, Field, Light, bell, cover, tint
from data.simulator.vial_canvas import (
    BASE_Y,
    BODY,
    BORE,
    CAP,
    CAP_FOOT,
    CAP_Y,
    DISC,
    DISC_Y,
    LIP,
    LIP_FOOT,
    LIP_Y,
    PLUG,
    PLUG_FOOT,
    Canvas,
    Look,
)

FLOOR_Y = 478.0
GLASS_LOSS = (1.0, 0.955, 0.965)  # the walls look faintly green
LIQUID_LOSS = (0.015, 0.055, 0.25)  # through the full depth: clear, faintly straw-coloured
RUBBER = (0.105, 0.12, 0.15)
METAL = (0.97, 0.985, 1.0)
DISC_BLUE = (0.035, 0.15, 0.42)
MOUTH = 62.0

# Bright field: light passes the middle and bends away at the walls. Position: |x| over half-width.
_THROUGH_GLASS = Curve(
    [(0, 0.97), (0.6, 0.95), (0.78, 0.88), (0.86, 0.78), (0.895, 0.5), (0.915, 0.42), (0.935, 0.8),
     (0.955, 0.86), (0.97, 0.5), (0.985, 0.2), (1, 0.13)],
    softness=0.005,
)  # fmt: skip
_THROUGH_LIQUID = Curve(
    [(0, 1.03), (0.4, 1.03), (0.62, 0.99), (0.78, 0.86), (0.88, 0.62), (0.95, 0.36), (0.98, 0.32), (1, 0.5)],
    softness=0.008,
)
_SHOULDER = Curve(
    [(130, 0.0), (138, -0.45), (146, -0.12), (160, -0.1), (168, -0.4), (178, -0.1), (190, 0.17), (202, -0.17),
     (214, -0.02), (230, 0)],
    softness=0.015,
)  # fmt: skip
_HEEL = Curve(
    [(462, 0), (478, -0.1), (484, -0.5), (488, -0.35), (493, 0.12), (499, -0.3), (506, -0.62)],
    softness=0.02,
)  # fmt: skip
_ALUMINIUM = Curve(
    [(-1.05, 0.07), (-0.95, 0.16), (-0.88, 0.40), (-0.8, 0.24), (-0.68, 0.58), (-0.56, 0.98), (-0.47, 0.8),
     (-0.3, 0.36), (-0.1, 0.28), (0.1, 0.38), (0.26, 0.30), (0.42, 0.42), (0.56, 0.76), (0.64, 0.5),
     (0.78, 0.15), (0.88, 0.27), (0.95, 0.12), (1.05, 0.05)],
    softness=0.012,
)  # fmt: skip
_CRIMP = Curve(
    [(80, 0.25), (87, 0.45), (90, 1.15), (93, 1.0), (121, 0.95), (124.5, 0.62), (127, 1.25), (130, 0.9),
     (133, 0.4), (136, 0.2)],
    softness=0.008,
)  # fmt: skip
_RUBBER = Curve(
    [(-1, 0.4), (-0.8, 0.7), (-0.5, 1.2), (-0.2, 1.0), (0.3, 0.92), (0.6, 1.1), (0.85, 0.7), (1, 0.4)]
)  # fmt: skip
_PLASTIC = Curve(
    [(-1, 0.35), (-0.85, 0.65), (-0.62, 1.3), (-0.48, 1.4), (-0.2, 1.0), (0.4, 0.8), (0.65, 1.0),
     (0.85, 0.6), (1, 0.3)]
)  # fmt: skip
_SOFT_BOXES = Curve(
    [(-1, 0), (-0.8, 0), (-0.77, 0.8), (-0.66, 0.95), (-0.63, 0), (-0.59, 0), (-0.575, 0.4), (-0.56, 0),
     (0.68, 0), (0.71, 0.55), (0.76, 0.55), (0.79, 0), (1, 0)],
    softness=0.004,
)  # fmt: skip
_ALONG = Curve(
    [(134, 0), (142, 0.8), (160, 0.8), (168, 0), (183, 0), (209, 1), (442, 1), (482, 0)],
    softness=0.008,
)


def light_panel(canvas: Canvas, look: Look) -> Light:
    """The back light, the table and the vial's shadow on it: CHW linear light."""
    x, y = canvas.x[:1], canvas.y[:, :1]  # one row and one column: the panel does not lean with the vial
    down, beyond = y - np.float32(250), y - np.float32(FLOOR_Y)
    floor = 1 - cover(beyond, 22.0) * (np.float32(0.2) + np.clip(beyond, 0, 90) * np.float32(0.0024))
    row = (1 + x * np.float32(look.slant[0])) * np.float32(0.67 * look.panel)
    column = (1 + down * np.float32(look.slant[1])) * floor
    panel = (1 - x * x * np.float32(420**-2) - down * down * np.float32(640**-2)) * row * column
    below, table = canvas.window(panel[None], BASE_Y - 30, BASE_Y + 50, 400)
    side, drop = below.x * np.float32(1 / 122), (below.y - np.float32(BASE_Y + 8)) * np.float32(1 / 11)
    table[0] *= 1 - np.float32(0.55) * np.exp(-((side * side * side) ** 2) - drop * drop)
    return np.stack([panel * np.float32(look.warmth), panel, panel * np.float32(2.01 - look.warmth)])


def plug(canvas: Canvas, light: Light, look: Look) -> None:
    """The stopper's plug, seen through the neck."""
    canvas, light = canvas.window(light, 95, PLUG_FOOT + 6, PLUG)
    shade = _RUBBER(canvas.x / np.float32(PLUG)) * np.float32(look.rubber)
    level = canvas.y - canvas.sag(PLUG)
    shade *= 1 - np.float32(0.4) * bell(level - np.float32(PLUG_FOOT), 5)
    shade *= 1 - np.float32(0.35) * bell(level - np.float32(136), 8)
    shade *= 1 + np.float32(0.35) * bell(level - np.float32(152), 1.6)
    shape = canvas.drum(PLUG, 100, PLUG_FOOT) * np.float32(0.94)
    for plane, colour in zip(light, RUBBER, strict=True):
        plane += (shade * np.float32(colour) - plane) * shape


def glass(canvas: Canvas, light: Light) -> None:
    """Dim the light where the glass bends it away."""
    through = _THROUGH_GLASS(np.abs(canvas.across))
    square = canvas.across * canvas.across
    sag = canvas.sag(BODY)
    curved = _SHOULDER(canvas.y - sag * np.float32(0.45)) + _HEEL(canvas.y - sag * np.float32(0.9))
    through *= 1 + curved * np.clip(1 - square * square * np.float32(0.5), 0, 1)
    loss = (1 - through) * canvas.glass
    for plane, colour in zip(light, GLASS_LOSS, strict=True):
        plane *= 1 - loss * np.float32(colour)


def liquid_body(canvas: Canvas, level: float) -> Field:
    """Coverage (HW) of liquid filled to the height `level`, its surface included."""
    sag = canvas.sag(BORE)
    depth = np.minimum(canvas.y - np.float32(level) + sag, np.float32(BASE_Y - 20) + sag - canvas.y)
    return canvas.edge(np.float32(BORE) - np.abs(canvas.x)) * canvas.edge(depth)


def liquid(canvas: Canvas, light: Light, level: float) -> None:
    """The liquid: bent light at the sides, colour with depth, and the surface with its meniscus."""
    canvas, light = canvas.window(light, level - 10, BASE_Y, BORE)
    body = liquid_body(canvas, level)
    across = np.abs(canvas.x) * np.float32(1 / BORE)
    sag = canvas.sag(BORE)
    below = canvas.y - np.float32(level) - sag  # 0 at the near rim; under it, light crosses the full depth
    under = body * (np.float32(0.35) + np.float32(0.65) * canvas.edge(below))
    bend = 1 - (1 - _THROUGH_LIQUID(across)) * under
    near, surface = canvas.window(bend[None], level - 12, level + 28, BORE)
    under_rim = near.y - np.float32(level) - near.sag(BORE)
    dark = bell(under_rim - 1, 2.4) * np.float32(0.55) + bell(under_rim - 7, 6.0) * np.float32(0.16)
    dark += bell(near.y - np.float32(level) + near.sag(BORE), 1.6) * np.float32(0.28)
    rim = liquid_body(near, level)
    surface[0] *= 1 - dark * rim
    surface[0] += bell(under_rim + np.float32(3.2), 2.0) * rim * np.float32(0.10)
    depth = np.sqrt(np.clip(1 - across * across, 0, 1)) * under
    for plane, colour in zip(light, LIQUID_LOSS, strict=True):
        plane *= bend * (1 - depth * np.float32(colour))


def highlights(canvas: Canvas, light: Light, look: Look) -> None:
    """Soft boxes left and right, mirrored in the front of the glass."""
    glow = _SOFT_BOXES(canvas.across) * _ALONG(canvas.y) * canvas.glass * np.float32(0.42 * look.highlight)
    heel, foot = canvas.window(glow[None], 485, BASE_Y + 8, BODY)
    shine = bell(heel.y - heel.sag(BODY) * np.float32(0.9) - np.float32(494), 2.0)
    shine *= bell(heel.across + np.float32(0.15), 0.45)
    foot[0] += shine * heel.glass * np.float32(0.25 * look.highlight)
    tint(light, (1.02, 1.02, 1.02), glow)


def cap(canvas: Canvas, light: Light, look: Look) -> None:
    """The aluminium crimp cap with its blue flip-off disc."""
    canvas, light = canvas.window(light, DISC_Y - 8, CAP_FOOT + 8, CAP)
    level = canvas.y - canvas.sag(CAP)
    metal = _ALUMINIUM(canvas.x * np.float32(1 / CAP) + np.float32(look.metal_turn)) * _CRIMP(level)
    metal *= 1 - np.float32(0.6) * cover(np.float32(CAP_Y + 6) - level, 9.0)  # the disc's shadow
    metal += (np.float32(0.34) - metal) * canvas.edge(canvas.disc(CAP, CAP_Y))
    skirt = canvas.drum(CAP, CAP_Y, CAP_FOOT)
    for plane, colour in zip(light, METAL, strict=True):
        plane += (metal * np.float32(colour) - plane) * skirt
    level = canvas.y - canvas.sag(DISC)
    shade = _PLASTIC(canvas.x * np.float32(1 / DISC))
    shade *= 1 - np.float32(0.55) * cover(level - np.float32(CAP_Y - 3), 6.0)
    shade *= 1 + np.float32(0.5) * bell(level - np.float32(DISC_Y + 2.5), 2.0)
    face = canvas.edge(canvas.disc(DISC - 1, DISC_Y))
    shade += (np.float32(1.3) - canvas.x * np.float32(0.003) - shade) * face
    shade *= 1 - np.float32(0.2) * bell(canvas.disc(DISC - 16, DISC_Y), 0.9) * face
    side = canvas.drum(DISC, DISC_Y, CAP_Y)
    for plane, colour in zip(light, DISC_BLUE, strict=True):
        plane += (shade * np.float32(colour) + face * np.float32(0.03) - plane) * side


def open_neck(canvas: Canvas, light: Light, look: Look) -> None:
    """The bare glass lip and mouth of a vial that was never stoppered."""
    canvas, light = canvas.window(light, LIP_Y - 8, LIP_FOOT + 12, LIP)
    across, level = canvas.x * np.float32(1 / LIP), canvas.y - canvas.sag(LIP)
    through = _THROUGH_GLASS(np.abs(across)) * np.float32(0.9)
    for y, width, dark in ((LIP_Y + 1, 2.4, 0.55), (108, 5.0, 0.22), (LIP_FOOT, 5.0, 0.5)):
        through *= 1 - np.float32(dark) * bell(level - np.float32(y), width)
    rim, mouth = canvas.disc(LIP, LIP_Y), canvas.disc(MOUTH, LIP_Y)
    through += (np.float32(1.15) - through) * canvas.edge(rim)
    through *= 1 - np.float32(0.42) * canvas.edge(mouth) - np.float32(0.4) * bell(mouth, 1.1)
    through *= 1 - np.float32(0.35) * bell(rim, 0.9)
    ring = canvas.drum(LIP, LIP_Y, LIP_FOOT)
    for plane, colour in zip(light, GLASS_LOSS, strict=True):
        plane *= 1 - (1 - through) * ring * np.float32(colour)
    glint = bell(across + np.float32(0.62), 0.07) + np.float32(0.6) * bell(across - np.float32(0.72), 0.05)
    tint(light, (1.0, 1.0, 1.0), glint * bell(level - 111, 8) * ring * np.float32(0.6 * look.highlight))
