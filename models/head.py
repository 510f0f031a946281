"""The head: a small network on the frozen features that tells synthetic defects from good surface (in the manner of
SuperSimpleNet, Rolih et al., 2024). torch is needed to train it and nowhere else.

1 x 1 convolutions bring the features of both strides and the distance to the memory to one width, a 3 x 3 convolution
looks at the neighbours, a 1 x 1 convolution gives one logit for each cell. Defects are painted on the image, before the
frozen backbone sees it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.graph import HeadWeights

Maps = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
WIDTH = 64
BATCH = 8
_LEARNING_RATE = 2e-3
_DEFECT_SHARE = 0.1  # a cell with at least this share of changed pixels is defective; with fewer it is left out
_GOOD_WEIGHT = 0.5
_SMALL = 16.0  # cells: of a larger defect each cell counts less
_NOISE = 0.15  # of each channel's deviation
_IMAGE_WEIGHT, _STRONGEST = 0.1, 4
_RARE = -3.0
_CELLS = BATCH * 64 * 64  # of the examples that go through the network at once


@dataclass(frozen=True)
class Example:
    """One image's features `[C, h, w]` at both strides and its distance map, which share of each cell `[h, w]` is
    defect, and which cells `[h, w]` are inspected: the others teach nothing."""

    maps: Maps
    defect: NDArray[np.float32]
    inside: NDArray[np.bool_]


class Head(nn.Module):
    """Logits `[N, h, w]` of the features `[N, C, h, w]` at stride 8 and `[N, C, h / 2, w / 2]` at stride 16 and of the
    distance to the memory `[N, 1, h, w]`. Each channel is standardised first, by `means` and `deviations`."""

    def __init__(self, means: Sequence[Tensor], deviations: Sequence[Tensor]) -> None:
        super().__init__()
        self._means, self._deviations = ([values.view(1, -1, 1, 1) for values in part] for part in (means, deviations))
        fine, coarse, distance = (len(mean) for mean in means)
        self.fine = nn.Conv2d(fine, WIDTH, 1)
        self.coarse = nn.Conv2d(coarse, WIDTH, 1, bias=False)
        self.memory = nn.Conv2d(distance, WIDTH, 1, bias=False)
        self.near = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.last = nn.Conv2d(WIDTH, 1, 1)
        self.last.bias = nn.Parameter(torch.tensor([_RARE]))

    def forward(self, fine: Tensor, coarse: Tensor, distance: Tensor) -> Tensor:
        parts = zip((fine, coarse, distance), self._means, self._deviations, strict=True)
        fine, coarse, distance = ((values - mean) / deviation for values, mean, deviation in parts)
        large = functional.interpolate(self.coarse(coarse), scale_factor=2.0, mode="bilinear")
        x = functional.relu(self.fine(fine) + large + self.memory(distance))
        logits: Tensor = self.last(functional.relu(self.near(x)))
        return logits[:, 0]

    def noisy(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The maps with noise on each channel, so that the head does not hang on one of them (SimpleNet, Liu et al.,
        2023, trains on such noise alone)."""
        parts = zip(maps, self._deviations, strict=True)
        return [values + _NOISE * deviation * torch.randn_like(values) for values, deviation in parts]

    def logits(self, maps: Maps) -> NDArray[np.float32]:
        """The logits `[h, w]` of one image's maps."""
        with torch.inference_mode():
            return np.asarray(self(*(torch.from_numpy(values[None]) for values in maps))[0].numpy())

    def weights(self) -> HeadWeights:
        """The same network for the graph, the standardisation folded into the first convolutions."""
        with torch.no_grad():
            first = (self.fine, self.coarse, self.memory)
            folded = [layer.weight / spread for layer, spread in zip(first, self._deviations, strict=True)]
            shifts = [(weight * mean).sum((1, 2, 3)) for weight, mean in zip(folded, self._means, strict=True)]
            biases = [layer.bias for layer in (self.fine, self.near, self.last) if layer.bias is not None]
            bias = biases[0] - torch.stack(shifts).sum(0)
            values = (*folded, bias, self.near.weight, biases[1], self.last.weight, biases[2])
            return HeadWeights(*(value.numpy().copy() for value in values))


def train_head(
    plain: Iterable[Maps], examples: Iterator[Example], *, steps: int, seed: int, done: Callable[[], object]
) -> Head:
    """A head trained on `steps` batches of `examples`; the maps of `plain` good images give means and deviations.

    The same examples, seed and number of threads give the same weights. `done` is called after each batch.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = Head(*_statistics(plain))
        optimiser = torch.optim.AdamW(head.parameters(), lr=_LEARNING_RATE, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=steps + 1)
        for _ in range(steps):
            batch = [next(examples) for _ in range(BATCH)]
            optimiser.zero_grad()
            for loss in _losses(head, batch):
                loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            done()
    return head


def cell_shares(defect: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.float32]:
    """Which share of each cell `[rows, columns]` is marked in a mask `[H, W]` of model input."""
    shares = cv2.resize(defect.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(shares, dtype=np.float32)


def _statistics(plain: Iterable[Maps]) -> tuple[list[Tensor], list[Tensor]]:
    """Mean and deviation of each channel of each map, over images."""
    moments = [[_moments(values) for values in maps] for maps in plain]
    means, spreads = [], []
    for part in zip(*moments, strict=True):
        mean, square = (np.mean(values, axis=0) for values in zip(*part, strict=True))
        means.append(torch.from_numpy(mean).float())
        spreads.append(torch.from_numpy(np.sqrt(np.maximum(square - mean**2, 0)) + 1e-3).float())
    return means, spreads


def _moments(values: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and mean square of each channel `[C]` of `[C, h, w]`."""
    exact = values.astype(np.float64)
    return exact.mean(axis=(1, 2)), (exact**2).mean(axis=(1, 2))


def _losses(head: Head, batch: list[Example]) -> Iterator[Tensor]:
    """Parts whose sum is the batch's loss, each of so few examples that their gradients take bounded memory."""
    targets = [_Target.of(example) for example in batch]
    defective = sum(float(target.weight[target.defective > 0].sum()) for target in targets)
    together = max(1, _CELLS // batch[0].defect.size)
    for start in range(0, len(batch), together):
        part = slice(start, start + together)
        cells, image = _loss(head, [example.maps for example in batch[part]], targets[part])
        yield cells / (defective + 50) + _IMAGE_WEIGHT * image / len(batch)


class _Target(NamedTuple):
    """What the head should say of each cell `[h, w]`, 0 or 1, and how much that matters."""

    defective: Tensor
    weight: Tensor

    @classmethod
    def of(cls, example: Example) -> "_Target":
        """A large defect counts more than a small one, but not by as much as it has more cells: else the small ones,
        which are hard to see, would hardly be learnt."""
        share, inside = torch.from_numpy(example.defect), torch.from_numpy(example.inside)
        defective = ((share >= _DEFECT_SHARE) & inside).float()
        each = min(1.0, (_SMALL / max(1.0, float(defective.sum()))) ** 0.5)
        weight = torch.where(defective > 0, each, torch.where((share > 0) | ~inside, 0.0, _GOOD_WEIGHT))
        return cls(defective, weight)


def _loss(head: Head, maps: list[Maps], targets: list[_Target]) -> tuple[Tensor, Tensor]:
    """Two sums over these examples: the focal loss (Lin et al., 2017) of all cells, and the cross entropy of each image
    by its strongest cells, which is what its score will be made of."""
    inputs = [torch.from_numpy(np.stack(values)) for values in zip(*maps, strict=True)]
    defective, weight = (torch.stack(values) for values in zip(*targets, strict=True))
    logits = head(*head.noisy(inputs))
    entropy = functional.binary_cross_entropy_with_logits(logits, defective, reduction="none")
    cells = (weight * (1 - torch.exp(-entropy)) ** 2 * entropy).sum()
    counted = torch.where(weight > 0, logits, -20.0).flatten(1)
    strongest = counted.topk(_STRONGEST, dim=1).values.mean(dim=1)
    image = functional.binary_cross_entropy_with_logits(strongest, defective.flatten(1).amax(dim=1), reduction="sum")
    return cells, image
