"""A detector proves itself before it serves, and says the same thing every time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from inspection.detector import Detector
from inspection.finding import GoldenMismatch
from inspection.frames import read_frame
from inspection.manifest import GoldenFrame
from inspection.package import Package, open_package, seal
from inspection.preprocess import FrameWrongGeometry, prepare
from inspection.runtime import RUNTIMES, RuntimeFault, load_runtime
from inspection.verdict import Limits, Outcome


def resealed(package: Package, **changes: object) -> Package:
    manifest = package.manifest.model_copy(update=changes)
    return open_package(seal(onnx.load_model_from_string(package.model), manifest, package.golden), "changed.onnx")


def test_golden_frames_hold_good_units_and_one_that_must_not_pass(package: Package) -> None:
    outcomes = {golden.name: golden.outcome for golden in package.manifest.golden}

    assert outcomes.pop("spoiled") is Outcome.REJECT
    assert set(outcomes.values()) == {Outcome.PASS}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("threads", [1, 2])
def test_every_runtime_gives_the_golden_scores(runtime: str, threads: int, package: Package) -> None:
    Detector(package, runtime, threads)


def test_a_score_that_left_its_tolerance_stops_the_load(package: Package) -> None:
    first, *others = package.manifest.golden
    moved = first.model_copy(update={"score": first.score + 2 * package.manifest.golden_tolerance})

    with pytest.raises(GoldenMismatch, match=f"golden frame {first.name!r}"):
        Detector(resealed(package, golden=[moved, *others]))


def test_an_engine_is_held_to_its_own_golden_score(package: Package) -> None:
    first, *others = package.manifest.golden
    moved = first.model_copy(update={"scores": {"openvino": first.score + 2 * package.manifest.golden_tolerance}})
    rounded = resealed(package, golden=[moved, *others])

    Detector(rounded, "onnxruntime")
    with pytest.raises(GoldenMismatch, match="must not serve it with openvino"):
        Detector(rounded, "openvino")


def test_a_verdict_that_flips_stops_the_load(package: Package) -> None:
    with pytest.raises(GoldenMismatch, match="must not serve"):
        Detector(resealed(package, limits=Limits(review_limit=0.0, reject_limit=0.0)))


def test_a_graph_that_is_no_detector_stops_the_load(package: Package) -> None:
    model = onnx.load_model_from_string(package.model)
    model.graph.output[0].name = "other"
    for node in model.graph.node:
        node.output[:] = ["other" if name == "score" else name for name in node.output]
    broken = open_package(seal(model, package.manifest, package.golden), "broken.onnx")

    with pytest.raises(RuntimeFault, match="not a detector"):
        Detector(broken)


def test_one_frame_gives_one_answer_alone_or_in_a_crowd(package: Package, vial_images: dict[str, list[Path]]) -> None:
    frames = [read_frame(paths[0]).pixels for paths in vial_images.values()]
    one, two = Detector(package, threads=1), Detector(package, threads=2)
    alone = [one.find(frame) for frame in frames]

    with ThreadPoolExecutor(8) as pool:
        crowd = list(pool.map(one.find, frames * 5))
    parallel = [two.find(frame) for frame in frames]

    for index, finding in enumerate(crowd + parallel):
        assert finding.score == alone[index % len(frames)].score
        assert np.array_equal(finding.heatmap, alone[index % len(frames)].heatmap)


def test_the_score_is_the_maximum_of_its_map(detector: Detector, vial_images: dict[str, list[Path]]) -> None:
    finding = detector.find(read_frame(vial_images["crack"][0]).pixels)

    assert finding.score == finding.heatmap.max()
    assert finding.heatmap.dtype == np.float32
    window = detector.manifest.input.window
    assert window is not None and finding.heatmap.shape == (window.rows, window.columns)


def test_a_map_with_a_patch_that_is_no_number_gives_no_score(
    package: Package, vial_images: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = Detector(package)
    frame = read_frame(vial_images["good"][0]).pixels
    heatmap = detector._runtime.run(prepare(frame, detector.manifest.input)[None])["heatmap"].copy()
    heatmap[0, 3, 3] = np.nan
    score = np.nanmax(heatmap, axis=(1, 2))
    monkeypatch.setattr(detector._runtime, "run", lambda _: {"score": score, "heatmap": heatmap})

    assert np.isnan(detector.find(frame).score)


def test_a_frame_of_another_shape_is_refused(detector: Detector) -> None:
    with pytest.raises(FrameWrongGeometry):
        detector.find(np.zeros((200, 200, 3), np.uint8))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_contract(runtime: str, package: Package) -> None:
    loaded = load_runtime(runtime, package.model, 1)
    geometry = package.manifest.input
    frames = np.zeros((2, geometry.height, geometry.width, 3), np.uint8)

    outputs = loaded.run(frames)

    assert loaded.name == runtime
    assert outputs["score"].shape == (2,)
    assert outputs["heatmap"].shape == (2, geometry.height // 8, geometry.width // 8)
    assert {values.dtype for values in outputs.values()} == {np.dtype(np.float32)}
    with pytest.raises(RuntimeFault, match="failed on frames"):
        loaded.run(frames[:, :32])
    with pytest.raises(RuntimeFault, match="does not load"):
        load_runtime(runtime, package.model[:1000], 1)


def test_an_unknown_runtime_is_refused_with_those_there_are(package: Package) -> None:
    with pytest.raises(RuntimeFault, match=r"choose one of .*onnxruntime"):
        load_runtime("abacus", package.model, 1)


def test_a_golden_frame_keeps_its_expected_outcome(package: Package) -> None:
    golden = package.manifest.golden[0]

    assert GoldenFrame.model_validate_json(golden.model_dump_json()) == golden
