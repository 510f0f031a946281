"""A selection of units as a training set: which image goes where, and why.

An image's place is its label: what the review that counts says, else the verdict. Neither is guessed: a unit whose
verdict is REVIEW and that nobody decided on, one that a reviewer could not tell, and one that was rejected for a fault
of the line (late, lost, blurred) say nothing of what the image shows, and are left out and counted.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from inspection.archive import Archive
from inspection.errors import InspectionError
from inspection.record_findings import UNNAMED, sure_defects
from inspection.records import Correction, Entry, FrameRecord
from inspection.reviews import Review, ReviewInvalid
from inspection.unit_events import afterwards
from inspection.verdict import SHOWN, Outcome

MOST_UNITS = 10_000
GOOD = "good"
_CHUNK = 500
_TAKEN = (GOOD, "ground_truth", "masks", "unsure")  # what the layout means something else by
_UNFIT = re.compile(r"[^\w .,+()-]")


class SelectionInvalid(InspectionError):
    """Nothing of what was chosen can be exported."""

    code = "selection_invalid"


@dataclass(frozen=True)
class Picture:
    """One image of a unit at its place in the training set. `source` is `review` or `verdict`."""

    path: str
    image: str
    labels: tuple[str, ...]
    source: str
    about: dict[str, Any]


@dataclass
class Selection:
    """What is exported, and the records of what is left out, by reason."""

    pictures: list[Picture] = field(default_factory=list)
    units: int = 0
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def folders(self) -> dict[str, int]:
        """How many images each folder has; the same content is one image."""
        places = {picture.path for picture in self.pictures}
        return dict(sorted(Counter(path.partition("/")[0] for path in places).items()))

    def described(self) -> dict[str, Any]:
        """Plain values, for those who decide whether to export it."""
        return {
            "units": self.units, "images": len({picture.path for picture in self.pictures}), "folders": self.folders(),
            "labels_from": dict(Counter(picture.source for picture in self.pictures)),
            "left_out": {why: len(records) for why, records in sorted(self.left_out.items())}, "most_units": MOST_UNITS,
        }  # fmt: skip


def select_pictures(archive: Archive, units: Iterable[Entry]) -> Selection:
    """The training set of these units' records. Raises ArchiveFault and ReviewInvalid."""
    chosen, waiting = Selection(), iter(units)
    while some := list(islice(waiting, _CHUNK)):
        said = afterwards(archive, some)
        for entry in some:
            review = said.reviews.get(entry.name)
            if review and review.record_hash != entry.hash:
                raise ReviewInvalid(f"{review.name} reviews {entry.name} as it is not; run `inspection verify`")
            _add(chosen, entry, review, said.corrections.get(entry.name))
    _without_conflicts(chosen)
    chosen.units = len({picture.about["record"] for picture in chosen.pictures})
    return chosen


def label_of(entry: Entry, review: Review | None) -> tuple[tuple[str, ...] | None, str]:
    """The defects that the unit's images show, none for a good one, with where that comes from; None with the reason
    why nobody can say."""
    if review is not None:
        return (None, "cannot_tell") if review.found is None else (review.found, "review")
    if entry.reason not in SHOWN:
        return None, "fault"
    if entry.outcome == Outcome.REVIEW:
        return None, "undecided"
    if entry.outcome == Outcome.PASS:
        return (), "verdict"
    return tuple(sorted(sure_defects(entry.details))) or (UNNAMED,), "verdict"


def folder_of(labels: tuple[str, ...]) -> str:
    """The folder of images that show these defects: their names with commas between, as the layout reads them."""
    name = ",".join(_UNFIT.sub("_", label).strip(" .") or "_" for label in labels) or GOOD
    return f"{name}_" if labels and name.lower() in _TAKEN else name


def _add(chosen: Selection, entry: Entry, review: Review | None, corrected: Correction | None) -> None:
    labels, source = label_of(entry, review)
    frames = list(_frames(entry, labels))
    if not frames:
        kept = any(frame.thumbnail for frame in entry.frames)
        chosen.left_out.setdefault("thumbnail_only" if kept else "no_image", []).append(entry.name)
    elif labels is None:
        chosen.left_out.setdefault(source, []).append(entry.name)
    else:
        for number, frame in frames:
            assert frame.image is not None
            path = f"{folder_of(labels)}/{frame.image}"
            about = _about(entry, review, number, frame) | {"correction": list(corrected) if corrected else None}
            chosen.pictures.append(Picture(path, frame.image, labels, source, about))


def _frames(entry: Entry, labels: tuple[str, ...] | None) -> Iterator[tuple[int, FrameRecord]]:
    """Of a good unit every frame is good; of a defective one the frame with the highest score shows it."""
    kept = [(number, frame) for number, frame in enumerate(entry.frames) if frame.image]
    if labels and kept:
        yield max(kept, key=lambda one: float("inf") if one[1].score is None else one[1].score)
    else:
        yield from kept


def _without_conflicts(chosen: Selection) -> None:
    """The same image under different labels is in none of them."""
    places: dict[str, set[str]] = {}
    for picture in chosen.pictures:
        places.setdefault(picture.image, set()).add(picture.path)
    differing = {image for image, paths in places.items() if len(paths) > 1}
    if differing:
        records = [picture.about["record"] for picture in chosen.pictures if picture.image in differing]
        chosen.left_out["labels_differ"] = list(dict.fromkeys(records))
        chosen.pictures = [picture for picture in chosen.pictures if picture.image not in differing]


def _about(entry: Entry, review: Review | None, number: int, frame: FrameRecord) -> dict[str, Any]:
    said = None
    if review is not None:
        said = {"record": review.name, "at": review.at, "reviewer": review.reviewer, "labels": list(review.labels),
                "decision": str(review.decision), "comment": review.comment}  # fmt: skip
    return {
        "record": entry.name, "record_hash": entry.hash, "recorded_at": entry.recorded_at, "unit": entry.unit,
        "batch": entry.batch, "product": entry.product, "recipe": entry.recipe, "package": entry.package,
        "outcome": entry.outcome, "reason": entry.reason, "score": entry.score, "frame": number,
        "camera": frame.camera, "review": said,
    }  # fmt: skip
