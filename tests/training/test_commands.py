"""`inspection train anomaly` and `inspection evaluate`, as the engineer who uses them sees them."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from data.masks import read_mask
from data.simulator import PRODUCTS
from data.splits import make_split
from inspection.detector import Detector
from inspection.frames import read_frame
from inspection.heatmap import enlarge
from inspection.package import Package, read_package
from inspection.preprocess import CELL
from inspection.verdict import Outcome, decide
from tests.training.conftest import QUICK, Say
from training.metrics import auroc

Run = Callable[..., subprocess.CompletedProcess[str]]
DEFECTS = set(PRODUCTS["vial"].defect_names)


@pytest.fixture(scope="module")
def evaluated(
    inspection: Run, vial_package: Path, vial_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path, str]:
    """The JSON of an evaluation, its folder, and what was printed."""
    folder = tmp_path_factory.mktemp("evaluation")
    where = ("--root", vial_dataset, "--category", "vial")
    done = inspection("evaluate", vial_package, *where, "--json", folder / "vial.json")
    assert done.returncode == 0, done.stderr
    assert "evaluating: 100%" in done.stderr
    return json.loads((folder / "vial.json").read_text()), folder, done.stdout


def test_training_shows_bars_on_standard_error_and_results_on_standard_output(
    inspection: Run, vial_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "folder" / "vial.onnx"
    where = ("--root", vial_dataset, "--category", "vial", "--out", out)
    done = inspection("train", "anomaly", *where, *QUICK[:-1])

    assert done.returncode == 0
    for bar in ("features: 100%", "held-out scores: 100%", "memory: 100%"):
        assert bar in done.stderr
        assert bar not in done.stdout
    package = read_package(out)
    assert str(out) in done.stdout
    assert package.digest[:12] in done.stdout
    assert f"review from {package.manifest.limits.review_limit:.3f}" in done.stdout
    assert sorted(path.name for path in out.parent.iterdir()) == ["vial.onnx", "vial.split.json"]
    assert (package.manifest.input.height, package.manifest.input.width) != (96, 96)  # the frames are not square


def test_the_figures_have_the_agreed_keys(evaluated: tuple[dict[str, Any], Path, str], package: Package) -> None:
    figures, _, _ = evaluated

    for key in ("image_auroc", "pixel_auroc", "pixel_average_precision", "pixel_f1_max", "aupro_30", "aupro_05"):
        assert 0 <= figures[key] <= 1
    assert set(figures["per_defect"]) == DEFECTS
    for part in figures["per_defect"].values():
        assert part["images"] == 3
        assert 0 <= part["image_auroc"] <= 1
        assert part["detection_rate"]["total"] == 3
    for key, total in (("detection_rate", 15), ("false_reject_rate", 6)):
        rate = figures[key]
        assert rate["total"] == total
        assert 0 <= rate["low"] <= rate["rate"] == rate["count"] / total <= rate["high"] <= 1
        assert rate["confidence"] == 0.95
    latency = figures["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
    assert figures["images_per_second"] > 0
    assert figures["package"]["sha256"] == package.digest
    assert (figures["test_data"]["good"], figures["test_data"]["defective"]) == (6, 15)


def test_the_figures_are_those_of_the_scores(
    evaluated: tuple[dict[str, Any], Path, str], package: Package, detector: Detector, vial_dataset: Path
) -> None:
    figures, _, _ = evaluated
    limits = package.manifest.limits
    good = [item["score"] for item in figures["scores"] if item["defect"] is None]
    bad = [item["score"] for item in figures["scores"] if item["defect"]]

    for item in figures["scores"][::5]:
        assert detector.find(read_frame(vial_dataset / item["file"]).pixels).score == pytest.approx(
            item["score"],
            rel=1e-4,  # the evaluation chose its runtime, this detector is ONNX Runtime
        )
    in_order = np.mean([(b > g) + 0.5 * (b == g) for b in bad for g in good])
    assert figures["image_auroc"] == pytest.approx(in_order)
    low, high = figures["image_auroc_interval"]
    assert low <= figures["image_auroc"] <= high
    assert figures["detection_rate"]["count"] == sum(decide(s, limits).outcome is not Outcome.PASS for s in bad)
    assert figures["false_reject_rate"]["count"] == sum(decide(s, limits).outcome is not Outcome.PASS for s in good)
    for name, part in figures["per_defect"].items():
        own = [item["score"] for item in figures["scores"] if item["defect"] == name]
        assert part["detection_rate"]["count"] == sum(decide(s, limits).outcome is not Outcome.PASS for s in own)


def test_the_pixel_figures_are_those_of_the_enlarged_heatmaps_against_their_masks(
    evaluated: tuple[dict[str, Any], Path, str], package: Package, detector: Detector, vial_dataset: Path
) -> None:
    figures, _, _ = evaluated
    window = package.manifest.input.window
    assert window is not None  # the region is a part of the frame, and the figures are of the whole
    height, width = CELL * window.rows, CELL * window.columns
    maps, masks = [], []
    for file in make_split("mvtec", vial_dataset, "vial", 0).test:
        maps.append(enlarge(detector.find(read_frame(vial_dataset / file.path).pixels).heatmap, height, width))
        mask = read_mask(vial_dataset / file.mask, height, width) if file.mask else np.zeros((height, width), bool)
        masks.append(mask)

    assert figures["pixel_auroc"] == pytest.approx(auroc(np.stack(maps).ravel(), np.stack(masks).ravel()), abs=1e-6)


def test_simulated_defects_are_told_from_good_units(evaluated: tuple[dict[str, Any], Path, str]) -> None:
    """Chance is 0.5 for the areas under ROC curves and at most half the limit for AUPRO."""
    figures, _, _ = evaluated

    assert figures["image_auroc"] > 0.8
    assert figures["pixel_auroc"] > 0.8
    assert figures["aupro_30"] > 0.5
    assert figures["aupro_05"] < figures["aupro_30"]


def test_the_summary_has_what_a_person_wants_to_know(evaluated: tuple[dict[str, Any], Path, str]) -> None:
    figures, folder, printed = evaluated

    assert "on 6 good and 15 defective images" in printed
    assert f"image AUROC          {100 * figures['image_auroc']:.1f}" in printed
    assert all(name in printed for name in DEFECTS)
    assert "images/s" in printed
    assert str(folder / "vial-plots" / "scores.png") in printed


def test_the_plots_are_pictures_of_something(evaluated: tuple[dict[str, Any], Path, str]) -> None:
    _, folder, _ = evaluated

    pictures = {path.name: cv2.imread(str(path)) for path in (folder / "vial-plots").iterdir()}
    assert set(pictures) == {"scores.png", "roc.png", "errors.png"}
    for picture in pictures.values():
        assert picture is not None
        assert min(picture.shape[:2]) > 400
        assert picture.std() > 10
        assert len(np.unique(picture[::9, ::9].reshape(-1, 3), axis=0)) > 50


def test_json_on_standard_output_is_alone_there(say: Say, vial_package: Path, vial_dataset: Path) -> None:
    printed = say("evaluate", vial_package, "--root", vial_dataset, "--category", "vial", "--json", "-", "--quiet")

    assert json.loads(printed)["test_data"]["images"] == 21


@pytest.fixture
def folder_of_vials(vial_dataset: Path, tmp_path: Path) -> Path:
    """The vials in the folder layout, without masks."""
    home = tmp_path / "plain" / "vial"
    shutil.copytree(vial_dataset / "vial" / "train" / "good", home / "good")
    shutil.copytree(vial_dataset / "vial" / "test" / "crack", home / "crack")
    return home.parent


def test_without_masks_there_are_no_pixel_figures(say: Say, folder_of_vials: Path, tmp_path: Path) -> None:
    where = ("--layout", "folder", "--root", folder_of_vials, "--category", "vial")
    out, figures_file = tmp_path / "vial.onnx", tmp_path / "vial.json"
    say("train", "anomaly", *where, "--out", out, *QUICK)
    printed = say("evaluate", out, *where, "--json", figures_file, "--quiet")

    figures = json.loads(figures_file.read_text())
    assert figures["pixel_auroc"] is figures["aupro_30"] is figures["aupro_05"] is None
    assert 0 <= figures["image_auroc"] <= 1
    assert "pixel AUROC          -" in printed


def test_good_images_alone_give_a_false_reject_rate_and_nothing_else(
    say: Say, vial_package: Path, vial_dataset: Path, tmp_path: Path
) -> None:
    root = tmp_path / "only-good"
    for part in ("train", "test"):
        shutil.copytree(vial_dataset / "vial" / part / "good", root / "vial" / part / "good")
    say("evaluate", vial_package, "--root", root, "--category", "vial", "--json", tmp_path / "f.json", "--quiet")

    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["image_auroc"] is figures["image_auroc_interval"] is figures["pixel_auroc"] is None
    assert figures["detection_rate"]["rate"] is None
    assert figures["false_reject_rate"]["total"] == 6
    assert not (tmp_path / "f-plots" / "roc.png").exists()


def grey_copy(root: Path, target: Path) -> Path:
    for path in root.rglob("*.png"):
        copy = target / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(copy), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    return target


def test_a_monochrome_camera_is_trained_for_and_told_from_a_colour_one(
    say: Say, refused: Say, vial_dataset: Path, tmp_path: Path
) -> None:
    grey = grey_copy(vial_dataset, tmp_path / "grey")
    out = tmp_path / "mono.onnx"
    train = ("train", "anomaly", "--category", "vial", *QUICK)

    sentence = refused(*train, "--root", grey, "--out", out)
    assert "greyscale" in sentence
    assert "--colour mono" in sentence
    sentence = refused(*train, "--root", vial_dataset, "--out", out, "--colour", "mono")
    assert "is an RGB image, and 8-bit greyscale is inspected" in sentence
    assert not out.exists()

    say(*train, "--root", grey, "--out", out, "--colour", "mono")
    say("evaluate", out, "--root", grey, "--category", "vial", "--json", tmp_path / "mono.json", "--quiet")
    assert json.loads((tmp_path / "mono.json").read_text())["test_data"]["images"] == 21
    assert "is an RGB image" in refused("evaluate", out, "--root", vial_dataset, "--category", "vial", "--quiet")


def test_images_it_was_trained_on_are_refused_whatever_they_are_called(
    refused: Say, vial_package: Path, vial_dataset: Path, tmp_path: Path
) -> None:
    root = tmp_path / "mixed"
    shutil.copytree(vial_dataset, root)
    known = root / "vial" / "train" / "good" / "007.png"
    known.rename(root / "vial" / "test" / "good" / "fresh.png")

    sentence = refused("evaluate", vial_package, "--root", root, "--category", "vial", "--quiet")
    assert "vial/test/good/fresh.png was training data" in sentence
    assert "split_overlap" in sentence


def test_another_split_than_in_training_is_refused(
    say: Say, refused: Say, folder_of_vials: Path, tmp_path: Path
) -> None:
    where = ("--layout", "folder", "--root", folder_of_vials, "--category", "vial")
    say("train", "anomaly", *where, "--out", tmp_path / "vial.onnx", *QUICK, "--split-seed", 1)

    say("evaluate", tmp_path / "vial.onnx", *where, "--split-seed", 1, "--quiet")
    assert "was training data" in refused("evaluate", tmp_path / "vial.onnx", *where, "--split-seed", 2, "--quiet")
