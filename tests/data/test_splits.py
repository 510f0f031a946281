"""Splits say which files are for training and which for testing, and keep the two apart."""

import hashlib
import shutil
from pathlib import Path

import pytest

from data.layouts import DatasetMissing, Sample, split_good
from data.splits import Split, SplitOverlap, digest, make_split
from inspection.errors import InspectionError
from inspection.frames import FrameUnreadable

GOOD, CRACKED = 12, 3


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The category `pill` in the folder layout; a split reads bytes, not pixels."""
    folder = tmp_path / "root"
    for kind, count in (("good", GOOD), ("crack", CRACKED), ("masks/crack", CRACKED)):
        (folder / "pill" / kind).mkdir(parents=True)
        for index in range(count):
            (folder / "pill" / kind / f"{index:03d}.png").write_bytes(f"{kind} {index}".encode())
    return folder


def split_of(root: Path, seed: int = 0) -> Split:
    return make_split("folder", root, "pill", seed)


def test_every_file_is_there_once_with_its_hash(root: Path) -> None:
    split = split_of(root)

    files = [*split.train, *split.test]
    assert len({file.path for file in files}) == len(files) == GOOD + CRACKED
    for file in files:
        assert file.sha256 == hashlib.sha256((root / file.path).read_bytes()).hexdigest()
    assert {(file.path, file.mask) for file in files if file.defect} == {
        (f"pill/crack/{index:03d}.png", f"pill/masks/crack/{index:03d}.png") for index in range(CRACKED)
    }


def test_a_split_survives_being_written_and_read(root: Path) -> None:
    split = split_of(root)

    assert Split.model_validate_json(split.model_dump_json()) == split


def test_another_folder_gives_the_same_split(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "else" / "where"
    shutil.copytree(root, copy)
    monkeypatch.chdir(tmp_path)

    assert split_of(copy) == split_of(root) == split_of(Path("root"))


def test_the_digest_is_of_the_content_alone(root: Path) -> None:
    before = split_of(root).test
    renamed = root / "pill" / "crack" / "other.png"
    (root / "pill" / "crack" / "000.png").rename(renamed)
    (root / "pill" / "masks" / "crack" / "000.png").rename(root / "pill" / "masks" / "crack" / "other.png")
    assert digest(split_of(root).test) == digest(before) == digest(reversed(before))

    renamed.write_bytes(b"another picture")
    assert digest(split_of(root).test) != digest(before)
    assert digest(before[1:]) != digest(before)


@pytest.mark.parametrize("place", ["pill/crack", "pill/good"])
def test_the_same_picture_in_training_and_test_is_refused_by_name(root: Path, place: str) -> None:
    split = split_of(root)
    twins = {"pill/crack": (split.train[0].path, "pill/crack/000.png")}
    twins["pill/good"] = (split.train[0].path, next(file.path for file in split.test if not file.defect))
    trained, tested = twins[place]
    shutil.copy(root / trained, root / tested)

    with pytest.raises(SplitOverlap, match=f"{tested} is test data") as refused:
        split_of(root)
    assert "keep training and test images apart" in str(refused.value)


def test_twins_within_one_part_are_no_overlap(root: Path) -> None:
    train = split_of(root).train
    shutil.copy(root / train[0].path, root / train[1].path)

    assert len(split_of(root).train) == len(train)


@pytest.mark.parametrize("name", ["tab\t.png", "line\nend.png", b"caf\xe9.png".decode("utf-8", "surrogateescape")])
def test_a_name_that_cannot_be_written_down_is_refused(root: Path, name: str) -> None:
    (root / "pill" / "good" / name).write_bytes(b"picture")

    with pytest.raises(DatasetMissing, match="rename it") as refused:
        split_of(root)
    assert str(refused.value).isprintable()


def test_names_in_any_language_are_fine(root: Path) -> None:
    (root / "pill" / "good" / "Ampülle 注射剤.png").write_bytes(b"picture")

    split = split_of(root)
    assert Split.model_validate_json(split.model_dump_json()) == split


def test_a_file_that_cannot_be_read_is_refused_by_name(root: Path) -> None:
    broken = root / "pill" / "good" / "broken.png"
    broken.symlink_to("/proc/self/mem")  # even root cannot read its beginning

    with pytest.raises(FrameUnreadable, match=r"good/broken\.png cannot be read"):
        split_of(root)


def test_what_the_layout_refuses_is_refused_here(root: Path) -> None:
    (root / "pill" / "masks" / "crack" / "001.png").unlink()

    with pytest.raises(InspectionError, match=r"crack/001\.png is defective and has no mask"):
        split_of(root)


def test_another_seed_is_another_split(root: Path) -> None:
    held = {tuple(file.path for file in split_of(root, seed).test) for seed in range(6)}

    assert len(held) > 1
    assert split_of(root, 3) == split_of(root, 3)


def good_images(count: int) -> list[Sample]:
    return [Sample(Path(f"good/{index:04d}.png")) for index in range(count)]


def test_the_share_for_testing_is_about_the_one_asked_for() -> None:
    for seed in range(5):
        train, test = split_good(good_images(1000), 0.1, seed)
        assert len(train) + len(test) == 1000
        assert 70 <= len(test) <= 130


@pytest.mark.parametrize("count", [2, 3, 5, 10, 40])
def test_one_image_at_least_is_for_testing_and_one_for_training(count: int) -> None:
    for seed in range(20):
        train, test = split_good(good_images(count), 0.1, seed)
        assert test
        assert train


@pytest.mark.parametrize(("before", "after"), [(2, 3), (5, 8), (40, 41), (100, 1000)])
def test_no_image_goes_from_training_to_testing_where_images_are_added(before: int, after: int) -> None:
    for seed in range(20):
        trained = {sample.path for sample in split_good(good_images(before), 0.2, seed)[0]}
        tested = {sample.path for sample in split_good(good_images(after), 0.2, seed)[1]}
        assert not trained & tested
