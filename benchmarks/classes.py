"""A classifier of defect types: every image judged once by a classifier that has not seen it (5-fold cross-validation,
near-duplicates together), with the defaults of `inspection train classifier`.

python -m benchmarks.classes --data ../shared/data
"""

import tempfile
import time
from collections import Counter
from pathlib import Path

import click

from benchmarks.accuracy import CATEGORIES
from data.labelled import GOOD, LabelledFile, labelled_files
from data.simulator import write_dataset
from training.class_figures import UNSURE, class_figures
from training.classifier_options import ClassifierOptions
from training.cross_validation import cross_validate
from training.metrics import clopper_pearson

DATASETS = ("bottle", "capsule", "vial")
UNITS = {"good": 160, "test_good": 40, "per_defect": 40}
Confusion = Counter[tuple[str, str]]


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--dataset", "names", multiple=True, type=click.Choice(DATASETS), help="Only these.")
@click.option("--size", default=384, show_default=True)
@click.option("--seed", default=0, show_default=True)
def classes(data: Path, names: tuple[str, ...], size: int, seed: int) -> None:
    """A table of each dataset, a row per class: how many images passed, were named rightly, were left to a person;
    and of what was named so, how much was right. Intervals are exact 95 % ones."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names or DATASETS:
            root, (layout, path) = data, CATEGORIES.get(name, ("mvtec", ""))
            if name == "vial":
                root = Path(folder)
                write_dataset(root, name, **UNITS, seed=100)
            files = labelled_files(layout, root / path, name, "rgb")
            start = time.perf_counter()
            confusion = _confusion(layout, root / path, name, files, ClassifierOptions(size=size, seed=seed))
            _print(name, confusion, time.perf_counter() - start)


def _confusion(layout: str, root: Path, name: str, files: list[LabelledFile], options: ClassifierOptions) -> Confusion:
    """How often what is true was answered how, over all folds."""
    counts: Confusion = Counter()
    for manifest, scored in cross_validate(layout, root, name, files, options):
        for true, row in class_figures(scored, manifest)["confusion"].items():
            counts.update({(true, answer): count for answer, count in row.items()})
    return counts


def _print(name: str, counts: Confusion, took: float) -> None:
    truths = sorted({true for true, _ in counts}, key=lambda true: (true != GOOD, true))
    print(f"\n{name}, {sum(counts.values())} images, {took:.0f} s\n")
    print("| class | images | passed | named rightly | left to a person | precision |")
    print("|---|---|---|---|---|---|")
    for true in truths:
        of = {answer: count for (which, answer), count in counts.items() if which == true}
        named = sum(count for (_, answer), count in counts.items() if answer == true)
        total = sum(of.values())
        print(
            f"| {true} | {total} | {of[GOOD]} | {_share(of.get(true, 0), total)} | {of[UNSURE]} | "
            f"{_share(of.get(true, 0), named)} |",
            flush=True,
        )


def _share(part: int, whole: int) -> str:
    if not whole:
        return "–"
    found = clopper_pearson(part, whole)
    return f"{100 * part / whole:.0f} ({100 * found.low:.0f}–{100 * found.high:.0f})"


if __name__ == "__main__":
    classes()
