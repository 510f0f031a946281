"""The runtime that fits a detector: one that will serve it."""

import onnx

from inspection.detector import available_cores
from inspection.runtime import Runtime, able, load_runtime


def load_for_fitting(model: onnx.ModelProto) -> Runtime:
    """The graph in OpenVINO where it is installed, which is quicker, else in ONNX Runtime, on all cores.

    Not measured as `auto` does: the same seed gives the same package, whatever else the machine is doing."""
    return load_runtime(able("fp32")[-1], model.SerializeToString(deterministic=True), available_cores())
