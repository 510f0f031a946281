"""Evaluate a package file on labelled images: the figures, on raw scores, of the detector as it will run."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from data.layouts import DatasetMissing
from data.masks import read_mask
from data.splits import SplitFile, SplitOverlap, digest
from inspection.detector import Detector
from inspection.frames import read_frame
from inspection.heatmap import Heatmap, enlarge
from inspection.package import Package
from inspection.preprocess import CELL, FrameWrongGeometry
from inspection.verdict import ClassFound, Limits, Outcome, decide
from training.metrics import auroc, auroc_interval, clopper_pearson
from training.pixel_metrics import count_pixels


@dataclass(frozen=True)
class Scored:
    """One evaluated image: its score, its map on the detector's grid, and how long the finding took."""

    file: SplitFile
    path: Path
    score: float
    heatmap: Heatmap
    latency_ms: float
    classes: tuple[ClassFound, ...] = ()

    @property
    def defective(self) -> bool:
        """Whether the unit on it is defective."""
        return self.file.defect is not None

    def outcome(self, limits: Limits) -> Outcome:
        """The verdict at `limits`."""
        return decide(self.score, limits, self.classes).outcome


def score_images(detector: Detector, files: Sequence[SplitFile], root: Path, *, quiet: bool = True) -> list[Scored]:
    """Run the detector over the files in order. Raises SplitOverlap where it was fitted on one of them."""
    if not files:
        raise DatasetMissing(f"{root} holds no test images; an evaluation needs good and defective ones")
    refuse_trained(detector.package, files)
    scored = []
    with tqdm(total=len(files), desc="evaluating", unit="image", disable=quiet) as bar:
        for file in files:
            scored.append(_score(detector, file, root / file.path))
            bar.update()
    return scored


def refuse_trained(package: Package, files: Sequence[SplitFile]) -> None:
    """Raise SplitOverlap where the package was fitted on one of the files."""
    known = [file.path for file in files if package.was_trained_on(file.sha256)]
    if known:
        raise SplitOverlap(
            f"{known[0]} was training data of {package.label} ({len(known)} of the test images were); "
            "evaluate on images it has not seen"
        )


def _score(detector: Detector, file: SplitFile, path: Path) -> Scored:
    frame = read_frame(path, detector.manifest.input.colour)
    start = time.perf_counter()
    try:
        finding = detector.find(frame.pixels)
    except FrameWrongGeometry as error:
        raise FrameWrongGeometry(f"{path}: {error}") from error
    elapsed = (time.perf_counter() - start) * 1000
    return Scored(file, path, finding.score, finding.heatmap, elapsed, finding.classes)


def figures(scored: Sequence[Scored], detector: Detector, root: Path) -> dict[str, Any]:
    """All figures as plain JSON values; rates and areas lie between 0 and 1, and None stands for "cannot be told"."""
    manifest = detector.manifest
    scores = np.array([item.score for item in scored])
    defective = np.array([item.defective for item in scored])
    outcomes = [item.outcome(manifest.limits) for item in scored]
    latencies = np.array([item.latency_ms for item in scored])
    return {
        "package": {"name": manifest.name, "version": manifest.version, "sha256": detector.package.digest},
        "precision": manifest.precision,
        "runtime": detector.runtime,
        "test_data": {
            "images": len(scored),
            "good": int((~defective).sum()),
            "defective": int(defective.sum()),
            "sha256": digest(item.file for item in scored),
        },
        "image_auroc": auroc(scores, defective),
        "image_auroc_interval": auroc_interval(scores, defective),
        **_pixel_figures(scored, root),
        "per_defect": _per_defect(scored, outcomes),
        "detection_rate": _rate(outcomes, defective),
        "false_reject_rate": _rate(outcomes, ~defective),
        "outcomes": {
            name: {str(o): sum(x is o for x, w in zip(outcomes, which, strict=True) if w) for o in Outcome}
            for name, which in (("good", ~defective), ("defective", defective))
        },
        "limits": manifest.limits.model_dump(),
        "latency_ms": {f"p{q}": float(np.percentile(latencies, q)) for q in (50, 95, 99)},
        "images_per_second": float(1000 / latencies.mean()),
        "scores": [{"file": item.file.path, "defect": item.file.defect, "score": item.score} for item in scored],
    }


def _pixel_figures(scored: Sequence[Scored], root: Path) -> dict[str, float | None]:
    """Pixel metrics of the whole frame at the model input's resolution, over good images and defective ones with a
    mask. The maps are kept on the detector's grid and enlarged one at a time.
    """
    height, width = (CELL * cells for cells in scored[0].heatmap.shape)
    marked = [item for item in scored if item.file.mask]
    good = [item for item in scored if not item.file.mask and not item.defective]

    def placed(item: Scored) -> Heatmap:
        return enlarge(item.heatmap, height, width)

    def with_masks() -> Iterator[tuple[Heatmap, NDArray[np.bool_]]]:
        for item in marked:
            yield placed(item), read_mask(root / str(item.file.mask), height, width)

    counts = count_pixels(with_masks, map(placed, good)) if marked else None
    return {
        "pixel_auroc": counts.auroc() if counts else None,
        "pixel_average_precision": counts.average_precision() if counts else None,
        "pixel_f1_max": counts.f1_max() if counts else None,
        "aupro_30": counts.aupro(0.3) if counts else None,
        "aupro_05": counts.aupro(0.05) if counts else None,
    }


def _per_defect(scored: Sequence[Scored], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    good = [item.score for item in scored if not item.defective]
    result: dict[str, Any] = {}
    for defect in sorted({item.file.defect for item in scored if item.file.defect}):
        which = np.array([item.file.defect == defect for item in scored])
        own = [item.score for item in scored if item.file.defect == defect]
        truth = np.repeat([False, True], [len(good), len(own)])
        result[defect] = {
            "images": len(own),
            "image_auroc": auroc(np.array(good + own), truth),
            "detection_rate": _rate(outcomes, which),
        }
    return result


def _rate(outcomes: Sequence[Outcome], which: NDArray[np.bool_]) -> dict[str, Any]:
    """How many of the chosen units do not pass: rejected or held for review, either way they leave the line."""
    chosen = [outcome for outcome, use in zip(outcomes, which, strict=True) if use]
    return asdict(clopper_pearson(sum(outcome is not Outcome.PASS for outcome in chosen), len(chosen)))
