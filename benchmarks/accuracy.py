"""Train and evaluate on the real images by the commands a person would use; print one table in Markdown.

python benchmarks/accuracy.py --data ../shared/data --out /tmp/accuracy
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

CATEGORIES = {"bottle": ("mvtec", "mvtec_ad"), "capsule": ("mvtec", "mvtec_ad"), "macaroni1": ("visa", "visa")}


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder with mvtec_ad/ and visa/.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where packages, figures and plots go.")
@click.option("--category", "names", multiple=True, type=click.Choice(list(CATEGORIES)), help="Only these.")
@click.option("--train", "extra", multiple=True, help="An option for `train anomaly`, as name=value; may be repeated.")
def accuracy(data: Path, out: Path, names: tuple[str, ...], extra: tuple[str, ...]) -> None:
    """One row per category: accuracy with its 95 % interval, limits' rates, training time, latency."""
    print("| category | image AUROC | pixel AUROC | AUPRO 30 % | defective stopped | good stopped | fit s | ms p50 |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names or CATEGORIES:
        layout, folder = CATEGORIES[name]
        package, figures = out / f"{name}.onnx", out / f"{name}.json"
        where = ["--layout", layout, "--root", str(data / folder), "--category", name, "--quiet"]
        options = as_options(extra)
        start = time.perf_counter()
        run("train", "anomaly", *where, "--out", str(package), *options)
        took = time.perf_counter() - start
        run("evaluate", str(package), *where, "--json", str(figures))
        print(row(name, json.loads(figures.read_text()), took), flush=True)


def as_options(pairs: tuple[str, ...]) -> list[str]:
    """`name=value` pairs as options of a command."""
    return [word for pair in pairs for word in (f"--{pair.partition('=')[0]}", pair.partition("=")[2])]


def run(*words: str) -> None:
    """One `inspection` command, quietly."""
    subprocess.run([sys.executable, "-m", "inspection", *words], check=True, stdout=subprocess.DEVNULL)


def row(name: str, result: dict[str, Any], fit_s: float) -> str:
    """The figures as a row of the table, in percent."""
    low, high = (100 * value for value in result["image_auroc_interval"])
    cells = [name, f"{100 * result['image_auroc']:.1f} ({low:.1f}–{high:.1f})"]
    cells += [f"{100 * result[key]:.1f}" for key in ("pixel_auroc", "aupro_30")]
    for key in ("detection_rate", "false_reject_rate"):
        rate = result[key]
        cells.append(f"{rate['count']} of {rate['total']} ({100 * rate['low']:.0f}–{100 * rate['high']:.0f} %)")
    cells += [f"{fit_s:.0f}", f"{result['latency_ms']['p50']:.0f}"]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    accuracy()
