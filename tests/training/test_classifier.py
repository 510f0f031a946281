"""A person trains a classifier on labelled images, evaluates it, and gets the same file again."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from data.labelled import LabelledSplit, make_labelled_split
from data.layouts import DatasetMissing
from data.simulator import write_dataset
from inspection.config import ConfigInvalid
from inspection.detector import Detector
from inspection.errors import BadUsage
from inspection.frames import read_frame
from inspection.package import open_package, read_package
from models import fine_tuning
from models.fine_tuning import CheckpointUnreadable
from training.classifier_options import ClassifierOptions, ClassMeaning, read_meanings
from training.fit_classifier import fit_classifier

Run = Callable[..., subprocess.CompletedProcess[str]]
QUICK = ClassifierOptions(size=96, steps=150, false_reject_rate=0.05)


@pytest.fixture(scope="module")
def tablets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 good tablets and 15 of each defect."""
    root = tmp_path_factory.mktemp("tablets")
    write_dataset(root, "tablet", good=60, test_good=20, per_defect=15, seed=9)
    return root


@pytest.fixture(scope="module")
def split(tablets: Path) -> LabelledSplit:
    return make_labelled_split("mvtec", tablets, "tablet", 0, "rgb")


@pytest.fixture(scope="module")
def trained(tablets: Path, inspection: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package that a person gets by one command."""
    folder = tmp_path_factory.mktemp("trained")
    classes = folder / "classes.yaml"
    classes.write_text("crack: {severity: critical}\nspot: {severity: minor, action: review}\n")
    done = inspection(
        "train", "classifier", "--root", tablets, "--category", "tablet", "--size", 160, "--steps", 250,
        "--classes", classes, "--out", folder / "tablet.onnx", "--tensorboard", folder / "log", "--quiet",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "calibration error" in done.stdout
    return folder / "tablet.onnx"


def test_a_classifier_is_evaluated_by_the_same_command(
    trained: Path, tablets: Path, inspection: Run, tmp_path: Path
) -> None:
    figures = tmp_path / "tablet.json"
    done = inspection("evaluate", trained, "--root", tablets, "--category", "tablet", "--quiet", "--json", figures)
    assert done.returncode == 0, done.stderr
    assert "true, answered" in done.stdout

    manifest = read_package(trained).manifest
    meanings = {each.name: (each.severity, each.action) for each in manifest.classes}
    assert (meanings["crack"], meanings["spot"]) == (("critical", "reject"), ("minor", "review"))
    found = json.loads(figures.read_text())
    assert found["image_auroc"] > 0.8
    counted = sum(sum(row.values()) for row in found["classes"]["confusion"].values())
    kept = json.loads(trained.with_suffix(".split.json").read_text())
    assert counted == found["test_data"]["images"] == len(kept["test"])
    right = sum(found["classes"]["confusion"][name].get(name, 0) for name in found["classes"]["confusion"])
    assert right > 0.5 * counted


def test_its_losses_are_kept_for_tensorboard(trained: Path) -> None:
    events = EventAccumulator(str(trained.parent / "log"))
    events.Reload()

    for name in ("head/training loss", "head/validation loss"):
        losses = [event.value for event in events.Scalars(name)]
        assert len(losses) >= 4
        assert losses[-1] < losses[0]


def test_no_golden_verdict_hangs_on_rounding(trained: Path) -> None:
    manifest = read_package(trained).manifest

    assert {frame.name for frame in manifest.golden} <= {"good", *(each.name for each in manifest.classes)}
    for frame in manifest.golden:
        assert abs(frame.score - manifest.limits.review_limit) > manifest.golden_tolerance
        assert abs(frame.score - manifest.limits.reject_limit) > manifest.golden_tolerance


def test_what_it_was_trained_on_is_no_evidence(
    trained: Path, split: LabelledSplit, tablets: Path, tmp_path: Path, inspection: Run
) -> None:
    """Nor is a copy of it: evaluated on its training images alone, there is nothing left."""
    seen = tmp_path / "seen"
    for file in (*split.train, *split.validation):
        copy = seen / (file.labels[0] if file.labels else "good") / Path(file.path).name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((tablets / file.path).read_bytes())

    done = inspection("evaluate", trained, "--layout", "folder", "--root", seen)
    assert done.returncode != 0
    assert "no test images" in done.stderr


def test_every_version_of_lower_precision_is_evaluated(
    trained: Path, tablets: Path, tmp_path: Path, inspection: Run
) -> None:
    out = tmp_path / "int8.onnx"
    done = inspection(
        "quantize", trained, "--root", tablets, "--category", "tablet", "--out", out, "--version", "1.1.0",
        "--tolerance", 0.1, "--quiet",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read_package(out).manifest.classes == read_package(trained).manifest.classes


def test_the_same_seed_gives_the_same_file_interrupted_or_not(
    split: LabelledSplit, tablets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = split.model_copy(update={"train": split.train[:48]})
    options = replace(QUICK, steps=60, epochs=3, binary=True)
    whole = fit_classifier(some, tablets, options, checkpoints=tmp_path)
    whole.checkpoint.unlink()
    assert [each.name for each in whole.manifest.classes] == ["defective"]

    epoch = fine_tuning._epoch
    calls = iter([True, True, False])
    monkeypatch.setattr(fine_tuning, "_epoch", lambda *words: epoch(*words) if next(calls) else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit_classifier(some, tablets, options, checkpoints=tmp_path)
    assert len(list(tmp_path.glob("*.checkpoint"))) == 1
    (checkpoint,) = tmp_path.glob("*.checkpoint")
    kept = checkpoint.read_bytes()
    checkpoint.write_bytes(kept[:-100])
    with pytest.raises(CheckpointUnreadable, match="delete it"):
        fit_classifier(some, tablets, options, checkpoints=tmp_path)
    checkpoint.write_bytes(kept)
    made = []
    monkeypatch.setattr(fine_tuning, "_epoch", lambda *words: made.append(1) or epoch(*words))
    again = fit_classifier(some, tablets, options, checkpoints=tmp_path)

    assert len(made) == 1
    assert again.data == whole.data
    assert again.manifest.parameters["epochs"] == 3


def test_of_several_labels_each_is_found(tablets: Path, split: LabelledSplit, tmp_path: Path) -> None:
    both = ("chip", "crack")
    files = {
        name: tuple(
            file.model_copy(update={"labels": both}) if file.labels == ("crack",) else file
            for file in getattr(split, name)
        )
        for name in ("train", "validation", "test")
    }
    fitted = fit_classifier(split.model_copy(update=files), tablets, QUICK, checkpoints=tmp_path)

    assert fitted.manifest.parameters["labels"] == "multi"
    finding = Detector(open_package(fitted.data, "multi")).find(read_frame(tablets / files["test"][0].path).pixels)
    assert all(0 <= each.probability <= 1 for each in finding.classes)
    assert finding.score == pytest.approx(-sum(np.log1p(-each.probability) for each in finding.classes), rel=1e-3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"meanings": {"dent": ClassMeaning()}}, "'dent'"),
        ({"steps": 0}, "--steps must be between"),
        ({"epochs": -1}, "--epochs must be between"),
        ({"false_reject_rate": 0.9}, "--false-reject-rate"),
        ({"version": "one"}, "--version"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(
    change: dict[str, object], told: str, split: LabelledSplit, tablets: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadUsage, match=told):
        fit_classifier(split, tablets, replace(QUICK, **change), checkpoints=tmp_path)  # type: ignore[arg-type]


def test_too_few_images_are_refused(split: LabelledSplit, tablets: Path, tmp_path: Path) -> None:
    good = tuple(file for file in split.validation if not file.labels)
    with pytest.raises(DatasetMissing, match="label more images"):
        fit_classifier(split.model_copy(update={"validation": good}), tablets, QUICK, checkpoints=tmp_path)


@pytest.mark.parametrize("text", ["crack: {severity: bad}", "crack: minor", "crack: {colour: red}", "- crack"])
def test_a_file_of_classes_that_does_not_fit_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "classes.yaml"
    path.write_text(text)

    with pytest.raises(ConfigInvalid, match=str(path)):
        read_meanings(path)
