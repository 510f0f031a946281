"""Frames: images as cameras deliver them, and the one function that turns a file's bytes into pixels.

A frame is HWC uint8 RGB. What is not an 8-bit colour image is refused rather than converted: a camera that
suddenly delivers something else is a fault. A monochrome camera is declared (`colour="mono"`); its single
channel is then repeated three times, and colour images are refused.
"""

import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from inspection.errors import InspectionError
from inspection.jpegxl import JpegXlUnreadable, decode_jpegxl, is_jpegxl, jpegxl_size

Colour = Literal["rgb", "mono"]
Pixels = NDArray[np.uint8]

# What OpenCV lists as readable, and what frames are kept in; a dataset folder is searched for these.
IMAGE_EXTENSIONS = frozenset({
    ".bmp", ".dib", ".jpeg", ".jpg", ".jpe", ".jp2", ".png", ".webp", ".avif", ".pbm", ".pgm", ".ppm",
    ".pxm", ".pnm", ".pfm", ".sr", ".ras", ".tiff", ".tif", ".exr", ".hdr", ".pic", ".gif", ".jxl",
})  # fmt: skip
MAX_PIXELS = 100_000_000
# Only these of Pillow's decoders see bytes that came from outside: some others start programs.
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "WEBP", "PPM", "JPEG2000", "AVIF", "SUN", "GIF")
# Pillow's remarks on damaged files: what matters in them becomes an error of ours, in one sentence.
warnings.filterwarnings("ignore", module=r"PIL\.")
_WANTED = {"rgb": "8-bit RGB", "mono": "8-bit greyscale"}
_MODE = {"rgb": "RGB", "mono": "L"}
_MODE_NAMES = {
    "1": "a 1-bit image", "L": "a greyscale image", "LA": "a greyscale image with transparency",
    "P": "a palette image", "RGB": "an RGB image", "RGBA": "an RGBA image", "CMYK": "a CMYK image",
    "I": "a 32-bit image", "F": "a floating-point image",
}  # fmt: skip


class FrameUnreadable(InspectionError):
    """The bytes are not a complete image."""

    code = "frame_unreadable"


class FrameWrongFormat(InspectionError):
    """The image is complete, but not of the bit depth, the channels or the size that is inspected."""

    code = "frame_wrong_format"


@dataclass(frozen=True)
class Frame:
    """One image from one camera. `pixels` is HWC uint8 RGB; `encoded` is the file it came as, if it came as one.

    `sequence` is the camera's own count where it has one, so that a gap is a lost frame, and counts from 0 otherwise.
    `captured_at` is the host's time, `hardware_time_ns` the camera's own clock, which began whenever it did.
    `truth` is "good" or a defect's name where it is known beforehand: a simulated or a challenge-kit unit.
    """

    pixels: Pixels
    name: str
    camera: str = "file"
    sequence: int = 0
    captured_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    encoded: bytes | None = None
    suffix: str = ".png"
    truth: str | None = None
    hardware_time_ns: int | None = None


def decode_frame(data: bytes, name: str, colour: Colour = "rgb") -> Pixels:
    """Pixels `[H, W, 3]` uint8 RGB of one encoded image; `name` is used in messages.

    Raises FrameUnreadable for bytes that are no complete image, FrameWrongFormat for one that is not `colour`.
    """
    if not data:
        raise FrameUnreadable(f"{name} is empty (0 bytes); a complete image file is needed")
    if is_jpegxl(data):
        return _decode_jpegxl(data, name, colour)
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            _check_header(image, data, name, colour)
            image.load()
            pixels = np.asarray(image)
    except InspectionError:
        raise
    except Image.DecompressionBombError as error:
        raise FrameWrongFormat(f"{name} claims more than {MAX_PIXELS:,} pixels; send a smaller image") from error
    except UnidentifiedImageError as error:
        raise FrameUnreadable(f"{name} is not an image, whatever its name says; send PNG, JPEG, TIFF or BMP") from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, zlib.error…
        raise FrameUnreadable(f"{name} is cut short or damaged ({error}); a complete image file is needed") from error
    if colour == "mono":
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return np.ascontiguousarray(pixels)


def read_image_file(path: Path) -> bytes:
    """The bytes of a file that should hold an image. Raises FrameUnreadable."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FrameUnreadable(f"{path} cannot be read ({error.strerror}); give the path of an image file") from error


def read_frame(path: Path, colour: Colour = "rgb", *, camera: str = "file", sequence: int = 0) -> Frame:
    """The frame in one image file. Raises as `decode_frame`, and FrameUnreadable where the file cannot be opened."""
    data = read_image_file(path)
    pixels = decode_frame(data, str(path), colour)
    return Frame(pixels, str(path), camera, sequence, encoded=data, suffix=image_suffix(data))


def is_grey(pixels: Pixels) -> bool:
    """Whether the three channels of `[H, W, 3]` are the same everywhere, as a monochrome camera's are."""
    return not (pixels != pixels[:, :, :1]).any()


def image_suffix(data: bytes) -> str:
    """The usual extension of a decodable image's format, whatever the file was called."""
    if is_jpegxl(data):
        return ".jxl"
    with Image.open(BytesIO(data), formats=_FORMATS) as image:
        formats = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tiff", "BMP": ".bmp", "WEBP": ".webp"}
        return formats.get(image.format or "", ".img")


def encode_thumbnail(pixels: Pixels, longest: int) -> bytes:
    """A JPEG of `[H, W, 3]` uint8 RGB pixels, shrunk so that its longer side has `longest` pixels at most."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest))
    out = BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def encode_png(pixels: Pixels) -> bytes:
    """Lossless PNG bytes of `[H, W, 3]` RGB or `[H, W]` uint8 or uint16 pixels (fast compression)."""
    ordered = pixels[:, :, ::-1] if pixels.ndim == 3 else pixels
    done, data = cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise FrameWrongFormat(f"cannot encode pixels of shape {pixels.shape} and type {pixels.dtype} as PNG")
    return data.tobytes()


def list_images(folder: Path) -> list[Path]:
    """Image files directly in `folder`, by extension, sorted by name; hidden files are left out."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_EXTENSIONS)
    return sorted(path for path in files if path.is_file() and not path.name.startswith("."))


def _decode_jpegxl(data: bytes, name: str, colour: Colour) -> Pixels:
    """As `decode_frame`, of the bytes in which camera frames are kept."""
    try:
        height, width = jpegxl_size(data)
        _check_size(width, height, name)
        pixels = decode_jpegxl(data)
    except JpegXlUnreadable as error:
        raise FrameUnreadable(f"{name} cannot be read as JPEG XL: {error}") from error
    mode = "L" if pixels.ndim == 2 else "RGB"
    if mode != _MODE[colour]:
        raise FrameWrongFormat(f"{name} is {_MODE_NAMES[mode]}, and {_WANTED[colour]} is inspected")
    return np.repeat(pixels[:, :, None], 3, axis=2) if mode == "L" else pixels


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise FrameWrongFormat(f"{name} claims {width} x {height} pixels; at most {MAX_PIXELS:,} are inspected")


def _check_header(image: Image.Image, data: bytes, name: str, colour: Colour) -> None:
    _check_size(image.width, image.height, name)
    if getattr(image, "n_frames", 1) > 1:
        raise FrameWrongFormat(f"{name} holds several pictures; save each as a file of its own")
    if _bits_per_channel(image, data) != 8:
        raise FrameWrongFormat(f"{name} has more than 8 bits per channel; save it as {_WANTED[colour]}")
    if image.mode != _MODE[colour]:
        got = _MODE_NAMES.get(image.mode, f"an image of mode {image.mode}")
        hint = "save it as RGB, or train with --colour mono" if image.mode == "L" else f"save it as {_WANTED[colour]}"
        raise FrameWrongFormat(f"{name} is {got}, and {_WANTED[colour]} is inspected; {hint}")


def _bits_per_channel(image: Image.Image, data: bytes) -> int:
    """Pillow narrows 16-bit colour to 8 bits without a word, so the depth is read from where each format keeps it."""
    if image.mode.startswith(("I", "F")):
        return 16
    if image.format == "PNG":
        return 16 if data[24] == 16 else 8  # IHDR: signature 8, length 4, type 4, width 4, height 4, then the depth
    if image.format in ("JPEG", "WEBP", "BMP", "GIF"):
        return 8
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return 8 if decoded is not None and decoded.dtype == np.uint8 else 16
