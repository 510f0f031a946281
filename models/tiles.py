"""Large inputs in bounded memory: inside the graph, the part of the backbone that takes the memory runs tile by tile.

The early layers of a backbone are the large ones: at 2048 x 2048 pixels EfficientNet-Lite0 holds 400 MB in one tensor
at stride 2, and 20 MB in both maps that leave it. So the layers up to the map at stride 8 become the body of a `Scan`
over overlapping tiles; the rest sees the whole map. One graph, one run, one tile in memory at a time.

No tile reaches past the input: one at the border ends there, and meets the same zero padding as the whole would.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose, helper, numpy_helper

UNTILED_PIXELS = 1024**2
HALO = 64
_CROP = 768  # longest side of a tile with its halo
_STEP = 16  # tiles begin where every layer's grid has a place
STRIDES = {"s8": 8, "s16": 16}
Integers = NDArray[np.int64]
Part = tuple[list[onnx.NodeProto], list[onnx.TensorProto]]


@dataclass(frozen=True)
class Tiles:
    """Tiles along one side of the input, in pixels: all are `crop` long and begin at `starts`; neighbours share at
    least two halos, so that what is kept of each lies at least one halo from a side that is not the input's own."""

    length: int
    crop: int
    starts: tuple[int, ...]

    @classmethod
    def along(cls, length: int, longest: int = _CROP, halo: int = HALO) -> "Tiles":
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


@dataclass(frozen=True)
class Tiling:
    """The tiles of a model input: those of its columns of pixels, and of its rows."""

    rows: Tiles
    columns: Tiles

    @classmethod
    def of_input(cls, height: int, width: int) -> "Tiling | None":
        """None for inputs of up to 1024 x 1024 pixels, which run whole."""
        if height * width <= UNTILED_PIXELS:
            return None
        return cls(Tiles.along(height), Tiles.along(width))

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of a tile with its halo."""
        return self.rows.crop, self.columns.crop


def tiled(front: onnx.ModelProto, tiling: Tiling, channels: dict[str, int]) -> onnx.ModelProto:
    """`front`, a graph from `frames` `[N, h, w, 3]` of one tile's size to the maps `s8` and `s16` of that many
    `channels`, as a graph from the whole input to whole maps.

    What `s8` needs runs in tiles, and where `s16` is made from nothing but `s8`, only that.
    """
    (source,) = front.graph.input
    early = _needed(front.graph, "s8")
    late = _needed(front.graph, "s16", given="s8")
    split = not any(source.name in node.input for node in late)
    body = onnx.GraphProto()
    body.CopyFrom(front.graph)
    if split:
        _keep(body, early, ["s8"])
    body = compose.add_prefix_graph(body, "tile/")
    body.name = "tile"
    names = [output.name.removeprefix("tile/") for output in body.output]
    scan = helper.make_node("Scan", ["tiles"], [f"{name}/tiles" for name in names], body=body, num_scan_inputs=1)
    parts = [_cut(source.name, "tiles", tiling), ([scan], [])]
    parts += [_put_together(f"{name}/tiles", name, tiling, channels[name], STRIDES[name]) for name in names]
    whole = onnx.GraphProto()
    whole.CopyFrom(front.graph)
    if split:
        _keep(whole, late, ["s8", "s16"])
    else:
        _keep(whole, [], ["s8", "s16"])
    for nodes, constants in reversed(parts):
        whole.initializer.extend(constants)
        for node in reversed(nodes):
            whole.node.insert(0, node)
    for dim, tiles in zip(whole.input[0].type.tensor_type.shape.dim[1:3], (tiling.rows, tiling.columns), strict=True):
        dim.dim_value = tiles.length
    return helper.make_model(whole, opset_imports=front.opset_import, ir_version=front.ir_version)


def _needed(graph: onnx.GraphProto, wanted: str, given: str | None = None) -> list[onnx.NodeProto]:
    """The nodes, in order, that `wanted` is made by, from the graph's input or from the value `given`."""
    values, found = {wanted}, []
    for node in reversed(graph.node):
        if values.intersection(node.output) - {given}:
            values.update(node.input)
            found.append(node)
    return found[::-1]


def _keep(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto], outputs: Collection[str]) -> None:
    """Leave only these nodes, the weights they use, and the named outputs."""
    used = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    kept = [output for output in graph.output if output.name in outputs]
    for field, values in ((graph.node, nodes), (graph.initializer, weights), (graph.output, kept)):
        values = [type(value).FromString(value.SerializeToString()) for value in values]
        del field[:]
        field.extend(values)
    del graph.value_info[:]


def _cut(source: str, result: str, tiling: Tiling) -> Part:
    """`[N, H, W, 3]` to `[T, N, h, w, 3]`."""
    rows, columns = len(tiling.rows.starts), len(tiling.columns.starts)
    height, width = tiling.tile
    return _chain(
        source,
        result,
        ("Gather", tiling.rows.taken(), {"axis": 1}),
        ("Gather", tiling.columns.taken(), {"axis": 2}),
        ("Reshape", np.array([-1, rows, height, columns, width, 3]), {}),
        ("Transpose", None, {"perm": [1, 3, 0, 2, 4, 5]}),
        ("Reshape", np.array([rows * columns, -1, height, width, 3]), {}),
    )


def _put_together(source: str, result: str, tiling: Tiling, channels: int, stride: int) -> Part:
    """The tiles' maps `[T, N, C, h, w]` to one `[N, C, H, W]`."""
    rows, columns = len(tiling.rows.starts), len(tiling.columns.starts)
    height, width = (side // stride for side in tiling.tile)
    return _chain(
        source,
        result,
        ("Reshape", np.array([rows, columns, -1, channels, height, width]), {}),
        ("Transpose", None, {"perm": [2, 3, 0, 4, 1, 5]}),
        ("Reshape", np.array([-1, channels, rows * height, columns * width]), {}),
        ("Gather", tiling.rows.kept(stride), {"axis": 2}),
        ("Gather", tiling.columns.kept(stride), {"axis": 3}),
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
