"""`--region`: found by itself on a plain background, or given as rectangle, polygons or mask; bad ones are refused."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.config import ConfigInvalid
from inspection.region import WHOLE, Bounds, RegionInvalid, read_region_mask
from training.foreground import around, product_bounds
from training.region import read_region

HEIGHT, WIDTH = 240, 320


def units(left: int, top: int, right: int, bottom: int, *, textured: bool = False) -> list[np.ndarray]:
    """Frames with a textured product on a background that is plain, or is not, under light that falls off."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    light = 190 - 30 * (x**2 + y**2)
    frames = []
    for shift in (-4, 0, 4):
        frame = light + random.normal(0, 60 if textured else 2, (HEIGHT, WIDTH))
        frame[top:bottom, left + shift : right + shift] = random.uniform(20, 120, (bottom - top, right - left))
        frames.append(np.repeat(np.clip(frame, 0, 255)[:, :, None], 3, axis=2).astype(np.uint8))
    return frames


def nowhere() -> Bounds:
    raise AssertionError("the product is looked for where nobody asked")


def found_on(frames: Iterable[np.ndarray]) -> Bounds:
    return around(map(product_bounds, frames))


@given(left=st.integers(30, 120), top=st.integers(20, 90), width=st.integers(40, 150), height=st.integers(30, 110))
@settings(max_examples=40, deadline=None)
def test_the_product_is_found_with_a_margin_on_a_plain_background(left: int, top: int, width: int, height: int) -> None:
    found = found_on(units(left, top, left + width, top + height))

    edges = np.array([left - 4, top, left + width + 4, top + height]) / [WIDTH, HEIGHT, WIDTH, HEIGHT]
    outwards = (np.array(found) - edges) * [-1, -1, 1, 1]
    assert (outwards >= -1e-9).all()
    assert (outwards < 0.08).all()


def test_on_another_background_the_whole_frame_is_inspected() -> None:
    assert found_on(units(100, 80, 200, 160, textured=True)) == WHOLE


def test_frames_without_a_product_give_the_whole_frame() -> None:
    assert found_on([np.full((HEIGHT, WIDTH, 3), 200, np.uint8)] * 3) == WHOLE


def test_a_product_that_fills_the_frame_gives_the_whole_frame() -> None:
    assert found_on(units(4, 0, WIDTH - 4, HEIGHT)) == WHOLE


def test_a_product_seen_elsewhere_on_a_late_image_is_not_cut_off() -> None:
    early, late = units(60, 60, 120, 120), units(200, 90, 260, 160)
    left, top, right, bottom = found_on([*early * 120, late[1]])

    assert left < 60 / WIDTH and right > 260 / WIDTH and top < 60 / HEIGHT and bottom > 160 / HEIGHT


def test_a_rectangle_in_pixels() -> None:
    region = read_region("32,24,160,120", HEIGHT, WIDTH, nowhere)

    assert region.bounds == (0.1, 0.1, 0.5, 0.5)
    assert region.mask is not None  # the window is made of whole cells: what it has beyond that is painted over
    inside = np.argwhere(read_region_mask(region.mask, HEIGHT, WIDTH))
    assert inside.min(axis=0).tolist() == [24, 32] and inside.max(axis=0).tolist() == [119, 159]


def test_polygons_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "roi.yaml").write_text(
        "polygons: [[[32, 24], [160, 24], [32, 120]], [[200, 200], [300, 200], [300, 230]]]"
    )

    region = read_region(str(tmp_path / "roi.yaml"), HEIGHT, WIDTH, nowhere)

    assert region.mask is not None
    inside = read_region_mask(region.mask, HEIGHT, WIDTH)
    assert inside[30, 40] and inside[202, 290] and not inside[110, 150] and not inside[150, 100]
    assert region.bounds == pytest.approx((0.1, 0.1, 300 / 320, 230 / 240), abs=0.005)


def test_a_mask_drawn_on_a_frame(tmp_path: Path) -> None:
    drawn = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    cv2.circle(drawn, (160, 120), 50, 255, -1)
    cv2.imwrite(str(tmp_path / "roi.png"), drawn)

    region = read_region(str(tmp_path / "roi.png"), HEIGHT, WIDTH, nowhere)

    assert region.mask is not None
    assert np.array_equal(read_region_mask(region.mask, HEIGHT, WIDTH), drawn > 0)


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("somewhere", "--region must be auto, full"),
        ("1,2,3", "--region must be auto, full"),
        ("10,10,10,20", "inside the frame of 320 x 240"),
        ("0,0,400,100", "inside the frame of 320 x 240"),
        ("-1,0,100,100", "inside the frame of 320 x 240"),
        ("nan,0,100,100", "inside the frame of 320 x 240"),
        ("missing.png", "missing.png is not a readable mask"),
    ],
)
def test_a_region_that_makes_no_sense_is_refused(option: str, reason: str) -> None:
    with pytest.raises(RegionInvalid, match=reason):
        read_region(option, HEIGHT, WIDTH, nowhere)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("polygons: [[[0, 0], [10, 10]]]", "at least three corners"),
        ("polygons: [[[0, 0], [10, 10], [500, 3]]]", "leaves the frame"),
        ("polygons: [[[0, 0], [0, 0], [.nan, 3]]]", "at least three corners"),
        ("polygons: []", "polygons"),
        ("rectangle: [1, 2]", "rectangle"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "roi.yaml"
    path.write_text(text)

    with pytest.raises((RegionInvalid, ConfigInvalid), match=reason):
        read_region(str(path), HEIGHT, WIDTH, nowhere)


@pytest.mark.parametrize("size", [(100, 100), (HEIGHT, WIDTH)])
def test_a_mask_of_another_size_or_without_area_is_refused(size: tuple[int, int], tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "roi.png"), np.zeros(size, dtype=np.uint8))

    with pytest.raises(RegionInvalid, match="draw it"):
        read_region(str(tmp_path / "roi.png"), HEIGHT, WIDTH, nowhere)
