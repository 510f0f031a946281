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
import onnx
from numpy.typing import NDArray
from pydantic import ValidationError
from tqdm import tqdm

from data.layouts import DatasetMissing
from data.splits import Split, SplitFile, digest
from inspection import __version__
from inspection.detector import available_cores
from inspection.errors import BadUsage
from inspection.frames import Colour, Pixels, read_frame
from inspection.manifest import (
    NAME_PATTERN,
    VERSION_PATTERN,
    BackboneInfo,
    DataInfo,
    GoldenFrame,
    LimitsInfo,
    Manifest,
    SplitDigest,
)
from inspection.package import seal
from inspection.preprocess import FrameWrongGeometry, Geometry, prepare
from inspection.runtime import Runtime, load_runtime
from inspection.verdict import Limits, decide
from models.backbones import load_backbone
from models.patchcore import ALGORITHMS, PatchCore
from training.limits import set_limits

GOLDEN_TOLERANCE = 0.001
_PROGRAM_MB = 300
_BYTES_PER_PIXEL = 400


@dataclass(frozen=True)
class FitOptions:
    """What an engineer may set; the defaults need no tuning. `size` is the side in pixels of a square input."""

    algorithm: str = "patchcore"
    backbone: str = "efficientnet_lite0"
    size: int = 320
    bank: int = 2000
    folds: int = 5
    seed: int = 0
    false_reject_rate: float = 0.02
    memory_mb: int = 512
    colour: Colour = "rgb"
    name: str | None = None
    version: str = "1.0.0"

    def check(self) -> None:
        """Raise BadUsage for a value out of its range."""
        ranges = {"size": (64, 2048), "bank": (1, 1_000_000), "folds": (2, 50), "memory_mb": (8, 1_000_000)}
        ranges["seed"] = (0, 2**32 - 1)
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadUsage(f"--{name.replace('_', '-')} must be between {low} and {high}, got {value}")
        for name, pattern in (("name", NAME_PATTERN), ("version", VERSION_PATTERN)):
            text = getattr(self, name)
            if text is not None and not re.fullmatch(pattern, text):
                raise BadUsage(f"--{name} must match {pattern}, got {text!r}")
        if self.algorithm not in ALGORITHMS:
            raise BadUsage(f"--algorithm must be one of {', '.join(ALGORITHMS)}, got {self.algorithm!r}")
        if not 0 < self.false_reject_rate <= 0.5:
            raise BadUsage(f"--false-reject-rate must be above 0 and at most 0.5, got {self.false_reject_rate}")


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

    Raises BadUsage, DatasetMissing (too few images) and what reading a frame or a backbone raises.
    """
    options.check()
    created = _source_date()
    backbone = load_backbone(options.backbone)
    files = _spread(split.train, options.seed)
    if len(files) < options.folds:
        raise DatasetMissing(f"{len(files)} different good images are too few; at least {options.folds} are needed")
    geometry = _geometry(root / files[0].path, options)
    algorithm = ALGORITHMS[options.algorithm](
        backbone, geometry, bank=options.bank, folds=options.folds, images=len(files),
        memory_mb=options.memory_mb, seed=options.seed,
    )  # fmt: skip
    say(
        f"{len(files)} good images at {geometry.width} x {geometry.height} px; memory: at most {options.memory_mb} MB "
        f"of patch features ({algorithm.row_budget:,} rows), and about {_working_mb(geometry):,} MB for the program"
    )

    def prepared(index: int) -> Pixels:
        return _prepared(root / files[index].path, geometry)

    with tqdm(total=len(files), desc="features", unit="image", disable=quiet) as bar:
        _learn(algorithm, prepared, len(files), options.folds, bar.update)
    with tqdm(total=len(files), desc="held-out scores", unit="image", disable=quiet) as bar:
        scores = _held_out(algorithm, prepared, len(files), options.folds, bar.update)
    with tqdm(total=options.bank, desc="memory", unit="row", disable=quiet) as bar:
        model = algorithm.graph(progress=bar.update)
    setting = set_limits(scores, options.false_reject_rate)
    golden = _golden_frames([prepared(int(i)) for i in np.argsort(scores)[[0, len(scores) // 2]]])
    product = Path(split.category or root.resolve()).name
    manifest = Manifest(
        name=options.name or re.sub(r"[^A-Za-z0-9._-]+", "-", f"{product}-{options.algorithm}").lstrip("-._"),
        version=options.version,
        product=product,
        algorithm=options.algorithm,
        parameters={"size": options.size, **algorithm.parameters},
        backbone=BackboneInfo(name=backbone.name, sha256=backbone.sha256, licence=backbone.licence),
        input=geometry,
        limits=setting.limits,
        limits_info=LimitsInfo(
            method=setting.method,
            false_reject_rate=options.false_reject_rate,
            held_out_good=len(scores),
            held_out_above_review=setting.above_review,
            held_out_median=float(np.median(scores)),
            held_out_maximum=float(scores.max()),
        ),
        data=DataInfo(
            layout=split.layout,
            category=product,
            splits={
                "train": SplitDigest(files=len(split.train), sha256=digest(split.train)),
                "test": SplitDigest(files=len(split.test), sha256=digest(split.test)),
            },
        ),
        golden=_golden_scores(_load(model), golden, setting.limits),
        golden_tolerance=GOLDEN_TOLERANCE * max(1.0, setting.limits.reject_limit),
        software=__version__,
        created=created,
    )
    trained = [file.sha256 for file in split.train]
    held_out = {file.path: float(score) for file, score in zip(files, scores, strict=True)}
    return Fitted(seal(model, manifest, golden, trained), manifest, held_out)


def _learn(
    algorithm: PatchCore, prepared: Callable[[int], Pixels], images: int, folds: int, done: Callable[[], object]
) -> None:
    """First pass: the features of every image into its fold."""
    extract = _load(algorithm.features)
    for index in range(images):
        features = extract.run(prepared(index)[None])["features"]
        if not np.isfinite(features).all():
            raise BadUsage("--backbone gives values that are not finite for these images; choose another")
        algorithm.learn(features, index % folds)
        done()


def _held_out(
    algorithm: PatchCore, prepared: Callable[[int], Pixels], images: int, folds: int, done: Callable[[], object]
) -> NDArray[np.float64]:
    """Second pass: the score of every image `[images]` from a detector that has not seen its fold."""
    scores = np.empty(images)
    for fold in range(folds):
        detector = _load(algorithm.graph(without=fold))
        for index in range(fold, images, folds):
            scores[index] = _score(detector, prepared(index))
            done()
    return scores


def _spread(files: Sequence[SplitFile], seed: int) -> list[SplitFile]:
    """A seeded order, so that a fold is not one stretch of the production day. Independent of file names; of files with
    the same content one stays, or the other would be in the memory that scores it as held out."""
    by_content = sorted({file.sha256: file for file in files}.values(), key=lambda file: file.sha256)
    return [by_content[i] for i in np.random.default_rng(seed).permutation(len(by_content))]


def _geometry(path: Path, options: FitOptions) -> Geometry:
    pixels = read_frame(path, options.colour).pixels
    try:
        return Geometry.for_frames(pixels, options.size, options.colour)
    except ValidationError as error:
        raise FrameWrongGeometry(
            f"{path} is {pixels.shape[1]} x {pixels.shape[0]} pixels, too long a shape for --size {options.size}: "
            "no side of the model input may exceed 4096; choose a smaller --size or crop the images"
        ) from error


def _working_mb(geometry: Geometry) -> int:
    """About what program, runtime and one image in it take, measured with the zoo's backbone and 2,000 rows."""
    return round(_PROGRAM_MB + geometry.height * geometry.width * _BYTES_PER_PIXEL / 2**20)


def _prepared(path: Path, geometry: Geometry) -> Pixels:
    try:
        return prepare(read_frame(path, geometry.colour).pixels, geometry)
    except FrameWrongGeometry as error:
        raise FrameWrongGeometry(f"{path}: {error}") from error


def _load(model: onnx.ModelProto) -> Runtime:
    return load_runtime("onnxruntime", model.SerializeToString(deterministic=True), available_cores())


def _score(detector: Runtime, pixels: Pixels) -> float:
    return float(detector.run(pixels[None])["score"][0])


def _golden_frames(good: Sequence[Pixels]) -> dict[str, Pixels]:
    """The good frames, and the first one with a checkerboard on it that any detector must notice."""
    spoiled = good[0].copy()
    height, width = spoiled.shape[:2]
    rows, columns = np.indices((height // 4, width // 4))
    board = (((rows // 4 + columns // 4) % 2) * 255).astype(np.uint8)
    top, left = (height - board.shape[0]) // 2, (width - board.shape[1]) // 2
    spoiled[top : top + board.shape[0], left : left + board.shape[1]] = board[:, :, None]
    return {**{f"good-{index}": pixels for index, pixels in enumerate(good)}, "spoiled": spoiled}


def _golden_scores(detector: Runtime, frames: dict[str, Pixels], limits: Limits) -> list[GoldenFrame]:
    scores = {name: _score(detector, pixels) for name, pixels in frames.items()}
    return [GoldenFrame(name=n, score=score, outcome=decide(score, limits).outcome) for n, score in scores.items()]


def _source_date() -> datetime | None:
    """The creation time that makes a build repeatable (reproducible-builds.org's SOURCE_DATE_EPOCH), if one is set."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        return datetime.fromtimestamp(int(epoch), UTC) if epoch else None
    except (ValueError, OverflowError, OSError) as error:
        raise BadUsage(f"SOURCE_DATE_EPOCH must be a number of seconds since 1970, got {epoch!r}") from error
