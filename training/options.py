"""What an engineer may set when a detector is fitted."""

import re
from dataclasses import dataclass

from inspection.errors import BadUsage
from inspection.frames import Colour
from inspection.manifest import NAME_PATTERN, VERSION_PATTERN
from models.algorithms import ALGORITHMS
from models.backbones import STRIDES
from training.limits import check_false_reject_rate


@dataclass(frozen=True)
class FitOptions:
    """The defaults need no tuning. `size` is the side in pixels of a square with the area of the model input.

    `region` is what `training.region.read_region` takes; `stride` and `bank` are the memory's, `head_steps` the
    number of batches that the head is trained on.
    """

    algorithm: str = "patchcore-head"
    backbone: str = "efficientnet_lite0"
    size: int = 384
    region: str = "auto"
    bank: int = 2000
    stride: int = 16
    head_steps: int = 400
    folds: int = 5
    seed: int = 0
    false_reject_rate: float = 0.02
    memory_mb: int = 384
    colour: Colour = "rgb"
    name: str | None = None
    version: str = "1.0.0"

    def check(self) -> None:
        """Raise BadUsage for a value out of its range."""
        ranges = {
            "size": (64, 2048), "bank": (1, 1_000_000), "head_steps": (1, 1_000_000),
            "folds": (2, 50), "memory_mb": (8, 1_000_000), "seed": (0, 2**32 - 1),
        }  # fmt: skip
        check_ranges(self, ranges)
        check_name_and_version(self.name, self.version)
        if self.stride not in STRIDES:
            raise BadUsage(f"--stride must be 8 or 16, got {self.stride}")
        if self.algorithm not in ALGORITHMS:
            raise BadUsage(f"--algorithm must be one of {', '.join(ALGORITHMS)}, got {self.algorithm!r}")
        check_false_reject_rate(self.false_reject_rate)


def check_ranges(options: object, ranges: dict[str, tuple[int, int]]) -> None:
    """Raise BadUsage for the first option that is set and out of its range."""
    for name, (low, high) in ranges.items():
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise BadUsage(f"--{name.replace('_', '-')} must be between {low} and {high}, got {value}")


def check_name_and_version(name: str | None, version: str) -> None:
    """Raise BadUsage for what cannot be a package's name or version."""
    for option, pattern, text in (("name", NAME_PATTERN, name), ("version", VERSION_PATTERN, version)):
        if text is not None and not re.fullmatch(pattern, text):
            raise BadUsage(f"--{option} must match {pattern}, got {text!r}")
