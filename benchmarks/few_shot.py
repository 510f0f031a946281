"""How good a package from 5, 10, 20, 50 good images is: the curve over three draws of them, by a person's commands.

python -m benchmarks.few_shot --data ../shared/data --out /tmp/few-shot --category capsule
"""

import json
import shutil
from pathlib import Path

import click
import matplotlib
import numpy as np

from benchmarks.accuracy import CATEGORIES, run
from data.layouts import load_dataset

COUNTS = (5, 10, 20, 50)
SEEDS = 3
FIGURES = ("image_auroc", "aupro_30", "detection_rate", "false_reject_rate")


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder with mvtec_ad/ and visa/.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where packages, figures and the curve go.")
@click.option("--category", "names", multiple=True, type=click.Choice(list(CATEGORIES)), help="Only these.")
@click.option("--algorithm", default="patchcore-head", show_default=True)
def few_shot(data: Path, out: Path, names: tuple[str, ...], algorithm: str) -> None:
    """A table and a curve: image AUROC, AUPRO and what the limits stop, over the number of good images."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    print("| category | good images | image AUROC | AUPRO 30 % | defective stopped | good stopped |")
    print("|---|---|---|---|---|---|")
    for name in names or CATEGORIES:
        curve = []
        for count in COUNTS:
            found = np.array([_one(data, out, name, count, seed, algorithm) for seed in range(SEEDS)])
            curve.append(found[:, 0])
            cells = [f"{100 * part.mean():.1f} ({100 * part.min():.1f}–{100 * part.max():.1f})" for part in found.T]
            print(f"| {name} | {count} | " + " | ".join(cells) + " |", flush=True)
        pyplot.plot(COUNTS, 100 * np.mean(curve, axis=1), marker="o", label=name)
        pyplot.fill_between(COUNTS, 100 * np.min(curve, axis=1), 100 * np.max(curve, axis=1), alpha=0.2)
    pyplot.xscale("log")
    pyplot.xticks(COUNTS, [str(count) for count in COUNTS])
    pyplot.xlabel("good images")
    pyplot.ylabel("image AUROC, %")
    pyplot.legend()
    pyplot.savefig(out / "few-shot.png", dpi=120)


def _one(data: Path, out: Path, name: str, count: int, seed: int, algorithm: str) -> list[float]:
    """The figures of one package from `count` images drawn by `seed`."""
    layout, folder = CATEGORIES[name]
    train = load_dataset(layout, data / folder, name).train
    chosen = np.random.default_rng(seed).choice(len(train), count, replace=False)
    stem = f"{name}-{count}-{seed}"
    good = out / stem / "train" / "good"
    shutil.rmtree(out / stem, ignore_errors=True)
    good.mkdir(parents=True)
    for index in chosen:
        shutil.copy(train[index].path, good)
    package, figures = out / f"{stem}.onnx", out / f"{stem}.json"
    words = ["--root", str(out), "--category", stem, "--seed", str(seed), "--algorithm", algorithm, "--quiet"]
    run("train", "anomaly", *words, "--out", str(package))
    where = ["--layout", layout, "--root", str(data / folder), "--category", name, "--quiet"]
    run("evaluate", str(package), *where, "--json", str(figures))
    result = json.loads(figures.read_text())
    return [result[key]["rate"] if isinstance(result[key], dict) else result[key] for key in FIGURES]


if __name__ == "__main__":
    few_shot()
