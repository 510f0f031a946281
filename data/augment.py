"""How a labelled image may look the next time: what a camera and a conveyor change about it, and nothing that would
hide a defect or make one (no cut-outs, no warping, no colour shifts, no scale)."""

import os
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from inspection.frames import Pixels

if TYPE_CHECKING:
    import albumentations

_HALF = 0.5


class Augmentation(BaseModel):
    """Each value is the most that is done; zero or false switches it off.

    `rotation` in degrees, `shift` as a share of the side, `brightness` and `contrast` as shares of the full range,
    `noise` as a share of 255 (one standard deviation), `blur` in pixels of model input (sigma). `flips` mirrors in both
    directions: only for products without print.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rotation: float = Field(default=5.0, ge=0, le=180)
    shift: float = Field(default=0.02, ge=0, le=0.2)
    brightness: float = Field(default=0.1, ge=0, le=0.5)
    contrast: float = Field(default=0.1, ge=0, le=0.5)
    noise: float = Field(default=0.01, ge=0, le=0.1)
    blur: float = Field(default=0.5, ge=0, le=2)
    flips: bool = False


class Pipeline:
    """An augmentation by albumentations; not to be shared between threads. The same number gives the same change."""

    def __init__(self, config: Augmentation) -> None:
        self._compose = _compose(config)

    def __call__(self, pixels: Pixels, number: int) -> Pixels:
        """A changed copy of `pixels` `[H, W, 3]` uint8 RGB."""
        self._compose.set_random_seed(number)
        changed: Pixels = self._compose(image=pixels)["image"]
        return changed


def _compose(config: Augmentation) -> "albumentations.Compose":
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would ask the internet for a newer version
    import albumentations
    import cv2

    steps: list[albumentations.BasicTransform] = []
    if config.flips:
        steps += [albumentations.HorizontalFlip(p=_HALF), albumentations.VerticalFlip(p=_HALF)]
    if config.rotation or config.shift:
        steps.append(
            albumentations.Affine(
                rotate=(-config.rotation, config.rotation),
                translate_percent=(-config.shift, config.shift),
                border_mode=cv2.BORDER_REFLECT_101,
                p=1.0,
            )
        )
    if config.brightness or config.contrast:
        steps.append(
            albumentations.RandomBrightnessContrast(
                brightness_limit=config.brightness, contrast_limit=config.contrast, p=1.0
            )
        )
    if config.blur:
        steps.append(albumentations.GaussianBlur(blur_limit=0, sigma_limit=(0.1, config.blur), p=_HALF))
    if config.noise:
        steps.append(albumentations.GaussNoise(std_range=(0.0, config.noise), p=_HALF))
    return albumentations.Compose(steps)
