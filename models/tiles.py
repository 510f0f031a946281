"""Large inputs in bounded memory: inside the graph, the part of the backbone that takes the memory runs tile by tile.

The early layers of a backbone are the large ones: at 2048 x 2048 pixels EfficientNet-Lite0 holds 400 MB in one tensor
at stride 2, and 10 MB in the map that leaves at stride 8. So the layers up to that map become the body of a `Scan` over
overlapping tiles, and the rest sees the whole map: one graph, one run, one tile in memory at a time. No tile reaches
past the input: one at the border ends there, and meets the same zero padding as the whole would.

Largest difference from the untiled maps in units of their spread, at 1280 x 1280 pixels of an MVTec AD bottle (capsule
alike), by halo in pixels:

| halo | `s8` | `s16`, made of the whole `s8` | `s16`, were it made in tiles too |
|---|---|---|---|
| 32 | 0.008 | 0.003 | 1.9 |
| 48 | 0 | 0 | 1.3 |
| 64 | 0 | 0 | 0.9 |
| 96 | 0 | 0 | 0.3 |
| 128 | 0 | 0 | 0.06 |

64 pixels cover what a place of `s8` sees in EfficientNet-Lite0 (33 pixels to each side) and, by their kernels, in
ResNet18 and 50 (49 and 45), so that tiles change nothing there. A backbone whose `s16` needs more than `s8` runs in
tiles as a whole, with 128. One that averages over the whole frame (squeeze and excitation) averages over a tile
instead, in fitting and serving. One that compares all places of a frame with one another (a vision transformer) would
be another network in tiles, and whole it takes memory that grows with the square of the pixels: it is refused.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose, helper, numpy_helper

from inspection.errors import InspectionError

UNTILED_PIXELS = 1024**2
HALO, APART_HALO = 64, 128
_CROP = 768  # longest side of a tile with its halo
_ATTENTION = {"Softmax", "Attention"}  # the operators of ONNX that attention is made of
_STEP = 16  # tiles begin where every layer's grid has a place
STRIDES = {"s8": 8, "s16": 16}
Integers = NDArray[np.int64]
Part = tuple[list[onnx.NodeProto], list[onnx.TensorProto]]


class InputTooLarge(InspectionError):
    """An input that would have to run in tiles, and a backbone that cannot."""

    code = "input_too_large"


@dataclass(frozen=True)
class Tiles:
    """Tiles along one side of the input, in pixels: all are `crop` long and begin at `starts`; neighbours share at
    least two halos, so that what is kept of each lies at least one halo from a side that is not the input's own."""

    length: int
    crop: int
    starts: tuple[int, ...]

    @classmethod
    def along(cls, length: int, halo: int, longest: int = _CROP) -> "Tiles":
        """The fewest tiles of at most `longest` pixels that cover `length`; all three are multiples of 16."""
        if length <= longest:
            return cls(length, length, (0,))
        count = -(-(length - 2 * halo) // (longest - 2 * halo))
        inner = -(-(length - 2 * halo) // (count * _STEP)) * _STEP
        crop = inner + 2 * halo
        return cls(length, crop, tuple(min(index * inner, length - crop) for index in range(count)))

    def taken(self) -> Integers:
        """Which pixels of the input the tiles hold, one tile after the other."""
        return np.concatenate([np.arange(start, start + self.crop) for start in self.starts])

    def kept(self, stride: int) -> Integers:
        """Where in the tiles' maps, laid end to end, each place `[length / stride]` of the whole map is found.

        Of two tiles that hold a place the one whose end is farther off gives it.
        """
        ends = [start + self.crop for start in self.starts]
        seams = [(end + start) // 2 // _STEP * _STEP for end, start in zip(ends, self.starts[1:], strict=False)]
        pixels = np.arange(self.length)
        tile = np.searchsorted(np.array(seams), pixels, side="right")
        places = tile * self.crop + pixels - np.array(self.starts)[tile]
        return np.asarray(places[::stride] // stride, dtype=np.int64)


def tiled(front: onnx.ModelProto, channels: dict[str, int]) -> onnx.ModelProto:
    """`front`, a graph from `frames` uint8 `[N, H, W, 3]` to the maps `s8` and `s16` of that many `channels`, as one
    with the same input and outputs that makes them tile by tile. H and W are multiples of 16.

    Raises InputTooLarge where the backbone has attention, which reaches farther than any halo.
    """
    (source,) = front.graph.input
    height, width = (dim.dim_value for dim in source.type.tensor_type.shape.dim[1:3])
    if any(node.op_type in _ATTENTION for node in front.graph.node):
        raise InputTooLarge(
            f"a backbone with attention (a vision transformer) takes at most {UNTILED_PIXELS:,} pixels of model input, "
            f"got {width} x {height}; give a smaller size or region, or a convolutional backbone"
        )
    early, late = _needed(front.graph, "s8"), _needed(front.graph, "s16", given="s8")
    apart = any(source.name in node.input for node in late)
    halo = APART_HALO if apart else HALO
    rows, columns = Tiles.along(height, halo), Tiles.along(width, halo)

    names = ["s8", "s16"] if apart else ["s8"]
    body = _with(front.graph, list(front.graph.node) if apart else early, names)
    for dim, tiles in zip(body.input[0].type.tensor_type.shape.dim[1:3], (rows, columns), strict=True):
        dim.dim_value = tiles.crop
    body = compose.add_prefix_graph(body, "tile/")
    body.name = "tile"
    scan = helper.make_node("Scan", ["tiles"], [f"{name}/tiles" for name in names], body=body, num_scan_inputs=1)

    parts = [_cut(source.name, "tiles", rows, columns), ([scan], [])]
    parts += [_joined(f"{name}/tiles", name, rows, columns, channels[name], STRIDES[name]) for name in names]
    parts += [([] if apart else late, [])]
    whole = _with(front.graph, [node for nodes, _ in parts for node in nodes], list(STRIDES))
    whole.initializer.extend(constant for _, constants in parts for constant in constants)
    return helper.make_model(whole, opset_imports=front.opset_import, ir_version=front.ir_version)


def _needed(graph: onnx.GraphProto, wanted: str, given: str | None = None) -> list[onnx.NodeProto]:
    """The nodes, in order, that `wanted` is made by, from the graph's input or from the value `given`."""
    values, found = {wanted}, []
    for node in reversed(graph.node):
        if values.intersection(node.output) - {given}:
            values.update(node.input)
            found.append(node)
    return found[::-1]


def _with(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto], outputs: Collection[str]) -> onnx.GraphProto:
    """The graph's input, these nodes, the graph's weights that they use, and the named of its outputs."""
    used = {name for node in nodes for name in node.input}
    kept = [output for output in graph.output if output.name in outputs]
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    return helper.make_graph(nodes, graph.name, graph.input, kept, weights)


def _cut(source: str, result: str, rows: Tiles, columns: Tiles) -> Part:
    """`[N, H, W, 3]` to `[T, N, h, w, 3]`."""
    down, across = len(rows.starts), len(columns.starts)
    return _chain(
        source,
        result,
        ("Gather", rows.taken(), {"axis": 1}),
        ("Gather", columns.taken(), {"axis": 2}),
        ("Reshape", np.array([-1, down, rows.crop, across, columns.crop, 3]), {}),
        ("Transpose", None, {"perm": [1, 3, 0, 2, 4, 5]}),
        ("Reshape", np.array([down * across, -1, rows.crop, columns.crop, 3]), {}),
    )


def _joined(source: str, result: str, rows: Tiles, columns: Tiles, channels: int, stride: int) -> Part:
    """The tiles' maps `[T, N, C, h, w]` to one `[N, C, H, W]`."""
    down, across = len(rows.starts), len(columns.starts)
    height, width = rows.crop // stride, columns.crop // stride
    return _chain(
        source,
        result,
        ("Reshape", np.array([down, across, -1, channels, height, width]), {}),
        ("Transpose", None, {"perm": [2, 3, 0, 4, 1, 5]}),
        ("Reshape", np.array([-1, channels, down * height, across * width]), {}),
        ("Gather", rows.kept(stride), {"axis": 2}),
        ("Gather", columns.kept(stride), {"axis": 3}),
    )


def _chain(source: str, result: str, *steps: tuple[str, Integers | None, dict[str, Any]]) -> Part:
    """Nodes one after the other, each an operator, its constant second input, and its attributes."""
    nodes, constants = [], []
    for place, (operator, constant, attributes) in enumerate(steps):
        inputs = [source if place == 0 else f"{result}/{place - 1}"]
        if constant is not None:
            inputs.append(f"{result}/{place}/constant")
            constants.append(numpy_helper.from_array(constant.astype(np.int64), inputs[1]))
        output = result if place == len(steps) - 1 else f"{result}/{place}"
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
    return nodes, constants
