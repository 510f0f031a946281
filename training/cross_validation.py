"""Every labelled image judged by a classifier that has not seen it: for small datasets, and for labels in doubt."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from data.labelled import LabelledFile, LabelledSplit, by_class
from inspection.detector import Detector
from inspection.manifest import Manifest
from inspection.package import open_package
from training.class_figures import as_split_file
from training.classifier_options import ClassifierOptions
from training.evaluate import Scored, score_images
from training.fit_classifier import check_enough, fit_classifier

FOLDS = 5


def folds_of(files: Sequence[LabelledFile], seed: int, folds: int = FOLDS) -> list[tuple[LabelledFile, ...]]:
    """The files in parts of about the same size, near-duplicates together and each class spread over all parts."""
    images = Counter(file.group for file in files)
    place: dict[str, int] = {}
    for groups in by_class(files, seed).values():
        filled = [0] * folds
        for group in groups:
            place[group] = filled.index(min(filled))
            filled[place[group]] += images[group]
    return [tuple(file for file in files if place[file.group] == fold) for fold in range(folds)]


def cross_validate(
    layout: str,
    root: Path,
    category: str | None,
    files: Sequence[LabelledFile],
    options: ClassifierOptions,
    *,
    folds: int = FOLDS,
    quiet: bool = True,
) -> Iterator[tuple[Manifest, list[Scored]]]:
    """For each fold a classifier's manifest and its findings there. It was trained on the others, but one that said
    when to stop and how sure it may be. Raises as `fit_classifier`."""
    parts = folds_of(files, options.seed, folds)
    classes = tuple(sorted({label for file in files for label in file.labels}))
    splits = []
    for fold, test in enumerate(parts):
        held = (fold + 1) % folds
        train = tuple(file for place, part in enumerate(parts) if place not in (fold, held) for file in part)
        split = LabelledSplit(
            layout=layout, category=category, seed=options.seed, classes=classes, train=train,
            validation=parts[held], test=test,
        )  # fmt: skip
        check_enough(split)  # of every fold before the first one's minutes
        splits.append(split)
    for fold, split in enumerate(splits):
        fitted = fit_classifier(split, root, replace(options, epochs=0), checkpoints=root, quiet=quiet)
        detector = Detector(open_package(fitted.data, f"fold {fold + 1}"))
        yield fitted.manifest, score_images(detector, [as_split_file(file) for file in split.test], root, quiet=quiet)
