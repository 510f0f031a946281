"""Reviewed units of an archive as a labelled dataset, each image with where its label comes from."""

import csv
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from data.labelled import GOOD, LabelsDiffer
from data.layouts import DatasetMissing
from inspection.archive import Archive, reading, refuse_inside
from inspection.errors import OutputExists
from inspection.files import make_folder, write_durably
from inspection.records import Entry, FrameRecord
from inspection.reviews import Review, reviewed

LABELS, PROVENANCE = "labels.csv", "provenance.jsonl"


@dataclass(frozen=True)
class Exported:
    """How many images were written, by label as `labels.csv` has it, and how many reviewed units had none."""

    labels: dict[str, int]
    without_image: int


def export_reviewed(archive: Archive, out: Path) -> Exported:
    """Write the image of every unit that a reviewer could judge into `out`, with `labels.csv` (the `table` layout) and
    `provenance.jsonl`: for each image its unit's record and review, with the hashes that bind them to the archive's
    chain. A defect that was not named is labelled `unnamed`. Of a unit with several frames the one with the highest
    score is taken.

    Raises BadUsage, OutputExists, DatasetMissing where nothing was reviewed, LabelsDiffer where reviews of the same
    image disagree, and ArchiveFault, ReviewInvalid, ImageMissing and ImageChanged.
    """
    refuse_inside(archive.folder, out, "--out", "folder")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExists(f"{out} exists and is not an empty folder; choose another")
    chosen: dict[str, tuple[Entry, Review]] = {}
    without = 0
    with reading(archive.folder):
        found = [(entry, review) for entry, review in reviewed(archive) if review.found is not None]
    for entry, review in found:
        frame = _shown(entry)
        if frame is None or frame.image is None:
            without += 1
            continue
        _, first = chosen.setdefault(frame.image, (entry, review))
        if first.found != review.found:
            raise LabelsDiffer(
                f"{first.record} ({_label(first)}) and {review.record} ({_label(review)}) show the same image; review "
                "them again"
            )
    if not chosen:
        raise DatasetMissing(f"{archive.folder} holds no reviewed unit with an image; review some first")
    make_folder(out / "images")
    table, counts = io.StringIO(), dict[str, int]()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["image", "label"])
    lines = []
    for image, (entry, review) in chosen.items():
        path = f"images/{Path(image).name}"
        write_durably(out / path, archive.images.get(image))
        rows.writerow([path, _label(review)])
        counts[_label(review)] = counts.get(_label(review), 0) + 1
        lines.append(json.dumps({"image": path, **_provenance(entry, review)}, sort_keys=True))
    write_durably(out / PROVENANCE, "".join(f"{line}\n" for line in lines).encode())
    write_durably(out / LABELS, table.getvalue().encode())  # last: a folder without it is no dataset
    return Exported(dict(sorted(counts.items())), without)


def _shown(entry: Entry) -> FrameRecord | None:
    frames = [frame for frame in entry.frames if frame.image]
    return max(frames, key=lambda frame: float("inf") if frame.score is None else frame.score, default=None)


def _label(review: Review) -> str:
    return ";".join(review.found or ()) or GOOD


def _provenance(entry: Entry, review: Review) -> dict[str, object]:
    unit = {"unit": entry.unit, "batch": entry.batch, "package": entry.package, "outcome": entry.outcome}
    return {"review": asdict(review), **unit, "reason": entry.reason, "score": entry.score}
