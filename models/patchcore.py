"""PatchCore (Roth et al., 2022): remember what good patches look like, and measure how far a new one is from them.

Folds: image number i belongs to fold i mod k. The memory without fold f is fitted on the images of all others, so
that every good image is scored once by a memory that never saw it, while the final memory uses all of them.
"""

from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray

from inspection.manifest import Parameter
from inspection.preprocess import Geometry
from models.backbones import Backbone
from models.coreset import k_centre_greedy
from models.graph import features_graph, grid, memory_graph
from models.reservoir import Reservoir

_BYTES = 4
# What k-centre keeps for each row beside the row itself: its square, its distance, and the index of the partition.
_ROW_OVERHEAD = 16


class PatchCore:
    """The memory of one product, filled by `learn`, turned into a graph by `graph`.

    `memory_mb` bounds the patch features that are kept, whatever the number of images: beyond it each patch of each
    image has the same chance to stay. `bank` is the number of rows in the memory that is served.
    """

    def __init__(
        self, backbone: Backbone, geometry: Geometry, *, bank: int, folds: int, images: int, memory_mb: int, seed: int
    ) -> None:
        self._geometry, self._bank, self._seed = geometry, bank, seed
        self.features = features_graph(backbone.model, backbone.channels, geometry)
        dimensions = sum(backbone.channels)
        rows, columns = grid(geometry)
        most = memory_mb * 2**20 // (dimensions * _BYTES + _ROW_OVERHEAD)
        largest_fold = -(-images // folds) * rows * columns
        capacity = max(1, min(most // folds, largest_fold))
        self._folds = [Reservoir(capacity, dimensions, seed + fold) for fold in range(folds)]
        self.row_budget = capacity * folds
        self.parameters: dict[str, Parameter] = {"bank": bank, "folds": folds, "memory_mb": memory_mb, "seed": seed}

    def learn(self, features: NDArray[np.float32], fold: int) -> None:
        """Offer one image's features `[patches, C]` to the memory, as part of `fold`."""
        self._folds[fold].add(features)

    def graph(self, without: int | None = None, progress: Callable[[int], object] = lambda _: None) -> onnx.ModelProto:
        """The detector's graph, of all images or of all but one fold's. `progress` is told of each row picked."""
        segments = [reservoir.rows for fold, reservoir in enumerate(self._folds) if fold != without]
        return memory_graph(self.features, self._geometry, k_centre_greedy(segments, self._bank, self._seed, progress))


ALGORITHMS = {"patchcore": PatchCore}
