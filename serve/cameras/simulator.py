"""The line simulator as a camera: units with known truth at a line rate."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from data.simulator import line, render
from inspection.frames import Frame
from serve.cameras.camera import Camera, CameraOptions, FrozenAfter, Shot, paced


class SimulatorOptions(CameraOptions):
    """`count` units (endless if left out) at `rate_hz`, a share `defect_rate` of them defective; of each unit
    every frame has other sensor noise."""

    product: Literal["vial", "tablet"] = "vial"
    rate_hz: float = Field(default=4.0, gt=0, le=1000)
    defect_rate: float = Field(default=0.2, ge=0, le=1)
    seed: int = Field(default=0, ge=0)
    count: int | None = Field(default=None, ge=1)
    frozen_after: FrozenAfter = 0


class SimulatorCamera(Camera):
    """Rendered units; each frame carries its truth, which is recorded and never used for the verdict."""

    Options: ClassVar[type[CameraOptions]] = SimulatorOptions

    def __init__(self, name: str, options: CameraOptions, folder: Path) -> None:  # noqa: ARG002
        assert isinstance(options, SimulatorOptions)
        self._name, self._options = name, options

    def shots(self, stop: threading.Event) -> Iterator[Shot]:
        chosen = self._options
        units = line(chosen.product, chosen.seed, chosen.defect_rate, chosen.count)
        for number, unit in zip(paced(chosen.rate_hz, stop), units, strict=False):
            for view in range(chosen.frames):
                name = f"{chosen.product} {number}" + (f" view {view}" if chosen.frames > 1 else "")
                seen = render(unit.product, unit.seed, unit.defect, view=view) if view else unit
                sequence = number * chosen.frames + view
                yield Frame(seen.frame, name, self._name, sequence, truth=unit.defect or "good")
