"""Images that must be refused, by what is wrong with them. Each is bytes, a file name and the error code expected."""

import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

_PIXELS = np.random.default_rng(0).integers(0, 255, (64, 48, 3), dtype=np.uint8)

_DEEP = _PIXELS.astype(np.uint16) * 257


def _saved(image: Image.Image, kind: str) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


_RGB = Image.fromarray(_PIXELS)
_JPEG, _PNG = _saved(_RGB, "JPEG"), _saved(_RGB, "PNG")

BAD_IMAGES: dict[str, tuple[bytes, str, str]] = {
    "zero bytes": (b"", "empty.png", "frame_unreadable"),
    "text": (b"this is not an image\n" * 20, "note.png", "frame_unreadable"),
    "cut-short jpeg": (_JPEG[: len(_JPEG) // 2], "cut.jpg", "frame_unreadable"),
    "cut-short png": (_PNG[: len(_PNG) // 2], "cut.png", "frame_unreadable"),
    "grey": (_saved(_RGB.convert("L"), "PNG"), "grey.png", "frame_wrong_format"),
    "rgba": (_saved(_RGB.convert("RGBA"), "PNG"), "alpha.png", "frame_wrong_format"),
    "palette": (_saved(_RGB.convert("P"), "PNG"), "palette.png", "frame_wrong_format"),
    "cmyk": (_saved(_RGB.convert("CMYK"), "JPEG"), "cmyk.jpg", "frame_wrong_format"),
    "16-bit grey": (cv2.imencode(".png", _DEEP[:, :, 0])[1].tobytes(), "deep.png", "frame_wrong_format"),
    "16-bit colour": (cv2.imencode(".png", _DEEP)[1].tobytes(), "deep.png", "frame_wrong_format"),
    "16-bit tiff": (cv2.imencode(".tiff", _DEEP)[1].tobytes(), "deep.tiff", "frame_wrong_format"),
    "huge header": (_png_header(30_000, 30_000), "huge.png", "frame_wrong_format"),
    "large header": (_png_header(11_000, 11_000), "large.png", "frame_wrong_format"),
}  # fmt: skip
