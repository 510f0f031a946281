"""Fitting: the same in gives the same out, good images are judged unseen, and the manifest says what was done."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from data.layouts import DatasetMissing
from data.simulator import render
from data.splits import Split, digest, make_split
from inspection.detector import Detector
from inspection.errors import BadUsage
from inspection.frames import encode_png, read_frame
from inspection.package import open_package, read_package
from inspection.preprocess import FrameWrongGeometry, Geometry
from inspection.verdict import Outcome
from models.backbones import load_backbone
from models.patchcore import PatchCore
from training.commands.train import anomaly
from training.fit import fit_anomaly
from training.golden import DetectorBlind
from training.options import FitOptions

Run = Callable[..., subprocess.CompletedProcess[str]]
QUICK = ("--algorithm", "patchcore", "--size", 128, "--bank", 80, "--folds", 2)
OPTIONS = FitOptions(algorithm="patchcore", size=128, bank=200, folds=2)


@pytest.fixture
def train(inspection: Run, tmp_path: Path) -> Callable[..., Path]:
    """Trains by the command line and returns the package's path."""

    def run(root: Path, *more: object, name: str = "vial", **environment: str) -> Path:
        out = tmp_path / f"{name}.onnx"
        words = ("train", "anomaly", "--root", root, "--category", "vial", "--out", out, *QUICK, *more)
        done = inspection(*words, env={**os.environ, **environment})
        assert done.returncode == 0, done.stderr
        return out

    return run


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_seed_gives_the_same_file_wherever_the_images_lie(
    train: Callable[..., Path], vial_dataset: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "another" / "place"
    shutil.copytree(vial_dataset, copy)

    packages = [train(vial_dataset, name="one"), train(copy, name="two")]

    assert sha256(packages[0]) == sha256(packages[1])
    manifests = [path.with_suffix(".split.json").read_bytes() for path in packages]
    assert manifests[0] == manifests[1]


def test_another_seed_gives_another_memory(train: Callable[..., Path], vial_dataset: Path) -> None:
    one, two = (read_package(train(vial_dataset, "--seed", seed, name=f"seed{seed}")) for seed in (1, 2))

    assert one.digest != two.digest
    assert one.manifest.limits != two.manifest.limits


def test_the_time_of_making_is_the_one_given(train: Callable[..., Path], vial_dataset: Path) -> None:
    dated = read_package(train(vial_dataset, SOURCE_DATE_EPOCH="1700000000"))

    assert dated.manifest.created == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize("epoch", ["yesterday", "1.5", "9" * 30])
def test_a_time_that_is_none_is_refused(epoch: str, vial_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)

    with pytest.raises(BadUsage, match=f"SOURCE_DATE_EPOCH must be .* got '{epoch}'"):
        fit_anomaly(make_split("mvtec", vial_dataset, "vial"), vial_dataset, OPTIONS)


def test_the_split_manifest_lies_beside_the_package_and_is_right(
    train: Callable[..., Path], vial_dataset: Path
) -> None:
    out = train(vial_dataset)
    split = Split.model_validate_json(out.with_suffix(".split.json").read_text())
    package = read_package(out)

    assert (len(split.train), len(split.test)) == (20, 6 + 3 * 5)
    for file in [*split.train, *split.test]:
        assert file.sha256 == sha256(vial_dataset / file.path)
        assert file.defect is None or (file.mask and (vial_dataset / file.mask).is_file())
    parts = package.manifest.data.splits
    assert {name: (part.files, part.sha256) for name, part in parts.items()} == {
        "train": (20, digest(split.train)),
        "test": (21, digest(split.test)),
    }
    assert len(package.trained) == 20
    assert all(package.was_trained_on(file.sha256) for file in split.train)


def test_the_manifest_says_how_it_was_made(train: Callable[..., Path], vial_dataset: Path) -> None:
    out = train(vial_dataset, "--name", "line-4", "--version", "2.3.4", "--false-reject-rate", 0.1, "--seed", 9)
    manifest = read_package(out).manifest

    assert (manifest.name, manifest.version, manifest.product) == ("line-4", "2.3.4", "vial")
    assert (manifest.algorithm, manifest.backbone.name) == ("patchcore", "efficientnet_lite0")
    assert manifest.backbone.licence == "Apache-2.0"
    assert {"size": 128, "bank": 80, "folds": 2, "seed": 9, "memory_mb": 384}.items() <= manifest.parameters.items()
    assert manifest.limits_info.false_reject_rate == 0.1
    assert manifest.limits_info.held_out_good == 20
    assert manifest.limits_info.held_out_median < manifest.limits_info.held_out_maximum
    assert [golden.outcome for golden in manifest.golden] == ["PASS", "PASS", "REJECT"]
    assert manifest.created is None


@pytest.fixture
def with_odd_one(vial_dataset: Path, tmp_path: Path) -> Path:
    """The vials, with a picture of another product among the good ones, twice under different names."""
    root = tmp_path / "odd"
    shutil.copytree(vial_dataset, root)
    size = read_frame(next((root / "vial" / "train" / "good").iterdir())).pixels.shape[:2]
    tablet = encode_png(render("tablet", 3, size=(size[1], size[0])).frame)
    for name in ("odd.png", "odd-again.png"):
        (root / "vial" / "train" / "good" / name).write_bytes(tablet)
    return root


def test_good_images_are_judged_by_a_memory_that_has_not_seen_them(with_odd_one: Path) -> None:
    all_rows = FitOptions(algorithm="patchcore", size=128, bank=10_000, folds=2)
    fitted = fit_anomaly(make_split("mvtec", with_odd_one, "vial"), with_odd_one, all_rows)
    (odd,) = [path for path in fitted.held_out if "odd" in path]
    usual = [score for path, score in fitted.held_out.items() if path != odd]

    assert len(usual) == 20
    assert fitted.held_out[odd] > 1.5 * max(usual)
    final = Detector(open_package(fitted.data, "vial.onnx")).find(read_frame(with_odd_one / odd).pixels)
    assert final.score < 0.1 * min(usual)


def test_an_odd_image_is_pointed_out(inspection: Run, with_odd_one: Path, tmp_path: Path) -> None:
    words = ("--root", with_odd_one, "--category", "vial", "--out", tmp_path / "o.onnx", "--quiet")
    done = inspection("train", "anomaly", *words, *QUICK, "--false-reject-rate", 0.2)

    (line,) = [line for line in done.stdout.splitlines() if line.startswith("unlike all other good images")]
    assert "vial/train/good/odd" in line


def rows_of(model: object) -> set[float]:
    """The first number of each row in a memory graph's bank."""
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}  # type: ignore[attr-defined]
    (bank,) = [values for name, values in weights.items() if name.endswith("bank")]
    return {float(value) for value in bank[0] / -2}


@pytest.mark.parametrize(("images", "copies"), [(5, 0), (7, 0), (11, 0), (5, 3), (7, 2)])
def test_a_memory_without_a_fold_holds_all_rows_but_that_folds(images: int, copies: int) -> None:
    geometry = Geometry(height=32, width=32, aspect=1.0)
    options = {"bank": 10_000, "stride": 8, "folds": 3, "memory_mb": 8, "seed": 0}
    memory = PatchCore(load_backbone("efficientnet_lite0"), geometry, images=images, copies=copies, **options)
    patches = 16 * (1 + copies)
    for image in range(images):
        features = np.zeros((patches, 152), np.float32)
        features[:, 0] = np.arange(image * patches, (image + 1) * patches)
        memory.learn({"features": features}, image % 3)

    everything = set(map(float, range(images * patches)))
    assert rows_of(memory.graph()) == everything
    for fold in range(3):
        own = {value for value in everything if value // patches % 3 == fold}
        assert rows_of(memory.graph(without=fold)) == everything - own


def test_the_commands_defaults_are_the_options_own() -> None:
    defaults = {parameter.name: parameter.default for parameter in anomaly.params}
    wanted = {field.name: field.default for field in fields(FitOptions) if field.default is not None}

    assert {name: defaults[name] for name in wanted} == wanted


def test_a_detector_that_does_not_notice_a_checkerboard_is_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    folder = tmp_path / "odd" / "train" / "good"
    folder.mkdir(parents=True)
    for index in range(6):  # boards of every size: no two are alike
        rows, columns = np.indices((128, 128)) // (index + 3)
        pixels = ((rows + columns) % 2 * random.integers(100, 255, 3)[:, None, None]).transpose(1, 2, 0)
        (folder / f"{index}.png").write_bytes(encode_png(pixels.astype(np.uint8)))

    with pytest.raises(DetectorBlind, match=r"checkerboard painted on it scores .* below the review limit"):
        fit_anomaly(make_split("mvtec", tmp_path, "odd"), tmp_path, OPTIONS)


@pytest.mark.parametrize("algorithm", ["patchcore", "patchcore-head"])
def test_with_a_mask_only_what_is_inside_is_spoiled_and_stopped(
    algorithm: str, vial_dataset: Path, tmp_path: Path
) -> None:
    path = sorted((vial_dataset / "vial" / "train" / "good").iterdir())[0]
    height, width = read_frame(path, "rgb").pixels.shape[:2]
    drawn = np.zeros((height, width), np.uint8)
    drawn[:, : width // 3] = 255
    drawn[:, -width // 3 :] = 255
    (tmp_path / "sides.png").write_bytes(encode_png(drawn))
    options = replace(OPTIONS, algorithm=algorithm, region=str(tmp_path / "sides.png"), head_steps=10)

    fitted = fit_anomaly(make_split("mvtec", vial_dataset, "vial"), vial_dataset, options)

    package = open_package(fitted.data, "sides.onnx")
    outcomes = {golden.name: golden.outcome for golden in package.manifest.golden}
    assert outcomes["spoiled"] is Outcome.REJECT
    changed = (package.golden["spoiled"] != package.golden["good-0"]).any(axis=(0, 2))
    assert changed[:8].any() and changed[-8:].any() and not changed[len(changed) // 2]


def test_too_few_different_images_are_refused(vial_dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(vial_dataset, tmp_path / "few")
    good = sorted((tmp_path / "few" / "vial" / "train" / "good").iterdir())
    for path in good[1:]:
        shutil.copy(good[0], path)

    with pytest.raises(DatasetMissing, match="1 different good images are too few; at least 2 are needed"):
        fit_anomaly(make_split("mvtec", tmp_path / "few", "vial"), tmp_path / "few", OPTIONS)


def test_images_of_an_impossible_shape_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    for index in range(8):
        (folder / f"{index}.png").write_bytes(encode_png(np.full((10, 20_000, 3), index, np.uint8)))

    with pytest.raises(FrameWrongGeometry, match=r"good/\d\.png is 20000 x 10 pixels"):
        fit_anomaly(make_split("folder", tmp_path, None), tmp_path, OPTIONS)
