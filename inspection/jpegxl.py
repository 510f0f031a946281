"""Lossless JPEG XL, in which camera frames are kept: quick to write, and smaller than PNG (`benchmarks.codecs`).

Only what `encode_jpegxl` writes is read: a bare codestream (ISO/IEC 18181-1) of one 8-bit image without previews,
animation or alpha. Its size is read from its header first, so that nothing is allocated for what a few bytes claim.
"""

import imagecodecs
import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\xff\x0a"
CONTAINER = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a"
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_SIZE_BITS = (9, 13, 18, 30)


class JpegXlUnreadable(ValueError):
    """The bytes are no whole JPEG XL image, or not one of ours."""


def is_jpegxl(data: bytes) -> bool:
    """Whether the bytes begin as a JPEG XL file of any kind."""
    return data.startswith((SIGNATURE, CONTAINER))


def encode_jpegxl(pixels: NDArray[np.uint8]) -> bytes:
    """Lossless bytes of `[H, W, 3]` RGB or `[H, W]` grey uint8 pixels. Raises ValueError for other arrays."""
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        msg = f"pixels are uint8 [H, W, 3] or [H, W], got {pixels.dtype} {pixels.shape}"
        raise ValueError(msg)
    return bytes(imagecodecs.jpegxl_encode(np.ascontiguousarray(pixels), lossless=True, effort=1, numthreads=1))


def jpegxl_size(data: bytes) -> tuple[int, int]:
    """Height and width that a codestream claims. Raises JpegXlUnreadable."""
    if not data.startswith(SIGNATURE):
        raise JpegXlUnreadable("not a bare JPEG XL codestream, which this software writes; save it as PNG")
    bits = _Bits(data[2:16])
    small = bits.take(1)

    def length() -> int:
        return 8 * (1 + bits.take(5)) if small else 1 + bits.take(_SIZE_BITS[bits.take(2)])

    height = length()
    ratio = bits.take(3)
    width = height * _RATIOS[ratio][0] // _RATIOS[ratio][1] if ratio else length()
    if bits.take(1) or bits.take(1):  # all defaults, which are lossy, or extra fields: preview, animation, orientation
        raise JpegXlUnreadable("a JPEG XL image that this software did not write; save it as PNG")
    return height, width


def decode_jpegxl(data: bytes) -> NDArray[np.uint8]:
    """Pixels `[H, W, 3]` RGB or `[H, W]` grey uint8, as they were encoded. Raises JpegXlUnreadable."""
    size = jpegxl_size(data)
    try:
        pixels = imagecodecs.jpegxl_decode(data, numthreads=1)
    except Exception as error:  # the codec's own class, or whatever a damaged stream brings about
        raise JpegXlUnreadable(f"damaged ({error})") from error
    if pixels.dtype != np.uint8 or pixels.shape[:2] != size or pixels.shape[2:] not in ((), (3,)):
        raise JpegXlUnreadable(f"{pixels.dtype} {pixels.shape}, not 8-bit RGB or grey")
    return np.asarray(pixels)


class _Bits:
    """Bits from the least significant on, as the codestream has them."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        """The next `count` bits as a number."""
        if count > self._left:
            raise JpegXlUnreadable("cut short in its header")
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return taken
