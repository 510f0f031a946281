"""The one way from a frame to model input; training, serving and re-inspection all call `prepare`."""

import math
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from inspection.errors import InspectionError
from inspection.frames import Colour, Pixels, is_grey
from inspection.region import OUTSIDE, WHOLE, Bounds, read_region_mask

ASPECT_TOLERANCE = 0.05
CELL = 8  # pixels of model input to one cell of the heatmap
MOST_PIXELS = 4096
Value = TypeVar("Value", bound=np.generic)


class FrameWrongGeometry(InspectionError):
    """A frame's shape is not the one the package was made for."""

    code = "frame_wrong_geometry"


class Window(BaseModel):
    """The rectangle of the frame that is inspected, in cells of the heatmap.

    `rows` and `columns` are the whole frame's, `top` and `left` the window's first; its size is the model input's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    top: int = Field(ge=0)
    left: int = Field(ge=0)


class Geometry(BaseModel):
    """What `prepare` does to a frame. `height` and `width` are the model input's, in pixels.

    `aspect` is width over height of the frames the package was fitted on. A frame whose own ratio is further than
    5 % from it is refused: it comes from another camera or another lens, and squeezing it would hide defects.
    Without a `window` the whole frame is inspected. `mask` is the region of interest in it, see `inspection.region`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    height: int = Field(ge=32, le=MOST_PIXELS)
    width: int = Field(ge=32, le=MOST_PIXELS)
    aspect: float = Field(gt=0)
    colour: Colour = "rgb"
    window: Window | None = None
    mask: str | None = None

    @classmethod
    def for_frames(
        cls, pixels: Pixels, size: int, colour: Colour = "rgb", bounds: Bounds = WHOLE, mask: str | None = None
    ) -> "Geometry":
        """Keep the ratio of `pixels` `[H, W, 3]`; what lies in `bounds` gets the area of a square of side `size`.

        `bounds` is left, top, right, bottom as shares of the frame. It is widened to whole cells of the heatmap, an
        even number of them (the coarser features have half as many), so that the window's heatmap fits the frame's.
        """
        frame_height, frame_width = pixels.shape[:2]
        left, top, right, bottom = bounds
        scale = size / ((right - left) * frame_width * (bottom - top) * frame_height) ** 0.5 / CELL
        rows, columns = (2 * max(2, round(length * scale / 2)) for length in (frame_height, frame_width))
        first_row, last_row = _even(top * rows, bottom * rows, rows)
        first_column, last_column = _even(left * columns, right * columns, columns)
        window = Window(rows=rows, columns=columns, top=first_row, left=first_column)
        height, width = CELL * (last_row - first_row), CELL * (last_column - first_column)
        whole = (height, width) == (CELL * rows, CELL * columns)
        return cls(
            height=height,
            width=width,
            aspect=frame_width / frame_height,
            colour=colour,
            window=None if whole else window,
            mask=mask,
        )

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of the heatmap over the model input."""
        return self.height // CELL, self.width // CELL

    def crop(self, pixels: NDArray[Value]) -> NDArray[Value]:
        """What of a frame, or of any picture over it `[H, W, ...]`, lies in the window: a view."""
        if self.window is None:
            return pixels
        rows, columns = self.cells
        top, bottom = (round(pixels.shape[0] * (self.window.top + n) / self.window.rows) for n in (0, rows))
        left, right = (round(pixels.shape[1] * (self.window.left + n) / self.window.columns) for n in (0, columns))
        return pixels[top : max(bottom, top + 1), left : max(right, left + 1)]

    def place(self, heatmap: NDArray[np.float32]) -> NDArray[np.float32]:
        """The map `[h, w]` of the model input as one of the whole frame `[rows, columns]`; zero outside the window."""
        if self.window is None:
            return heatmap
        whole = np.zeros((self.window.rows, self.window.columns), dtype=heatmap.dtype)
        top, left = self.window.top, self.window.left
        whole[top : top + heatmap.shape[0], left : left + heatmap.shape[1]] = heatmap
        return whole


def prepare(pixels: Pixels, geometry: Geometry) -> Pixels:
    """Model input `[height, width, 3]` uint8 RGB of a frame `[H, W, 3]` uint8 RGB. Raises FrameWrongGeometry."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise FrameWrongGeometry(f"a frame is [H, W, 3] uint8 RGB, and this is {list(pixels.shape)} {pixels.dtype}")
    if geometry.colour == "mono" and not is_grey(pixels):
        raise FrameWrongGeometry("a colour frame came, and the package was made for a monochrome camera; use that")
    aspect = pixels.shape[1] / pixels.shape[0]
    if abs(aspect / geometry.aspect - 1) > ASPECT_TOLERANCE:
        raise FrameWrongGeometry(
            f"a frame of {pixels.shape[1]} x {pixels.shape[0]} pixels has a width-to-height ratio of {aspect:.3f}, "
            f"and the package was made for {geometry.aspect:.3f}; use the camera and crop it was trained with"
        )
    inspected = geometry.crop(pixels)
    if geometry.mask is not None:
        inside = geometry.crop(read_region_mask(geometry.mask, *pixels.shape[:2]))
        inspected = np.where(inside[:, :, None], inspected, np.uint8(OUTSIDE))
    return shrink(inspected, geometry.height, geometry.width)


def _even(low: float, high: float, count: int) -> tuple[int, int]:
    """The fewest of `count` cells, even in number and at least four, that cover `low` to `high`: first, one past."""
    first, last = max(0, math.floor(low + 1e-6)), min(count, math.ceil(high - 1e-6))
    while (last - first) % 2 or last - first < 4:
        first, last = (first, last + 1) if last < count else (first - 1, last)
    return first, last


def shrink(pixels: Pixels, height: int, width: int) -> Pixels:
    """Resize `[H, W, 3]` uint8 to `[height, width, 3]`, antialiased where it gets smaller.

    A triangle filter as wide as the shrink factor, then bilinear sampling: what Pillow calls BILINEAR, in a fraction of
    its time. Plain INTER_LINEAR aliases and INTER_AREA's box is softer; both lost 1.5 to 2.4 points of image AUROC
    where it was measured. Large factors are first halved (or more) by exact area averaging.
    """
    whole = int(min(pixels.shape[0] / height, pixels.shape[1] / width) / 2)
    if whole > 1:
        size = (pixels.shape[1] // whole, pixels.shape[0] // whole)
        pixels = _uint8(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    kernels = [_triangle(pixels.shape[0] / height), _triangle(pixels.shape[1] / width)]
    if max(len(kernel) for kernel in kernels) > 1:
        pixels = _uint8(cv2.sepFilter2D(pixels, -1, kernels[1], kernels[0], borderType=cv2.BORDER_REPLICATE))
    if pixels.shape[:2] == (height, width):
        return np.ascontiguousarray(pixels)
    return _uint8(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR))


def _triangle(factor: float) -> NDArray[np.float32]:
    reach = int(np.ceil(factor)) - 1
    taps = np.maximum(0.0, 1.0 - np.abs(np.arange(-reach, reach + 1)) / max(factor, 1.0))
    return np.asarray(taps / taps.sum(), dtype=np.float32)


def _uint8(image: NDArray[np.generic]) -> Pixels:
    return image.astype(np.uint8, copy=False)
