"""One way from a frame to model input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data as photographs

from inspection.preprocess import FrameWrongGeometry, Geometry, prepare, shrink


@pytest.mark.parametrize("size", [(128, 128), (256, 192), (97, 143), (300, 300)])
def test_shrinking_is_antialiased_like_pillow(size: tuple[int, int]) -> None:
    picture = photographs.astronaut()
    height, width = size
    reference = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)).astype(int)

    ours = shrink(picture, height, width).astype(int)

    assert np.abs(ours - reference).mean() < 1.5


def test_halving_is_exactly_the_triangle_filter() -> None:
    picture = photographs.astronaut()
    reference = np.asarray(Image.fromarray(picture).resize((256, 256), Image.Resampling.BILINEAR)).astype(int)

    difference = np.abs(shrink(picture, 256, 256).astype(int) - reference)

    assert difference[1:-1, 1:-1].max() <= 2  # at the border Pillow leaves taps out, and we repeat the last pixel


def test_a_frame_of_the_input_size_is_not_touched() -> None:
    picture = photographs.astronaut()

    assert np.array_equal(shrink(picture, *picture.shape[:2]), picture)


@given(height=st.integers(40, 400), width=st.integers(40, 400), size=st.integers(64, 320))
@settings(max_examples=40, deadline=None)
def test_the_geometry_of_a_frame_accepts_that_frame(height: int, width: int, size: int) -> None:
    pixels = np.full((height, width, 3), 77, dtype=np.uint8)
    geometry = Geometry.for_frames(pixels, size)

    prepared = prepare(pixels, geometry)

    assert prepared.shape == (geometry.height, geometry.width, 3)
    assert prepared.dtype == np.uint8
    assert (prepared == 77).all()
    assert geometry.height % 16 == geometry.width % 16 == 0


def test_a_frame_of_another_shape_is_refused_not_squeezed() -> None:
    geometry = Geometry(height=64, width=64, aspect=1.0)

    with pytest.raises(FrameWrongGeometry, match="120 x 100 pixels"):
        prepare(np.zeros((100, 120, 3), dtype=np.uint8), geometry)


@pytest.mark.parametrize(
    "pixels", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3), np.float32)]
)
def test_what_is_no_frame_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(FrameWrongGeometry):
        prepare(pixels, Geometry(height=64, width=64, aspect=1.0))


def test_a_colour_frame_is_refused_where_the_camera_is_monochrome() -> None:
    mono = Geometry(height=64, width=64, aspect=1.0, colour="mono")
    grey = np.full((64, 64, 3), 9, dtype=np.uint8)
    coloured = grey.copy()
    coloured[5, 5, 1] = 10

    assert np.array_equal(prepare(grey, mono), grey)
    with pytest.raises(FrameWrongGeometry, match="monochrome"):
        prepare(coloured, mono)
