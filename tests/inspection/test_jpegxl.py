"""Frames kept as lossless JPEG XL: the same pixels back, and no byte that makes the reader do anything but refuse."""

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.simulator import render
from inspection.frames import FrameUnreadable, FrameWrongFormat, decode_frame, image_suffix
from inspection.jpegxl import encode_jpegxl, jpegxl_size

shapes = st.one_of(
    st.tuples(st.integers(1, 70), st.integers(1, 70)), st.tuples(st.integers(1, 70), st.integers(1, 70), st.just(3))
)
FRAME = render("vial", 1).frame[:120, :200]


@settings(max_examples=150, deadline=None)
@given(shapes.flatmap(lambda shape: arrays(np.uint8, shape)))
def test_the_same_pixels_come_back(pixels: np.ndarray) -> None:
    data = encode_jpegxl(pixels)
    assert jpegxl_size(data) == pixels.shape[:2]
    read = decode_frame(data, "kept", "mono" if pixels.ndim == 2 else "rgb")
    assert read.shape == (*pixels.shape[:2], 3)
    assert np.array_equal(read[:, :, 0] if pixels.ndim == 2 else read, pixels)
    assert image_suffix(data) == ".jxl"


@pytest.mark.parametrize("shape", [(1, 300), (2048, 40), (600, 8200), (64, 64), (300, 400), (256, 512), (480, 640)])
def test_the_size_is_read_from_the_header(shape: tuple[int, int]) -> None:
    assert jpegxl_size(encode_jpegxl(np.zeros(shape, np.uint8))) == shape


def test_what_is_cut_short_is_refused() -> None:
    data = encode_jpegxl(FRAME)
    for length in (*range(2, 40), len(data) // 2, len(data) - 1):
        with pytest.raises(FrameUnreadable, match=r"x\.jxl cannot be read as JPEG XL"):
            decode_frame(data[:length], "x.jxl")


def test_damage_is_refused_or_gives_a_frame_of_that_size() -> None:
    data = bytearray(encode_jpegxl(FRAME))
    rng = np.random.default_rng(0)
    for place in [*range(40), *rng.integers(40, len(data), 60).tolist()]:
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(rng.integers(8))
        try:
            decode_frame(bytes(damaged), "x.jxl")
        except (FrameUnreadable, FrameWrongFormat):
            continue


def test_a_few_bytes_that_claim_a_huge_image_are_refused_before_it_is_allocated() -> None:
    data = bytearray(encode_jpegxl(np.zeros((3, 5), np.uint8)))
    huge = 0 | 3 << 1 | (2**30 - 1) << 3  # not a multiple of 8, 30 bits of height, all ones
    data[2:8] = (huge | 1 << 33).to_bytes(6, "little")  # as wide as it is high
    with pytest.raises(FrameWrongFormat, match="claims 1073741824 x 1073741824 pixels"):
        decode_frame(bytes(data), "bomb.jxl")


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (FRAME.astype(np.uint16) * 257, {"lossless": True}),
        (np.dstack([FRAME, FRAME[:, :, 0]]), {"lossless": True}),
        (FRAME, {"lossless": False, "distance": 1.0}),
        (FRAME, {"lossless": True, "usecontainer": True}),
    ],
    ids=["16 bits", "transparency", "lossy", "container"],
)
def test_what_others_write_is_refused_or_read_as_it_is(pixels: np.ndarray, options: dict[str, object]) -> None:
    data = bytes(imagecodecs.jpegxl_encode(pixels, **options))
    with pytest.raises((FrameUnreadable, FrameWrongFormat)):
        decode_frame(data, "theirs.jxl")


def test_the_wrong_colour_is_refused() -> None:
    with pytest.raises(FrameWrongFormat, match=r"grey\.jxl is a greyscale image, and 8-bit RGB is inspected"):
        decode_frame(encode_jpegxl(FRAME[:, :, 0]), "grey.jxl")
    with pytest.raises(FrameWrongFormat, match=r"colour\.jxl is an RGB image"):
        decode_frame(encode_jpegxl(FRAME), "colour.jxl", "mono")


def test_other_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match=r"uint8 \[H, W, 3\]"):
        encode_jpegxl(np.zeros((3, 3, 2), np.uint8))
