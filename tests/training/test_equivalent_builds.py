"""A package that is built again from the same images is called equivalent to the first, one that is built from blurred
images is not: on real capsules and bottles that neither was built from, with the commands that a person runs.
`pytest -rP` prints the answers."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import cv2
import pytest
from click.testing import CliRunner

from inspection.commands.compare import compare
from inspection.commands.reinspect import reinspect
from inspection.frames import list_images
from training.commands.train import train

TRAINED, HELD_OUT = 100, 80
# Wider than the defaults, which need 381 defective units: of bottles there are 63.
MARGINS = ("--margin-detection", 0.07, "--margin-false-reject", 0.05)
SMALL = ("--algorithm", "patchcore", "--folds", 3, "--bank", 500, "--quiet")
# Scratches and pokes of a capsule are fine: at 192 a sixth of its defects is stopped, at 256 most are.
SIZES = {"capsule": 256, "bottle": 128}
BLUR = 5  # standard deviation, in pixels of an image 640 pixels wide


def run(command: click.Command, *words: object) -> str:
    done = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def lay_out(source: Path, product: str, place: Path) -> None:
    """`sharp` and `blurred` to train on, `units` to inspect, and `truth.csv`, which says what those are."""
    good = list_images(source / "train" / "good")
    for path in good[:TRAINED]:
        sharp, blurred = (place / kind / product / "train" / "good" / path.name for kind in ("sharp", "blurred"))
        for one in (sharp, blurred):
            one.parent.mkdir(parents=True, exist_ok=True)
        sharp.symlink_to(path)
        pixels = cv2.imread(str(path))
        assert pixels is not None and cv2.imwrite(str(blurred), cv2.GaussianBlur(pixels, (0, 0), BLUR))
    units = [("good", path) for path in good[TRAINED : TRAINED + HELD_OUT]]
    units += [(folder.name, path) for folder in sorted((source / "test").iterdir()) for path in list_images(folder)]
    with (place / "truth.csv").open("w", newline="") as file:
        written = csv.writer(file)
        written.writerow(["unit", "truth", "defects"])
        for defect, path in units:
            name = f"{defect}-{path.parent.parent.name}-{path.name}"
            (place / "units").mkdir(exist_ok=True)
            (place / "units" / name).symlink_to(path)
            written.writerow([name, *(("good", "") if defect == "good" else ("defective", defect))])


def inspected(place: Path, packages: Sequence[str], out: str) -> Path:
    files = [place / f"{package}.onnx" for package in packages]
    words = ("--folder", place / "units", "--out", place / out, "--heatmaps", 0, "--runtime", "onnxruntime", "--quiet")
    run(reinspect, *files, *words)
    return place / out / "result.parquet"


@pytest.fixture(scope="module", params=["capsule", "bottle"])
def place(request: pytest.FixtureRequest, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three packages of a product: `first`, `again` from the same images, `worse` from blurred ones."""
    folder, product = tmp_path_factory.mktemp(request.param), str(request.param)
    lay_out(real_data / "mvtec_ad" / product, product, folder)
    for name, kind in (("first", "sharp"), ("again", "sharp"), ("worse", "blurred")):
        where = ("--layout", "mvtec", "--root", folder / kind, "--category", product)
        how = ("--size", SIZES[product], "--seed", 3, "--name", "worse" if name == "worse" else "first")
        print(run(train, "anomaly", *where, *SMALL, *how, "--out", folder / f"{name}.onnx"))
    return folder


def test_the_same_package_built_again_is_equivalent_and_one_from_blurred_images_is_not(place: Path) -> None:
    both = inspected(place, ["first", "worse"], "both")
    again = inspected(place, ["again"], "again")
    truth = ("--truth", place / "truth.csv", *MARGINS)

    def answer(*words: object) -> dict[str, Any]:
        print(run(compare, *words, *truth, "--json", place / "answer.json"))
        return dict(json.loads((place / "answer.json").read_text()))

    rebuilt = answer(both, again, "--old-package", "first 1.0.0")
    assert rebuilt["verdict"]["word"] == "equivalent"
    assert rebuilt["figures"]["changed"] == 0 and rebuilt["left_out"] == {}
    assert (place / "again.onnx").read_bytes() == (place / "first.onnx").read_bytes()

    worse = answer(both, "--old-package", "first 1.0.0", "--new-package", "worse 1.0.0")
    assert worse["verdict"]["word"] == "not equivalent"
    # The first one is good for something, or the answers would say nothing.
    figures = worse["figures"]
    assert figures["detection"]["old"]["rate"] > 0.6 and figures["false_reject"]["old"]["rate"] < 0.15
