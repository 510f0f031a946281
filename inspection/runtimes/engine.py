"""What every engine is: a small class that loads a graph at one precision and runs frames through it."""

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError
from inspection.frames import Pixels

Outputs = dict[str, NDArray[np.float32]]
Precision = Literal["fp32", "bf16", "int8"]


class RuntimeFault(InspectionError):
    """The engine does not load the graph, or fails while it runs it."""

    code = "runtime_fault"


class PrecisionUnsupported(InspectionError):
    """The engine cannot compute the package's precision on this machine; no other precision is put in its place."""

    code = "precision_unsupported"


class Runtime(Protocol):
    """A loaded graph. `run` may be called from several threads at once."""

    name: str

    def run(self, frames: Pixels) -> Outputs:
        """Outputs by name for frames `[N, H, W, 3]` uint8 RGB. Raises RuntimeFault."""
        ...


class Engine(Protocol):
    """An engine's class: what it is called, what it computes on this machine, and how a graph is loaded into it."""

    name: str

    @staticmethod
    def precisions() -> frozenset[Precision]:
        """The precisions at which it computes on this machine; empty where it is not installed."""
        ...

    def __call__(self, model: bytes, precision: Precision, threads: int, parallel: int) -> Runtime:
        """Load the ONNX graph in `model`, for `parallel` calls at once of `threads` cores each. Raises RuntimeFault."""
        ...


def first_line(error: Exception) -> str:
    """An engine's own message, cut to its first line."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
