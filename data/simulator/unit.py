"""What the simulator hands out: units, the defects a product can have, and the errors it raises."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError

Severity = Literal["critical", "major", "minor"]
Size = tuple[int, int]

# Takes (seed, defect or None, (width, height), view); gives (frame HWC uint8 RGB, mask HW bool).
RenderFunction = Callable[[int, str | None, Size, int], tuple[NDArray[np.uint8], NDArray[np.bool_]]]


@dataclass(frozen=True)
class Defect:
    """One kind of defect and how much it matters to the patient."""

    name: str
    severity: Severity


@dataclass(frozen=True)
class Product:
    """One product the simulator can draw. `size` is the default frame, (width, height) in pixels."""

    name: str
    size: Size
    defects: tuple[Defect, ...]
    render: RenderFunction

    @property
    def defect_names(self) -> tuple[str, ...]:
        return tuple(defect.name for defect in self.defects)


@dataclass(frozen=True, eq=False)
class Unit:
    """One rendered unit.

    frame: HWC uint8 RGB, contiguous. mask: HW bool, True where the defect is, all False for a good unit.
    `render(product, seed, defect)` with these three fields draws the same bytes again.
    """

    frame: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    product: str
    defect: str | None
    seed: int


class SimulatorRefusal(InspectionError, ValueError):
    """A value the simulator cannot work with."""

    code = "simulator_refusal"


class UnknownProduct(SimulatorRefusal):
    """There is no such product."""

    code = "unknown_simulated_product"


class UnknownDefect(SimulatorRefusal):
    """The product has no such defect."""

    code = "unknown_simulated_defect"


class BadFrameSize(SimulatorRefusal):
    """A frame is too small to draw the product in."""

    code = "bad_simulated_frame_size"


class BadSeed(SimulatorRefusal):
    """A seed is below zero."""

    code = "bad_simulator_seed"


class BadDefectRate(SimulatorRefusal):
    """A share of defective units is not between 0 and 1."""

    code = "bad_defect_rate"


class BadCount(SimulatorRefusal):
    """A number of units is below zero."""

    code = "bad_unit_count"


class DatasetExists(InspectionError, FileExistsError):
    """The folder that a dataset would be written to already holds something."""

    code = "dataset_exists"
