"""`inspection update`: a package learns another look from new good images, or one sentence and nothing written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from data.simulator import write_dataset
from inspection.detector import Detector
from inspection.frames import list_images, read_frame
from inspection.package import Package, open_package, read_package, seal, write_package
from inspection.verdict import Outcome, decide
from models import nearest
from models.fitting_runtime import load_for_fitting
from models.graph import memory_graph
from models.memory_update import MemoryUpdate, distances, reach, read_memory, with_memory
from tests.models.test_graph import BANK, FRAMES, features_model, geometry, run
from tests.training.conftest import Say, files_in

LIGHT = (-25, 25, 25)  # what another lamp adds, in grey levels of blue, green and red


@pytest.fixture(scope="module")
def other_look(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other vials in another light: 10 good to learn, 3 good and one of each defect to test."""
    root = tmp_path_factory.mktemp("other-light")
    write_dataset(root, "vial", good=10, test_good=3, per_defect=1, seed=77)
    for part in ("train", "test"):
        for path in (root / "vial" / part).rglob("*.png"):
            lit = cv2.imread(str(path)).astype(np.int16) + np.array(LIGHT, np.int16)
            cv2.imwrite(str(path), np.clip(lit, 0, 255).astype(np.uint8))
    return root / "vial"


@pytest.fixture(scope="module")
def updated(vial_package: Path, vial_dataset: Path, other_look: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`vial_package` after the update by the command itself, evaluated on the labelled images of the old look."""
    from inspection.cli import main

    out = tmp_path_factory.mktemp("updated") / "vial.onnx"
    words = ["update", vial_package, "--images", other_look / "train" / "good", "--version", "1.1.0", "--out", out]
    main([str(word) for word in (*words, "--root", vial_dataset, "--category", "vial", "--quiet")])
    return out


def outcomes(package: Package, folder: Path) -> list[Outcome]:
    detector = Detector(package)
    scores = [detector.find(read_frame(path).pixels).score for path in list_images(folder)]
    return [decide(score, package.manifest.limits).outcome for score in scores]


def test_the_other_look_passes_only_after_the_update(package: Package, updated: Path, other_look: Path) -> None:
    made = read_package(updated)

    assert Outcome.PASS not in outcomes(package, other_look / "test" / "good")
    assert outcomes(made, other_look / "test" / "good") == [Outcome.PASS] * 3


def test_defects_of_either_look_are_still_stopped(updated: Path, vial_dataset: Path, other_look: Path) -> None:
    made = read_package(updated)

    for look in (vial_dataset / "vial", other_look):
        defects = [folder for folder in (look / "test").iterdir() if folder.name != "good"]
        verdicts = [verdict for folder in defects for verdict in outcomes(made, folder)]
        assert len(verdicts) >= 5 and verdicts.count(Outcome.PASS) <= len(verdicts) // 5
    assert outcomes(made, vial_dataset / "vial" / "test" / "good").count(Outcome.PASS) >= 5


def test_the_version_says_where_it_comes_from(updated: Path, package: Package) -> None:
    made = read_package(updated)
    old, new = package.manifest, made.manifest

    assert (new.version, new.parent, new.precision) == ("1.1.0", package.digest, "fp32")
    assert new.data.splits["train"] == old.data.splits["train"]
    assert new.data.splits["added 1.1.0"].files == 10
    assert made.trained > package.trained and len(made.trained) == 30
    assert made.golden.keys() == package.golden.keys()
    assert new.parameters == old.parameters and new.input == old.input


def test_limits_are_set_on_old_and_new_held_out_images_together(updated: Path, package: Package) -> None:
    made = read_package(updated)
    info = made.manifest.update

    assert (len(package.held_out), len(made.held_out)) == (20, 30)
    assert made.manifest.limits_info.held_out_good == 30
    assert made.manifest.limits_info.false_reject_rate == package.manifest.limits_info.false_reject_rate
    assert info is not None and (info.held_out_parent, info.held_out_added) == (20, 10)
    assert all(score in made.held_out for score in package.held_out)


def test_every_old_row_is_within_the_new_memory(updated: Path, package: Package) -> None:
    old, new = (read_memory(onnx.load_model_from_string(each.model)) for each in (package, read_package(updated)))
    info = read_package(updated).manifest.update

    assert new.shape == old.shape
    assert info is not None and 0 < info.rows_kept < info.rows == 300
    left = {row.tobytes() for row in old} - {row.tobytes() for row in new}
    assert len(left) == 300 - info.rows_kept
    # No row was given up that lies further from the memory than the memory's rows lie from each other.
    assert distances(old, new).max() == pytest.approx(info.farthest_parent_row)
    assert distances(old, new).max() <= reach(new, 300) + 1e-2


def test_images_that_bring_nothing_new_leave_the_memory_as_it_is(package: Package) -> None:
    model = onnx.load_model_from_string(package.model)
    memory = MemoryUpdate(model, bank=300, folds=2, memory_mb=64, seed=0)
    memory.learn({"features": memory.old + np.float32(0.001)}, 0)

    assert np.array_equal(memory.rows(), memory.old)
    pixels = package.golden["good-0"][None]
    before = load_for_fitting(model).run(pixels)
    assert np.array_equal(load_for_fitting(memory.graph()).run(pixels)["heatmap"], before["heatmap"])


def test_a_memory_that_is_searched_block_by_block_is_updated_too(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = memory_graph(features_model(), geometry(), BANK)
    monkeypatch.setattr(nearest, "MOST_BYTES", 1)
    monkeypatch.setattr(nearest, "BLOCK_BYTES", 2000)
    blocks = memory_graph(features_model(), geometry(), BANK)
    assert any(node.op_type == "Scan" for node in blocks.graph.node)

    assert np.array_equal(read_memory(blocks), BANK)
    for rows in (BANK[:10] + 1, BANK + 2):
        wanted, found = (run(with_memory(model, rows), FRAMES)["heatmap"] for model in (whole, blocks))
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)


def test_the_same_input_gives_the_same_bytes(
    say: Say, updated: Path, vial_package: Path, other_look: Path, vial_dataset: Path, tmp_path: Path
) -> None:
    shuffled = tmp_path / "renamed"
    shuffled.mkdir()
    for number, path in enumerate(reversed(list_images(other_look / "train" / "good"))):
        shutil.copy(path, shuffled / f"{number}.png")
    out = tmp_path / "again.onnx"
    where = ("--root", vial_dataset, "--category", "vial", "--quiet")
    say("update", vial_package, "--images", shuffled, "--version", "1.1.0", "--out", out, *where)

    assert out.read_bytes() == updated.read_bytes()


def test_the_report_lists_every_changed_verdict(updated: Path, package: Package, vial_dataset: Path) -> None:
    report = json.loads(updated.with_suffix(".update.json").read_text())
    made = read_package(updated)
    detectors = [(Detector(each), each.manifest.limits) for each in (package, made)]
    changed = {}
    for path in sorted((vial_dataset / "vial" / "test").rglob("*.png")):
        pixels = read_frame(path).pixels
        was, now = (decide(detector.find(pixels).score, limits).outcome for detector, limits in detectors)
        if was is not now:
            changed[path.relative_to(vial_dataset).as_posix()] = (was, now)

    assert (report["parent"]["sha256"], report["version"]["sha256"]) == (package.digest, made.digest)
    part = report["runtimes"]["onnxruntime"]
    assert {item["file"]: (item["parent"], item["version"]) for item in part["changed_verdicts"]} == changed
    assert len(report["added"]) == 10 and report["update"]["evaluation"]["files"] == 21


@pytest.fixture
def update_refused(refused: Say, vial_package: Path, other_look: Path, tmp_path: Path) -> Callable[..., str]:
    """The sentence with which an update is refused; nothing may have been written."""
    out = tmp_path / "out" / "vial.onnx"

    def run(*words: object, package: Path = vial_package) -> str:
        defaults = {"--images": other_look / "train" / "good", "--out": out, "--version": "1.1.0"}
        given = [word for name, value in defaults.items() if name not in words for word in (name, value)]
        sentence = refused("update", package, "--quiet", *given, *words)
        assert files_in(out.parent) == []
        return sentence

    return run


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--version 1.0.0", "is not above 1.0.0, the package's own; give a higher one [version_not_higher]"),
        ("--version 1.1", "--version must be major.minor.patch, got '1.1' [bad_usage]"),
        ("--out vial.txt", "--out must end in .onnx"),
        ("--images /nowhere", "/nowhere holds no image directly in it; --images is a folder of good images"),
        ("--category vial", "--category vial needs --root"),
        ("--false-reject-rate 0.7", "--false-reject-rate must be above 0 and at most 0.5, got 0.7 [bad_usage]"),
        ("--false-reject-rate nan", "--false-reject-rate must be above 0"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(words: str, told: str, update_refused: Callable[..., str]) -> None:
    assert told in update_refused(*words.split())


def test_the_package_itself_is_never_written_over(vial_package: Path, update_refused: Callable[..., str]) -> None:
    before = vial_package.read_bytes()

    assert "[output_exists]" in update_refused("--out", vial_package)
    assert vial_package.read_bytes() == before


def test_images_it_was_fitted_on_do_not_count_as_new(vial_dataset: Path, update_refused: Callable[..., str]) -> None:
    sentence = update_refused("--images", vial_dataset / "vial" / "train" / "good")

    assert "0 different new good images are too few (20 are among those the package was fitted on)" in sentence
    assert "[dataset_missing]" in sentence


def test_what_it_knows_is_left_out_by_name(
    say: Say, vial_package: Path, vial_dataset: Path, other_look: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(other_look / "train" / "good", folder)
    shutil.copy(list_images(vial_dataset / "vial" / "train" / "good")[0], folder / "known.png")
    out = tmp_path / "vial.onnx"
    told = say("update", vial_package, "--images", folder, "--version", "1.1.0", "--out", out, "--quiet")

    assert "left out, the package was fitted on them already: known.png" in told
    made = read_package(out).manifest
    assert made.data.splits["added 1.1.0"].files == 10
    assert made.update is not None and (made.update.skipped, made.update.figures) == (1, [])


def test_the_learned_head_stays_as_it_is(say: Say, vial_dataset: Path, other_look: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old.onnx", tmp_path / "new.onnx"
    quick = ("--size", 96, "--bank", 40, "--folds", 2, "--head-steps", 3, "--quiet")
    say("train", "anomaly", "--root", vial_dataset, "--category", "vial", "--out", old, *quick)
    say("update", old, "--images", other_look / "train" / "good", "--version", "1.1.0", "--out", new, "--quiet")

    before, after = (
        {each.name: each.SerializeToString() for each in onnx.load(path).graph.initializer} for path in (old, new)
    )
    assert {name for name in before if before[name] != after[name]} == {"memory/bank", "memory/squares"}
    assert any(name.startswith("head/") for name in after)
    Detector(read_package(new))


def test_a_frame_of_another_shape_is_named(tmp_path: Path, update_refused: Callable[..., str]) -> None:
    folder = tmp_path / "wide"
    folder.mkdir()
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((100, 300, 3), number, np.uint8))

    sentence = update_refused("--images", folder)
    assert ".png: a frame of 300 x 100 pixels" in sentence and "[frame_wrong_geometry]" in sentence


def test_a_test_image_is_not_learnt(vial_dataset: Path, update_refused: Callable[..., str]) -> None:
    where = ("--root", vial_dataset, "--category", "vial")

    assert "[split_overlap]" in update_refused("--images", vial_dataset / "vial" / "test" / "good", *where)


@pytest.mark.parametrize(
    ("change", "held_out", "told"),
    [
        ({"precision": "int8"}, (1.0, 2.0), "update the fp32 version it was made from, and quantize that again"),
        ({}, (), "does not hold the held-out scores of its images"),
        ({"parameters": {}}, (1.0, 2.0), "[graph_not_updatable]"),
    ],
)
def test_a_package_that_cannot_be_updated_is_refused(
    change: dict[str, object],
    held_out: tuple[float, ...],
    told: str,
    package: Package,
    tmp_path: Path,
    update_refused: Callable[..., str],
) -> None:
    manifest = package.manifest.model_copy(update=change)
    model = onnx.load_model_from_string(package.model)
    data = seal(model, manifest, package.golden, package.trained, held_out)
    assert open_package(data, "it").held_out == held_out
    write_package(tmp_path / "other.onnx", data)

    assert told in update_refused(package=tmp_path / "other.onnx")
