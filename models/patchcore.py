"""PatchCore (Roth et al., 2022): remember what good patches look like, and measure how far a new one is from them.

Folds: image number i belongs to fold i mod k. The memory without fold f is fitted on the images of all others, so
that every good image is scored once by a memory that never saw it, while the final memory uses all of them.
"""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray

from inspection.manifest import Parameter
from inspection.preprocess import Geometry
from inspection.runtime import Outputs
from models.backbones import Backbone
from models.coreset import k_centre_greedy
from models.graph import HeadScale, HeadWeights, features_graph, memory_graph
from models.images import GoodImages
from models.reservoir import Reservoir

_BYTES = 4
# What k-centre keeps for each row beside the row itself: its square, its distance, and the index of the partition.
_ROW_OVERHEAD = 16
Head = tuple[HeadWeights, HeadScale]


class PatchCore:
    """The memory of one product, filled by `learn`, completed by `train`, turned into a graph by `graph`.

    `memory_mb` bounds the patch features that are kept, whatever the number of images: beyond it each patch of each
    image has the same chance to stay. `bank` is the number of rows in the memory that is served, `stride` the side in
    pixels of model input of the patches that are compared with it, 8 or 16. There are `images`, and `copies` of each.
    """

    OPTIONS: ClassVar[tuple[str, ...]] = ("bank", "stride", "folds", "memory_mb", "seed")

    def __init__(
        self,
        backbone: Backbone,
        geometry: Geometry,
        *,
        bank: int,
        stride: int,
        folds: int,
        images: int,
        copies: int = 0,
        memory_mb: int,
        seed: int,
    ) -> None:
        self._geometry, self._bank, self._seed = geometry, bank, seed
        self._stride = stride
        self.features = features_graph(backbone.model, backbone.channels, geometry, stride)
        channels = sum(backbone.channels)
        rows, columns = geometry.height // stride, geometry.width // stride
        most = memory_mb * 2**20 // (channels * _BYTES + _ROW_OVERHEAD)
        largest_fold = -(-images // folds) * (1 + copies) * rows * columns
        capacity = max(1, min(most // folds, largest_fold))
        self._folds = [Reservoir(capacity, channels, seed + fold) for fold in range(folds)]
        self._picked: dict[int | None, NDArray[np.float32]] = {}
        self._head: Head | None = None
        self.row_budget = capacity * folds
        self.parameters: dict[str, Parameter] = {
            "bank": bank, "stride": stride, "folds": folds, "memory_mb": memory_mb, "seed": seed,
        }  # fmt: skip

    def learn(self, outputs: Outputs, fold: int) -> None:
        """Offer one image's features, the outputs of `features`, to the memory, as part of `fold`."""
        self._folds[fold].add(outputs["features"])

    def train(self, images: GoodImages, done: Callable[[int], object] = lambda _: None) -> None:
        """Complete what needs all images to have been learnt. `done` is told of each of `steps`."""

    def saw(self, index: int, images: int) -> bool:  # noqa: ARG002
        """Whether any part of the detector without image `index`'s fold has seen it."""
        return False

    @property
    def steps(self) -> int:
        """How many steps `train` takes."""
        return 0

    def graph(
        self, without: int | None = None, progress: Callable[[int], object] = lambda _: None, *, maps: bool = False
    ) -> onnx.ModelProto:
        """The detector's graph, of all images or of all but one fold's, see `memory_graph`. `progress` is told of each
        row picked."""
        rows = self.rows(without, progress)
        return memory_graph(self.features, self._geometry, rows, stride=self._stride, head=self._head, maps=maps)

    def rows(self, without: int | None, progress: Callable[[int], object] = lambda _: None) -> NDArray[np.float32]:
        """The memory `[M, K]` of all images or of all but one fold's."""
        if without not in self._picked:
            segments = [reservoir.rows for fold, reservoir in enumerate(self._folds) if fold != without]
            self._picked[without] = k_centre_greedy(segments, self._bank, self._seed, progress)
        return self._picked[without]
