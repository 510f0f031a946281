"""Split manifests: which files a package was fitted on and which it is evaluated on, each with its SHA-256."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from data.layouts import DatasetMissing, Sample, load_dataset
from inspection.errors import InspectionError
from inspection.frames import FrameUnreadable
from inspection.selection_export import check_selection


class SplitOverlap(InspectionError):
    """A file is in the training data and in the test data."""

    code = "split_overlap"


class SplitFile(BaseModel):
    """One file; paths are relative to the dataset's root, with forward slashes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    sha256: str
    defect: str | None = None
    mask: str | None = None


class Split(BaseModel):
    """A dataset, file by file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: str
    category: str | None
    seed: int
    train: list[SplitFile]
    test: list[SplitFile]


def make_split(layout: str, root: Path, category: str | None, seed: int = 0) -> Split:
    """Read the layout and hash every file. Raises SplitOverlap, SelectionChanged for an export from an archive that is
    not as it was exported, and as `load_dataset`."""
    dataset = load_dataset(layout, root, category, seed)
    train = [_hash(sample, root) for sample in dataset.train]
    test = [_hash(sample, root) for sample in dataset.test]
    check_exported(root, category, {file.path: file.sha256 for file in (*train, *test)})
    refuse_overlap({file.sha256 for file in train}, test)
    return Split(layout=layout, category=category, seed=seed, train=train, test=test)


def check_exported(root: Path, category: str | None, found: Mapping[str, str]) -> None:
    """Raise SelectionChanged where the dataset was exported from an archive and is not as it was. `found` has the
    SHA-256 of every file by its path relative to `root`."""
    home = f"{category}/" if category else ""
    check_selection(root / home, {path.removeprefix(home): sha256 for path, sha256 in found.items()})


def refuse_overlap(trained: set[str], test: Iterable[SplitFile]) -> None:
    """Raise SplitOverlap, naming the first file of `test` whose SHA-256 is among `trained`."""
    shared = [file.path for file in test if file.sha256 in trained]
    if shared:
        raise SplitOverlap(
            f"{shared[0]} is test data and the package was fitted on the same file ({len(shared)} in all); "
            "keep training and test images apart"
        )


class Hashed(Protocol):
    """A file with its SHA-256 in hex."""

    @property
    def sha256(self) -> str:
        """Of its bytes."""
        ...


def digest(files: Iterable[Hashed]) -> str:
    """One SHA-256 in hex over the sorted SHA-256s of files: independent of names and folders."""
    return hashlib.sha256("\n".join(sorted(file.sha256 for file in files)).encode()).hexdigest()


def _hash(sample: Sample, root: Path) -> SplitFile:
    try:
        sha256 = hashlib.sha256(sample.path.read_bytes()).hexdigest()
    except OSError as error:
        raise FrameUnreadable(f"{sample.path} cannot be read ({error.strerror}); mend it or take it away") from error
    mask = relative_name(sample.mask, root) if sample.mask else None
    return SplitFile(path=relative_name(sample.path, root), sha256=sha256, defect=sample.defect, mask=mask)


def relative_name(path: Path, root: Path) -> str:
    """A file's path as a split has it. Raises DatasetMissing for a name that cannot be printed."""
    name = path.relative_to(root).as_posix()
    if not name.isprintable():  # bytes that are no UTF-8 among them
        raise DatasetMissing(f"{name!a} in {root} has unprintable characters in its name; rename it")
    return name
