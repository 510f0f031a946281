"""Graphs in the package's interface: `frames` uint8 `[N, H, W, 3]` in, features or a score and a heatmap out.

Fitting runs the first graph, serving the second; the second is the first with a nearest-neighbour search joined on,
so nothing is exported and nothing can differ.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose, numpy_helper, parser, version_converter

from inspection.preprocess import Geometry

STRIDE = 8
OPSET = 18
_HEAD = f'<ir_version: 8, opset_import: ["" : {OPSET}]>'

_FRAMES = """
frames (uint8[N, {height}, {width}, 3] frames) => (float[N, 3, {height}, {width}] x) {{
    cast = Cast <to = 1> (frames)
    x = Transpose <perm = [0, 3, 1, 2]> (cast)
}}
"""

_FEATURES = """
features (float[N, {fine}, h, w] s8, float[N, {coarse}, h2, w2] s16) => (float[P, {channels}] features)
<float[4] scales = {{1.0, 1.0, 2.0, 2.0}}, int64[2] rows = {{-1, {channels}}}> {{
    fine = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 0> (s8)
    coarse = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 0> (s16)
    large = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (coarse, , scales)
    joined = Concat <axis = 1> (fine, large)
    last = Transpose <perm = [0, 2, 3, 1]> (joined)
    features = Reshape (last, rows)
}}
"""

# |q - b|^2 = |q|^2 + (|b|^2 - 2 q.b): the bracket is one Gemm, and |q|^2 is added after the minimum.
_MEMORY = """
memory (float[P, {channels}] features) => (float[N] score, float[N, {rows}, {columns}] heatmap)
<int64[1] last = {{1}}, int64[3] shape = {{-1, {rows}, {columns}}}, int64[2] both = {{1, 2}}> {{
    products = Gemm (features, bank, squares)
    nearest = ReduceMin <keepdims = 0> (products, last)
    own = ReduceSumSquare <keepdims = 0> (features, last)
    squared = Add (nearest, own)
    positive = Relu (squared)
    distance = Sqrt (positive)
    heatmap = Reshape (distance, shape)
    score = ReduceMax <keepdims = 0> (heatmap, both)
}}
"""


def grid(geometry: Geometry) -> tuple[int, int]:
    """Rows and columns of patches in a frame of this geometry."""
    return geometry.height // STRIDE, geometry.width // STRIDE


def features_graph(backbone: onnx.ModelProto, channels: tuple[int, int], geometry: Geometry) -> onnx.ModelProto:
    """Output `features` float32 `[N * rows * columns, C]`: the patches' local features (PatchCore, section 3.1).

    Maps at strides 8 and 16 of `channels` each, averaged over 3 x 3 neighbours, the coarser enlarged bilinearly,
    then joined. `backbone` takes `x` float32 `[N, 3, H, W]` 0-255 and gives `s8` and `s16`.
    """
    frames = _parse(_FRAMES.format(height=geometry.height, width=geometry.width))
    fine, coarse = channels
    neck = _parse(_FEATURES.format(fine=fine, coarse=coarse, channels=fine + coarse))
    body = version_converter.convert_version(backbone, OPSET)
    body.ir_version = neck.ir_version
    front = compose.merge_models(frames, body, [("x", body.graph.input[0].name)], prefix1="frames/")
    model = compose.merge_models(front, neck, [("s8", "s8"), ("s16", "s16")], prefix2="neck/")
    return _finish(model, {"frames/frames": "frames", "neck/features": "features"})


def memory_graph(features: onnx.ModelProto, geometry: Geometry, bank: NDArray[np.float32]) -> onnx.ModelProto:
    """`features_graph` with outputs `heatmap` float32 `[N, rows, columns]`, the Euclidean distance of each patch to the
    nearest row of `bank` `[M, C]`, and `score` float32 `[N]`, its maximum."""
    rows, columns = grid(geometry)
    exact = bank.astype(np.float64)
    text = _MEMORY.format(channels=bank.shape[1], rows=rows, columns=columns)
    memory = _parse(
        text,
        bank=np.ascontiguousarray(-2 * exact.T).astype(np.float32),
        squares=(exact**2).sum(axis=1).astype(np.float32),
    )
    model = compose.merge_models(features, memory, [("features", "features")], prefix2="memory/")
    return _finish(model, {"memory/score": "score", "memory/heatmap": "heatmap"})


def _parse(text: str, **weights: NDArray[np.float32]) -> onnx.ModelProto:
    model = parser.parse_model(_HEAD + text)
    for name, values in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    return model


def _finish(model: onnx.ModelProto, names: dict[str, str]) -> onnx.ModelProto:
    """Give inputs and outputs their names in the package's interface, and check the whole."""
    for info in [*model.graph.input, *model.graph.output]:
        info.name = names.get(info.name, info.name)
    for node in model.graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]
    model.graph.name, model.producer_name = "inspection", "pharma-inspection"
    onnx.checker.check_model(model)
    return model
