"""What is a frame, and what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from inspection.errors import InspectionError
from inspection.frames import FrameUnreadable, FrameWrongFormat, decode_frame, encode_png, list_images, read_frame
from tests.bad_images import BAD_IMAGES

PIXELS = np.random.default_rng(1).integers(0, 255, (40, 60, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".jp2", ".ras"])
def test_lossless_formats_that_opencv_writes_come_back_exactly_as_rgb(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"frame{suffix}"
    options = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else []
    options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000] if suffix == ".jp2" else options
    path.write_bytes(cv2.imencode(suffix, PIXELS[:, :, ::-1], options)[1].tobytes())

    assert np.array_equal(read_frame(path).pixels, PIXELS)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG", ".avif"])
def test_lossy_formats_come_back_nearly(suffix: str, tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(PIXELS, (0, 0), 5)
    path = tmp_path / f"frame{suffix}"
    path.write_bytes(cv2.imencode(suffix.lower(), smooth[:, :, ::-1])[1].tobytes())

    assert np.abs(read_frame(path).pixels.astype(int) - smooth).mean() < 3


@pytest.mark.parametrize("what", BAD_IMAGES)
def test_what_cannot_be_inspected_is_refused_in_one_sentence_with_its_name(what: str) -> None:
    data, name, code = BAD_IMAGES[what]

    with pytest.raises(InspectionError) as refused:
        decode_frame(data, f"folder/{name}")

    assert refused.value.code == code
    assert f"folder/{name}" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tiff", ".webp"])
def test_a_file_cut_short_anywhere_is_unreadable(suffix: str, share: float) -> None:
    whole = cv2.imencode(suffix, PIXELS)[1].tobytes()

    with pytest.raises((FrameUnreadable, FrameWrongFormat)):
        decode_frame(whole[: int(len(whole) * share)], f"cut{suffix}")


def test_a_monochrome_camera_is_declared_and_then_colour_is_refused() -> None:
    grey = encode_png(PIXELS[:, :, 0].copy())

    pixels = decode_frame(grey, "grey.png", "mono")

    assert np.array_equal(pixels, np.repeat(PIXELS[:, :, :1], 3, axis=2))
    with pytest.raises(FrameWrongFormat, match="RGB image"):
        decode_frame(encode_png(PIXELS), "colour.png", "mono")


def test_several_pictures_in_one_file_are_refused(tmp_path: Path) -> None:
    first, second = Image.fromarray(PIXELS), Image.fromarray(PIXELS[::-1].copy())
    first.save(tmp_path / "pages.tiff", save_all=True, append_images=[second])

    with pytest.raises(FrameWrongFormat, match="several pictures"):
        read_frame(tmp_path / "pages.tiff")


def test_only_image_decoders_see_what_comes_from_outside() -> None:
    with pytest.raises(FrameUnreadable, match="not an image"):
        decode_frame(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(x) run\n", "page.png")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FrameUnreadable, match=r"gone\.png cannot be read"):
        read_frame(tmp_path / "gone.png")


def test_a_frame_keeps_the_file_it_came_as(tmp_path: Path) -> None:
    path = tmp_path / "misnamed.bmp"
    path.write_bytes(encode_png(PIXELS))

    frame = read_frame(path, camera="left", sequence=7)

    assert frame.encoded == path.read_bytes()
    assert frame.suffix == ".png"
    assert (frame.camera, frame.sequence) == ("left", 7)


def test_images_are_listed_by_name_whatever_the_case_of_the_extension(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "c.txt", ".hidden.png"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()

    assert [path.name for path in list_images(tmp_path)] == ["a.jpg", "b.PNG"]
