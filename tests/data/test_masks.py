"""Masks: whatever is not black is defect, and no defect is lost by making the mask smaller."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from data.masks import MaskUnreadable, read_mask

Image = NDArray[np.uint8] | NDArray[np.uint16]


def written(folder: Path, image: Image, name: str = "mask.png") -> Path:
    path = folder / name
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def square(value: int, shape: tuple[int, ...] = (40, 60), kind: type = np.uint8) -> NDArray[np.uint8]:
    image = np.zeros(shape, kind)
    image[10:20, 30:50] = value
    return image


@pytest.mark.parametrize(
    "image",
    [
        square(255),
        square(1),
        square(1, kind=np.uint16),
        square(65535, kind=np.uint16),
        square(1, (40, 60, 3)),
        square(1, (40, 60, 3)) * np.array([1, 0, 0], np.uint8),
        np.dstack([square(7, (40, 60, 3)), np.full((40, 60), 255, np.uint8)]),
    ],
    ids=["white", "value 1", "16-bit value 1", "16-bit white", "colour", "dark blue", "with transparency"],
)
def test_any_value_above_zero_is_defect(tmp_path: Path, image: Image) -> None:
    mask = read_mask(written(tmp_path, image), 40, 60)

    assert mask.dtype == np.bool_
    assert np.array_equal(mask, square(1).astype(bool))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp"])
def test_a_mask_may_have_any_lossless_format(tmp_path: Path, suffix: str) -> None:
    image = cv2.cvtColor(square(255), cv2.COLOR_GRAY2BGR) if suffix == ".webp" else square(255)
    path = tmp_path / f"mask{suffix}"
    options = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else []
    path.write_bytes(cv2.imencode(suffix, image, options)[1].tobytes())

    assert np.array_equal(read_mask(path, 40, 60), square(1).astype(bool))


def test_a_smaller_mask_covers_the_same_place(tmp_path: Path) -> None:
    mask = read_mask(written(tmp_path, square(255)), 20, 30)

    wanted = np.zeros((20, 30), bool)
    wanted[5:10, 15:25] = True
    assert np.array_equal(mask, wanted)


@given(row=st.integers(0, 899), column=st.integers(0, 899))
@settings(max_examples=25, deadline=None)
def test_one_pixel_of_a_large_frame_is_still_there(
    row: int, column: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    image = np.zeros((900, 900), np.uint8)
    image[row, column] = 255

    mask = read_mask(written(tmp_path_factory.mktemp("one"), image), 64, 64)

    assert mask.any()
    assert mask[row * 64 // 900, column * 64 // 900]
    assert mask.sum() <= 4


def test_a_small_region_is_not_lost_beside_a_large_one(tmp_path: Path) -> None:
    image = np.zeros((640, 640), np.uint8)
    image[100:400, 100:400] = 255
    image[600, 600] = 255

    mask = read_mask(written(tmp_path, image), 64, 64)

    assert cv2.connectedComponents(mask.astype(np.uint8))[0] - 1 == 2
    assert mask[60, 60]
    assert mask.sum() == 30 * 30 + 1


def test_a_mask_without_defect_is_empty(tmp_path: Path) -> None:
    assert not read_mask(written(tmp_path, square(0)), 10, 15).any()


@pytest.mark.parametrize("content", [b"", b"this is not an image", None], ids=["empty", "text", "absent"])
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mask.png"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(MaskUnreadable, match=r"mask\.png is not a readable mask; give an image") as refused:
        read_mask(path, 10, 10)
    assert "\n" not in str(refused.value)
