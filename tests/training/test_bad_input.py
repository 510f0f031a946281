"""Whatever is wrong with the input: one sentence that names it, an exit code, and nothing half-written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnx.parser
import pytest

from inspection.cli import main
from tests.bad_images import BAD_IMAGES
from tests.training.conftest import QUICK, Say, files_in

ZOO = Path(__file__).parents[2] / "models" / "zoo"


@pytest.fixture
def root(vial_dataset: Path, tmp_path: Path) -> Path:
    """A copy of the vials that a test may spoil."""
    copy = tmp_path / "dataset"
    shutil.copytree(vial_dataset, copy)
    return copy


@pytest.fixture
def train_refused(refused: Say, tmp_path: Path) -> Callable[..., str]:
    """The sentence with which training is refused; nothing may have been written."""
    out = tmp_path / "out" / "vial.onnx"

    def run(*words: object) -> str:
        defaults = {"--category": "vial", "--out": out}
        given = [word for name, value in defaults.items() if name not in words for word in (name, value)]
        sentence = refused("train", "anomaly", *QUICK, *given, *words)
        assert files_in(out.parent) == []
        return sentence

    return run


@pytest.fixture
def evaluate_refused(refused: Say, vial_package: Path, tmp_path: Path) -> Callable[..., str]:
    """The sentence with which an evaluation is refused; nothing may have been written."""
    figures = tmp_path / "figures" / "vial.json"

    def run(*words: object, package: Path = vial_package) -> str:
        category = () if "--category" in words else ("--category", "vial")
        sentence = refused("evaluate", package, "--quiet", "--json", figures, *category, *words)
        assert files_in(figures.parent) == []
        return sentence

    return run


@pytest.mark.parametrize("what", BAD_IMAGES)
def test_a_bad_image_among_the_good_ones_is_named(what: str, root: Path, train_refused: Callable[..., str]) -> None:
    data, name, code = BAD_IMAGES[what]
    path = root / "vial" / "train" / "good" / name
    path.write_bytes(data)

    sentence = train_refused("--root", root)
    assert str(path) in sentence
    assert sentence.endswith(f"[{code}]")


@pytest.mark.parametrize("what", BAD_IMAGES)
def test_a_bad_image_among_those_to_test_is_named(what: str, root: Path, evaluate_refused: Callable[..., str]) -> None:
    data, name, code = BAD_IMAGES[what]
    path = root / "vial" / "test" / "good" / name
    path.write_bytes(data)

    sentence = evaluate_refused("--root", root)
    assert str(path) in sentence
    assert sentence.endswith(f"[{code}]")


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_image_from_another_camera_is_named(
    part: str, root: Path, train_refused: Callable[..., str], evaluate_refused: Callable[..., str]
) -> None:
    path = root / "vial" / part / "good" / "wide.png"
    cv2.imwrite(str(path), np.zeros((100, 300, 3), np.uint8))

    sentence = (train_refused if part == "train" else evaluate_refused)("--root", root)
    assert f"{path}: a frame of 300 x 100 pixels" in sentence
    assert "[frame_wrong_geometry]" in sentence


def test_an_empty_folder_of_good_images_is_named(root: Path, train_refused: Callable[..., str]) -> None:
    good = root / "vial" / "train" / "good"
    shutil.rmtree(good)
    good.mkdir()

    assert f"{good} holds no images; put at least one image file there" in train_refused("--root", root)


def test_a_missing_mask_is_named(
    root: Path, train_refused: Callable[..., str], evaluate_refused: Callable[..., str]
) -> None:
    (root / "vial" / "ground_truth" / "crack" / "001_mask.png").unlink()

    for refused in (train_refused, evaluate_refused):
        sentence = refused("--root", root)
        assert str(root / "vial" / "test" / "crack" / "001.png") in sentence
        assert "001_mask.png was expected" in sentence


@pytest.mark.parametrize("content", [b"", b"no picture"], ids=["empty", "text"])
def test_a_mask_that_is_no_picture_is_named(content: bytes, root: Path, evaluate_refused: Callable[..., str]) -> None:
    mask = root / "vial" / "ground_truth" / "crack" / "001_mask.png"
    mask.write_bytes(content)

    assert f"{mask} is not a readable mask" in evaluate_refused("--root", root)


def test_the_same_image_in_training_and_test_is_named(
    root: Path, train_refused: Callable[..., str], evaluate_refused: Callable[..., str]
) -> None:
    shutil.copy(root / "vial" / "train" / "good" / "003.png", root / "vial" / "test" / "good" / "twin.png")

    for refused in (train_refused, evaluate_refused):
        assert "vial/test/good/twin.png is test data" in refused("--root", root)


def test_no_test_images_are_refused(root: Path, evaluate_refused: Callable[..., str]) -> None:
    shutil.rmtree(root / "vial" / "test")

    assert "holds no test images" in evaluate_refused("--root", root)


BAD_OPTIONS = {
    "--size 7": "--size must be between 64 and 2048, got 7",
    "--size 5000": "--size must be between 64 and 2048, got 5000",
    "--stride 4": "--stride must be 8 or 16, got 4",
    "--head-steps 0": "--head-steps must be between 1 and",
    "--region 5,5,5,9": "inside the frame of 400 x 560 pixels",
    "--region product": "--region must be auto, full",
    "--bank 0": "--bank must be between 1 and",
    "--folds 1": "--folds must be between 2 and 50, got 1",
    "--folds 21": "20 different good images are too few; at least 21 are needed",
    "--memory-mb 1": "--memory-mb must be between 8 and",
    "--seed -1": "--seed must be between 0 and",
    "--false-reject-rate 2": "--false-reject-rate must be above 0 and at most 0.5, got 2.0",
    "--false-reject-rate 0": "--false-reject-rate must be above 0 and at most 0.5, got 0.0",
    "--false-reject-rate nan": "--false-reject-rate must be above 0 and at most 0.5, got nan",
    "--layout imagenet": "there is no layout 'imagenet'; choose one of folder, mvtec, table, visa",
    "--algorithm magic": "--algorithm must be one of patchcore, patchcore-head, got 'magic'",
    "--backbone resnet": "there is no backbone 'resnet'",
    "--backbone /nowhere/net.onnx": "/nowhere/net.onnx cannot be read",
    "--version 1.0": "--version must match",
    "--name my/package": "--name must match",
    "--category tablet": "has no category 'tablet'; it holds: vial",
}


@pytest.mark.parametrize("option", BAD_OPTIONS)
def test_an_option_out_of_range_is_refused(option: str, root: Path, train_refused: Callable[..., str]) -> None:
    assert BAD_OPTIONS[option] in train_refused("--root", root, *option.split())


def test_a_backbone_that_is_none_is_refused(root: Path, vial_package: Path, train_refused: Callable[..., str]) -> None:
    assert f"{vial_package} has inputs frames" in train_refused("--root", root, "--backbone", vial_package)


OVERFLOWING = """
<ir_version: 8, opset_import: ["" : 17]>
tiny (float[N, 3, H, W] x) => (float[N, 3, h, w] s8, float[N, 3, h2, w2] s16)
<float white = {255.0}> {
    fine = AveragePool <kernel_shape = [8, 8], strides = [8, 8]> (x)
    to_white = Sub (white, fine)
    s8 = Reciprocal (to_white)
    s16 = AveragePool <kernel_shape = [16, 16], strides = [16, 16]> (x)
}
"""


def test_a_backbone_that_overflows_on_these_images_is_refused(
    root: Path, tmp_path: Path, train_refused: Callable[..., str]
) -> None:
    onnx.save(onnx.parser.parse_model(OVERFLOWING), tmp_path / "tiny.onnx")
    for index, path in enumerate((root / "vial" / "train" / "good").iterdir()):
        cv2.imwrite(str(path), np.full((96, 64, 3), [index, 255, 255], np.uint8))

    sentence = train_refused("--root", root, "--backbone", tmp_path / "tiny.onnx")
    assert "--backbone gives values that are not finite" in sentence


@pytest.mark.parametrize(
    ("out", "told"),
    [("package.txt", "--out must end in .onnx, got"), ("file/vial.onnx", "file cannot be made")],
)
def test_a_place_that_cannot_hold_the_package_is_refused(
    out: str, told: str, root: Path, tmp_path: Path, train_refused: Callable[..., str]
) -> None:
    (tmp_path / "file").write_text("a file, not a folder")

    assert told in train_refused("--root", root, "--out", tmp_path / out)
    assert (tmp_path / "file").read_text() == "a file, not a folder"
    assert not (tmp_path / "package.txt").exists()


def test_a_package_there_before_is_left_alone(root: Path, tmp_path: Path, refused: Say) -> None:
    out = tmp_path / "vial.onnx"
    out.write_bytes(b"the version that is in use")
    (root / "vial" / "train" / "good" / "000.png").write_bytes(b"")

    refused("train", "anomaly", "--root", root, "--category", "vial", "--out", out, *QUICK)
    assert out.read_bytes() == b"the version that is in use"


@pytest.mark.parametrize("place", ["--json", "--plots"])
def test_a_place_that_cannot_hold_the_figures_is_refused(
    place: str, root: Path, vial_package: Path, tmp_path: Path, refused: Say
) -> None:
    (tmp_path / "file").write_text("a file, not a folder")
    words = ("evaluate", vial_package, "--root", root, "--category", "vial", "--quiet")

    assert "cannot be made" in refused(*words, place, tmp_path / "file" / "below")


def test_a_plot_that_cannot_be_written_is_named(root: Path, vial_package: Path, tmp_path: Path, refused: Say) -> None:
    (tmp_path / "plots" / "scores.png" / "in the way").mkdir(parents=True)
    words = ("evaluate", vial_package, "--root", root, "--category", "vial", "--quiet")

    assert "scores.png could not be written" in refused(*words, "--plots", tmp_path / "plots")


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


NOT_PACKAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "text": lambda _: b"a note, not a package\n",
    "the backbone": lambda _: (ZOO / "efficientnet_lite0_s8_s16.onnx").read_bytes(),
    "one tenth": lambda data: cut(data, 0.1),
    "half": lambda data: cut(data, 0.5),
    "all but one byte": lambda data: data[:-1],
    "one byte changed": lambda data: data[:99_999] + bytes([data[99_999] ^ 1]) + data[100_000:],
    "one byte more": lambda data: data + b"\0",
}  # fmt: skip


@pytest.mark.parametrize("what", NOT_PACKAGES)
def test_what_is_no_whole_package_is_named(
    what: str, root: Path, vial_package: Path, tmp_path: Path, evaluate_refused: Callable[..., str]
) -> None:
    spoiled = tmp_path / "spoiled.onnx"
    spoiled.write_bytes(NOT_PACKAGES[what](vial_package.read_bytes()))

    sentence = evaluate_refused("--root", root, package=spoiled)
    assert str(spoiled) in sentence
    assert any(code in sentence for code in ("[not_a_package]", "[package_damaged]"))


def test_a_package_that_is_not_there_is_named(root: Path, tmp_path: Path, evaluate_refused: Callable[..., str]) -> None:
    assert "gone.onnx cannot be read" in evaluate_refused("--root", root, package=tmp_path / "gone.onnx")


def test_the_sentence_stands_on_a_line_of_its_own_below_the_bar(
    root: Path, vial_package: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (root / "vial" / "train" / "good" / "last.png").write_bytes(b"")
    (root / "vial" / "test" / "good" / "last.png").write_bytes(b"\n")
    where = ["--root", str(root), "--category", "vial"]
    train = ["train", "anomaly", *where, "--out", str(tmp_path / "o.onnx"), "--size", "64", "--folds", "2"]

    for words in (train, ["evaluate", str(vial_package), *where]):
        with pytest.raises(SystemExit):
            main(words)
        (sentence,) = [line for line in capfd.readouterr().err.split("\n") if "last.png" in line]
        assert sentence.startswith("inspection: ")
