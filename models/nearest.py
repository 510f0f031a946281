"""The nearest-neighbour search as a graph: whole where it is small, else block by block."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from inspection.preprocess import CELL
from models.onnx_text import loop_bodies, parse

MOST_BYTES = 2**26  # of the products of all patches with the whole bank
BLOCK_BYTES = 2**24

# |q - b|^2 = |q|^2 + (|b|^2 - 2 q.b): the bracket is one Gemm, and |q|^2 is added after the minimum. OpenVINO's minimum
# and Relu make a number of what is none: features that are not finite are kept apart, so that the unit has no score.
_MEMORY = """
memory (float[P, {channels}] rows) => (float[N, 1, {height}, {width}] distance)
<int64[1] last = {{1}}, int64[4] shape = {{-1, 1, {rows}, {columns}}}{more},
 float[4] scales = {{1.0, 1.0, {scale}, {scale}}}> {{
    {search}
    own = ReduceSumSquare <keepdims = 0> (rows, last)
    squared = Add (nearest, own)
    positive = Relu (squared)
    plain = Sqrt (positive)
    not_a_number = IsNaN (own)
    endless = IsInf (own)
    unknown = Or (not_a_number, endless)
    root = Where (unknown, own, plain)
    grid = Reshape (root, shape)
    large = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor">
        (grid, , scales)
    distance = Mul (large, inside)
}}
"""
_WHOLE = """
    products = Gemm (rows, bank, squares)
    nearest = ReduceMin <keepdims = 0> (products, last)
"""
_IN_BLOCKS = """
    blocks = Reshape (rows, apart)
    found = Scan <num_scan_inputs = 1, body = search (float[B, {channels}] block) => (float[B] least)
        <int64[1] each = {{1}}> {{
            products = Gemm (block, bank, squares)
            least = ReduceMin <keepdims = 0> (products, each)
        }}> (blocks)
    nearest = Reshape (found, flat)
"""
_SHAPES = ", int64[3] apart = {{{blocks}, -1, {channels}}}, int64[1] flat = {{-1}}"


def stored_bank(bank: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The initializers by which a graph holds a memory `[M, C]`: -2 times its transpose, and its rows' squares."""
    exact = bank.astype(np.float64)
    return {
        "bank": np.ascontiguousarray(-2 * exact.T).astype(np.float32),
        "squares": (exact**2).sum(axis=1).astype(np.float32),
    }


def nearest_graph(
    bank: NDArray[np.float32], rows: int, columns: int, stride: int, inside: NDArray[np.float32]
) -> onnx.ModelProto:
    """From `rows` float32 `[P, C]`, the features of N frames' `rows` x `columns` patches of `stride` pixels, to
    `distance` float32 `[N, 1, H, W]`: how far each cell's patch is from the nearest row of `bank` `[M, C]`, times
    `inside` `[H, W]`.

    The products with the bank take 4 P M bytes. Above 64 MiB for a frame they are made in blocks of about 16 MiB.
    """
    channels, scale = bank.shape[1], stride // CELL
    weights = stored_bank(bank)
    blocks = _blocks(rows * columns, len(bank))
    sizes = {
        "rows": rows, "columns": columns, "height": rows * scale, "width": columns * scale, "scale": float(scale),
        "channels": channels, "blocks": blocks,
    }  # fmt: skip
    if blocks == 1:
        return parse(_MEMORY.format(**sizes, search=_WHOLE, more=""), inside=inside, **weights)
    text = _MEMORY.format(**sizes, search=_IN_BLOCKS.format(**sizes), more=_SHAPES.format(**sizes))
    model = parse(text, inside=inside)
    (body,) = loop_bodies(model)
    body.initializer.extend(numpy_helper.from_array(values, name) for name, values in weights.items())
    return model


def _blocks(patches: int, bank: int) -> int:
    """In how many equal blocks a frame's patches are compared with the bank."""
    if patches * bank * 4 <= MOST_BYTES:
        return 1
    largest = max(1, BLOCK_BYTES // (bank * 4))
    return next(count for count in range(-(-patches // largest), patches + 1) if patches % count == 0)
