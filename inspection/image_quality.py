"""Whether an image can be judged at all: sharp enough, and neither too dark, too bright nor washed out.

Sharpness is the variance of the Laplacian of the slightly smoothed grey image (Pech-Pacheco et al., "Diatom
autofocusing in brightfield microscopy", ICPR 2000): it depends on camera, lens and product, so its limit comes from the
station's own good images, by `inspection quality`.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from inspection.detector import FrameDetector
from inspection.errors import InspectionError
from inspection.finding import Finding
from inspection.frames import Pixels

_SATURATED = 250  # grey levels from which a pixel tells nothing any more
# `glance` looks at so many tiles (down, across) of so many rows and columns, spread evenly, at the image's own
# resolution (what is sharp shows in neighbouring pixels alone), and for light at about so many pixels each way.
_TILES, _TILE, _DECIMATED = (16, 5), (8, 128), 128
_EDGE = 2  # rows and columns of a tile whose Laplacian has seen its neighbour in the stack
# How far a limit lies outside what the good images show: of sharpness half of it, of brightness so many grey levels,
# of the saturated share so much of all pixels.
_SHARPNESS_SHARE, _BRIGHTNESS_MARGIN, _SATURATED_MARGIN = 0.5, 15.0, 0.02


class FrameNotGood(InspectionError):
    """An image that must not be judged."""

    code = "frame_not_good"


class FrameBlurred(FrameNotGood):
    """The image is less sharp than the recipe allows."""

    code = "frame_blurred"


class FrameExposure(FrameNotGood):
    """The image is darker, brighter or more saturated than the recipe allows."""

    code = "frame_exposure"


@dataclass(frozen=True)
class Measured:
    """Of one image: `sharpness` (grey levels squared), mean `brightness` (0 to 255), and the `saturated` share of its
    pixels (0 to 1)."""

    sharpness: float
    brightness: float
    saturated: float


class ImageQuality(BaseModel):
    """What an image must be like to be judged; None: anything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_sharpness: float | None = Field(default=None, gt=0)
    min_brightness: float | None = Field(default=None, ge=0, le=255)
    max_brightness: float | None = Field(default=None, ge=0, le=255)
    max_saturated: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _some_brightness(self) -> "ImageQuality":
        least, most = self.min_brightness, self.max_brightness
        if least is not None and most is not None and least >= most:
            msg = f"min_brightness {least:g} must be below max_brightness {most:g}"
            raise ValueError(msg)
        return self

    def check(self, pixels: Pixels) -> None:
        """Raise FrameBlurred or FrameExposure where an image `[H, W, 3]` uint8 RGB must not be judged."""
        found = measure(pixels)
        level = f"the mean brightness is {found.brightness:.1f}"
        if self.min_brightness is not None and found.brightness < self.min_brightness:
            raise FrameExposure(f"{level}, and at least {self.min_brightness:g} is wanted")
        if self.max_brightness is not None and found.brightness > self.max_brightness:
            raise FrameExposure(f"{level}, and at most {self.max_brightness:g} is wanted")
        if self.max_saturated is not None and found.saturated > self.max_saturated:
            share = f"{100 * found.saturated:.1f} % of the pixels are saturated"
            raise FrameExposure(f"{share}, and at most {100 * self.max_saturated:g} % may be")
        if self.min_sharpness is not None and found.sharpness < self.min_sharpness:
            raise FrameBlurred(f"the sharpness is {found.sharpness:.1f}, and at least {self.min_sharpness:g} is wanted")


class QualityDetector:
    """A detector that looks only at images of the quality that a recipe wants."""

    def __init__(self, detector: FrameDetector, quality: ImageQuality) -> None:
        self._detector, self._quality = detector, quality
        self.package, self.manifest, self.classifier = detector.package, detector.manifest, detector.classifier
        self.identity, self.label, self.runtime = detector.identity, detector.label, detector.runtime

    def find(self, pixels: Pixels) -> Finding:
        """As `Detector.find`; raises FrameBlurred or FrameExposure besides."""
        self._quality.check(pixels)
        return self._detector.find(pixels)


def measure(pixels: Pixels) -> Measured:
    """Measure an image `[H, W, 3]` uint8 RGB."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    smooth = cv2.GaussianBlur(grey, (3, 3), 0)
    deviation = float(cv2.meanStdDev(cv2.Laplacian(smooth, cv2.CV_16S))[1][0, 0])
    saturated = cv2.countNonZero(cv2.inRange(pixels.max(axis=2), _SATURATED, 255)) / grey.size
    return Measured(deviation**2, float(cv2.mean(grey)[0]), saturated)


def glance(pixels: Pixels) -> Measured:
    """Measure an image `[H, W, 3]` uint8 RGB in a fraction of a millisecond, whatever its size, for trends: as
    `measure` does, of a part of it. Light comes from every n-th pixel, sharpness from tiles at full resolution, so that
    it lies near `measure`'s and a limit on it. An image smaller than a tile is measured in full."""
    height, width = pixels.shape[:2]
    rows, columns = _TILE
    if height < rows or width < columns:
        return measure(pixels)
    small = np.ascontiguousarray(pixels[:: max(1, height // _DECIMATED), :: max(1, width // _DECIMATED)])
    saturated = cv2.countNonZero(cv2.inRange(cv2.max(cv2.max(*cv2.split(small)[:2]), small[:, :, 2]), _SATURATED, 255))
    brightness = float(cv2.mean(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))[0])
    tops, lefts = _starts(height, rows, _TILES[0]), _starts(width, columns, _TILES[1])
    tiles = np.concatenate([pixels[top : top + rows, left : left + columns] for top in tops for left in lefts])
    smooth = cv2.GaussianBlur(cv2.cvtColor(tiles, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    edges = cv2.Laplacian(smooth, cv2.CV_16S).reshape(-1, rows, columns)
    inner = np.ascontiguousarray(edges[:, _EDGE:-_EDGE, _EDGE:-_EDGE]).reshape(-1, columns - 2 * _EDGE)
    deviation = float(cv2.meanStdDev(inner)[1][0, 0])
    return Measured(deviation**2, brightness, saturated / (small.shape[0] * small.shape[1]))


def _starts(side: int, part: int, most: int) -> list[int]:
    """Where tiles begin along a side, from its one end to its other."""
    count = min(most, side // part)
    return [round(number * (side - part) / max(1, count - 1)) for number in range(count)]


def suggest(measured: Sequence[Measured]) -> ImageQuality:
    """Limits that lie clearly outside what was measured of good images, one or more."""
    sharpness, brightness, saturated = np.array([astuple(one) for one in measured]).T
    return ImageQuality(
        min_sharpness=_rounded(_SHARPNESS_SHARE * sharpness.min()) if sharpness.min() > 0 else None,
        min_brightness=round(max(0.0, brightness.min() - _BRIGHTNESS_MARGIN), 1),
        max_brightness=round(min(255.0, brightness.max() + _BRIGHTNESS_MARGIN), 1),
        max_saturated=round(min(1.0, saturated.max() + _SATURATED_MARGIN), 3),
    )


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
