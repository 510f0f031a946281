"""The line simulator (digital twin): units as an inspection camera sees them, seeded, with defect masks."""

from data.simulator.dataset import write_dataset
from data.simulator.feed import line
from data.simulator.products import PRODUCTS, render
from data.simulator.unit import (
    BadCount,
    BadDefectRate,
    BadFrameSize,
    BadSeed,
    DatasetExists,
    Defect,
    Product,
    SimulatorRefusal,
    Unit,
    UnknownDefect,
    UnknownProduct,
)

__all__ = [
    "PRODUCTS",
    "BadCount",
    "BadDefectRate",
    "BadFrameSize",
    "BadSeed",
    "DatasetExists",
    "Defect",
    "Product",
    "SimulatorRefusal",
    "Unit",
    "UnknownDefect",
    "UnknownProduct",
    "line",
    "render",
    "write_dataset",
]
