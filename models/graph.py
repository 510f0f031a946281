"""Graphs in the package's interface: `frames` uint8 `[N, H, W, 3]` in, features or a score and a heatmap out.

Fitting runs the first graph, serving the second; the second is the first with a nearest-neighbour search joined on,
so nothing is exported and nothing can differ.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose, version_converter

from inspection.preprocess import CELL, Geometry
from inspection.score_area import inside_cells, score_area
from models.nearest import nearest_graph
from models.onnx_text import OPSET, parse
from models.tiles import UNTILED_PIXELS, tiled

BACKBONE_OUTPUTS = ("s8", "s16")

_FRAMES = """
frames (uint8[N, {height}, {width}, 3] frames) => (float[N, 3, {height}, {width}] x) {{
    cast = Cast <to = 1> (frames)
    x = Transpose <perm = [0, 3, 1, 2]> (cast)
}}
"""

_FINE_ROWS = """
features (float[N, {fine}, h, w] s8, float[N, {coarse}, h2, w2] s16) => (float[P, {channels}] features)
<float[4] scales = {{1.0, 1.0, 2.0, 2.0}}, int64[2] shape = {{-1, {channels}}}> {{
    large = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (s16, , scales)
    joined = Concat <axis = 1> (s8, large)
    last = Transpose <perm = [0, 2, 3, 1]> (joined)
    features = Reshape (last, shape)
}}
"""

_COARSE_ROWS = """
features (float[N, {fine}, h, w] s8, float[N, {coarse}, h2, w2] s16) => (float[P, {channels}] features)
<int64[2] shape = {{-1, {channels}}}> {{
    small = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (s8)
    joined = Concat <axis = 1> (small, s16)
    last = Transpose <perm = [0, 2, 3, 1]> (joined)
    features = Reshape (last, shape)
}}
"""
_ROWS = {8: _FINE_ROWS, 16: _COARSE_ROWS}

_HEAD = """
head (float[N, {fine}, h, w] s8, float[N, {coarse}, h2, w2] s16, float[N, 1, {rows}, {columns}] distance)
    => (float[N, 1, {rows}, {columns}] logit)
<float[4] scales = {{1.0, 1.0, 2.0, 2.0}}> {{
    fine = Conv <kernel_shape = [1, 1]> (s8, fine_weight, fine_bias)
    coarse = Conv <kernel_shape = [1, 1]> (s16, coarse_weight)
    large = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (coarse, , scales)
    maps = Add (fine, large)
    memory = Conv <kernel_shape = [1, 1]> (distance, memory_weight)
    joined = Add (maps, memory)
    first = Relu (joined)
    near = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (first, near_weight, near_bias)
    second = Relu (near)
    logit = Conv <kernel_shape = [1, 1]> (second, last_weight, last_bias)
}}
"""

_SCORE = """
score ({inputs}) => (float[N] score, float[N, {rows}, {columns}] heatmap)
<int64[2] both = {{1, 2}}, int64[3] all = {{1, 2, 3}}, int64[1] depth = {{1}}, int64[4] line = {{-1, 1, 1, {cells}}},
 int64[1] area = {{{area}}}, int64[1] across = {{3}}, float least = {{1e-6}}> {{
    {before}
    cells = Reshape ({memory}, line)
    farthest, places = TopK <axis = 3> (cells, area)
    mean = ReduceMean (farthest, across)
    {after}
    most = ReduceMax ({map}, all)
    divisor = Max (most, least)
    factor = Div ({together}, divisor)
    whole = Mul ({map}, factor)
    heatmap = Squeeze (whole, depth)
    score = ReduceMax <keepdims = 0> (heatmap, both)
}}
"""
_DISTANCE = "float[N, 1, {rows}, {columns}] distance"
_PLAIN = {"inputs": _DISTANCE, "before": "", "after": "", "memory": "distance", "map": "distance", "together": "mean"}
_JOINT = {
    "inputs": _DISTANCE + ", float[N, 1, {rows}, {columns}] logit",
    "before": """
    memory = Mul (distance, per_distance)
    above = Sub (logit, usual_logit)
    scaled = Mul (above, per_logit)
    positive = Relu (scaled)
    head = Mul (positive, inside)
    sum = Add (memory, head)
    """,
    "after": """
    strongest = ReduceMax (head, all)
    together = Add (mean, strongest)
    """,
    "memory": "memory", "map": "sum", "together": "together",
}  # fmt: skip

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class HeadWeights:
    """The head's weights, `[O, I, k, k]` and `[O]`, in the order they are used."""

    fine_weight: Floats
    coarse_weight: Floats
    memory_weight: Floats
    fine_bias: Floats
    near_weight: Floats
    near_bias: Floats
    last_weight: Floats
    last_bias: Floats


@dataclass(frozen=True)
class HeadScale:
    """How distance and logit become one measure: each cell has `per_distance * distance` of the memory and
    `relu(per_logit * (logit - usual_logit))` of the head."""

    per_distance: float
    usual_logit: float
    per_logit: float


def maps_graph(backbone: onnx.ModelProto, channels: tuple[int, int], geometry: Geometry) -> onnx.ModelProto:
    """Outputs `s8`, `s16` float32 `[N, C, h, w]`: the backbone's maps, of `channels` each.

    `backbone` takes `x` float32 `[N, 3, H, W]` 0-255 and gives `s8` and `s16`. Raises InputTooLarge, see `tiled`.
    """
    frames = parse(_FRAMES.format(height=geometry.height, width=geometry.width))
    body = version_converter.convert_version(backbone, OPSET)
    body.ir_version = frames.ir_version
    front = compose.merge_models(frames, body, [("x", body.graph.input[0].name)], prefix1="frames/")
    if geometry.height * geometry.width > UNTILED_PIXELS:
        front = tiled(front, dict(zip(BACKBONE_OUTPUTS, channels, strict=True)))
    return finish(front, {"frames/frames": "frames"})


def features_graph(
    backbone: onnx.ModelProto, channels: tuple[int, int], geometry: Geometry, stride: int = 8
) -> onnx.ModelProto:
    """`maps_graph` with a further output, `features` float32 `[P, C]`: one row for each patch of `stride` pixels, 8 or
    16, of each frame (PatchCore, section 3.1, but no averages over neighbours). Both maps are brought to one stride,
    then joined. Raises InputTooLarge, see `tiled`."""
    fine, coarse = channels
    neck = parse(_ROWS[stride].format(fine=fine, coarse=coarse, channels=fine + coarse))
    model = join(maps_graph(backbone, channels, geometry), neck, BACKBONE_OUTPUTS, "neck/")
    return finish(model, {"neck/features": "features"})


def memory_graph(
    features: onnx.ModelProto,
    geometry: Geometry,
    bank: Floats,
    *,
    stride: int = 8,
    head: tuple[HeadWeights, HeadScale] | None = None,
    maps: bool = False,
) -> onnx.ModelProto:
    """`features_graph` of that `stride` with outputs `heatmap` float32 `[N, rows, columns]` and `score` float32 `[N]`,
    its maximum.

    The memory's map is the Euclidean distance of each patch to the nearest row of `bank` `[M, C]`, and zero outside the
    region of interest; its score is the mean over the `AREA` cells where it is largest. With a `head` the largest the
    head says of any cell is added: they need not point at the same one. The heatmap is the memory's map, or the sum of
    both in each cell, scaled so that its maximum is the score. With `maps` the backbone's are outputs still, and the
    memory's, `distance` float32 `[N, 1, rows, columns]`.
    """
    rows, columns = geometry.cells
    fine, coarse = (channels_of(features, name) for name in BACKBONE_OUTPUTS)
    inside = inside_cells(geometry).astype(np.float32)
    sizes = {"rows": rows, "columns": columns, "fine": fine, "coarse": coarse}
    sizes |= {"cells": inside.size, "area": score_area(inside)}
    memory = nearest_graph(bank, geometry.height // stride, geometry.width // stride, stride, inside)
    model = compose.merge_models(features, memory, [("features", "rows")], prefix2="memory/")
    if head is None:
        score = _score(_PLAIN, sizes)
        wanted = ["memory/distance"]
    else:
        weights, scale = head
        network = parse(_HEAD.format(**sizes), **vars(weights))
        model = join(model, network, (*BACKBONE_OUTPUTS, "memory/distance"), "head/")
        constants = {name: np.array(value, dtype=np.float32) for name, value in vars(scale).items()}
        score = _score(_JOINT, sizes, inside=inside, **constants)
        wanted = ["memory/distance", "head/logit"]
    model = join(model, score, wanted, "score/")
    outputs = ("score/score", "score/heatmap", *((*BACKBONE_OUTPUTS, "memory/distance") if maps else ()))
    return finish(
        with_outputs(model, outputs),
        {"score/score": "score", "score/heatmap": "heatmap", "memory/distance": "distance"},
    )


def cell_pixels(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels `[H, W]` of model input that lie in those of the `cells` `[rows, columns]` that are True."""
    return np.kron(cells, np.ones((CELL, CELL), dtype=bool))


def join(first: onnx.ModelProto, second: onnx.ModelProto, names: Sequence[str], prefix: str) -> onnx.ModelProto:
    """Both graphs with the outputs `names` of the first as inputs of the second, and as outputs still."""
    joined = compose.merge_models(first, second, [(name, name.split("/")[-1]) for name in names], prefix2=prefix)
    known = {output.name for output in joined.graph.output}
    joined.graph.output.extend(output for output in first.graph.output if output.name not in known)
    return joined


def with_outputs(model: onnx.ModelProto, names: Collection[str]) -> onnx.ModelProto:
    """The model with those of its outputs alone."""
    kept = [output for output in model.graph.output if output.name in names]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    return model


def _score(parts: dict[str, str], sizes: dict[str, int], **constants: Floats) -> onnx.ModelProto:
    """The graph from what memory and head say to `score` and `heatmap`."""
    text = {name: part.format(**sizes) for name, part in parts.items()}
    return parse(_SCORE.format(**text, **sizes), **constants)


def channels_of(model: onnx.ModelProto, name: str) -> int:
    """How many channels the output `name` `[N, C, h, w]` has."""
    (output,) = [output for output in model.graph.output if output.name == name]
    return int(output.type.tensor_type.shape.dim[1].dim_value)


def finish(model: onnx.ModelProto, names: dict[str, str]) -> onnx.ModelProto:
    """Give inputs and outputs their names in the package's interface, and check the whole."""
    for info in [*model.graph.input, *model.graph.output]:
        info.name = names.get(info.name, info.name)
    for node in model.graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]
    model.graph.name, model.producer_name = "inspection", "pharma-inspection"
    onnx.checker.check_model(model)
    return model
