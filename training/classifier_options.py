"""What an engineer may set when a classifier is trained."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from data.augment import Augmentation
from inspection.config import read_mapping, validate
from inspection.errors import BadUsage
from inspection.frames import Colour
from inspection.manifest import ClassAction, Severity
from inspection.preprocess import Geometry
from models.class_graph import Labels
from training.limits import check_false_reject_rate
from training.options import check_name_and_version, check_ranges


class ClassMeaning(BaseModel):
    """What a defect class means for the patient, and what is done with a unit that surely shows it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    severity: Severity = "major"
    action: ClassAction = "reject"


def read_meanings(path: Path) -> dict[str, ClassMeaning]:
    """What each class means, by name, from a YAML file. Raises ConfigInvalid."""
    return {str(name): validate(value, ClassMeaning, f"{path}: {name}") for name, value in read_mapping(path).items()}


@dataclass(frozen=True)
class ClassifierOptions:
    """The defaults need no tuning. `size`, `region` and `colour` are as in `FitOptions`; a `geometry`
    stands instead of all three.

    `steps` is the most batches that the head is trained on, None for as many as the images are worth; `epochs` how
    often the backbone is then trained on every image; 0 leaves it frozen.
    """

    backbone: str = "efficientnet_lite0"
    size: int = 384
    region: str = "auto"
    geometry: Geometry | None = None
    colour: Colour = "rgb"
    labels: Literal["auto"] | Labels = "auto"
    binary: bool = False
    steps: int | None = None
    epochs: int = 0
    seed: int = 0
    false_reject_rate: float = 0.02
    augmentation: Augmentation = field(default_factory=Augmentation)
    meanings: dict[str, ClassMeaning] = field(default_factory=dict)
    name: str | None = None
    version: str = "1.0.0"

    def check(self) -> None:
        """Raise BadUsage for a value out of its range."""
        check_ranges(self, {"size": (64, 2048), "steps": (1, 1_000_000), "epochs": (0, 10_000), "seed": (0, 2**32 - 1)})
        check_name_and_version(self.name, self.version)
        check_false_reject_rate(self.false_reject_rate)
        if self.labels not in ("auto", "single", "multi"):
            raise BadUsage(f"--labels must be auto, single or multi, got {self.labels!r}")
