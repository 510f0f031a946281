"""The head: a small network on the frozen features that tells synthetic defects from good surface (in the manner of
SuperSimpleNet, Rolih et al., 2024). torch is needed to train it and nowhere else.

Two 1 x 1 convolutions bring the features of both strides to one width, a 3 x 3 convolution looks at the neighbours, a
1 x 1 convolution gives one logit for each cell. Defects are painted on the image, before the frozen backbone sees it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.graph import HeadWeights

Maps = tuple[NDArray[np.float32], NDArray[np.float32]]
WIDTH = 64
BATCH = 8
STEPS = 400
_LEARNING_RATE = 2e-3
_DEFECT_SHARE = 0.1  # a cell with at least this share of changed pixels is defective; with fewer it is left out
_GOOD_WEIGHT = 0.5
_RARE = -3.0


@dataclass(frozen=True)
class Example:
    """The features `[C, h, w]` at both strides of one image, and the share of each cell `[h, w]` that is defect."""

    maps: Maps
    defect: NDArray[np.float32]


class Head(nn.Module):
    """Logits `[N, h, w]` of features `[N, C8, h, w]` and `[N, C16, h / 2, w / 2]`, each channel standardised first."""

    def __init__(self, means: tuple[Tensor, Tensor], deviations: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.fine_mean, self.coarse_mean = (values.view(1, -1, 1, 1) for values in means)
        self.fine_deviation, self.coarse_deviation = (values.view(1, -1, 1, 1) for values in deviations)
        self.fine = nn.Conv2d(len(means[0]), WIDTH, 1)
        self.coarse = nn.Conv2d(len(means[1]), WIDTH, 1, bias=False)
        self.near = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.last = nn.Conv2d(WIDTH, 1, 1)
        self.last.bias = nn.Parameter(torch.tensor([_RARE]))

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        x = self.fine((fine - self.fine_mean) / self.fine_deviation)
        y = self.coarse((coarse - self.coarse_mean) / self.coarse_deviation)
        x = functional.relu(x + functional.interpolate(y, scale_factor=2.0, mode="bilinear"))
        logits: Tensor = self.last(functional.relu(self.near(x)))
        return logits[:, 0]

    def logits(self, maps: Maps) -> NDArray[np.float32]:
        """The logits `[h, w]` of one image's features."""
        with torch.inference_mode():
            return np.asarray(self(*(torch.from_numpy(values[None]) for values in maps))[0].numpy())

    def weights(self) -> HeadWeights:
        """The same network for the graph, the standardisation folded into the first two convolutions."""
        with torch.no_grad():
            fine, coarse = self.fine.weight / self.fine_deviation, self.coarse.weight / self.coarse_deviation
            shift = (fine * self.fine_mean).sum((1, 2, 3)) + (coarse * self.coarse_mean).sum((1, 2, 3))
            biases = [layer.bias for layer in (self.fine, self.near, self.last) if layer.bias is not None]
            values = fine, coarse, biases[0] - shift, self.near.weight, biases[1], self.last.weight, biases[2]
            return HeadWeights(*(value.numpy().copy() for value in values))


def train_head(
    plain: Iterator[Maps], examples: Iterator[Example], *, steps: int, seed: int, done: Callable[[], object]
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
            loss = _loss(head, batch)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            done()
    return head


def cell_shares(defect: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.float32]:
    """Which share of each cell `[rows, columns]` is marked in a mask `[H, W]` of model input."""
    shares = cv2.resize(defect.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(shares, dtype=np.float32)


def _statistics(plain: Iterator[Maps]) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Mean and deviation of each channel over images."""
    sums = [[np.float64(0), np.float64(0)] for _ in range(2)]
    count = 0
    for maps in plain:
        count += 1
        for total, values in zip(sums, maps, strict=True):
            exact = values.astype(np.float64)
            total[0] = total[0] + exact.mean(axis=(1, 2))
            total[1] = total[1] + (exact**2).mean(axis=(1, 2))
    means = [total[0] / count for total in sums]
    spreads = [
        np.sqrt(np.maximum(total[1] / count - mean**2, 0)) + 1e-3 for total, mean in zip(sums, means, strict=True)
    ]
    fine, coarse = (torch.from_numpy(values).float() for values in means)
    fine_spread, coarse_spread = (torch.from_numpy(values).float() for values in spreads)
    return (fine, coarse), (fine_spread, coarse_spread)


def _loss(head: Head, batch: list[Example]) -> Tensor:
    """Focal loss (Lin et al., 2017) over the cells, per defective cell."""
    fine, coarse = (torch.from_numpy(np.stack([example.maps[i] for example in batch])) for i in range(2))
    share = torch.from_numpy(np.stack([example.defect for example in batch]))
    defective = (share >= _DEFECT_SHARE).float()
    counted = torch.where((share > 0) & (share < _DEFECT_SHARE), 0.0, torch.where(defective > 0, 1.0, _GOOD_WEIGHT))
    logits = head(fine, coarse)
    entropy = functional.binary_cross_entropy_with_logits(logits, defective, reduction="none")
    likely = torch.exp(-entropy)
    return (counted * (1 - likely) ** 2 * entropy).sum() / (defective.sum() + 50)
