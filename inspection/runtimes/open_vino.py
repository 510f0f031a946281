"""OpenVINO on the CPU: faster on many machines, and the engine for bf16."""

import threading
from functools import cache
from importlib.util import find_spec
from io import BytesIO

import numpy as np

from inspection.frames import Pixels
from inspection.runtimes.engine import Outputs, Precision, RuntimeFault, first_line

_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}  # what the parts of an int8 graph that stay float are


class OpenVino:
    """A graph in OpenVINO, at exactly the precision asked for.

    Left to itself OpenVINO runs a float32 graph as bf16 where the CPU has AMX. The graph is compiled for one frame of
    its height and width, and a batch runs frame by frame: a frame's result is the same in any company.
    """

    name = "openvino"

    def __init__(self, model: bytes, precision: Precision, threads: int, parallel: int) -> None:
        import openvino

        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "EXECUTION_MODE_HINT": "ACCURACY",
            "INFERENCE_NUM_THREADS": threads * parallel,
            "NUM_STREAMS": parallel,
            "ENABLE_CPU_PINNING": False,
        }
        try:
            core = openvino.Core()
            graph = core.read_model(BytesIO(model))
            self._shape = [1, *(size.get_length() for size in list(graph.input().partial_shape)[1:])]
            graph.reshape(self._shape)
            self._compiled = core.compile_model(graph, "CPU", settings)
            # Fills the bindings' table of types while there is one thread: two that fill it at once wait for each other
            # for ever, one for the table, one for the interpreter's lock.
            self._compiled.input().get_element_type().to_dtype()
        except Exception as error:  # the bindings raise many types of their own
            raise RuntimeFault(f"OpenVINO does not load this graph: {first_line(error)}") from error
        self._outputs = [output.get_any_name() for output in self._compiled.outputs]
        self._requests = threading.local()

    @staticmethod
    @cache
    def precisions() -> frozenset[Precision]:
        """As `Engine`'s; bf16 only where the CPU has instructions for it."""
        if find_spec("openvino") is None:
            return frozenset()
        import openvino

        able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        names: dict[Precision, str] = {"fp32": "FP32", "bf16": "BF16", "int8": "INT8"}
        return frozenset(precision for precision, name in names.items() if name in able)

    def run(self, frames: Pixels) -> Outputs:
        """As `Runtime`'s. Each thread has a request of its own."""
        if [1, *frames.shape[1:]] != self._shape:
            raise RuntimeFault(f"OpenVINO failed on frames {list(frames.shape)}: the graph takes {self._shape}")
        request = getattr(self._requests, "own", None)
        if request is None:
            request = self._requests.own = self._compiled.create_infer_request()
        found = []
        try:
            for index in range(len(frames)):
                values = request.infer([frames[index : index + 1]], share_inputs=True, share_outputs=False)
                found.append([values[position] for position in range(len(self._outputs))])
        except Exception as error:
            raise RuntimeFault(f"OpenVINO failed on frames {list(frames.shape)}: {first_line(error)}") from error
        return {
            name: np.concatenate(parts) for name, parts in zip(self._outputs, zip(*found, strict=True), strict=True)
        }
