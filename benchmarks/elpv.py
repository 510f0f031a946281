"""A classifier of defective solar cells, on the images of `elpv-dataset` (Deitsch et al., 2019): functional
(probability 0) against defective (1), by the commands a person would use.

pip install --target /tmp/elpv elpv-dataset
python -m benchmarks.elpv --data /tmp/elpv/elpv_dataset/data --out /tmp/elpv-figures
"""

import csv
import json
import math
import shutil
import time
from pathlib import Path

import click

from benchmarks.accuracy import as_options, run

LABELS = {0.0: "good", 1.0: "defective"}
SPLITS = 3


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder with labels.csv and images/.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where images, packages and figures go.")
@click.option("--train", "extra", multiple=True, help="An option for `train classifier`, as name=value.")
@click.option("--splits", default=SPLITS, show_default=True, help="How many splits, by --split-seed 0, 1, …")
def elpv(data: Path, out: Path, extra: tuple[str, ...], splits: int) -> None:
    """One row per split: AUROC with its 95 % interval, F1 of "rather defective than good", training time."""
    root = out / "elpv"
    if not root.is_dir():
        _write_dataset(data, root)
    print("| split | train, validation, test | AUROC | F1 | accuracy | calibration error | fit s |")
    print("|---|---|---|---|---|---|---|")
    for seed in range(splits):
        package, figures = out / f"elpv-{seed}.onnx", out / f"elpv-{seed}.json"
        where = ["--layout", "table", "--root", str(root), "--quiet"]
        chosen = ["--colour", "mono", "--region", "full", "--size", "304", *as_options(extra)]
        start = time.perf_counter()
        run("train", "classifier", *where, *chosen, "--binary", "--split-seed", str(seed), "--out", str(package))
        took = time.perf_counter() - start
        run("evaluate", str(package), *where, "--json", str(figures))
        result = json.loads(figures.read_text())
        split = json.loads(package.with_suffix(".split.json").read_text())
        sizes = ", ".join(str(len(split[part])) for part in ("train", "validation", "test"))
        low, high = (100 * value for value in result["image_auroc_interval"])
        called = [(one["score"] >= math.log(2), one["defect"] is not None) for one in result["scores"]]
        right = sum(answer == truth for answer, truth in called) / len(called)
        hits = sum(answer and truth for answer, truth in called)
        f1 = 2 * hits / (sum(answer for answer, _ in called) + sum(truth for _, truth in called))
        print(
            f"| {seed} | {sizes} | {100 * result['image_auroc']:.1f} ({low:.1f}–{high:.1f}) | {100 * f1:.1f} | "
            f"{100 * right:.1f} | {100 * result['classes']['calibration_error']:.1f} | {took:.0f} |",
            flush=True,
        )


def _write_dataset(data: Path, root: Path) -> None:
    """The images of both ends of the scale in the `table` layout; those between are left out."""
    part = root.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "images").mkdir(parents=True)
    rows = [line.split() for line in (data / "labels.csv").read_text().splitlines()]
    with (part / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "label"])
        for path, probability, _ in rows:
            if float(probability) in LABELS:
                shutil.copy(data / path, part / path)
                table.writerow([path, LABELS[float(probability)]])
    part.rename(root)


if __name__ == "__main__":
    elpv()
