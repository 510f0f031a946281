"""The memory of a finished package, brought up to date with further good images and without the old ones.

Which rows stay: every row of the old memory stands for patches of old images that are gone, and those lay no further
from it than the rows of the memory lie from each other (k-centre greedy picks the farthest row until the last). A new
patch nearer than that to an old row is known as well as the old patches were and asks for no place: where all are,
the memory stays as it is. All others compete with the old rows in one k-centre greedy, the old rows first, for the
number of rows the memory has. Keeping all old rows instead would leave no room; letting near twins compete too would
replace old rows for nothing, and move the memory away from the old images with each update.

The learned head, where there is one, and its scale stay as they are: they take the distance to the new memory.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from inspection.errors import InspectionError
from inspection.runtime import Outputs
from models.coreset import k_centre_greedy
from models.nearest import stored_bank
from models.onnx_text import loop_bodies
from models.reservoir import Reservoir

Rows = NDArray[np.float32]
_BYTES = 4
_CHUNK = 8192
_MEMORY = "memory/"


class GraphNotUpdatable(InspectionError):
    """The package's graph has no memory that could be brought up to date."""

    code = "graph_not_updatable"


class MemoryUpdate:
    """The memory in `model` and new images, learnt in `folds`; at most `bank` rows.

    `memory_mb` bounds the new patch features that are kept, whatever the number of images. Raises GraphNotUpdatable.
    """

    def __init__(self, model: onnx.ModelProto, *, bank: int, folds: int, memory_mb: int, seed: int) -> None:
        self._model, self._bank, self._seed = model, bank, seed
        self.old = read_memory(model)
        self.features = features_of(model)
        channels = self.old.shape[1]
        capacity = max(1, memory_mb * 2**20 // (channels * _BYTES) // folds)
        self._folds = [Reservoir(capacity, channels, seed + fold) for fold in range(folds)]
        self._reach = reach(self.old, bank)

    def learn(self, outputs: Outputs, fold: int) -> None:
        """Offer one new image's features, the outputs of `features`, as part of `fold`."""
        rows = outputs["features"]
        self._folds[fold].add(rows[distances(rows, self.old) > self._reach])

    def saw(self, index: int, images: int) -> bool:  # noqa: ARG002
        """Whether any part of the detector without image `index`'s fold has seen it: none has, the head stays."""
        return False

    def graph(self, without: int | None = None) -> onnx.ModelProto:
        """The detector with the memory of old rows and all new images, or all but one fold's."""
        return with_memory(self._model, self.rows(without))

    def rows(self, without: int | None = None) -> Rows:
        """That memory `[M, C]`; the old one as it was where the images bring nothing new."""
        new = [part.rows for fold, part in enumerate(self._folds) if fold != without and part.seen]
        return k_centre_greedy([self.old, *new], self._bank, self._seed) if new else self.old


def reach(memory: Rows, bank: int) -> float:
    """How far from a row of `memory` `[M, C]` the patches it was picked from may lie: the smallest distance between two
    of its rows. Zero where there are fewer rows than the `bank` it could have held: then it holds every patch."""
    if len(memory) < max(2, bank):
        return 0.0
    exact = memory.astype(np.float64)
    squares = (exact**2).sum(axis=1)
    between = squares[:, None] + squares[None] - 2 * exact @ exact.T
    np.fill_diagonal(between, np.inf)
    return float(np.sqrt(max(0.0, between.min())))


def distances(rows: Rows, memory: Rows) -> NDArray[np.float64]:
    """From each row `[n, C]` to the nearest of `memory` `[M, C]`: `[n]`."""
    exact = memory.astype(np.float64)
    squares = (exact**2).sum(axis=1)
    found = [np.empty(0)]
    for at in range(0, len(rows), _CHUNK):
        part = rows[at : at + _CHUNK].astype(np.float64)
        nearest = (squares - 2 * part @ exact.T).min(axis=1) + (part**2).sum(axis=1)
        found.append(np.sqrt(np.maximum(nearest, 0)))
    return np.concatenate(found)


def read_memory(model: onnx.ModelProto) -> Rows:
    """The rows `[M, C]` float32 of the graph's memory, exactly: it is stored as -2 times its transpose."""
    bank = numpy_helper.to_array(_initializer(model, "bank"))
    return np.ascontiguousarray(bank.T / np.float32(-2))


def features_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """The part of the graph that gives `features` float32 `[P, C]` for `frames`."""
    if not any("features" in node.output for node in model.graph.node):
        raise GraphNotUpdatable("this package's graph has no features that new images could be compared by; train anew")
    return onnx.utils.Extractor(model).extract_model([model.graph.input[0].name], ["features"])


def with_memory(model: onnx.ModelProto, rows: Rows) -> onnx.ModelProto:
    """A copy of the graph whose memory is `rows` `[M, C]`, without metadata."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.metadata_props[:]
    for end, values in stored_bank(rows).items():
        tensor = _initializer(made, end)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for graph in _graphs(made):  # sizes of the old memory
        others = [info for info in graph.value_info if not info.name.startswith(_MEMORY)]
        del graph.value_info[:]
        graph.value_info.extend(others)
    onnx.checker.check_model(made)
    return made


def _initializer(model: onnx.ModelProto, end: str) -> onnx.TensorProto:
    known = [each for graph in _graphs(model) for each in graph.initializer]
    found = [each for each in known if each.name.startswith(_MEMORY) and each.name.endswith(end)]
    if len(found) != 1:
        raise GraphNotUpdatable("this package's graph has no memory that could be brought up to date; train anew")
    return found[0]


def _graphs(model: onnx.ModelProto) -> list[onnx.GraphProto]:
    """The graph, and the bodies of its loops: where there are many patches the search runs in one, block by block."""
    return [model.graph, *loop_bodies(model)]
