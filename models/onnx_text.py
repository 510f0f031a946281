"""ONNX graphs written as text, and their loops."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, parser

OPSET = 18
_START = f'<ir_version: 8, opset_import: ["" : {OPSET}]>'


def parse(text: str, **weights: NDArray[np.float32]) -> onnx.ModelProto:
    """The model of a graph in ONNX's textual syntax, with `weights` as initializers of those names."""
    model = parser.parse_model(_START + text)
    for name, values in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    return model


def loop_bodies(model: onnx.ModelProto) -> list[onnx.GraphProto]:
    """The bodies of the graph's `Scan` loops, to be read or changed in place."""
    loops = [node for node in model.graph.node if node.op_type == "Scan"]
    return [attribute.g for node in loops for attribute in node.attribute if attribute.name == "body"]
