"""A clear glass vial on a back-lit line: straw-coloured liquid, grey stopper, aluminium cap, blue disc."""

import numpy as np
from numpy.typing import NDArray

from data.simulator import vial_defects, vial_parts
from data.simulator.drawing import Placement, expose, sensor_stream, stream
from data.simulator.unit import Defect, Product, Size
from data.simulator.vial_canvas import AXIS_X, BASE_Y, BODY, Canvas, Look

REFERENCE: Size = (400, 560)


def _good(seed: int, size: Size) -> tuple[Placement, Look]:
    """Pose and look of the good unit with this seed; a defect never changes them."""
    rng = stream(seed, "pose")
    placement = Placement(
        size,
        REFERENCE,
        shift=(float(rng.uniform(-5, 5)), float(rng.uniform(-3, 3))),
        angle=float(np.radians(rng.uniform(-0.8, 0.8))),
        zoom=float(rng.uniform(0.992, 1.008)),
        pivot=(AXIS_X, BASE_Y),
    )
    look = Look(
        level=float(rng.uniform(276, 286)),
        panel=float(rng.uniform(0.965, 1.035)),
        warmth=float(rng.uniform(0.992, 1.008)),
        slant=(float(rng.uniform(-2e-4, 2e-4)), float(rng.uniform(-1e-4, 1e-4))),
        highlight=float(rng.uniform(0.88, 1.12)),
        metal_turn=float(rng.uniform(-0.03, 0.03)),
        rubber=float(rng.uniform(0.94, 1.06)),
    )
    return placement, look


def render_vial(
    seed: int, defect: str | None, size: Size, view: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The vial with this seed, good or with one defect: frame (HWC uint8 RGB) and mask (HW bool)."""
    placement, look = _good(seed, size)
    rng = stream(seed, f"defect {defect}")
    whole = Canvas.of(placement)
    light = vial_parts.light_panel(whole, look)
    mark = np.zeros(light.shape[1:], np.float32)
    vial, inside = whole.window(light, 0, BASE_Y + 12, BODY)
    level = look.level
    if defect == "low_fill":
        level += float(rng.uniform(32, 165))
        vial_defects.missing_fill(whole, mark, look.level, level)
    if defect == "missing_stopper":
        vial_defects.missing_closure(whole, mark)
    else:
        vial_parts.plug(vial, inside, look)
    vial_parts.glass(vial, inside)
    vial_parts.liquid(vial, inside, level)
    if defect == "particle":
        mark = vial_defects.particle(rng, placement, light, level)
    elif defect == "fibre":
        mark = vial_defects.fibre(rng, placement, light, level)
    vial_parts.highlights(vial, inside, look)
    if defect == "crack":
        mark = vial_defects.crack(rng, placement, light)
    if defect == "missing_stopper":
        vial_parts.open_neck(vial, inside, look)
    else:
        vial_parts.cap(vial, inside, look)
    return expose(light, sensor_stream(seed, view), blur=0.6, noise=1.3), mark > vial_defects.MARK


VIAL = Product(
    name="vial",
    size=REFERENCE,
    defects=(
        Defect("particle", "major"),
        Defect("fibre", "major"),
        Defect("crack", "critical"),
        Defect("low_fill", "major"),
        Defect("missing_stopper", "critical"),
    ),
    render=render_vial,
)
