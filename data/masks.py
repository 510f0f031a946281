"""Masks that mark a defect's pixels."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError


class MaskUnreadable(InspectionError):
    """A mask file is no image."""

    code = "mask_unreadable"


def read_mask(path: Path, height: int, width: int) -> NDArray[np.bool_]:
    """The mask in a file (a pixel with any value above zero is defect) at `[height, width]`.

    A target pixel is defect where at least half of what it covers is. A region that would vanish by that keeps every
    pixel that it touches. Raises MaskUnreadable.
    """
    try:
        image = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except (OSError, cv2.error):
        image = None
    if image is None:
        raise MaskUnreadable(f"{path} is not a readable mask; give an image whose defect pixels are above zero")
    marked = np.asarray(np.any(cv2.split(image), axis=0), dtype=np.float32)  # by plane: far faster than by pixel
    share = cv2.resize(marked, (width, height), interpolation=cv2.INTER_AREA)
    mask: NDArray[np.bool_] = share >= 0.5
    _, regions = cv2.connectedComponents((share > 0).astype(np.uint8), connectivity=8)
    vanished = (regions > 0) & ~np.isin(regions, regions[mask])
    return mask | vanished
