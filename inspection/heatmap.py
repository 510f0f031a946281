"""Heatmaps: from the detector's grid to the frame's pixels, to a picture, and to bytes that keep every bit."""

from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError
from inspection.frames import Pixels
from inspection.verdict import Limits

Heatmap = NDArray[np.float32]
_CLEAR_BELOW = 0.6  # of the review limit: a unit that passes well shows no colour
_STRONGEST_AT = 3.0  # times the reject limit: within a gross defect the worst place still stands out


class HeatmapUnreadable(InspectionError):
    """The bytes are no heatmap of ours."""

    code = "heatmap_unreadable"


def enlarge(heatmap: Heatmap, height: int, width: int) -> Heatmap:
    """The map `[h, w]` at `[height, width]`, bilinear, then smoothed over half a grid cell as PatchCore does (sigma 4
    pixels at stride 8). Used for pictures and for pixel metrics alike; scores are never taken from it."""
    large = cv2.resize(heatmap, (width, height), interpolation=cv2.INTER_LINEAR)
    sigma = height / heatmap.shape[0] / 2
    return cv2.GaussianBlur(large, (0, 0), sigma).astype(np.float32, copy=False)


def overlay(pixels: Pixels, heatmap: Heatmap, limits: Limits, opacity: float = 0.5) -> Pixels:
    """The frame `[H, W, 3]` with the map over it: clear well below the review limit, then green, then red.

    The scale belongs to the limits, not to the picture, so the same colour means the same score on every picture.
    """
    colours, weight = _coloured(heatmap, limits, pixels.shape[0], pixels.shape[1])
    weight = opacity * weight[:, :, None]
    return np.asarray(pixels * (1 - weight) + colours * weight, dtype=np.uint8)


def drawn_alone(heatmap: Heatmap, limits: Limits, width: int) -> bytes:
    """The map `[h, w]` alone as a transparent PNG of that width: laid over the frame, it shows what `overlay` does."""
    height = max(1, round(width * heatmap.shape[0] / heatmap.shape[1]))
    colours, weight = _coloured(heatmap, limits, height, width)
    alpha = np.rint(weight * 255).astype(np.uint8)
    return cv2.imencode(".png", np.dstack([colours[:, :, ::-1], alpha]), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _coloured(heatmap: Heatmap, limits: Limits, height: int, width: int) -> tuple[Pixels, NDArray[np.float64]]:
    """Colours `[height, width, 3]` and how strongly they show, 0 to 1."""
    large = enlarge(heatmap, height, width)
    reject = max(limits.reject_limit, 1e-12)
    strength = np.interp(large, [_CLEAR_BELOW * limits.review_limit, reject, _STRONGEST_AT * reject], [0.0, 0.5, 1.0])
    colours = cv2.applyColorMap((strength * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]
    return np.asarray(colours, dtype=np.uint8), np.minimum(1.0, strength * 2)


def encode_heatmap(heatmap: Heatmap) -> bytes:
    """The map as the bytes of a NumPy .npy file, little-endian float32: the same map gives the same bytes."""
    buffer = BytesIO()
    np.save(buffer, np.ascontiguousarray(heatmap, dtype="<f4"), allow_pickle=False)
    return buffer.getvalue()


def decode_heatmap(data: bytes, name: str) -> Heatmap:
    """The map `[h, w]` float32 in .npy bytes. Raises HeatmapUnreadable."""
    try:
        loaded = np.load(BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise HeatmapUnreadable(f"{name} is not a heatmap file ({error})") from error
    if loaded.ndim != 2 or loaded.dtype != np.float32:
        raise HeatmapUnreadable(f"{name} holds {loaded.dtype} {loaded.shape}, and a heatmap is float32 [h, w]")
    return np.asarray(loaded, dtype=np.float32)
