"""ONNX Runtime on the CPU: the reference."""

import onnxruntime

from inspection.frames import Pixels
from inspection.runtimes.engine import Outputs, Precision, RuntimeFault, first_line


class OnnxRuntime:
    """A graph in ONNX Runtime, with results that do not depend on the number of threads.

    It computes float32, and the int8 that a graph's own quantise and dequantise nodes ask for. Its CPU kernels have no
    bf16 for these graphs.
    """

    name = "onnxruntime"

    def __init__(self, model: bytes, precision: Precision, threads: int, parallel: int) -> None:  # noqa: ARG002
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
            raise RuntimeFault(f"ONNX Runtime does not load this graph: {first_line(error)}") from error
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    @staticmethod
    def precisions() -> frozenset[Precision]:
        """As `Engine`'s."""
        return frozenset({"fp32", "int8"})

    def run(self, frames: Pixels) -> Outputs:
        """As `Runtime`'s."""
        try:
            values = self._session.run(self._outputs, {self._input: frames})
        except Exception as error:
            raise RuntimeFault(f"ONNX Runtime failed on frames {list(frames.shape)}: {first_line(error)}") from error
        return dict(zip(self._outputs, values, strict=True))
