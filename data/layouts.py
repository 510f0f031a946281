"""Dataset layouts: where in a folder tree the good images, the defective ones and their masks are.

A layout is one function in `LAYOUTS`. It returns paths only; nothing is decoded here.
"""

import csv
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from inspection.errors import InspectionError
from inspection.frames import list_images

TEST_SHARE = {"visa": 0.1, "folder": 0.2, "table": 0.2}
_MASK_FOLDERS = ("ground_truth", "masks")
_VISA_COLUMNS = ("image", "label", "mask")
_TABLE_COLUMNS = ("image", "label")


class DatasetMissing(InspectionError):
    """The folder does not hold what the layout expects."""

    code = "dataset_missing"


class MaskMissing(InspectionError):
    """A defective image has no mask where its layout says there is one."""

    code = "mask_missing"


@dataclass(frozen=True)
class Sample:
    """One image. `defect` is None for a good unit; `mask` marks the defect's pixels, where someone drew it."""

    path: Path
    defect: str | None = None
    mask: Path | None = None


@dataclass(frozen=True)
class Dataset:
    """Good images to fit on, and images to evaluate on."""

    train: list[Sample]
    test: list[Sample]


Layout = Callable[[Path, str | None, int], Dataset]


def load_dataset(layout: str, root: Path, category: str | None, seed: int = 0) -> Dataset:
    """The samples of `category` under `root`; `seed` splits good images where the layout does not say how.

    Raises DatasetMissing or MaskMissing.
    """
    if layout not in LAYOUTS:
        raise DatasetMissing(f"there is no layout {layout!r}; choose one of {', '.join(sorted(LAYOUTS))}")
    if not root.is_dir():
        raise DatasetMissing(f"{root} is not a folder; --root is the folder that holds the categories")
    return LAYOUTS[layout](root, category, seed)


def mvtec(root: Path, category: str | None, seed: int) -> Dataset:  # noqa: ARG001
    """`train/good`, `test/<defect>`, `ground_truth/<defect>/<name>_mask.png` (Bergmann et al., 2019). `test` may be
    absent where images are only to be fitted on."""
    home = _category_folder(root, category, "mvtec")
    train = [Sample(path) for path in _images(home / "train" / "good")]
    test: list[Sample] = []
    for folder in _subfolders(home / "test") if (home / "test").is_dir() else []:
        images = list_images(folder)
        if folder.name == "good":
            test += [Sample(path) for path in images]
        else:
            test += _with_masks(images, folder.name, home / "ground_truth" / folder.name)
    return Dataset(train, test)


def visa(root: Path, category: str | None, seed: int) -> Dataset:
    """`image_anno.csv` with columns image, label, mask, relative to `root` (Zou et al., 2022). Good images are split
    90/10 by `seed`; every defective one is for testing."""
    home = _category_folder(root, category, "visa")
    listed = home / "image_anno.csv"
    rows = _rows(listed, _VISA_COLUMNS)
    good, defective = [], []
    for row in rows:
        path = root / row["image"]
        if not path.is_file():
            raise DatasetMissing(f"{path} is listed in {listed} and is not there; complete the dataset")
        if row["label"] == "normal":
            good.append(Sample(path))
            continue
        if not row["mask"] or not (root / row["mask"]).is_file():
            named = row["mask"] or "(none listed)"
            raise MaskMissing(f"{path} is defective and its mask {named} is not there; complete the dataset")
        defective.append(Sample(path, row["label"], root / row["mask"]))
    train, test = split_good(good, TEST_SHARE["visa"], seed)
    return Dataset(train, test + defective)


def folder(root: Path, category: str | None, seed: int) -> Dataset:
    """`good/`, one folder per defect, and optionally `masks/<defect>/<name>.png` for all images of a defect or none.
    Good images are split 80/20 by `seed`. `category` is a folder in `root`, or left out where `root` is it."""
    home = _category_folder(root, category, "folder") if category else root
    train, test = split_good([Sample(path) for path in _images(home / "good")], TEST_SHARE["folder"], seed)
    for defect in _subfolders(home):
        if defect.name in ("good", *_MASK_FOLDERS):
            continue
        images = _images(defect)
        masks = [home / name / defect.name for name in _MASK_FOLDERS if (home / name / defect.name).is_dir()]
        test += _with_masks(images, defect.name, masks[0]) if masks else [Sample(path, defect.name) for path in images]
    return Dataset(train, test)


def table(root: Path, category: str | None, seed: int) -> Dataset:
    """`labels.csv` with columns image and label, and optionally mask, relative to its folder: the label is `good`, a
    defect, or several with semicolons between them. Good images are split 80/20 by `seed`. `category` is a folder in
    `root`, or left out where `root` is it."""
    home = _category_folder(root, category, "table") if category else root
    good, defective = [], []
    for row in _rows(home / "labels.csv", _TABLE_COLUMNS):
        path, mask = home / row["image"], home / row["mask"] if row.get("mask") else None
        if not path.is_file():
            raise DatasetMissing(f"{path} is listed in {home / 'labels.csv'} and is not there; complete the dataset")
        if mask and not mask.is_file():
            raise MaskMissing(f"{path} is defective and its mask {mask} is not there; complete the dataset")
        labels = _labels(row["label"], home / "labels.csv")
        if labels == ["good"]:
            good.append(Sample(path))
        else:
            defective.append(Sample(path, ";".join(labels), mask))
    train, test = split_good(good, TEST_SHARE["table"], seed)
    return Dataset(train, test + defective)


LAYOUTS: dict[str, Layout] = {"mvtec": mvtec, "visa": visa, "folder": folder, "table": table}


def split_good(samples: list[Sample], share: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Train and test parts. A file's place depends on its name and `seed` alone, so that where images are added none
    moves from training to test; about `share` are for testing, and one at least where there are two."""

    def rank(sample: Sample) -> float:
        return hash_rank(os.fsencode(f"{seed}/{sample.path.name}"))

    held = {sample.path for sample in samples if rank(sample) < share}
    if not held and len(samples) > 1:
        held = {min(samples, key=rank).path}
    return [s for s in samples if s.path not in held], [s for s in samples if s.path in held]


def hash_rank(name: bytes) -> float:
    """A number from 0 to 1 that depends on the name alone, and on nothing that is like it in others."""
    return int.from_bytes(hashlib.sha256(name).digest()[:8]) / 2**64


def _labels(text: str, file: Path) -> list[str]:
    """The labels in a cell: `good` alone, or defects. Raises DatasetMissing: what is not said must not become good."""
    labels = [part.strip() for part in text.split(";")]
    good = [label for label in labels if label.lower() == "good"]
    if not all(labels) or (good and labels != ["good"]):
        raise DatasetMissing(f"{file} has the label {text!r}; write good, or defects with semicolons between them")
    return labels


def _rows(file: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file, each with an image and a label. Raises DatasetMissing."""
    named = ",".join(columns)
    try:
        rows = list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetMissing(f"{file} cannot be read; it must be a CSV file with columns {named}") from error
    if not rows or not set(columns).issubset(rows[0]):
        raise DatasetMissing(f"{file} has no rows with columns {named}; write them as the layout says")
    for line, row in enumerate(rows, start=2):
        paths = [Path(row.get(name) or "") for name in ("image", "mask")]
        unsafe = any(path.is_absolute() or ".." in path.parts for path in paths)
        if not row["image"] or not row["label"] or unsafe or None in row:
            raise DatasetMissing(
                f"line {line} of {file} needs an image and a label, with relative paths, and as many cells as the first"
            )
    return rows


def _category_folder(root: Path, category: str | None, layout: str) -> Path:
    if not category:
        raise DatasetMissing(f"the {layout} layout needs --category, the name of a folder in {root}")
    if Path(category).is_absolute() or ".." in Path(category).parts:
        raise DatasetMissing(f"--category is the name of a folder in {root}, got {category!r}")
    home = root / category
    if not home.is_dir():
        found = ", ".join(path.name for path in _subfolders(root)) or "none"
        raise DatasetMissing(f"{root} has no category {category!r}; it holds: {found}")
    return home


def _images(folder: Path) -> list[Path]:
    images = list_images(folder) if folder.is_dir() else []
    if not images:
        raise DatasetMissing(f"{folder} holds no images; put at least one image file there")
    return images


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DatasetMissing(f"{folder} is not there; the layout needs it")
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _with_masks(images: Sequence[Path], defect: str, folder: Path) -> list[Sample]:
    masks = {path.stem: path for path in list_images(folder)} if folder.is_dir() else {}
    samples = []
    for image in images:
        mask = masks.get(f"{image.stem}_mask") or masks.get(image.stem)
        if mask is None:
            expected = folder / f"{image.stem}_mask.png"
            raise MaskMissing(f"{image} is defective and has no mask; {expected} was expected")
        samples.append(Sample(image, defect, mask))
    return samples
