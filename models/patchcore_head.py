"""PatchCore with a head: the memory knows what good looks like, the head what a defect may look like; the score is the
strongest of both, each in units of what it says of good images, added."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from inspection.detector import available_cores
from inspection.errors import BadUsage
from inspection.frames import Pixels
from models.fitting_runtime import load_for_fitting
from models.graph import BACKBONE_OUTPUTS, HeadScale
from models.images import GoodImages
from models.patchcore import PatchCore
from models.synthetic import paint_defects, vary

if TYPE_CHECKING:
    from models.head import Example, Head, Maps

    MapMaker = Callable[[Pixels, int], Maps]

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
        random = np.random.default_rng(self._seed)
        seen = np.array([index for index in range(len(images)) if self.saw(index, len(images))])
        used = np.sort(random.choice(seen, min(len(seen), _IMAGES), replace=False))
        maps = self._map_maker()
        head = train_head(
            (maps(images.prepared(int(index)), int(index)) for index in used[:_REFERENCES]),
            _examples(random, images, used, maps, self._geometry.cells),
            steps=self._steps, seed=self._seed, done=lambda: done(1),
        )  # fmt: skip
        self._head = head.weights(), _scale(images, head, maps)

    def _map_maker(self) -> "MapMaker":
        """What the head is given of model input: its features, and its distance to the memory without the fold of the
        image that it was made from."""
        runtimes = [load_for_fitting(self.graph(without=fold, maps=True)) for fold in range(len(self._folds))]

        def maps(pixels: Pixels, index: int) -> "Maps":
            outputs = runtimes[index % len(runtimes)].run(pixels[None])
            fine, coarse = (outputs[name][0] for name in BACKBONE_OUTPUTS)
            return fine, coarse, outputs["heatmap"]

        return maps


def _scale(images: GoodImages, head: "Head", maps: "MapMaker") -> HeadScale:
    """From what memory and head say of good images."""
    farthest, usual, strongest = [], [], []
    for index in np.linspace(0, len(images) - 1, min(len(images), _REFERENCES)).round().astype(int):
        given = maps(images.prepared(int(index)), int(index))
        logits = head.logits(given)
        farthest.append(given[2].max())
        usual.append(logits.mean())
        strongest.append(logits.max())
    middle = float(np.mean(usual))
    return HeadScale(
        per_distance=MEMORY_SHARE / max(float(np.mean(farthest)), 1e-6),
        usual_logit=middle,
        per_logit=(1 - MEMORY_SHARE) / max(float(np.mean(strongest)) - middle, 1e-3),
    )


def _examples(
    random: np.random.Generator,
    images: GoodImages,
    used: NDArray[np.intp],
    maps: "MapMaker",
    cells: tuple[int, int],
) -> "Iterator[Example]":
    """Good images as they might look the next time, most of them with painted defects, without end."""
    from models.head import Example, cell_shares

    while True:
        index = int(random.choice(used))
        pixels = vary(random, images.prepared(index))
        defect = np.zeros(pixels.shape[:2], dtype=bool)
        if random.random() < _DEFECTIVE:
            donor = images.prepared(int(random.choice(used)))
            pixels, defect = paint_defects(random, pixels, donor, images.product(index))
        yield Example(maps(pixels, index), cell_shares(defect, *cells))
