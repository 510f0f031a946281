"""Tiles change what a graph takes, not what it says; small inputs are not tiled."""

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper, parser

from inspection.preprocess import Geometry
from inspection.runtime import NAMES, load_runtime
from models import graph, nearest
from models.graph import features_graph, memory_graph
from models.tiles import HALO, InputTooLarge, Tiles

FINE, COARSE = 4, 6
START = '<ir_version: 8, opset_import: ["" : 17]>'
HEAD = f"tiny (float[N, 3, H, W] x) => (float[N, {FINE}, h, w] s8, float[N, {COARSE}, h2, w2] s16)"
DOWN = "kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]"
SAME = "kernel_shape = [3, 3], pads = [1, 1, 1, 1]"
FIRST = f"""
    a = Conv <{DOWN}> (x, w1)
    b = Relu (a)
    c = Conv <{DOWN}> (b, w2)
    d = Relu (c)
    s8 = Conv <{DOWN}> (d, w2)
"""
# What a place of s16 sees lies within 23 pixels of it, which the halo covers.
BACKBONES = {
    "s16 from s8": HEAD + "{" + FIRST + f"e = Conv <{SAME}> (s8, w2)\n s16 = Conv <{DOWN}> (e, w3)" + "}",
    "s16 from more": HEAD + "{" + FIRST + f"e = Conv <{DOWN}> (d, w2)\n s16 = Conv <{DOWN}> (e, w3)" + "}",
}
random = np.random.default_rng(5)
WEIGHTS = {
    name: (random.normal(size=(out, into, 3, 3)) / (9 * into) ** 0.5).astype(np.float32)
    for name, out, into in (("w1", FINE, 3), ("w2", FINE, FINE), ("w3", COARSE, FINE))
}
BANK = random.normal(0, 30, (20, FINE + COARSE)).astype(np.float32)


def backbone(kind: str) -> onnx.ModelProto:
    model = parser.parse_model(START + BACKBONES[kind])
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in WEIGHTS.items())
    return model


def detector(kind: str, height: int, width: int, stride: int) -> onnx.ModelProto:
    geometry = Geometry(height=height, width=width, aspect=width / height)
    features = features_graph(backbone(kind), (FINE, COARSE), geometry, stride)
    return memory_graph(features, geometry, BANK, stride=stride)


def maps(kind: str, frames: NDArray[np.uint8], runtime: str) -> dict[str, NDArray[np.float32]]:
    _, height, width, _ = frames.shape
    geometry = Geometry(height=height, width=width, aspect=width / height)
    model = features_graph(backbone(kind), (FINE, COARSE), geometry, 16)
    return load_runtime(runtime, model.SerializeToString(), 1).run(frames)


def scans(model: onnx.ModelProto) -> int:
    return [node.op_type for node in model.graph.node].count("Scan")


@pytest.mark.parametrize("runtime", NAMES)
@pytest.mark.parametrize("kind", BACKBONES)
@pytest.mark.parametrize(("height", "width"), [(784, 800), (1648, 304), (352, 1424)])
def test_tiled_maps_are_the_whole_ones(
    height: int, width: int, kind: str, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = np.random.default_rng(height).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    whole = maps(kind, frames, runtime)
    monkeypatch.setattr(graph, "UNTILED_PIXELS", 0)

    found = maps(kind, frames, runtime)

    for name in ("s8", "s16", "features"):
        assert found[name].shape == whole[name].shape
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("runtime", NAMES)
@pytest.mark.parametrize("stride", [8, 16])
def test_a_tiled_search_in_blocks_finds_the_same_distances(
    stride: int, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (1, 784, 800, 3), dtype=np.uint8)
    whole = detector("s16 from s8", 784, 800, stride)
    monkeypatch.setattr(graph, "UNTILED_PIXELS", 0)
    monkeypatch.setattr(nearest, "MOST_BYTES", 1000)
    monkeypatch.setattr(nearest, "BLOCK_BYTES", 9000)
    tiled = detector("s16 from s8", 784, 800, stride)

    assert (scans(whole), scans(tiled)) == (0, 2)
    wanted, found = (load_runtime(runtime, model.SerializeToString(), 1).run(frames) for model in (whole, tiled))
    for name in ("score", "heatmap"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4, atol=1e-3)


def test_only_large_inputs_are_tiled() -> None:
    assert scans(detector("s16 from s8", 1024, 1024, 16)) == 0
    assert scans(detector("s16 from s8", 1024, 1040, 16)) == 1


def test_attention_is_not_cut_into_tiles() -> None:
    """Its maps in tiles would be those of another network: small inputs run whole, large ones are refused."""
    attends = backbone("s16 from s8")
    attends.graph.node[1].op_type = "Softmax"

    def features(height: int, width: int) -> onnx.ModelProto:
        return features_graph(attends, (FINE, COARSE), Geometry(height=height, width=width, aspect=width / height))

    assert scans(features(1024, 1024)) == 0
    with pytest.raises(InputTooLarge, match="at most 1,048,576 pixels of model input, got 1040 x 1024"):
        features(1024, 1040)


def test_every_place_is_kept_once_and_a_halo_from_a_cut() -> None:
    for length in range(32, 4097, 16):
        tiles = Tiles.along(length, HALO)
        ends = [start + tiles.crop for start in tiles.starts]

        assert tiles.crop % 16 == 0 and tiles.crop <= 768
        assert tiles.starts[0] == 0 and ends[-1] == length
        for stride in (8, 16):
            kept = tiles.kept(stride)
            assert np.array_equal(tiles.taken()[kept * stride], np.arange(0, length, stride))
            tile, place = np.divmod(kept * stride, tiles.crop)
            assert (place[tile > 0] >= HALO).all()
            assert (place[tile < len(ends) - 1] + stride <= tiles.crop - HALO).all()
