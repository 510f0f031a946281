"""Labels that someone got wrong are named, and every image is judged by a classifier that has not seen it."""

import csv
import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from data.labelled import labelled_files
from data.simulator import render
from inspection.frames import encode_png
from training.cross_validation import folds_of

Run = Callable[..., subprocess.CompletedProcess[str]]
MISTAKEN = ("good-003.png", "broken_edge-002.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """40 good and 20 broken tablets, one of each with the other's label."""
    folder = tmp_path / "labelled"
    folder.mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "label"])
        for kind, count in (("good", 40), ("broken_edge", 20)):
            for index in range(count):
                name = f"{kind}-{index:03d}.png"
                unit = render("tablet", 1000 * len(kind) + index, None if kind == "good" else kind)
                (folder / name).write_bytes(encode_png(unit.frame))
                wrong = {"good": "broken_edge", "broken_edge": "good"}[kind]
                rows.writerow([name, wrong if name in MISTAKEN else kind])
    return folder


def test_labels_that_are_wrong_are_named(root: Path, inspection: Run, tmp_path: Path) -> None:
    out = tmp_path / "doubts.json"
    done = inspection("check-labels", "--root", root, "--size", 96, "--folds", 3, "--json", out, "--quiet")

    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert set(MISTAKEN) <= {doubt["file"] for doubt in found[:4]}
    assert f"{len(found)} of 60 labels in doubt" in done.stdout
    assert list(root.glob("*.onnx")) == []


def test_every_image_is_in_one_fold_with_its_near_duplicates(root: Path) -> None:
    (root / "again.png").write_bytes(encode_png(render("tablet", 4000).frame[:-1, :-1]))
    with (root / "labels.csv").open("a") as file:
        file.write("again.png,good\n")
    files = labelled_files("table", root, None, "rgb")
    parts = folds_of(files, seed=0, folds=5)

    assert sorted(file.path for part in parts for file in part) == sorted(file.path for file in files)
    place = {file.path: number for number, part in enumerate(parts) for file in part}
    assert place["again.png"] == place["good-000.png"]
    largest = max(Counter(file.group for file in files).values())
    for label in ((), ("broken_edge",)):
        sizes = [sum(file.labels == label for file in part) for part in parts]
        assert max(sizes) - min(sizes) <= largest


def test_too_few_defective_images_are_refused_before_anything_is_trained(root: Path, inspection: Run) -> None:
    rows = (root / "labels.csv").read_text().splitlines()
    kept = [row for row in rows if row.endswith("good")] + [row for row in rows if row.endswith("broken_edge")][:2]
    (root / "labels.csv").write_text("\n".join([rows[0], *kept]) + "\n")

    done = inspection("check-labels", "--root", root, "--size", 96, "--folds", 3)

    assert done.returncode == 1
    assert "a classifier needs at least" in done.stderr
    assert "head" not in done.stderr  # no progress bar: no fold was begun
