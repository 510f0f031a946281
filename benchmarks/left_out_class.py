"""A defect that nobody labelled: each class in turn is left out of a classifier's training, then the units that show it
are inspected by the classifier, by an anomaly detector, and by both as a recipe combines them.

python -m benchmarks.left_out_class --data ../shared/data --out /tmp/left-out

The detector is fitted on the folder train/good. The classifier learns from these images and those of the other classes.
The good units that are counted are those of test/good, which neither has seen.
"""

from collections import Counter
from pathlib import Path

import click
import numpy as np

from benchmarks.accuracy import CATEGORIES, run
from benchmarks.classes import DATASETS, UNITS
from data.labelled import LabelledFile, LabelledSplit, labelled_files, split_groups
from data.simulator import write_dataset
from inspection.combined import CombinedDetector
from inspection.finding import Finding
from inspection.frames import read_frame
from inspection.package import Package, open_package, read_package
from inspection.verdict import Limits, Outcome, Verdict, combine
from training.class_limits import score_limits
from training.classifier_options import ClassifierOptions
from training.fit_classifier import fit_classifier
from training.limits import set_limits

RATES = (0.02, 0.05, 0.1, 0.2, 0.3)
_WHO = ("classifier", "detector", "both")
Passed = Counter[tuple[str, float]]


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where detectors are kept.")
@click.option("--dataset", "names", multiple=True, type=click.Choice(DATASETS), help="Only these.")
@click.option("--seed", default=0, show_default=True)
def left_out_class(data: Path, out: Path, names: tuple[str, ...], seed: int) -> None:
    """For each class, and each rate of good units that may fail to pass in each of both packages: how many of its units
    pass, and how many good ones do not."""
    for name in names or DATASETS:
        layout, folder = CATEGORIES.get(name, ("mvtec", ""))
        root = data / folder
        if name == "vial":
            root = out / "vials"
            write_dataset(root, name, **UNITS, seed=100)
        package = out / f"{name}.onnx"
        if not package.is_file():
            out.mkdir(parents=True, exist_ok=True)
            where = ["--layout", layout, "--root", str(root), "--category", name]
            run("train", "anomaly", *where, "--seed", str(seed), "--quiet", "--out", str(package))
        _table(name, root, layout, read_package(package), seed, out)


def _table(name: str, root: Path, layout: str, package: Package, seed: int, out: Path) -> None:
    files = labelled_files(layout, root, name, "rgb")
    fresh = [file for file in files if not file.labels and not package.was_trained_on(file.sha256)]
    print(f"\n{name}: units that pass, by {', '.join(_WHO)}; good units: of {len(fresh)} those that do not\n")
    print("| left out | units | " + " | ".join(f"{100 * rate:.0f} %" for rate in RATES) + " |")
    print("|---" * (len(RATES) + 2) + "|")
    stopped: list[Passed] = []
    for left in sorted({label for file in files for label in file.labels}):
        shown = [file for file in files if left in file.labels]
        split = _split(name, layout, files, left, fresh, seed)
        options = ClassifierOptions(geometry=package.manifest.input, seed=seed)
        classifier = open_package(fit_classifier(split, root, options, checkpoints=out).data, f"without {left}")
        both = CombinedDetector(package, classifier)
        passed, good = (_passed(both, classifier, group, root) for group in (shown, fresh))
        stopped.append(Counter({key: len(fresh) - good[key] for key in good}))
        _row(left, len(shown), passed)
    mean = {key: sum(one[key] for one in stopped) / len(stopped) for key in stopped[0]}
    _row("good, not passed (mean)", len(fresh), mean)


def _split(
    name: str, layout: str, files: list[LabelledFile], left: str, fresh: list[LabelledFile], seed: int
) -> LabelledSplit:
    """Everything but the class and the fresh good images, parted for training and validation."""
    kept_out = {file.sha256 for file in fresh}
    known = [file for file in files if left not in file.labels and file.sha256 not in kept_out]
    parts = split_groups(known, seed)
    classes = sorted({label for file in known for label in file.labels})
    return LabelledSplit(
        layout=layout, category=name, seed=seed, classes=tuple(classes), train=parts["train"] + parts["test"],
        validation=parts["validation"], test=(),
    )  # fmt: skip


def _passed(both: CombinedDetector, classifier: Package, files: list[LabelledFile], root: Path) -> Passed:
    """How many of the images each passes, at limits made from held-out good scores for each rate."""
    passed: Passed = Counter({(who, rate): 0 for who in _WHO for rate in RATES})
    own = {rate: _limits(both.package, rate) for rate in RATES}
    other = {rate: score_limits(np.array(classifier.held_out), rate).limits for rate in RATES}
    for file in files:
        found = both.find(read_frame(root / file.path).pixels)
        ((named, _),) = found.also
        for rate in RATES:
            verdicts = _alone(found, own[rate]), _alone(named, other[rate])
            outcomes = verdicts[1], verdicts[0], combine(verdicts)
            passed.update((who, rate) for who, one in zip(_WHO, outcomes, strict=True) if one.outcome is Outcome.PASS)
    return passed


def _alone(finding: Finding, limits: Limits) -> Verdict:
    return Finding(finding.score, finding.heatmap, finding.classes).verdict(limits)


def _limits(package: Package, rate: float) -> Limits:
    return set_limits(np.array(package.held_out), rate).limits


def _row(name: str, units: int, counts: "Passed | dict[tuple[str, float], float]") -> None:
    cells = [", ".join(f"{counts[who, rate]:g}" for who in _WHO) for rate in RATES]
    print(f"| {name} | {units} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    left_out_class()
