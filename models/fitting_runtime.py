"""The runtime that fits a detector: one that will serve it, kept busy on all cores."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TypeVar

import onnx

from inspection.detector import available_cores
from inspection.frames import Pixels
from inspection.ordered_pool import map_in_order
from inspection.runtime import Outputs, Runtime, able, load_runtime
from models.tiles import UNTILED_PIXELS

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class FittingRuntime:
    """A graph, and how many `calls` of it are to be made at once."""

    runtime: Runtime
    calls: int

    def run(self, frames: Pixels) -> Outputs:
        """As `Runtime`'s."""
        return self.runtime.run(frames)

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
        """`work`, which calls `run`, of each item, in order, `calls` at once; a single one in this thread, where memory
        is used again."""
        if self.calls > 1:
            yield from map_in_order(work, items, self.calls)
        else:
            yield from map(work, items)


def load_for_fitting(model: onnx.ModelProto, *, alone: bool = True) -> FittingRuntime:
    """The graph in OpenVINO where it is installed, which is quicker, else in ONNX Runtime.

    A call takes one core and there are as many at once as cores, for reading, painting and preparing an image take one
    core each as well; above 1024 x 1024 pixels, where a call's memory matters more, one takes all cores. Where it is
    not `alone` but one of several graphs that take turns, it has memory for one call, and a second one waits. Not
    measured as `auto` does: the same seed gives the same package, whatever else the machine is doing."""
    _, height, width, _ = (dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim)
    cores = available_cores()
    calls = cores if height * width <= UNTILED_PIXELS else 1
    data = model.SerializeToString(deterministic=True)
    parallel = calls if alone else 1
    return FittingRuntime(load_runtime(able("fp32")[-1], data, cores // calls, parallel=parallel), calls)
