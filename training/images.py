"""The good images a detector is fitted on: in a fixed order, prepared as they will be on the line."""

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from inspection.detector import available_cores
from inspection.frames import Colour, Pixels, read_frame
from inspection.ordered_pool import map_in_order
from inspection.preprocess import FrameWrongGeometry, Geometry, prepare
from inspection.region import Bounds
from training.foreground import around, find_product, product_bounds
from training.region import Region, read_region

CACHE_MB = 256


class _File(Protocol):
    @property
    def path(self) -> str: ...


class _Options(Protocol):
    @property
    def size(self) -> int: ...
    @property
    def region(self) -> str: ...
    @property
    def colour(self) -> Colour: ...


class PreparedImages:
    """`files` under `root` as model input of one `geometry`.

    The images used last are kept prepared, up to 256 MB of them. Threads may share it. Raises what reading and
    preparing a frame raises.
    """

    def __init__(self, files: Sequence[_File], root: Path, geometry: Geometry) -> None:
        self._files, self._root, self.geometry = files, root, geometry
        self._lock = Lock()
        self._kept: OrderedDict[int, Pixels] = OrderedDict()
        self._most = max(1, CACHE_MB * 2**20 // (self.geometry.height * self.geometry.width * 3))
        self._products: dict[int, NDArray[np.uint8] | None] = {}

    def __len__(self) -> int:
        return len(self._files)

    def prepared(self, index: int) -> Pixels:
        """Model input `[height, width, 3]` uint8 of one image."""
        with self._lock:
            if index in self._kept:
                self._kept.move_to_end(index)
                return self._kept[index]
        try:
            pixels = prepare(self._read(index), self.geometry)
        except FrameWrongGeometry as error:
            raise FrameWrongGeometry(f"{self._root / self._files[index].path}: {error}") from error
        with self._lock:
            while len(self._kept) >= self._most:
                self._kept.popitem(last=False)
            self._kept[index] = pixels
        return pixels

    def product(self, index: int) -> NDArray[np.bool_] | None:
        """Where the product is on it `[height, width]`; None where it cannot be told from the background.

        What was found, some 20 KB an image, is kept for all that were asked for."""
        if index not in self._products:
            product = find_product(self._read(index))
            self._products[index] = None if product is None else self.geometry.crop(product).astype(np.uint8)
        inside = self._products[index]
        if inside is None:
            return None
        size = (self.geometry.width, self.geometry.height)
        return np.asarray(cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST) > 0)

    def _read(self, index: int) -> Pixels:
        return read_frame(self._root / self._files[index].path, self.geometry.colour).pixels


class TrainingImages(PreparedImages):
    """`PreparedImages` of which the first frame and the options give the geometry."""

    def __init__(self, files: Sequence[_File], root: Path, options: _Options) -> None:
        def bounds(file: _File) -> Bounds | None:
            return product_bounds(read_frame(root / file.path, options.colour).pixels)

        def find() -> Bounds:
            with closing(map_in_order(bounds, files, available_cores())) as products:
                return around(products)

        first = read_frame(root / files[0].path, options.colour).pixels
        height, width = first.shape[:2]
        self.region = read_region(options.region, height, width, find)
        super().__init__(files, root, _geometry(root / files[0].path, first, options, self.region))


def _geometry(path: Path, pixels: Pixels, options: _Options, region: Region) -> Geometry:
    try:
        return Geometry.for_frames(pixels, options.size, options.colour, region.bounds, region.mask)
    except ValidationError as error:
        raise FrameWrongGeometry(
            f"{path} is {pixels.shape[1]} x {pixels.shape[0]} pixels, too long a shape for --size {options.size}: "
            "no side of the model input may exceed 4096; choose a smaller --size or crop the images"
        ) from error
