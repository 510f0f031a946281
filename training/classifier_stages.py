"""The two stages of a classifier's training: its head on the frozen backbone, then, where asked for, both."""

import hashlib
from collections.abc import Generator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
from tqdm import tqdm

from data.labelled import LabelledSplit
from inspection.detector import available_cores
from inspection.ordered_pool import map_in_order
from models.class_graph import Labels
from models.class_head import ClassHead
from models.class_training import BATCH, Labelled, new_head, train_head
from models.fine_tuning import Network, Picture, fine_tune
from models.fitting_runtime import FittingRuntime
from training.classifier_options import ClassifierOptions
from training.labelled_images import LabelledImages
from training.scalars import Log, no_log

_REFERENCES = 100
_JUDGES = 500  # validation images that decide when training stops, at most: they are kept in memory
_JUDGE_BYTES = 2**29


def train_frozen(
    train: LabelledImages,
    validation: LabelledImages,
    runtime: FittingRuntime,
    options: ClassifierOptions,
    labels: Labels,
    steps: int,
    *,
    log: Log = no_log,
    quiet: bool,
) -> ClassHead:
    """The head, trained on what `runtime` says of varied training images."""
    shares = np.maximum(train.targets.mean(axis=0), 1e-3).astype(np.float32)
    head = new_head(train.some(runtime, _some(train, _REFERENCES, options.seed)), shares, labels, options.seed)
    judges = _judges(validation, runtime, options.seed)
    with (
        closing(train.varied(runtime, options.augmentation, options.seed)) as examples,
        tqdm(total=steps, desc="head", unit="batch", disable=quiet) as bar,
    ):
        train_head(head, examples, judges, labels=labels, steps=steps, seed=options.seed, done=bar.update, log=log)
    return head


def train_whole(
    features: onnx.ModelProto,
    head: ClassHead,
    train: LabelledImages,
    validation: LabelledImages,
    options: ClassifierOptions,
    labels: Labels,
    checkpoint: Path,
    *,
    log: Log = no_log,
    quiet: bool,
) -> onnx.ModelProto:
    """The graph of the features with a backbone that was trained together with `head`, which is left trained as
    well."""
    network = Network(features, head)
    steps = max(1, -(-len(train) // BATCH))
    judges = [
        Picture(validation.images.prepared(index), validation.targets[index])
        for index in _some(validation, _JUDGES, options.seed)
    ]
    with tqdm(total=options.epochs * steps, desc="backbone", unit="batch", disable=quiet) as bar:

        def pictures(epoch: int) -> Generator[Picture, None, None]:
            made = partial(train.picture, options.augmentation, options.seed + 1)
            numbers = range(epoch * steps * BATCH, (epoch + 1) * steps * BATCH)
            with closing(map_in_order(made, numbers, available_cores())) as results:
                while batch := list(islice(results, BATCH)):
                    yield from batch
                    bar.update()

        def report(epoch: int, trained: float, judged: float) -> None:
            log("backbone/training loss", trained, epoch + 1)
            log("backbone/validation loss", judged, epoch + 1)
            bar.set_postfix_str(f"loss {trained:.3f}, validation {judged:.3f}")

        fine_tune(
            network, pictures, judges, labels=labels, epochs=options.epochs, steps=steps, seed=options.seed,
            checkpoint=checkpoint, done=report,
        )  # fmt: skip
    return network.features.model()


def _judges(validation: LabelledImages, runtime: FittingRuntime, seed: int) -> list[Labelled]:
    """As many validation images as may be kept."""
    which = _some(validation, _JUDGES, seed)
    first = list(validation.some(runtime, which[:1]))
    most = max(1, _JUDGE_BYTES // first[0].features.nbytes)
    return [*first, *validation.some(runtime, which[1:most])]


def checkpoint_of(folder: Path, split: LabelledSplit, options: ClassifierOptions, backbone: str) -> Path:
    """The file of this training, and of no other: `backbone` is its SHA-256."""
    what = f"{split.model_dump_json()} {options} {backbone}"
    return folder / f"{hashlib.sha256(what.encode()).hexdigest()[:16]}.checkpoint"


def _some(images: LabelledImages, most: int, seed: int) -> list[int]:
    return [int(index) for index in np.random.default_rng(seed).permutation(len(images))[:most]]
