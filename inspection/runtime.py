"""Engines that run a package's graph, behind one small interface and a plain registry."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inspection.errors import InspectionError
from inspection.frames import Pixels

Outputs = dict[str, NDArray[np.float32]]


class RuntimeFault(InspectionError):
    """The engine does not load the graph, or fails while it runs it."""

    code = "runtime_fault"


class Runtime(Protocol):
    """A loaded graph. `run` may be called from several threads at once."""

    name: str

    def run(self, frames: Pixels) -> Outputs:
        """Outputs by name for frames `[N, H, W, 3]` uint8 RGB. Raises RuntimeFault."""
        ...


class OnnxRuntime:
    """ONNX Runtime on the CPU, float32, with results that do not depend on the number of threads."""

    name = "onnxruntime"

    def __init__(self, model: bytes, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.use_deterministic_compute = True
        # Spinning threads steal the other core from the cameras and the archive.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the bindings raise many types of their own
            raise RuntimeFault(f"ONNX Runtime does not load this graph: {_first_line(error)}") from error
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, frames: Pixels) -> Outputs:
        try:
            values = self._session.run(self._outputs, {self._input: frames})
        except Exception as error:
            raise RuntimeFault(f"ONNX Runtime failed on frames {list(frames.shape)}: {_first_line(error)}") from error
        return dict(zip(self._outputs, values, strict=True))


RUNTIMES: dict[str, Callable[[bytes, int], Runtime]] = {"onnxruntime": OnnxRuntime}


def load_runtime(name: str, model: bytes, threads: int) -> Runtime:
    """The graph in `model`, loaded into the engine `name` with that many threads. Raises RuntimeFault."""
    if name not in RUNTIMES:
        raise RuntimeFault(f"there is no runtime {name!r}; choose one of {', '.join(sorted(RUNTIMES))}")
    return RUNTIMES[name](model, threads)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
