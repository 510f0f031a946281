"""The graphs say what a slow, plain numpy calculation says, on a tiny backbone with random weights."""

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper, parser

from inspection.preprocess import Geometry
from inspection.region import encode_region_mask
from inspection.runtime import RUNTIMES, load_runtime
from inspection.score_area import inside_cells
from models.graph import features_graph, memory_graph

FINE, COARSE = 5, 7
BACKBONE = f"""
<ir_version: 8, opset_import: ["" : 17]>
tiny (float[N, 3, H, W] x) => (float[N, {FINE}, h, w] s8, float[N, {COARSE}, h2, w2] s16) {{
    s8 = Conv <strides = [8, 8], kernel_shape = [8, 8]> (x, fine)
    s16 = Conv <strides = [16, 16], kernel_shape = [16, 16]> (x, coarse)
}}
"""
Array = NDArray[np.float64]
random = np.random.default_rng(11)
WEIGHTS = {
    "fine": (random.normal(size=(FINE, 3, 8, 8)) / 100).astype(np.float32),
    "coarse": (random.normal(size=(COARSE, 3, 16, 16)) / 200).astype(np.float32),
}
FRAMES = random.integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
BANK = random.normal(0, 5, (30, FINE + COARSE)).astype(np.float32)


def geometry(height: int = 64, width: int = 96) -> Geometry:
    return Geometry(height=height, width=width, aspect=width / height)


def backbone() -> onnx.ModelProto:
    model = parser.parse_model(BACKBONE)
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in WEIGHTS.items())
    return model


def features_model(size: Geometry | None = None) -> onnx.ModelProto:
    return features_graph(backbone(), (FINE, COARSE), size or geometry())


def run(model: onnx.ModelProto, frames: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"frames": frames}), strict=True))


def strided(frame: Array, weights: NDArray[np.float32]) -> Array:
    """A convolution whose stride is its kernel's size: `[H, W, 3]` to `[h, w, channels]`."""
    side = weights.shape[-1]
    rows, columns = frame.shape[0] // side, frame.shape[1] // side
    tiles = frame.reshape(rows, side, columns, side, 3)
    return np.einsum("aibjc,ocij->abo", tiles, weights.astype(np.float64))


def doubled(field: Array) -> Array:
    """Twice as large, bilinear between the centres of pixels, the edge continued."""

    def along(values: Array) -> Array:
        where = np.clip((np.arange(2 * len(values)) + 0.5) / 2 - 0.5, 0, len(values) - 1)
        low = np.floor(where).astype(int)
        high = np.minimum(low + 1, len(values) - 1)
        part = (where - low)[:, None, None]
        return np.asarray(values[low] * (1 - part) + values[high] * part)

    return along(along(field).transpose(1, 0, 2)).transpose(1, 0, 2)


def reference_features(frame: NDArray[np.uint8]) -> Array:
    exact = frame.astype(np.float64)
    fine = strided(exact, WEIGHTS["fine"])
    coarse = doubled(strided(exact, WEIGHTS["coarse"]))
    return np.concatenate([fine, coarse], axis=2)


def reference_distance(frame: NDArray[np.uint8]) -> Array:
    apart = reference_features(frame)[:, :, None] - BANK[None, None].astype(np.float64)
    return np.asarray(np.sqrt((apart**2).sum(axis=3)).min(axis=2))


def reference_score(distance: Array) -> float:
    return float(np.sort(distance, axis=None)[-16:].mean())


def test_features_are_those_of_a_plain_calculation() -> None:
    found = run(features_model(), FRAMES)["features"]

    wanted = np.concatenate([reference_features(frame).reshape(-1, FINE + COARSE) for frame in FRAMES])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)


def test_features_at_stride_16_are_means_of_the_finer_map_beside_the_coarser() -> None:
    found = run(features_graph(backbone(), (FINE, COARSE), geometry(), 16), FRAMES)["features"]

    for index, frame in enumerate(FRAMES.astype(np.float64)):
        fine, coarse = (strided(frame, WEIGHTS[name]) for name in ("fine", "coarse"))
        small = fine.reshape(4, 2, 6, 2, FINE).mean(axis=(1, 3))
        wanted = np.concatenate([small, coarse], axis=2).reshape(-1, FINE + COARSE)
        np.testing.assert_allclose(found[24 * index : 24 * (index + 1)], wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 80), (96, 48)])
def test_the_heatmap_is_the_distance_to_the_nearest_row_scaled_to_the_score(height: int, width: int) -> None:
    frames = np.random.default_rng(height).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    size = geometry(height, width)

    found = run(memory_graph(features_model(size), size, BANK, maps=True), frames)

    wanted = reference_distance(frames[0])
    score = reference_score(wanted)
    assert size.cells == (height // 8, width // 8) == found["heatmap"].shape[1:]
    np.testing.assert_allclose(found["distance"][0, 0], wanted, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found["score"], score, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found["heatmap"][0], wanted * score / wanted.max(), rtol=1e-4, atol=1e-3)


def test_where_the_region_has_few_cells_the_score_is_their_mean() -> None:
    inside = np.zeros((64, 96), dtype=bool)
    inside[8:16, 40:64] = True
    masked = Geometry(height=64, width=96, aspect=1.5, mask=encode_region_mask(inside))

    found = run(memory_graph(features_model(masked), masked, BANK, maps=True), FRAMES)

    np.testing.assert_allclose(found["score"], found["distance"][:, 0, 1, 5:8].mean(axis=1), rtol=1e-5)


def test_the_score_is_the_maximum_of_the_heatmap() -> None:
    found = run(memory_graph(features_model(), geometry(), BANK), FRAMES)

    assert found["score"].shape == (2,)
    assert found["score"].dtype == found["heatmap"].dtype == np.float32
    assert np.array_equal(found["score"], found["heatmap"].max(axis=(1, 2)))
    assert found["score"][0] != found["score"][1]


def test_a_batch_is_its_frames_one_by_one() -> None:
    model = memory_graph(features_model(), geometry(), BANK)
    together = run(model, FRAMES)

    for index in range(2):
        alone = run(model, FRAMES[index : index + 1])
        np.testing.assert_allclose(alone["heatmap"][0], together["heatmap"][index], rtol=1e-5)
        np.testing.assert_allclose(alone["score"], together["score"][index : index + 1], rtol=1e-5)


def test_a_remembered_frame_is_near_and_a_spoiled_one_far_only_where_it_is_spoiled() -> None:
    bank = run(features_model(), FRAMES[:1])["features"]
    model = memory_graph(features_model(), geometry(), bank)
    spoiled = FRAMES[:1].copy()
    spoiled[0, 16:32, 64:80] = 255 - spoiled[0, 16:32, 64:80]

    known, changed = run(model, FRAMES[:1])["heatmap"][0], run(model, spoiled)["heatmap"][0]

    assert known.max() < 0.01 * np.linalg.norm(bank, axis=1).mean()
    row, column = np.unravel_index(changed.argmax(), changed.shape)
    assert row in range(1, 5)  # the coarse cell, enlarged
    assert column in range(7, 11)
    assert changed[:, :4].max() < 0.01 * changed.max()


NOT_FINITE = f"""
<ir_version: 8, opset_import: ["" : 17]>
unsure (float[N, 3, H, W] x) => (float[N, {FINE}, h, w] s8, float[N, {COARSE}, h2, w2] s16)
<int64[1] depth = {{1}}> {{
    small = Conv <strides = [8, 8], kernel_shape = [8, 8]> (x, fine)
    length = ReduceL2 <axes = [1], keepdims = 1> (small)
    s8 = Div (small, length)
    s16 = Conv <strides = [16, 16], kernel_shape = [16, 16]> (x, coarse)
}}
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("value", [0, 200])
def test_features_that_are_no_numbers_are_never_taken_for_near(runtime: str, value: int) -> None:
    """A black spot has features of no length. In OpenVINO the minimum and Relu pass over what is not a number."""
    model = parser.parse_model(NOT_FINITE)
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in WEIGHTS.items())
    frame = FRAMES[:1].copy()
    frame[0, 16:48, 32:64] = value
    graph = memory_graph(features_graph(model, (FINE, COARSE), geometry(), 16), geometry(), BANK, stride=16)

    found = load_runtime(runtime, graph.SerializeToString(), 1).run(frame)["heatmap"]

    assert np.isfinite(found).all() == (value > 0)


@pytest.mark.parametrize("radius", [1, 3, 40])
@pytest.mark.parametrize("at", [(0, 0), (1501, 2007), (1000, 1000)])
def test_every_cell_that_the_region_touches_is_inspected(radius: int, at: tuple[int, int]) -> None:
    drawn = np.zeros((3000, 4096), dtype=np.uint8)
    cv2.circle(drawn, at[::-1], radius, 1, -1)
    size = Geometry(height=96, width=128, aspect=4096 / 3000, mask=encode_region_mask(drawn > 0))

    rows, columns = (np.flatnonzero((drawn > 0).any(axis=axis)) for axis in (1, 0))
    wanted = np.zeros(size.cells, dtype=bool)
    for y, x in np.argwhere(drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]):
        wanted[(y + rows[0]) * 12 // 3000, (x + columns[0]) * 16 // 4096] = True
    found = inside_cells(size)
    assert found[wanted].all()
    assert found.sum() <= wanted.sum() + 2 * sum(wanted.shape)  # those a pixel reaches into


def test_the_backbone_given_is_left_as_it_was() -> None:
    model = backbone()
    before = model.SerializeToString()

    features = features_graph(model, (FINE, COARSE), geometry())
    features_before = features.SerializeToString()
    memory_graph(features, geometry(), BANK)

    assert model.SerializeToString() == before
    assert features.SerializeToString() == features_before
