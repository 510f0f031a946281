"""Each dataset layout finds the same things: good images, defective ones with their masks, and what is amiss."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.layouts import LAYOUTS, Dataset, DatasetMissing, MaskMissing, Sample, load_dataset
from inspection.errors import InspectionError
from inspection.frames import read_frame

EXTENSIONS = [".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".jp2", ".PNG", ".JPG", ".Tiff"]
GOOD, DEFECTIVE = 30, 2


def write_image(path: Path, seed: int = 0) -> None:
    pixels = np.random.default_rng([seed, len(path.name), *path.name.encode()]).integers(0, 256, (40, 48, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix.lower(), pixels.astype(np.uint8))[1].tobytes())


def build_mvtec(home: Path, suffix: str) -> None:
    for index in range(GOOD):
        write_image(home / "train" / "good" / f"{index:03d}{suffix}", 1)
    write_image(home / "test" / "good" / f"000{suffix}", 2)
    for index in range(DEFECTIVE):
        write_image(home / "test" / "crack" / f"{index:03d}{suffix}", 3)
        write_image(home / "ground_truth" / "crack" / f"{index:03d}_mask.png", 4)


def build_visa(home: Path, suffix: str) -> None:
    lines = ["image,label,mask"]
    for index in range(GOOD):
        image = home / "Data" / "Images" / "Normal" / f"{index:04d}{suffix}"
        write_image(image, 1)
        lines.append(f"{image.relative_to(home.parent).as_posix()},normal,")
    for index in range(DEFECTIVE):
        image = home / "Data" / "Images" / "Anomaly" / f"{index:03d}{suffix}"
        mask = home / "Data" / "Masks" / "Anomaly" / f"{index:03d}.png"
        write_image(image, 3)
        write_image(mask, 4)
        lines.append(f"{image.relative_to(home.parent).as_posix()},crack,{mask.relative_to(home.parent).as_posix()}")
    (home / "image_anno.csv").write_text("\n".join(lines) + "\n")


def build_folder(home: Path, suffix: str) -> None:
    for index in range(GOOD):
        write_image(home / "good" / f"{index:03d}{suffix}", 1)
    for index in range(DEFECTIVE):
        write_image(home / "crack" / f"{index:03d}{suffix}", 3)
        write_image(home / "masks" / "crack" / f"{index:03d}.png", 4)


def build_table(home: Path, suffix: str) -> None:
    lines = ["image,label,mask"]
    for index in range(GOOD):
        write_image(home / "good" / f"{index:03d}{suffix}", 1)
        lines.append(f"good/{index:03d}{suffix},good,")
    for index in range(DEFECTIVE):
        write_image(home / "images" / f"{index:03d}{suffix}", 3)
        write_image(home / "masks" / f"{index:03d}_mask.png", 4)
        lines.append(f"images/{index:03d}{suffix},crack,masks/{index:03d}_mask.png")
    (home / "labels.csv").write_text("\n".join(lines) + "\n")


BUILDERS: dict[str, Callable[[Path, str], None]] = {
    "mvtec": build_mvtec, "visa": build_visa, "folder": build_folder, "table": build_table,
}  # fmt: skip
Build = Callable[..., Path]


@pytest.fixture(params=sorted(LAYOUTS))
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Writes the category `pill` in a layout and returns its root."""

    def write(layout: str, suffix: str = ".png") -> Path:
        BUILDERS[layout](tmp_path / "pill", suffix)
        return tmp_path

    return write


def refusal(layout: str, root: Path, category: str | None = "pill") -> str:
    with pytest.raises(InspectionError) as caught:
        load_dataset(layout, root, category)
    assert isinstance(caught.value, DatasetMissing | MaskMissing)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def defective(dataset: Dataset) -> list[Sample]:
    return [sample for sample in dataset.test if sample.defect is not None]


@pytest.mark.parametrize("suffix", EXTENSIONS)
def test_it_finds_every_image_whatever_its_extension(layout: str, suffix: str, build: Build) -> None:
    root = build(layout, suffix)
    write_image(root / "pill" / "good.txt.png")  # beside the folders: no part of the dataset
    dataset = load_dataset(layout, root, "pill")

    good = [*dataset.train, *(sample for sample in dataset.test if sample.defect is None)]
    assert len({sample.path for sample in good}) == len(good) == GOOD + (layout == "mvtec")
    assert all(sample.defect is None and sample.mask is None for sample in dataset.train)
    assert len(good) > len(dataset.train)
    assert [sample.path.name for sample in defective(dataset)] == [f"{index:03d}{suffix}" for index in range(DEFECTIVE)]
    for sample in defective(dataset):
        assert sample.defect == "crack"
        assert sample.mask is not None
        assert sample.mask.stem.removesuffix("_mask") == sample.path.stem
        assert sample.mask != sample.path
        assert sample.mask.is_file()
    for sample in [*dataset.train[:2], *dataset.test]:
        assert read_frame(sample.path).pixels.shape == (40, 48, 3)


def test_reading_it_again_gives_the_same_in_the_same_order(layout: str, build: Build) -> None:
    root = build(layout)

    assert load_dataset(layout, root, "pill", 3) == load_dataset(layout, root, "pill", 3)


def test_hidden_files_and_notes_are_left_out(layout: str, build: Build) -> None:
    root = build(layout)
    before = load_dataset(layout, root, "pill")
    for folder in [path for path in (root / "pill").rglob("*") if path.is_dir()]:
        (folder / ".DS_Store").write_text("x")
        (folder / "._000.png").write_text("x")
        (folder / "readme.txt").write_text("x")
    (root / "pill" / ".cache").mkdir()

    assert load_dataset(layout, root, "pill") == before


def test_a_missing_category_is_named_with_those_there(layout: str, build: Build) -> None:
    root = build(layout)
    (root / "vial").mkdir()

    sentence = refusal(layout, root, "tablet")
    assert "'tablet'" in sentence
    assert "pill, vial" in sentence


@pytest.mark.parametrize("category", ["/etc", "../pill", "pill/.."])
def test_a_category_is_a_folder_in_the_root(layout: str, category: str, build: Build) -> None:
    assert "--category is the name of a folder" in refusal(layout, build(layout) / "pill", category)


def test_an_empty_category_is_refused_by_name(layout: str, tmp_path: Path) -> None:
    (tmp_path / "pill").mkdir()

    assert str(tmp_path / "pill") in refusal(layout, tmp_path)


def test_no_good_image_is_refused_by_folder(layout: str, build: Build) -> None:
    root = build(layout)
    for path in (root / "pill").rglob("*.png"):
        if path.parent.name in ("good", "Normal"):
            path.unlink()

    assert str(root / "pill") in refusal(layout, root)


def test_a_missing_mask_is_refused_by_the_image_and_the_mask(layout: str, build: Build) -> None:
    root = build(layout)
    sample = defective(load_dataset(layout, root, "pill"))[1]
    assert sample.mask is not None
    sample.mask.unlink()

    sentence = refusal(layout, root)
    assert str(sample.path) in sentence
    assert "001" in sentence.replace(str(sample.path), "")
    assert "mask" in sentence


def test_an_unknown_layout_is_refused_with_the_known(tmp_path: Path) -> None:
    assert all(name in refusal("imagenet", tmp_path) for name in LAYOUTS)


def test_a_root_that_is_no_folder_is_refused(layout: str, tmp_path: Path) -> None:
    assert "gone is not a folder" in refusal(layout, tmp_path / "gone")


@pytest.mark.parametrize("name", ["mvtec", "visa"])
def test_a_layout_of_categories_asks_for_one(name: str, build: Build) -> None:
    assert "--category" in refusal(name, build(name), None)


def test_a_folder_may_be_the_category_itself(build: Build) -> None:
    root = build("folder")

    assert load_dataset("folder", root / "pill", None) == load_dataset("folder", root, "pill")


def test_a_folder_may_have_masks_for_some_defects_and_none_for_others(build: Build) -> None:
    root = build("folder")
    write_image(root / "pill" / "stain" / "000.png")

    masks = {sample.defect: sample.mask for sample in defective(load_dataset("folder", root, "pill"))}
    assert masks["crack"] is not None
    assert masks["stain"] is None


def test_a_folder_may_call_its_masks_ground_truth(build: Build) -> None:
    root = build("folder")
    (root / "pill" / "masks").rename(root / "pill" / "ground_truth")

    assert all(sample.mask for sample in defective(load_dataset("folder", root, "pill")))


def test_an_empty_defect_folder_is_refused(build: Build) -> None:
    root = build("folder")
    (root / "pill" / "stain").mkdir()

    assert str(root / "pill" / "stain") in refusal("folder", root)


UNFIT_TABLES = {
    "empty": (b"", "columns image,label,mask"),
    "other columns": (b"picture,label,mask\na.png,normal,\n", "columns image,label,mask"),
    "no rows": (b"image,label,mask\n", "columns image,label,mask"),
    "no text": (b"\x89PNG\xff\xfe", "columns image,label,mask"),
    "endless field": (b"image,label,mask\n" + b"a" * 200_000 + b",normal,\n", "columns image,label,mask"),
    "missing image": (b"image,label,mask\npill/gone.png,normal,\n", "gone.png is listed in"),
    "no mask": (b"image,label,mask\npill/Data/Images/Anomaly/000.png,crack,\n", "(none listed)"),
    "missing mask": (b"image,label,mask\npill/Data/Images/Anomaly/000.png,crack,pill/gone.png\n", "pill/gone.png"),
    "no name": (b"image,label,mask\n,normal,\n", "line 2"),
    "short row": (b"image,label,mask\npill/Data/Images/Normal/0000.png\n", "line 2"),
    "absolute image": (b"image,label,mask\n/etc/hostname,normal,\n", "line 2"),
    "absolute mask": (b"image,label,mask\npill/Data/Images/Anomaly/000.png,crack,/etc/hostname\n", "line 2"),
}


@pytest.mark.parametrize(("content", "told"), UNFIT_TABLES.values(), ids=UNFIT_TABLES.keys())
def test_a_table_that_does_not_fit_is_refused(build: Build, content: bytes, told: str) -> None:
    root = build("visa")
    table = root / "pill" / "image_anno.csv"
    table.write_bytes(content)

    sentence = refusal("visa", root)
    assert told in sentence
    assert str(table) in sentence or "is defective" in sentence


@pytest.mark.parametrize("label", ["   ", ";", "crack;", "good;crack", "Good", "GOOD;", "crack,stain", "good,crack"])
def test_what_a_table_does_not_say_clearly_never_becomes_good(label: str, build: Build) -> None:
    root = build("table")
    labels = root / "pill" / "labels.csv"
    lines = labels.read_text().splitlines()
    image = lines[-1].split(",")[0]
    labels.write_text("\n".join([*lines[:-1], f"{image},{label},,"]) + "\n")

    assert str(labels) in refusal("table", root)


def test_blanks_around_a_label_do_not_matter(build: Build) -> None:
    root = build("table")
    labels = root / "pill" / "labels.csv"
    before = load_dataset("table", root, "pill")
    labels.write_text(labels.read_text().replace(",good,", ", good ,").replace(",crack,", ", crack ,"))

    assert load_dataset("table", root, "pill") == before


def test_a_table_may_come_from_a_spreadsheet(build: Build) -> None:
    root = build("visa")
    before = load_dataset("visa", root, "pill")
    table = root / "pill" / "image_anno.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n"))

    assert load_dataset("visa", root, "pill") == before
