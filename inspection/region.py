"""The region of interest: the part of a camera's frame that is inspected, the same in training and in serving.

A rectangle becomes the window of `Geometry`. Anything else is kept as a mask: a one-bit PNG over the whole frame, in
the manifest. Pixels outside it are painted over before anything else sees them: nothing there can cause a reject.
"""

import base64
import binascii
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError

Bounds = tuple[float, float, float, float]
WHOLE: Bounds = (0.0, 0.0, 1.0, 1.0)
OUTSIDE = 127


class RegionInvalid(InspectionError):
    """A region of interest has no area, or cannot be read."""

    code = "region_invalid"


def encode_region_mask(inside: NDArray[np.bool_]) -> str:
    """The mask `[H, W]` as text for the manifest: a PNG in base64."""
    done, encoded = cv2.imencode(".png", inside.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])
    if not done:
        raise RegionInvalid("the region's mask could not be encoded; use a smaller one")
    return base64.b64encode(encoded.tobytes()).decode()


def decode_region_mask(text: str) -> NDArray[np.bool_]:
    """The mask `[H, W]` in `text`, of the size it was drawn in. Raises RegionInvalid."""
    try:
        data = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    except (binascii.Error, cv2.error):
        image = None
    if image is None:
        raise RegionInvalid("the package's region of interest cannot be read; get the package again")
    return np.asarray(image > 0)


@lru_cache(maxsize=8)
def read_region_mask(text: str, height: int, width: int) -> NDArray[np.bool_]:
    """The mask in `text` for a frame `[height, width]`, read-only. Raises RegionInvalid."""
    drawn = decode_region_mask(text).astype(np.uint8)
    inside = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    inside.flags.writeable = False
    return inside


def bounds_of(inside: NDArray[np.bool_]) -> Bounds:
    """Left, top, right, bottom of a mask `[H, W]`, as shares of it. Raises RegionInvalid for an empty one."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if len(rows) == 0:
        raise RegionInvalid("the region of interest has no area; draw it inside the frame")
    height, width = inside.shape
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height
