"""Fit a detector on good images and seal it as a package.

Two passes over the images, one image in memory at a time. The first fills the algorithm's folds with features; the
second scores each image with the detector fitted without its fold, which gives the limits. Features and scores come
from the serving runtime running the graphs that are served.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.layouts import DatasetMissing
from data.splits import Split, SplitFile, digest
from inspection import __version__
from inspection.errors import BadUsage
from inspection.manifest import BackboneInfo, DataInfo, Manifest, SplitDigest
from inspection.package import seal
from inspection.preprocess import Geometry
from inspection.score_area import inside_cells
from models.algorithms import ALGORITHMS
from models.backbones import load_backbone
from models.fitting_runtime import load_for_fitting
from models.patchcore import PatchCore
from models.tiles import UNTILED_PIXELS
from training.folds import copies_of, held_out_scores, learn
from training.golden import TOLERANCE, check_spoiled, golden_frames, golden_scores
from training.images import CACHE_MB, TrainingImages
from training.limits import set_limits
from training.options import FitOptions

_PROGRAM_MB = 300
_TORCH_MB = 900
_BYTES_PER_PIXEL = 400
_FOLD_BYTES_PER_PIXEL = 140  # of each fold's graph, all of which are loaded while a head is trained
_TILED_BYTES_PER_PIXEL = 60  # of what an input has more than the largest that runs whole


@dataclass
class Fitted:
    """A sealed package's bytes, its manifest, and the held-out score of each training image, by path."""

    data: bytes
    manifest: Manifest
    held_out: dict[str, float]


def fit_anomaly(
    split: Split, root: Path, options: FitOptions, *, say: Callable[[str], object] = lambda _: None, quiet: bool = True
) -> Fitted:
    """Fit on the split's training images. `say` is given what a person should know before it starts.

    Raises BadUsage, DatasetMissing (too few images), DetectorBlind, and what reading a frame, a region or a backbone
    raises.
    """
    options.check()
    created = source_date()
    backbone = load_backbone(options.backbone)
    files = spread(split.train, options.seed)
    if len(files) < options.folds:
        raise DatasetMissing(f"{len(files)} different good images are too few; at least {options.folds} are needed")
    images = TrainingImages(files, root, options)
    geometry, kind = images.geometry, ALGORITHMS[options.algorithm]
    algorithm = kind(
        backbone,
        geometry,
        images=len(files),
        copies=copies_of(len(files)),
        **{name: getattr(options, name) for name in kind.OPTIONS},
    )
    say(_what_starts(images, algorithm, options))
    with tqdm(total=len(files), desc="features", unit="image", disable=quiet) as bar:
        learn(algorithm, images, options.folds, bar.update, copies=copies_of(len(files)), seed=options.seed)
    with tqdm(total=algorithm.steps, desc="head", unit="batch", disable=quiet or not algorithm.steps) as bar:
        algorithm.train(images, bar.update)
    with tqdm(total=len(files), desc="held-out scores", unit="image", disable=quiet) as bar:
        scores = held_out_scores(algorithm, images, options.folds, bar.update)
    with tqdm(total=options.bank, desc="memory", unit="row", disable=quiet) as bar:
        model = algorithm.graph(progress=bar.update)
    setting = set_limits(scores, options.false_reject_rate)
    usual = [images.prepared(int(i)) for i in np.argsort(scores)[[0, len(scores) // 2]]]
    frames = golden_frames(usual, inside_cells(geometry))
    golden = golden_scores(load_for_fitting(model).runtime, frames, setting.limits)
    check_spoiled(golden, setting.limits)
    product = Path(split.category or root.resolve()).name
    manifest = Manifest(
        name=options.name or re.sub(r"[^A-Za-z0-9._-]+", "-", f"{product}-{options.algorithm}").lstrip("-._"),
        version=options.version,
        product=product,
        algorithm=options.algorithm,
        parameters={"size": options.size, "region": images.region.description, **algorithm.parameters},
        backbone=BackboneInfo(name=backbone.name, sha256=backbone.sha256, licence=backbone.licence),
        input=geometry,
        limits=setting.limits,
        limits_info=setting.info(scores, options.false_reject_rate),
        data=DataInfo(
            layout=split.layout,
            category=product,
            splits={
                "train": SplitDigest(files=len(split.train), sha256=digest(split.train)),
                "test": SplitDigest(files=len(split.test), sha256=digest(split.test)),
            },
        ),
        golden=golden,
        golden_tolerance=TOLERANCE * max(1.0, setting.limits.reject_limit),
        software=__version__,
        created=created,
    )
    trained = [file.sha256 for file in split.train]
    held_out = {file.path: float(score) for file, score in zip(files, scores, strict=True)}
    return Fitted(seal(model, manifest, frames, trained, held_out.values()), manifest, held_out)


def _what_starts(images: TrainingImages, algorithm: PatchCore, options: FitOptions) -> str:
    geometry = images.geometry
    left, top, right, bottom = (round(100 * share) for share in images.region.bounds)
    seen = "the whole frame"
    if geometry.window or geometry.mask:
        seen = f"{left}-{right} % of the frame's width and {top}-{bottom} % of its height (--region {options.region})"
    return (
        f"{len(images)} good images at {geometry.width} x {geometry.height} px of {seen}; memory: at most "
        f"{options.memory_mb} MB of patch features ({algorithm.row_budget:,} rows), and about "
        f"{_working_mb(geometry, algorithm):,} MB for the program"
    )


def spread(files: Sequence[SplitFile], seed: int) -> list[SplitFile]:
    """A seeded order, so that a fold is not one stretch of the production day. Independent of file names; of files with
    the same content one stays, or the other would be in the memory that scores it as held out."""
    by_content = sorted({file.sha256: file for file in files}.values(), key=lambda file: file.sha256)
    return [by_content[i] for i in np.random.default_rng(seed).permutation(len(by_content))]


def _working_mb(geometry: Geometry, algorithm: PatchCore) -> int:
    """About what program, runtime and one image in it take, and torch where a head is trained."""
    program = _PROGRAM_MB + CACHE_MB + (_TORCH_MB if algorithm.steps else 0)
    pixels = geometry.height * geometry.width
    whole = min(pixels, UNTILED_PIXELS)
    folds = _FOLD_BYTES_PER_PIXEL * int(algorithm.parameters["folds"]) if algorithm.steps else 0
    per_pixel = _BYTES_PER_PIXEL + folds
    return round(program + (whole * per_pixel + (pixels - whole) * _TILED_BYTES_PER_PIXEL) / 2**20)


def source_date() -> datetime | None:
    """The creation time that makes a build repeatable (reproducible-builds.org's SOURCE_DATE_EPOCH), if one is set."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        return datetime.fromtimestamp(int(epoch), UTC) if epoch else None
    except (ValueError, OverflowError, OSError) as error:
        raise BadUsage(f"SOURCE_DATE_EPOCH must be a number of seconds since 1970, got {epoch!r}") from error
