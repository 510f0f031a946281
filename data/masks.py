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
    """The mask in a file (any value above zero is defect) at `[height, width]`. A defect never vanishes by shrinking.

    Raises MaskUnreadable.
    """
    try:
        image = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
    except (OSError, cv2.error):
        image = None
    if image is None:
        raise MaskUnreadable(f"{path} is not a readable mask; give an image whose defect pixels are above zero")
    share = cv2.resize((image > 0).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    mask: NDArray[np.bool_] = share >= 0.5
    return mask if mask.any() else share > 0
