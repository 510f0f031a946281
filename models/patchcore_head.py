"""PatchCore with a head: the memory knows what good looks like, the head what a defect may look like; the score is the
strongest of both, each in units of what it says of good images, added."""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from inspection.detector import available_cores
from inspection.errors import BadUsage
from inspection.frames import Pixels
from inspection.score_area import inside_cells, score_area
from models.fitting_runtime import FittingRuntime, load_for_fitting
from models.graph import BACKBONE_OUTPUTS, HeadScale, cell_pixels
from models.images import GoodImages
from models.patchcore import PatchCore
from models.synthetic import paint_defects, vary

if TYPE_CHECKING:
    from models.head import Example, Head, Maps

MEMORY_SHARE = 0.5
_DEFECTIVE = 0.7  # of the examples
_IMAGES = 500  # most that examples are made from: they are kept in memory
_REFERENCES = 100  # images that say what is usual
_ENOUGH_UNSEEN = 10
_UNSEEN_FOLD = 0


class PatchCoreHead(PatchCore):
    """`PatchCore` whose `train` trains the head as well, in `head_steps` batches.

    The first fold's images are kept from the head where there are ten or more, so that the limits can be set on good
    images that no part of the detector has seen.
    """

    OPTIONS: ClassVar[tuple[str, ...]] = (*PatchCore.OPTIONS, "head_steps")

    def __init__(self, *arguments: Any, head_steps: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._steps = head_steps
        self.parameters |= {"head_steps": head_steps, "memory_share": MEMORY_SHARE}

    @property
    def steps(self) -> int:
        return self._steps

    def saw(self, index: int, images: int) -> bool:
        if -(-images // len(self._folds)) < _ENOUGH_UNSEEN:
            return True
        return index % len(self._folds) != _UNSEEN_FOLD

    def train(self, images: GoodImages, done: Callable[[int], object] = lambda _: None) -> None:
        super().train(images, done)
        try:
            import torch

            from models.head import train_head
        except ImportError as error:
            raise BadUsage(
                "--algorithm patchcore-head needs torch: pip install 'pharma-inspection[train]', "
                "or use --algorithm patchcore"
            ) from error
        torch.set_num_threads(available_cores())
        unseen = np.array([not self.saw(index, len(images)) for index in range(len(images))])
        seen, judges = np.flatnonzero(~unseen), np.flatnonzero(unseen if unseen.any() else ~unseen)
        random = np.random.default_rng(self._seed)
        used = np.sort(random.choice(seen, min(len(seen), _IMAGES), replace=False))
        graphs = (self.graph(without=fold, maps=True) for fold in range(len(self._folds)))
        runtimes = [load_for_fitting(graph, alone=False) for graph in graphs]
        inside = inside_cells(self._geometry)
        examples = _Examples(images, used, runtimes, inside, self._seed)
        each = runtimes[0].each
        with closing(each(examples.painted, count())) as painted:
            plain = each(examples.plain, used[:_REFERENCES])
            head = train_head(plain, painted, steps=self._steps, seed=self._seed, done=lambda: done(1))
        self._head = head.weights(), _scale(each(examples.plain, judges[:_REFERENCES]), head, inside)


@dataclass(frozen=True)
class _Examples:
    """What the head learns from: `used` of the images, as they are and with painted defects. Any number of threads may
    ask; the same number is the same example."""

    images: GoodImages
    used: NDArray[np.intp]
    runtimes: list[FittingRuntime]
    inside: NDArray[np.bool_]  # which cells are inspected
    seed: int

    @cached_property
    def _inside_pixels(self) -> NDArray[np.bool_]:
        return cell_pixels(self.inside)

    def maps(self, pixels: Pixels, index: int) -> "Maps":
        """What the head is given of model input made from image `index`: its features, and its distance to the memory
        without that image's fold."""
        outputs = self.runtimes[index % len(self.runtimes)].run(pixels[None])
        fine, coarse = (outputs[name][0] for name in BACKBONE_OUTPUTS)
        return fine, coarse, outputs["distance"][0]

    def plain(self, index: int) -> "Maps":
        """A good image as it is."""
        return self.maps(self.images.prepared(int(index)), int(index))

    def painted(self, number: int) -> "Example":
        """A good image as it might look the next time; most of them have painted defects."""
        from models.head import Example, cell_shares

        random = np.random.default_rng([self.seed, number])
        index, other = (int(image) for image in random.choice(self.used, 2))
        pixels = vary(random, self.images.prepared(index))
        defect = np.zeros(pixels.shape[:2], dtype=bool)
        if random.random() < _DEFECTIVE:
            pixels, defect = paint_defects(random, pixels, self.images.prepared(other), self._where(index))
        return Example(self.maps(pixels, index), cell_shares(defect, *self.inside.shape), self.inside)

    def _where(self, index: int) -> NDArray[np.bool_] | None:
        """Where defects are painted on an image `[H, W]`: on the product, as far as it is inspected."""
        product = self.images.product(index)
        if self.inside.all():
            return product
        inspected = self._inside_pixels if product is None else self._inside_pixels & product
        return inspected if inspected.any() else self._inside_pixels


def _scale(good: Iterable["Maps"], head: "Head", inside: NDArray[np.bool_]) -> HeadScale:
    """From what memory and head say of the cells of good images that are `inside` the region of interest."""
    area = score_area(inside)
    farthest, usual, strongest = [], [], []
    for maps in good:
        logits = head.logits(maps)[inside]
        farthest.append(np.sort(maps[2], axis=None)[-area:].mean())
        usual.append(logits.mean())
        strongest.append(logits.max())
    middle = float(np.mean(usual))
    return HeadScale(
        per_distance=MEMORY_SHARE / max(float(np.mean(farthest)), 1e-6),
        usual_logit=middle,
        per_logit=(1 - MEMORY_SHARE) / max(float(np.mean(strongest)) - middle, 1e-3),
    )
