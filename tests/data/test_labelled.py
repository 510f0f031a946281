"""Labelled data falls into three parts that share no picture, not even as a copy saved again."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.labelled import LabelledFile, LabelledSplit, LabelsDiffer, make_labelled_split, split_groups
from data.layouts import DatasetMissing
from inspection.frames import Pixels, encode_png

PARTS = ("train", "validation", "test")


def picture(seed: int) -> Pixels:
    """A picture unlike that of any other seed."""
    small = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (96, 96), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """30 good, 12 cracked and 12 chipped units, one of each saved a second time as a smaller JPEG file."""
    for place, (kind, count) in enumerate((("good", 30), ("crack", 12), ("chip", 12))):
        folder = tmp_path / kind
        folder.mkdir()
        for index in range(count):
            (folder / f"{index:02d}.png").write_bytes(encode_png(picture(100 * place + index)))
        copy = cv2.resize(picture(100 * place), (80, 80), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / "copy.jpg"), copy[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    return tmp_path


def parts_of(split: LabelledSplit) -> dict[str, str]:
    return {file.path: name for name in PARTS for file in getattr(split, name)}


def test_every_image_is_in_one_part_and_each_part_has_every_class(root: Path) -> None:
    split = make_labelled_split("folder", root, None, 0, "rgb")

    assert split.classes == ("chip", "crack")
    assert len(parts_of(split)) == sum(len(getattr(split, name)) for name in PARTS) == 57
    for name in PARTS:
        assert {file.labels for file in getattr(split, name)} == {(), ("chip",), ("crack",)}
    assert len(split.train) > len(split.test)


@pytest.mark.parametrize("seed", range(4))
def test_a_copy_is_in_the_part_of_its_original(seed: int, root: Path) -> None:
    parts = parts_of(make_labelled_split("folder", root, None, seed, "rgb"))

    for kind in ("good", "crack", "chip"):
        assert parts[f"{kind}/copy.jpg"] == parts[f"{kind}/00.png"]


def test_images_that_come_later_move_none_that_were_there(root: Path) -> None:
    before = parts_of(make_labelled_split("folder", root, None, 0, "rgb"))
    for index in range(12, 24):
        (root / "crack" / f"{index:02d}.png").write_bytes(encode_png(picture(100 + index)))

    after = parts_of(make_labelled_split("folder", root, None, 0, "rgb"))
    moved = [path for path, part in before.items() if {part, after[path]} == {"train", "test"}]
    assert moved == []


def test_the_same_image_with_two_labels_is_refused_by_name(root: Path) -> None:
    (root / "chip" / "twin.png").write_bytes((root / "crack" / "05.png").read_bytes())

    with pytest.raises(LabelsDiffer, match=r"(?s)chip.*crack/05\.png|crack/05\.png.*chip"):
        make_labelled_split("folder", root, None, 0, "rgb")


def test_without_defective_images_there_is_nothing_to_learn(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "0.png").write_bytes(encode_png(picture(0)))

    with pytest.raises(DatasetMissing, match="both good and defective"):
        make_labelled_split("folder", tmp_path, None, 0, "rgb")


def test_a_split_survives_being_written_and_read(root: Path) -> None:
    split = make_labelled_split("folder", root, None, 0, "rgb")

    assert LabelledSplit.model_validate_json(split.model_dump_json()) == split


labels = st.lists(st.sampled_from(["chip", "crack", "stain"]), unique=True, max_size=2)


@given(st.lists(st.tuples(labels, st.integers(0, 20)), min_size=1, max_size=60), st.integers(0, 99))
def test_groups_stay_whole_and_large_classes_are_everywhere(images: list[tuple[list[str], int]], seed: int) -> None:
    files = [
        LabelledFile(path=f"{index}.png", sha256=f"{index:064x}", labels=tuple(sorted(names)), group=f"{group:064x}")
        for index, (names, group) in enumerate(images)
    ]
    parts = split_groups(files, seed)

    assert sorted(file.path for part in parts.values() for file in part) == sorted(file.path for file in files)
    groups = [{file.group for file in part} for part in parts.values()]
    assert sum(map(len, groups)) == len(set.union(*groups))
    if len(set.union(*groups)) >= 3 and len({file.labels for file in files}) == 1:
        assert all(parts.values())
