"""The two passes over good images: their features into folds, and each scored by a detector without its fold."""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from inspection.errors import BadUsage
from inspection.runtime import Outputs
from models.fitting_runtime import FittingRuntime, load_for_fitting
from models.images import GoodImages
from models.synthetic import vary

_FEW_IMAGES = 20  # with fewer, copies that are moved and lit a little differently fill the memory up
_MOST_COPIES = 8


class Folded(Protocol):
    """What is fitted in folds: image number i belongs to fold i mod k."""

    features: onnx.ModelProto

    def learn(self, outputs: Outputs, fold: int) -> None:
        """Take one image's outputs of `features` as part of `fold`."""
        ...

    def saw(self, index: int, images: int) -> bool:
        """Whether any part of the detector without image `index`'s fold has seen it."""
        ...

    def graph(self, without: int | None = None) -> onnx.ModelProto:
        """The detector of all images, or of all but one fold's."""
        ...


def copies_of(images: int) -> int:
    """How many varied copies of each of so many images go into the memory beside it."""
    return min(_MOST_COPIES, (_FEW_IMAGES - 1) // images)


def learn(
    algorithm: Folded, images: GoodImages, folds: int, done: Callable[[], object], *, copies: int = 0, seed: int = 0
) -> None:
    """First pass: the features of every image, and of `copies` of it, into its fold. Raises BadUsage."""
    extract = load_for_fitting(algorithm.features)

    def extracted(frame: tuple[int, int]) -> Outputs:
        index, copy = frame
        pixels = images.prepared(index)
        return extract.run((vary(np.random.default_rng([seed, *frame]), pixels) if copy else pixels)[None])

    frames = list(product(range(len(images)), range(1 + copies)))
    for (index, copy), outputs in zip(frames, extract.each(extracted, frames), strict=True):
        if not np.isfinite(outputs["features"]).all():
            raise BadUsage("--backbone gives values that are not finite for these images; choose another")
        algorithm.learn(outputs, index % folds)
        if copy == copies:
            done()


def held_out_scores(
    algorithm: Folded, images: GoodImages, folds: int, done: Callable[[], object]
) -> NDArray[np.float64]:
    """Second pass: the score of every image `[images]` from a detector that has not seen its fold.

    What was trained once, on most images, has seen those: they are shifted up to the mean of the unseen ones.
    """
    scores = np.empty(len(images))
    for fold in range(folds):
        detector = load_for_fitting(algorithm.graph(without=fold))
        indices = range(fold, len(images), folds)
        for index, score in zip(indices, detector.each(partial(_score, detector, images), indices), strict=True):
            scores[index] = score
            done()
    saw = np.array([algorithm.saw(index, len(images)) for index in range(len(images))])
    if saw.any() and not saw.all():
        scores[saw] += max(0.0, scores[~saw].mean() - scores[saw].mean())
    return scores


def _score(detector: FittingRuntime, images: GoodImages, index: int) -> float:
    return float(detector.run(images.prepared(index)[None])["score"][0])
