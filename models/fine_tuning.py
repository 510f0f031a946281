"""The second half of a classifier's training: head and backbone together, in torch, on a GPU where there is one."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inspection.errors import InspectionError
from inspection.files import write_durably
from inspection.frames import Pixels
from models.class_graph import Labels
from models.class_head import ClassHead
from models.class_training import BATCH, class_loss
from models.torch_graph import TorchGraph

_BACKBONE_RATE, _HEAD_RATE = 2e-4, 1e-3
_PATIENCE = 5


class CheckpointUnreadable(InspectionError):
    """What a training was to go on from is damaged, or of a machine with another kind of processor."""

    code = "checkpoint_unreadable"


@dataclass(frozen=True)
class Picture:
    """Model input `[H, W, 3]` uint8 and which of the K classes it shows `[K]`, 0 or 1."""

    pixels: Pixels
    target: NDArray[np.float32]


class Network(nn.Module):
    """Logits `[N, K]` of frames `[N, H, W, 3]` uint8: the graph that gives the features, and the head."""

    def __init__(self, features: onnx.ModelProto, head: ClassHead) -> None:
        super().__init__()
        self.features, self.head = TorchGraph(features), head

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(frames).float())
        return logits


def fine_tune(
    network: Network,
    examples: Callable[[int], Iterator[Picture]],
    validation: Sequence[Picture],
    *,
    labels: Labels,
    epochs: int,
    steps: int,
    seed: int,
    checkpoint: Path | None = None,
    done: Callable[[int, float, float], object] = lambda *_: None,
) -> float:
    """Train `network` for at most `epochs` of `steps` batches; `examples` gives an epoch's pictures. It is left as it
    was where the loss of the `validation` pictures was lowest, which is returned: so never worse there than it came.
    Stops where that has not fallen for several epochs.

    Where a `checkpoint` of the same training lies, it goes on from there; on a CPU to the same end, to the byte. `done`
    is told each epoch's number, and its loss on training and validation pictures. Raises CheckpointUnreadable.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device)
    optimiser = torch.optim.AdamW(
        [
            {"params": network.features.parameters(), "lr": _BACKBONE_RATE},
            {"params": network.head.parameters(), "lr": _HEAD_RATE},
        ],
        weight_decay=1e-3,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * steps)
    scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")
    state = _State(network, optimiser, schedule, scaler, _loss(network, validation, labels, device))
    if checkpoint and checkpoint.is_file():
        state.restore(checkpoint, device)
    for epoch in range(state.epoch, epochs):
        if state.stale >= _PATIENCE:
            break
        with torch.random.fork_rng():
            torch.manual_seed(seed + epoch)
            trained = _epoch(state, examples(epoch), steps, labels, device)
        state.finish(_loss(network, validation, labels, device))
        if checkpoint:
            state.save(checkpoint)
        done(epoch, trained, state.latest)
    network.load_state_dict(state.kept)
    network.eval().cpu()
    return state.best


@dataclass
class _State:
    """Where a training stands; all of it is in a checkpoint."""

    network: Network
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    scaler: torch.amp.GradScaler
    best: float
    epoch: int = 0
    stale: int = 0
    latest: float = float("nan")

    def __post_init__(self) -> None:
        self.kept = deepcopy(self.network.state_dict())

    def finish(self, loss: float) -> None:
        """An epoch is over, with this loss on the validation pictures."""
        self.epoch, self.latest = self.epoch + 1, loss
        self.stale = 0 if loss < self.best else self.stale + 1
        if loss < self.best:
            self.best, self.kept = loss, deepcopy(self.network.state_dict())

    def save(self, path: Path) -> None:
        """Whole or not at all: the old checkpoint stays until the new one is written."""
        parts = {name: getattr(self, name).state_dict() for name in _PARTS}
        content = BytesIO()
        torch.save(parts | {name: getattr(self, name) for name in _VALUES}, content)
        write_durably(path, content.getvalue())

    def restore(self, path: Path, device: torch.device) -> None:
        """Raises CheckpointUnreadable."""
        try:
            saved: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
            for name in _PARTS:
                getattr(self, name).load_state_dict(saved[name])
            for name in _VALUES:
                setattr(self, name, saved[name])
        except Exception as error:  # torch raises whatever the damage leads to
            raise CheckpointUnreadable(
                f"{path} is no checkpoint that this machine can go on from; delete it to start again"
            ) from error


_PARTS = ("network", "optimiser", "schedule", "scaler")
_VALUES = ("best", "epoch", "stale", "latest", "kept")


def _epoch(state: _State, pictures: Iterator[Picture], steps: int, labels: Labels, device: torch.device) -> float:
    """The mean loss of `steps` batches of training."""
    state.network.train()
    losses = []
    for _ in range(steps):
        frames, target = _stacked([next(pictures) for _ in range(BATCH)], device)
        state.optimiser.zero_grad()
        with torch.autocast(device.type, enabled=device.type == "cuda"):
            loss = class_loss(state.network(frames), target, labels)
        state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        state.scaler.step(state.optimiser)
        state.scaler.update()
        state.schedule.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses))


def _loss(network: Network, pictures: Sequence[Picture], labels: Labels, device: torch.device) -> float:
    network.eval()
    total = 0.0
    with torch.inference_mode():
        for at in range(0, len(pictures), BATCH):
            frames, target = _stacked(pictures[at : at + BATCH], device)
            total += float(class_loss(network(frames), target, labels)) * len(target)
    return total / len(pictures)


def _stacked(pictures: Sequence[Picture], device: torch.device) -> tuple[Tensor, Tensor]:
    frames = torch.from_numpy(np.stack([picture.pixels for picture in pictures])).to(device)
    return frames, torch.from_numpy(np.stack([picture.target for picture in pictures])).to(device)
