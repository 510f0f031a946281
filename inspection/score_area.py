"""Over which cells of a heatmap a memory's score is taken: what fitting builds into the graph, and what a recipe's
region takes again from the heatmap."""

import numpy as np
from numpy.typing import NDArray

from inspection.preprocess import Geometry
from inspection.region import decode_region_mask

AREA = 16  # cells: the memory's score is the mean of as many, 32 x 32 pixels of model input


def inside_cells(geometry: Geometry) -> NDArray[np.bool_]:
    """Which cells `[rows, columns]` of the model input touch the region of interest."""
    if geometry.mask is None:
        return np.ones(geometry.cells, dtype=bool)
    inside = geometry.crop(decode_region_mask(geometry.mask))
    sums = np.pad(inside.cumsum(axis=0, dtype=np.int64).cumsum(axis=1), ((1, 0), (1, 0)))
    (top, bottom), (left, right) = (
        (np.arange(count) * length // count, -(-(np.arange(count) + 1) * length // count))
        for count, length in zip(geometry.cells, inside.shape, strict=True)
    )
    counts = sums[bottom][:, right] - sums[top][:, right] - sums[bottom][:, left] + sums[top][:, left]
    return np.asarray(counts > 0)


def score_area(inside: NDArray[np.generic]) -> int:
    """Over how many cells the memory's score is the mean, where those of `inside` `[rows, columns]` are inspected."""
    return min(AREA, int(inside.sum()))
