"""Labelled images for a classifier: which defects each shows, and which part of the data it belongs to.

Near-duplicates belong to one part. A group's part depends on its contents and the seed, so that where images are added
most of the others keep their part; groups that get a new image may move, and those of a class that has few, whose parts
must not stay empty. A package knows what it was trained on, whatever moves: `evaluate` leaves that out.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from data.layouts import DatasetMissing, Sample, hash_rank, load_dataset
from data.near_duplicates import Fingerprint, fingerprint, near_duplicate_groups
from data.splits import check_exported, relative_name
from inspection.detector import available_cores
from inspection.errors import InspectionError
from inspection.frames import Colour, read_frame
from inspection.ordered_pool import map_in_order

GOOD, DEFECTIVE = "good", "defective"
Part = Literal["test", "validation", "train"]
HELD_SHARE = 0.2  # of each class's groups: one such share for testing, one for validation
_TAKEN = (GOOD, "unsure")  # what an evaluation answers beside the defects
_SEPARATORS = re.compile("[,;]")


class LabelsDiffer(InspectionError):
    """Two files with the same content have different labels."""

    code = "labels_differ"


class LabelledFile(BaseModel):
    """One file, relative to the dataset's root as its mask is, and the defects it shows: none for a good unit.
    Near-duplicates have one `group`, the smallest SHA-256 among them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    sha256: str
    labels: tuple[str, ...]
    group: str
    mask: str | None = None


class LabelledSplit(BaseModel):
    """A labelled dataset, file by file. `classes` are the defects, in the order that a classifier has them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: str
    category: str | None
    seed: int
    classes: tuple[str, ...]
    train: tuple[LabelledFile, ...]
    validation: tuple[LabelledFile, ...]
    test: tuple[LabelledFile, ...]

    def binary(self) -> "LabelledSplit":
        """The same files, with one class for every defect."""
        parts = {
            name: tuple(
                file.model_copy(update={"labels": (DEFECTIVE,)}) if file.labels else file
                for file in getattr(self, name)
            )
            for name in get_args(Part)
        }
        return self.model_copy(update={"classes": (DEFECTIVE,), **parts})


def make_labelled_split(layout: str, root: Path, category: str | None, seed: int, colour: Colour) -> LabelledSplit:
    """Read the layout and every image, and part them. Of files with the same content the first is kept.

    Raises LabelsDiffer, DatasetMissing where there are not both good and defective images, and what reading a layout
    or a frame raises.
    """
    files = labelled_files(layout, root, category, colour)
    classes = sorted({label for file in files for label in file.labels})
    unfit = [name for name in classes if name.lower() in _TAKEN]
    if unfit:
        raise DatasetMissing(f"{root} has a defect named {unfit[0]!r}, which is no defect's name; give it another")
    if not classes or all(file.labels for file in files):
        raise DatasetMissing(f"{root} has not both good and defective images; a classifier learns from both")
    parts = split_groups(files, seed)
    return LabelledSplit(layout=layout, category=category, seed=seed, classes=tuple(classes), **parts)


def labelled_files(layout: str, root: Path, category: str | None, colour: Colour) -> list[LabelledFile]:
    """Every image of the dataset, each content once, with its labels and its group. Raises as `make_labelled_split`."""
    dataset = load_dataset(layout, root, category)
    samples = [*dataset.train, *dataset.test]

    def seen(sample: Sample) -> tuple[str, Fingerprint]:
        frame = read_frame(sample.path, colour)
        assert frame.encoded is not None
        return hashlib.sha256(frame.encoded).hexdigest(), fingerprint(frame.pixels)

    kept: dict[str, tuple[Sample, Fingerprint]] = {}
    read = list(zip(samples, map_in_order(seen, samples, available_cores()), strict=True))
    check_exported(root, category, {relative_name(sample.path, root): content for sample, (content, _) in read})
    for sample, (content, look) in read:
        first, _ = kept.setdefault(content, (sample, look))
        if labels_of(first) != labels_of(sample):
            raise LabelsDiffer(
                f"{sample.path} ({_named(sample)}) and {first.path} ({_named(first)}) are the same image; keep the one "
                "with the right label"
            )
    groups = near_duplicate_groups([look for _, look in kept.values()])
    smallest: dict[int, str] = {}
    for content, group in zip(kept, groups, strict=True):
        smallest[group] = min(content, smallest.get(group, content))
    return [
        LabelledFile(
            path=relative_name(sample.path, root),
            sha256=content,
            labels=labels_of(sample),
            group=name,
            mask=relative_name(sample.mask, root) if sample.mask else None,
        )
        for (content, (sample, _)), name in zip(kept.items(), (smallest[group] for group in groups), strict=True)
    ]


def labels_of(sample: Sample) -> tuple[str, ...]:
    """The defects of a sample, sorted: some layouts name several, with commas or semicolons between them."""
    return tuple(sorted({part.strip() for part in _SEPARATORS.split(sample.defect or "") if part.strip()}))


def split_groups(files: Sequence[LabelledFile], seed: int) -> dict[Part, tuple[LabelledFile, ...]]:
    """The files of each part. Of each class's groups about a fifth are for testing and a fifth for validation, chosen
    by a hash of group and `seed`; of three groups or more each part has one, fewer are all for training."""
    part_of = {group: part for groups in by_class(files, seed).values() for group, part in _parts(groups, seed)}
    return {part: tuple(file for file in files if part_of[file.group] == part) for part in get_args(Part)}


def by_class(files: Sequence[LabelledFile], seed: int) -> dict[str, list[str]]:
    """The groups of each class, in an order that depends on group and `seed` alone. A group counts for the rarest class
    in it."""
    counts = Counter(label for file in files for label in file.labels or (GOOD,))
    rarest: dict[str, str] = {}
    for file in files:
        for label in file.labels or (GOOD,):
            known = rarest.setdefault(file.group, label)
            rarest[file.group] = min(known, label, key=lambda name: (counts[name], name))
    ordered = sorted(rarest, key=lambda group: _rank(group, seed))
    return {label: [group for group in ordered if rarest[group] == label] for label in sorted(counts)}


def _parts(ordered: Sequence[str], seed: int) -> Iterator[tuple[str, Part]]:
    """The part of each group of one class."""
    ranks = [_rank(group, seed) for group in ordered]
    if len(ordered) < 3:
        tests = held = 0
    else:
        tests = min(max(1, sum(rank < HELD_SHARE for rank in ranks)), len(ordered) - 2)
        held = min(max(tests + 1, sum(rank < 2 * HELD_SHARE for rank in ranks)), len(ordered) - 1)
    for place, group in enumerate(ordered):
        yield group, "test" if place < tests else "validation" if place < held else "train"


def _rank(group: str, seed: int) -> float:
    return hash_rank(f"{seed}/{group}".encode())


def _named(sample: Sample) -> str:
    return ", ".join(labels_of(sample)) or GOOD
