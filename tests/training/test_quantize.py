"""`inspection quantize`: a new version with its accuracy beside its parent's, or one sentence and nothing written."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from data.splits import SplitFile
from inspection.detector import Detector
from inspection.frames import read_frame
from inspection.manifest import GoldenFrame
from inspection.package import Package, read_package, seal, write_package
from inspection.runtime import RUNTIMES
from inspection.verdict import Outcome, decide
from tests.training.conftest import Say, files_in
from training.evaluate import Scored
from training.golden import in_every
from training.new_precision import AccuracyLost, accept, between_runtimes, draft
from training.new_version import Compared, GoldenVerdictFlips
from training.quantize import kept_float

ABLE = {name: engine.precisions() for name, engine in RUNTIMES.items()}


@pytest.fixture(scope="module")
def int8(vial_package: Path, vial_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`vial_package` as int8, by the command itself; the tolerance is wide because 21 images tell little."""
    from inspection.cli import main

    out = tmp_path_factory.mktemp("int8") / "vial.onnx"
    words = ["quantize", vial_package, "--root", vial_dataset, "--category", "vial", "--out", out]
    main([str(word) for word in (*words, "--version", "1.1.0", "--tolerance", "0.2", "--quiet")])
    return out


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_int8_version_gives_its_golden_scores_in_every_runtime(runtime: str, int8: Path) -> None:
    assert Detector(read_package(int8), runtime).runtime == runtime


def test_each_engines_own_golden_scores_are_kept() -> None:
    def seen(*scores: float) -> list[GoldenFrame]:
        return [GoldenFrame(name=f"f{i}", score=score, outcome=Outcome.PASS) for i, score in enumerate(scores)]

    first, second = in_every({"onnxruntime": seen(0.5, 0.7), "openvino": seen(0.52, 0.7)})

    assert (first.score_in("onnxruntime"), first.score_in("openvino")) == (0.5, 0.52)
    assert second.scores == {} and second.score_in("openvino") == 0.7


def test_the_version_knows_what_it_is_and_where_it_comes_from(int8: Path, package: Package) -> None:
    made = read_package(int8)

    assert (made.manifest.version, made.manifest.precision) == ("1.1.0", "int8")
    assert made.manifest.parent == package.digest
    assert made.manifest.limits == package.manifest.limits
    assert made.trained == package.trained
    assert [golden.outcome for golden in made.manifest.golden] == [g.outcome for g in package.manifest.golden]
    operators = {node.op_type for node in onnx.load_model_from_string(made.model).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators
    info = made.manifest.quantization
    assert info is not None and info.calibration is not None
    assert (info.calibration.files, info.evaluation.files) == (20, 21)


def test_every_changed_verdict_is_reported(int8: Path, package: Package, vial_dataset: Path) -> None:
    report = json.loads(int8.with_suffix(".quantize.json").read_text())
    limits, parent = package.manifest.limits, Detector(package)

    assert report["version"]["sha256"] == read_package(int8).digest
    assert set(report["runtimes"]) == set(RUNTIMES)
    names = [path.relative_to(vial_dataset) for path in sorted((vial_dataset / "vial" / "test").rglob("*.png"))]
    for runtime, part in report["runtimes"].items():
        child, changed = Detector(read_package(int8), runtime), {}
        for name in names:
            pixels = read_frame(vial_dataset / name).pixels
            before, after = (decide(one.find(pixels).score, limits).outcome for one in (parent, child))
            if before is not after:
                changed[name.as_posix()] = (before, after)
        reported = {item["file"]: (item["parent"], item["version"]) for item in part["changed_verdicts"]}
        assert reported == changed
        for key in ("image_auroc", "aupro_30", "detection_rate", "false_reject_rate"):
            assert key in part["figures"] and key in report["parent"]["figures"]


def test_the_search_for_neighbours_stays_float(package: Package) -> None:
    model = onnx.load_model_from_string(package.model)
    for node in model.graph.node:
        node.name = node.output[0]
    kept = set(kept_float(model))

    assert {"memory/products", "memory/nearest", "neck/joined", "heatmap", "score"} <= kept
    assert any(node.name not in kept for node in model.graph.node if node.op_type == "Conv")


@pytest.fixture
def quantize_refused(refused: Say, vial_package: Path, vial_dataset: Path, tmp_path: Path) -> Callable[..., str]:
    """The sentence with which a new version is refused; nothing may have been written."""
    out = tmp_path / "out" / "vial.onnx"

    def run(*words: object, package: Path = vial_package) -> str:
        defaults = {"--root": vial_dataset, "--category": "vial", "--out": out, "--version": "1.1.0"}
        given = [word for name, value in defaults.items() if name not in words for word in (name, value)]
        sentence = refused("quantize", package, "--quiet", *given, *words)
        assert files_in(out.parent) == []
        return sentence

    return run


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--precision int4", "--precision must be int8 or bf16, got 'int4' [bad_usage]"),
        ("--version 1.0.0", "--version 1.0.0 is not above 1.0.0, the package's own; give a higher one"),
        ("--version 0.9.9", "[version_not_higher]"),
        ("--version 1.1", "--version must be major.minor.patch, got '1.1' [bad_usage]"),
        ("--tolerance 2", "--tolerance is a difference of AUROC between 0 and 1, got 2.0"),
        ("--tolerance nan", "--tolerance is a difference"),
        ("--out vial.txt", "--out must end in .onnx"),
        ("--category tablet", "has no category 'tablet'"),
        ("--calibration /nowhere", "/nowhere holds no image directly in it; --calibration is a folder of good images"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(words: str, told: str, quantize_refused: Callable[..., str]) -> None:
    assert told in quantize_refused(*words.split())


def test_what_is_no_package_is_refused(tmp_path: Path, quantize_refused: Callable[..., str]) -> None:
    (tmp_path / "note.onnx").write_text("a note")

    assert "[not_a_package]" in quantize_refused(package=tmp_path / "note.onnx")
    assert "[package_missing]" in quantize_refused(package=tmp_path / "gone.onnx")


def test_a_package_of_lower_precision_is_refused(int8: Path, quantize_refused: Callable[..., str]) -> None:
    sentence = quantize_refused("--version", "2.0.0", package=int8)

    assert "is int8 already; give the fp32 version it was made from [not_full_precision]" in sentence


def test_the_package_itself_is_never_written_over(vial_package: Path, quantize_refused: Callable[..., str]) -> None:
    before = vial_package.read_bytes()

    assert "[output_exists]" in quantize_refused("--out", vial_package)
    assert vial_package.read_bytes() == before


def test_no_other_version_is_written_over(int8: Path, quantize_refused: Callable[..., str]) -> None:
    before = int8.read_bytes()

    assert "exists; a new version is a new file" in quantize_refused("--out", int8)
    assert int8.read_bytes() == before


@pytest.mark.skipif("bf16" in ABLE["openvino"], reason="this machine computes bf16")
def test_bf16_is_refused_where_nothing_computes_it(quantize_refused: Callable[..., str]) -> None:
    sentence = quantize_refused("--precision", "bf16")

    assert "no runtime here computes bf16; serve the fp32 or int8 version, or use openvino on a CPU with" in sentence
    assert "[precision_unsupported]" in sentence


@pytest.mark.skipif("bf16" not in ABLE["openvino"], reason="needs a CPU with bf16 instructions")
def test_a_bf16_version_serves(say: Say, vial_package: Path, vial_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "vial.onnx"
    where = ("--root", vial_dataset, "--category", "vial", "--out", out, "--version", "1.1.0", "--tolerance", "0.1")
    say("quantize", vial_package, "--precision", "bf16", *where, "--quiet")

    assert Detector(read_package(out), "auto").runtime == "openvino"


def test_too_few_calibration_images_are_refused(
    vial_dataset: Path, tmp_path: Path, quantize_refused: Callable[..., str]
) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for number, path in enumerate(sorted((vial_dataset / "vial" / "train" / "good").iterdir())[:5]):
        shutil.copy(path, folder)
        shutil.copy(path, folder / f"again-{number}.png")

    sentence = quantize_refused("--calibration", folder)
    assert "5 different calibration images are too few; give at least 10" in sentence
    assert "[too_few_calibration_images]" in sentence


def test_a_calibration_image_of_another_shape_is_named(tmp_path: Path, quantize_refused: Callable[..., str]) -> None:
    folder = tmp_path / "wide"
    folder.mkdir()
    cv2.imwrite(str(folder / "wide.png"), np.zeros((100, 300, 3), np.uint8))

    sentence = quantize_refused("--calibration", folder)
    assert f"{folder / 'wide.png'}: a frame of 300 x 100 pixels" in sentence
    assert "[frame_wrong_geometry]" in sentence


def test_a_test_image_is_not_calibrated_on(
    vial_dataset: Path, tmp_path: Path, quantize_refused: Callable[..., str]
) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(vial_dataset / "vial" / "test" / "good", folder)

    assert "is the test image vial/test/good/" in quantize_refused("--calibration", folder)


def test_good_test_images_alone_prove_nothing(
    vial_dataset: Path, tmp_path: Path, quantize_refused: Callable[..., str]
) -> None:
    root = tmp_path / "good-only"
    for part in ("train", "test"):
        shutil.copytree(vial_dataset / "vial" / part / "good", root / "vial" / part / "good")

    assert "has not both good and defective test images" in quantize_refused("--root", root)


def test_a_graph_without_a_known_backbone_is_refused(
    package: Package, tmp_path: Path, quantize_refused: Callable[..., str]
) -> None:
    model = onnx.load_model_from_string(package.model)
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [name.replace("neck/", "other/") for name in names]
    strange = tmp_path / "strange.onnx"
    write_package(strange, seal(model, package.manifest, package.golden, package.trained))

    assert "[graph_not_quantizable]" in quantize_refused(package=strange)


def test_a_golden_verdict_that_flips_is_refused(package: Package) -> None:
    first, *others = package.manifest.golden
    other = first.model_copy(update={"outcome": Outcome.REJECT})
    parent = replace(package, manifest=package.manifest.model_copy(update={"golden": [other, *others]}))

    with pytest.raises(GoldenVerdictFlips, match=f"golden frame {first.name!r} is PASS at int8"):
        draft(parent, onnx.load_model_from_string(package.model), "int8", "1.1.0", 1)


def test_accuracy_lost_is_refused_in_whichever_runtime() -> None:
    def compared(runtime: str, area: float, stopped: int) -> Compared:
        rate = {"count": stopped, "total": 60, "rate": stopped / 60}
        return Compared(runtime, [], {"image_auroc": area, "detection_rate": rate})

    parent, same = compared("onnxruntime", 0.98, 57), compared("onnxruntime", 0.976, 54)
    accept(parent, [same], 0.005)
    with pytest.raises(AccuracyLost, match=r"falls from 0.9800 to 0.9740 in openvino, by more than .* of 0.005"):
        accept(parent, [same, compared("openvino", 0.974, 57)], 0.005)
    with pytest.raises(AccuracyLost, match="of 60 defective units 57 are stopped at fp32 and 53 in openvino"):
        accept(parent, [same, compared("openvino", 0.98, 53)], 0.005)


def test_verdicts_that_runtimes_do_not_share_are_found(package: Package) -> None:
    limits = package.manifest.limits

    def compared(runtime: str, *scores: float) -> Compared:
        files = [SplitFile(path=f"{number}.png", sha256="0" * 64) for number in range(len(scores))]
        pairs = zip(files, scores, strict=True)
        return Compared(runtime, [Scored(f, Path(f.path), s, np.zeros((1, 1), np.float32), 1.0) for f, s in pairs], {})

    one = compared("onnxruntime", 0, limits.review_limit - 0.001)
    other = compared("openvino", 0, limits.reject_limit)
    assert between_runtimes([one, other], package.manifest) == [
        {"file": "1.png", "defect": None, "onnxruntime": Outcome.PASS, "openvino": Outcome.REJECT}
    ]
