"""Training of a classifier in torch: first the head on frozen features, then, where asked for, head and backbone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.class_graph import Labels
from models.class_head import ClassHead

BATCH = 16
CHECKS = 10  # looks at the validation images, spread over the training
_PATIENCE = 4
_LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Labelled:
    """One image's `features` `[C, h, w]`, see `class_features_graph`, and which of the K classes it shows `[K]`, 0 or
    1."""

    features: NDArray[np.float32]
    target: NDArray[np.float32]


def new_head(plain: Iterable[Labelled], shares: NDArray[np.float32], labels: Labels, seed: int) -> ClassHead:
    """A head that gives each class the share `[K]` of images that show it; `plain` images give means and deviations."""
    moments = [_moments(image.features) for image in plain]
    mean, square = (np.mean(values, axis=0) for values in zip(*moments, strict=True))
    deviation = np.sqrt(np.maximum(square - mean**2, 0)) + 1e-3
    none = 1 - shares.sum() if labels == "single" else 1 - shares
    bias = np.log(shares / np.maximum(none, 1e-3))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ClassHead(*(torch.from_numpy(values.astype(np.float32)) for values in (mean, deviation, bias)))


def train_head(
    head: ClassHead,
    examples: Iterator[Labelled],
    validation: Sequence[Labelled],
    *,
    labels: Labels,
    steps: int,
    seed: int,
    done: Callable[[], object],
    log: Callable[[str, float, int], object] = lambda *_: None,
) -> float:
    """Train `head` on `steps` batches of `examples`; it is left as it was where the loss of the `validation` images was
    lowest, which is returned. Stops where that has not fallen for several looks. `log` is told both losses at each."""
    best, kept, stale = np.inf, deepcopy(head.state_dict()), 0
    every = max(1, steps // CHECKS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        optimiser = torch.optim.AdamW(head.parameters(), lr=_LEARNING_RATE, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=steps + 1)
        for step in range(1, steps + 1):
            head.train()
            features, target = stacked([next(examples) for _ in range(BATCH)])
            optimiser.zero_grad()
            loss = class_loss(head(features), target, labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            done()
            if step % every == 0 or step == steps:
                now = float(class_loss(logits_of(head, validation), targets_of(validation), labels))
                log("head/training loss", float(loss.detach()), step)
                log("head/validation loss", now, step)
                stale = 0 if now < best else stale + 1
                if now < best:
                    best, kept = now, deepcopy(head.state_dict())
                if stale >= _PATIENCE:
                    break
    head.load_state_dict(kept)
    head.eval()
    return best


def class_loss(logits: Tensor, target: Tensor, labels: Labels) -> Tensor:
    """The mean cross entropy of logits `[N, K]` and targets `[N, K]`."""
    if labels == "multi":
        return functional.binary_cross_entropy_with_logits(logits, target)
    place = torch.where(target.sum(1) > 0, 1 + target.argmax(1), 0)
    return functional.cross_entropy(functional.pad(logits, (1, 0)), place)


def logits_of(head: ClassHead, images: Sequence[Labelled]) -> Tensor:
    """Logits `[N, K]` of images."""
    head.eval()
    with torch.inference_mode():
        parts = [head(stacked(images[at : at + BATCH])[0]) for at in range(0, len(images), BATCH)]
    return torch.cat(parts)


def targets_of(images: Sequence[Labelled]) -> Tensor:
    """Targets `[N, K]` of images."""
    return torch.from_numpy(np.stack([image.target for image in images]))


def stacked(images: Sequence[Labelled]) -> tuple[Tensor, Tensor]:
    """Features `[N, C, h, w]` and targets `[N, K]` of several images."""
    return torch.from_numpy(np.stack([image.features for image in images])), targets_of(images)


def _moments(values: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and mean square of each channel `[C]` of `[C, h, w]`."""
    exact = values.astype(np.float64)
    return exact.mean(axis=(1, 2)), (exact**2).mean(axis=(1, 2))
