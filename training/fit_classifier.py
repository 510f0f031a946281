"""Train a classifier on labelled images and seal it as a package.

Its head learns on the frozen backbone's features, from the serving runtime running the graph that is served; what
follows the training (temperature, limits, confidence limits) looks at validation images only, test images are not read.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from data.labelled import GOOD, LabelledFile, LabelledSplit
from data.layouts import DatasetMissing
from data.splits import digest
from inspection import __version__
from inspection.detector import available_cores
from inspection.errors import BadUsage
from inspection.finding import classes_found
from inspection.frames import Pixels
from inspection.manifest import (
    BackboneInfo,
    CalibrationInfo,
    DataInfo,
    DefectClass,
    GoldenFrame,
    Manifest,
    SplitDigest,
)  # fmt: skip
from inspection.package import seal
from inspection.preprocess import Geometry
from inspection.runtime import Runtime
from inspection.verdict import Limits
from models.backbones import load_backbone
from models.class_graph import Labels, class_features_graph, classes_graph
from models.class_training import BATCH, logits_of
from models.fitting_runtime import load_for_fitting
from training.class_calibration import Reliability, probabilities, reliability, temperature
from training.class_limits import confidence_limits, score_limits
from training.classifier_options import ClassifierOptions, ClassMeaning
from training.classifier_stages import checkpoint_of, train_frozen, train_whole
from training.fit import source_date
from training.golden import TOLERANCE, DetectorBlind, golden_scores
from training.images import PreparedImages, TrainingImages
from training.labelled_images import LabelledImages
from training.scalars import Log, no_log

ALGORITHM = "classifier"
_PASSES, _FEWEST_STEPS, _MOST_STEPS = 15, 300, 4000
_FEWEST_GOOD = 2
_CANDIDATES = 20  # images of a kind that may become its golden frame


@dataclass
class FittedClassifier:
    """A sealed package's bytes, its manifest, its reliability on validation images before and after calibration, how
    many of their `defective` ones `would_pass` at the limits, and the `checkpoint` to remove once it is written."""

    data: bytes
    manifest: Manifest
    before: Reliability
    after: Reliability
    defective: int
    would_pass: int
    checkpoint: Path


def fit_classifier(
    split: LabelledSplit,
    root: Path,
    options: ClassifierOptions,
    *,
    checkpoints: Path,
    say: Callable[[str], object] = lambda _: None,
    log: Log = no_log,
    quiet: bool = True,
) -> FittedClassifier:
    """Fit on the split's training images. `say` is given what a person should know before it starts, `log` the losses
    as they fall; in the folder `checkpoints` lies, while the backbone is trained, how far that is.

    Raises BadUsage, DatasetMissing (too few images), and what reading a frame, a region or a backbone raises.
    """
    options.check()
    created = source_date()
    backbone = load_backbone(options.backbone)
    split = split.binary() if options.binary else split
    classes, labels = split.classes, _labels(split, options)
    unknown = sorted(set(options.meanings) - set(classes))
    if unknown:
        raise BadUsage(f"--classes names {unknown[0]!r}, and the classes here are {', '.join(classes)}")
    check_enough(split)
    geometry, region = options.geometry, "as given"
    if geometry is None:
        images = TrainingImages([file for file in split.train if not file.labels], root, options)
        geometry, region = images.geometry, images.region.description
    train, validation = (_images(part, root, geometry, classes) for part in (split.train, split.validation))
    steps = options.steps or _steps(len(train))
    say(_what_starts(split, geometry, labels, steps))
    features = class_features_graph(backbone.model, backbone.channels, geometry)
    runtime = load_for_fitting(features)
    torch.set_num_threads(available_cores())
    head = train_frozen(train, validation, runtime, options, labels, steps, log=log, quiet=quiet)
    kept = checkpoint_of(checkpoints, split, options, backbone.sha256)
    if options.epochs:
        features = train_whole(features, head, train, validation, options, labels, kept, log=log, quiet=quiet)
        runtime = load_for_fitting(features)
    judged = validation.plain(runtime)
    logits = np.concatenate([logits_of(head, [image]).numpy() for image in judged]).astype(np.float64)
    targets = validation.targets
    heat = temperature(logits, targets, labels)
    before, after = (_reliability(values, targets, labels) for values in (logits, logits / heat))
    model = classes_graph(features, geometry, head.weights().cooled(heat), labels)
    found = probabilities(logits / heat, labels)
    every, defective = _scores(found, labels), targets.any(axis=1)
    scores = every[~defective]
    setting = score_limits(scores, options.false_reject_rate)
    defects = _defect_classes(classes, options.meanings, confidence_limits(found, targets))
    tolerance = TOLERANCE * max(1.0, setting.limits.reject_limit)
    frames, golden = _golden(load_for_fitting(model).runtime, train, setting.limits, defects, tolerance)
    product = Path(split.category or root.resolve()).name
    manifest = Manifest(
        name=options.name or re.sub(r"[^A-Za-z0-9._-]+", "-", f"{product}-{ALGORITHM}").lstrip("-._"),
        version=options.version,
        product=product,
        algorithm=ALGORITHM,
        parameters={
            "size": options.size, "region": region, "labels": labels, "steps": steps,
            "epochs": options.epochs, "seed": options.seed, **options.augmentation.model_dump(),
        },
        backbone=BackboneInfo(name=backbone.name, sha256=backbone.sha256, licence=backbone.licence),
        input=geometry,
        classes=defects,
        calibration=CalibrationInfo(
            temperature=heat, images=len(validation), error=after.error, error_before=before.error
        ),
        limits=setting.limits,
        limits_info=setting.info(scores, options.false_reject_rate),
        data=DataInfo(
            layout=split.layout,
            category=product,
            splits={
                name: SplitDigest(files=len(part), sha256=digest(part))
                for name, part in (("train", split.train), ("validation", split.validation), ("test", split.test))
            },
        ),
        golden=golden,
        golden_tolerance=tolerance,
        software=__version__,
        created=created,
    )  # fmt: skip
    seen = [file.sha256 for file in (*split.train, *split.validation)]
    return FittedClassifier(
        seal(model, manifest, frames, seen, scores),
        manifest,
        before,
        after,
        int(defective.sum()),
        int((every[defective] < setting.limits.review_limit).sum()),
        kept,
    )


def _labels(split: LabelledSplit, options: ClassifierOptions) -> Labels:
    if options.labels != "auto":
        return options.labels
    several = any(len(file.labels) > 1 for part in (split.train, split.validation) for file in part)
    return "multi" if several else "single"


def check_enough(split: LabelledSplit) -> None:
    """Raise DatasetMissing for too few images to train on, or to validate with."""
    for name in ("train", "validation"):
        files: tuple[LabelledFile, ...] = getattr(split, name)
        good = sum(not file.labels for file in files)
        if good < _FEWEST_GOOD or good == len(files):
            raise DatasetMissing(
                f"the {name} part has {good} good and {len(files) - good} defective images; a classifier needs at "
                f"least {_FEWEST_GOOD} good ones and a defective one in each part: label more images"
            )


def _images(
    files: tuple[LabelledFile, ...], root: Path, geometry: Geometry, classes: tuple[str, ...]
) -> LabelledImages:
    return LabelledImages(files, PreparedImages(files, root, geometry), classes)


def _steps(images: int) -> int:
    return int(np.clip(_PASSES * images / BATCH, _FEWEST_STEPS, _MOST_STEPS))


def _reliability(logits: NDArray[np.float64], targets: NDArray[np.float32], labels: Labels) -> Reliability:
    """Of the answer "defective" or "good", each with its probability."""
    good = np.exp(-_scores(probabilities(logits, labels), labels))
    defective = targets.any(axis=1)
    return reliability(np.maximum(good, 1 - good), (good < 0.5) == defective)


def _scores(found: NDArray[np.float64], labels: Labels) -> NDArray[np.float64]:
    """The graph's score `[N]` of probabilities `[N, K]`."""
    none = 1 - found.sum(axis=1) if labels == "single" else np.prod(1 - found, axis=1)
    return np.asarray(-np.log(np.maximum(none, 1e-30)), dtype=np.float64)


def _defect_classes(
    classes: tuple[str, ...], meanings: dict[str, ClassMeaning], limits: list[float]
) -> list[DefectClass]:
    known = {name: meanings.get(name, ClassMeaning()) for name in classes}
    return [
        DefectClass(name=name, severity=known[name].severity, action=known[name].action, confidence_limit=limit)
        for name, limit in zip(classes, limits, strict=True)
    ]


def _golden(
    detector: Runtime, train: LabelledImages, limits: Limits, classes: Sequence[DefectClass], tolerance: float
) -> tuple[dict[str, Pixels], list[GoldenFrame]]:
    """Of good and of each class the first training image whose verdict is safe from rounding: neither its score nor a
    probability lies within the `tolerance` of a limit. Raises DetectorBlind where there is none."""
    frames, golden = {}, []
    for kind, name in enumerate([GOOD, *(one.name for one in classes)]):
        for index in np.flatnonzero(train.kinds == kind)[:_CANDIDATES]:
            pixels = train.images.prepared(int(index))
            outputs = detector.run(pixels[None])
            near = [float(outputs["score"][0]) - limit for limit in (limits.review_limit, limits.reject_limit)]
            near += [one.probability - one.confidence_limit for one in classes_found(outputs, classes)]
            if min(map(abs, near)) > 2 * tolerance:
                frames[name] = pixels
                golden += golden_scores(detector, {name: pixels}, limits, classes)
                break
    if not golden:
        raise DetectorBlind(
            "the classifier says of every image just what its limits are: it has learnt nothing; look at the labels, "
            "add images, or train it longer"
        )
    return frames, golden


def _what_starts(split: LabelledSplit, geometry: Geometry, labels: Labels, steps: int) -> str:
    good = sum(not file.labels for file in split.train)
    return (
        f"{len(split.train)} images to train on ({good} good, {len(split.classes)} classes, {labels}-label), "
        f"{len(split.validation)} to validate, {len(split.test)} kept for evaluation, at {geometry.width} x "
        f"{geometry.height} px; at most {steps} batches of {BATCH}"
    )
