"""Predict: single image files through a package, outside of any archive."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspection.detector import Detector
from inspection.errors import InspectionError
from inspection.files import write_durably
from inspection.finding import finite
from inspection.frames import encode_png, list_images, read_image_file
from inspection.heatmap import overlay
from inspection.image_finding import Failure, find_in_image
from inspection.record_findings import CLASSIFIER, PACKAGE
from inspection.verdict import ClassFound, Outcome, Verdict
from inspection.work_list import NoImages

_LONGEST_STEM = 100  # characters: a file's name has 255 bytes at most


class ImagesNotInspected(InspectionError):
    """Some of the images have no finding."""

    code = "images_not_inspected"


@dataclass(frozen=True)
class Prediction:
    """What became of one file: its verdict at the package's limits, the raw score that decided it (None without a
    finite one), `scores` by who gave them where two packages looked, and which was `decided_by`, the picture of the
    deciding heatmap if one was written, and why there is no finding, if there is none. Of a classifier, the probability
    of each class (None if it is no number) and, where the image does not pass, the `named` ones, which it is sure
    of."""

    path: Path
    verdict: Verdict
    score: float | None
    scores: dict[str, float | None]
    decided_by: str | None
    heatmap: Path | None
    failure: Failure | None
    classes: dict[str, float | None]
    named: tuple[ClassFound, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "path": str(self.path),
            "outcome": str(self.verdict.outcome),
            "reason": str(self.verdict.reason),
            "score": self.score,
            **({"scores": self.scores, "decided_by": self.decided_by} if self.scores else {}),
            "heatmap": str(self.heatmap) if self.heatmap else None,
            "error": {"code": self.failure.code, "message": self.failure.message} if self.failure else None,
            **({"classes": self.classes, "named": [one.name for one in self.named]} if self.classes else {}),
        }


def listed_images(paths: Iterable[Path]) -> list[Path]:
    """The paths, with each folder replaced by the images directly in it. Raises NoImages for a folder without any."""
    images: list[Path] = []
    for path in paths:
        if not path.is_dir():
            images.append(path)
            continue
        found = list_images(path)
        if not found:
            raise NoImages(f"{path} holds no image directly in it; give a folder of PNG or JPEG files, or files")
        images += found
    return images


def predict_image(detector: Detector, path: Path, heatmap: Path | None = None) -> Prediction:
    """Inspect one file; its overlay, of the frame's size, is written to `heatmap`. An image that has no finding is a
    REJECT with its failure. Raises OutputNotWritable."""
    found = find_in_image(detector, str(path), lambda: read_image_file(path))
    finding, limits = found.finding, detector.manifest.limits
    verdict = found.verdict(limits)
    if not finding:
        return Prediction(path, verdict, None, {}, None, None, found.failure, {}, ())
    decided, its_limits, _ = finding.deciding(limits)
    if heatmap and found.pixels is not None:
        write_durably(heatmap, encode_png(overlay(found.pixels, decided.heatmap, its_limits)))
    given = dict(zip((PACKAGE, CLASSIFIER), (finding, *(other for other, _ in finding.also)), strict=False))
    return Prediction(
        path=path,
        verdict=verdict,
        score=finite(decided.score),
        scores={who: finite(one.score) for who, one in given.items()} if finding.also else {},
        decided_by=next(who for who, one in given.items() if one is decided) if finding.also else None,
        heatmap=heatmap,
        failure=None,
        classes={one.name: finite(one.probability) for one in finding.all_classes},
        named=finding.named if verdict.outcome is not Outcome.PASS else (),
    )


def heatmap_files(images: Iterable[Path], folder: Path) -> list[Path]:
    """A file in `folder` for each image's overlay, named after the image: no two alike (in capitals or not), and none
    that is itself one of the images."""
    images = list(images)
    taken = {str(image.resolve()).casefold() for image in images}
    files = []
    for image in images:
        stem, number = image.stem[:_LONGEST_STEM], 1
        file = folder / f"{stem}.heatmap.png"
        while str(file.resolve()).casefold() in taken:
            number += 1
            file = folder / f"{stem}-{number}.heatmap.png"
        taken.add(str(file.resolve()).casefold())
        files.append(file)
    return files
