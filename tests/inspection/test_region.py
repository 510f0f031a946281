"""The region of interest: one window and one mask for training and serving, and nothing outside it counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.preprocess import CELL, Geometry, prepare
from inspection.region import RegionInvalid, bounds_of, encode_region_mask, read_region_mask

share = st.floats(0, 1, allow_nan=False)


@st.composite
def rectangles(draw: st.DrawFn) -> tuple[float, float, float, float]:
    left, right = sorted((draw(share), draw(share)))
    top, bottom = sorted((draw(share), draw(share)))
    return min(left, 0.8), min(top, 0.8), max(right, left + 0.2), max(bottom, top + 0.2)


@given(height=st.integers(60, 500), width=st.integers(60, 500), size=st.integers(64, 320), bounds=rectangles())
@settings(max_examples=60, deadline=None)
def test_the_window_covers_the_region_and_little_more(
    height: int, width: int, size: int, bounds: tuple[float, float, float, float]
) -> None:
    left, top, right, bottom = (min(value, 1.0) for value in bounds)
    frame = np.zeros((height, width, 3), dtype=np.uint8)

    geometry = Geometry.for_frames(frame, size, bounds=(left, top, right, bottom))

    assert geometry.height % (2 * CELL) == geometry.width % (2 * CELL) == 0
    assert prepare(frame, geometry).shape == (geometry.height, geometry.width, 3)
    placed = geometry.place(np.ones(geometry.cells, dtype=np.float32))
    rows, columns = placed.shape
    inside = np.argwhere(placed > 0)
    (first_row, first_column), (last_row, last_column) = inside.min(axis=0), inside.max(axis=0) + 1
    assert first_row <= top * rows + 1e-6 and last_row >= bottom * rows - 1e-6
    assert first_column <= left * columns + 1e-6 and last_column >= right * columns - 1e-6
    assert (last_row - first_row) - (bottom - top) * rows <= 4
    assert placed.sum() == placed.size if geometry.window is None else placed.sum() == np.prod(geometry.cells)


def test_a_smaller_region_is_seen_at_a_higher_resolution() -> None:
    frame = np.zeros((600, 600, 3), dtype=np.uint8)

    whole = Geometry.for_frames(frame, 320)
    middle = Geometry.for_frames(frame, 320, bounds=(0.1, 0.35, 0.9, 0.65))

    assert middle.window is not None
    assert middle.width / (0.8 * 600) > 1.9 * whole.width / 600
    assert middle.height * middle.width < 1.2 * whole.height * whole.width


@pytest.mark.parametrize("masked", [False, True])
def test_nothing_outside_the_region_reaches_the_model(masked: bool) -> None:
    random = np.random.default_rng(0)
    frame = random.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    inside = np.zeros((300, 400), dtype=bool)
    inside[60:180, 100:300] = True
    if masked:
        inside[90:120, 150:200] = False
    mask = encode_region_mask(inside) if masked else None
    geometry = Geometry.for_frames(frame, 128, bounds=bounds_of(inside), mask=mask)
    window = geometry.crop(np.ones((300, 400), dtype=bool))
    assert window.shape != (300, 400)
    other = random.integers(0, 256, frame.shape, dtype=np.uint8)
    if masked:
        other[inside] = frame[inside]
    else:
        geometry.crop(other)[:] = geometry.crop(frame)

    assert np.array_equal(prepare(frame, geometry), prepare(other, geometry))
    geometry.crop(other)[30, 40] ^= 255  # and something inside does
    assert not np.array_equal(prepare(frame, geometry), prepare(other, geometry))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_a_mask_comes_back_from_the_manifest_as_it_was(height: int, width: int, seed: int) -> None:
    inside = np.random.default_rng(seed).random((height, width)) < 0.5

    assert np.array_equal(read_region_mask(encode_region_mask(inside), height, width), inside)


def test_a_mask_that_is_no_picture_is_refused_by_name() -> None:
    with pytest.raises(RegionInvalid, match="get the package again"):
        read_region_mask("bm90IGEgcGljdHVyZQ==", 10, 10)


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(RegionInvalid, match="no area"):
        bounds_of(np.zeros((10, 10), dtype=bool))
