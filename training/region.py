"""The `--region` of `inspection train`: from what a person writes to the part of the frame that is inspected."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from inspection.config import read_config
from inspection.region import WHOLE, Bounds, RegionInvalid, bounds_of, encode_region_mask

AUTO, FULL = "auto", "full"
_EXPECTED = "auto, full, left,top,right,bottom in pixels, a YAML file with polygons, or a PNG mask"
Point = tuple[float, float]


@dataclass(frozen=True)
class Region:
    """The part of a frame: a rectangle, as shares of the frame, and the mask inside it where it is no rectangle."""

    bounds: Bounds
    mask: str | None
    description: str


class RegionFile(BaseModel):
    """A YAML file with polygons, each a list of at least three corners [x, y] in pixels of the frame."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    polygons: list[list[Point]] = Field(min_length=1)


def read_region(option: str, height: int, width: int, find: Callable[[], Bounds]) -> Region:
    """The region that `option` means for frames of `height` x `width` pixels; `find` says where the product is, for
    `auto` only.

    Raises RegionInvalid or ConfigInvalid.
    """
    if option == FULL:
        return Region(WHOLE, None, FULL)
    if option == AUTO:
        return Region(find(), None, AUTO)
    path = Path(option)
    if path.suffix.lower() in (".yaml", ".yml"):
        return _of_mask(_polygons(path, height, width), f"polygons of {path.name}")
    if path.suffix.lower() == ".png":
        return _of_mask(_mask(path, height, width), f"mask {path.name}")
    return _rectangle(option, height, width)


def _rectangle(option: str, height: int, width: int) -> Region:
    try:
        left, top, right, bottom = (float(part) for part in option.split(","))
    except ValueError as error:
        raise RegionInvalid(f"--region must be {_EXPECTED}; got {option!r}") from error
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise RegionInvalid(
            f"--region {option} must be left,top,right,bottom inside the frame of {width} x {height} pixels"
        )
    inside = np.zeros((height, width), dtype=bool)
    inside[round(top) : round(bottom), round(left) : round(right)] = True
    return _of_mask(inside, option)


def _of_mask(inside: NDArray[np.bool_], description: str) -> Region:
    bounds = bounds_of(inside)
    return Region(bounds, encode_region_mask(inside), description)


def _polygons(path: Path, height: int, width: int) -> NDArray[np.bool_]:
    polygons = read_config(path, RegionFile).polygons
    inside = np.zeros((height, width), dtype=np.uint8)
    for number, polygon in enumerate(polygons, start=1):
        corners = np.array(polygon, dtype=np.float64).reshape(-1, 2)
        if len(corners) < 3 or not np.isfinite(corners).all():
            raise RegionInvalid(f"polygon {number} of {path} needs at least three corners [x, y]")
        if (corners < 0).any() or (corners > (width, height)).any():
            raise RegionInvalid(f"polygon {number} of {path} leaves the frame of {width} x {height} pixels")
        cv2.fillPoly(inside, [np.round(corners).astype(np.int32)], 1)
    return inside > 0


def _mask(path: Path, height: int, width: int) -> NDArray[np.bool_]:
    try:
        image = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
    except (OSError, cv2.error):
        image = None
    if image is None:
        raise RegionInvalid(f"{path} is not a readable mask; --region must be {_EXPECTED}")
    if image.shape != (height, width):
        raise RegionInvalid(
            f"{path} is {image.shape[1]} x {image.shape[0]} pixels and the frames are {width} x {height}; "
            "draw it on a frame"
        )
    return np.asarray(image > 0)
