"""The commands, with their defaults but for what takes long, on real images: MVTec AD's bottle and capsule, VisA's
macaroni1. `pytest -rP` prints the figures."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Case:
    """A category, the options it is trained with beside the defaults, and the areas it must reach."""

    layout: str
    root: str
    category: str
    test_images: tuple[int, int]  # at least that many good, exactly that many defective
    image_auroc: float
    pixel_auroc: float
    aupro_30: float
    options: tuple[object, ...] = ()


# The memory alone on one of them and fewer batches for the head keep it to minutes. macaroni1 has some 900 good images:
# fewer folds and a smaller sample of their patches.
CASES = [
    Case("mvtec", "mvtec_ad", "bottle", (20, 63), 0.995, 0.97, 0.93, ("--algorithm", "patchcore")),
    Case("mvtec", "mvtec_ad", "capsule", (15, 109), 0.975, 0.97, 0.95, ("--folds", 2, "--head-steps", 60)),
    Case(
        "visa", "visa", "macaroni1", (70, 100), 0.91, 0.97, 0.93,
        ("--folds", 2, "--memory-mb", 128, "--head-steps", 60),
    ),
]  # fmt: skip


@pytest.mark.timeout(1500)  # it trains with a head: minutes
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.category)
def test_a_real_category_is_told_from_its_defects(case: Case, inspection: Run, real_data: Path, tmp_path: Path) -> None:
    package, figures_file = tmp_path / f"{case.category}.onnx", tmp_path / f"{case.category}.json"
    where = ("--layout", case.layout, "--root", real_data / case.root, "--category", case.category, "--quiet")

    trained = inspection("train", "anomaly", *where, "--out", package, *case.options)
    assert trained.returncode == 0, trained.stderr
    done = inspection("evaluate", package, *where, "--json", figures_file)
    assert done.returncode == 0, done.stderr
    print(trained.stdout + done.stdout)

    figures = json.loads(figures_file.read_text())
    good, defective = case.test_images
    assert figures["test_data"]["good"] >= good
    assert figures["test_data"]["defective"] == defective
    assert figures["image_auroc"] >= case.image_auroc
    assert figures["pixel_auroc"] >= case.pixel_auroc
    assert figures["aupro_30"] >= case.aupro_30
    assert figures["false_reject_rate"]["low"] <= 0.02  # the rate that the limits were set for
    assert figures["detection_rate"]["count"] >= sum(
        part["detection_rate"]["count"] > 0 for part in figures["per_defect"].values()
    )
    assert {path.name for path in (tmp_path / f"{case.category}-plots").iterdir()} == {
        "scores.png",
        "roc.png",
        "errors.png",
    }
