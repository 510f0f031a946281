"""The detector: a package, loaded and proved, that says what it finds in a frame."""

import math
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError
from inspection.frames import Pixels
from inspection.package import Package
from inspection.preprocess import prepare
from inspection.runtime import RuntimeFault, load_runtime
from inspection.verdict import decide


class GoldenMismatch(InspectionError):
    """On this machine the package does not say what it said when it was made."""

    code = "golden_mismatch"


@dataclass(frozen=True)
class Finding:
    """What a detector says of one frame: the raw score, and the map `[h, w]` float32 that it is the maximum of.

    The map covers the whole frame, and is zero outside the region of interest."""

    score: float
    heatmap: NDArray[np.float32]


class Detector:
    """A package in a runtime. Loading re-runs the golden frames and raises GoldenMismatch where one differs.

    `threads` is the number of cores one call may use (default: all). `find` may be called from several threads.
    Frames are run one by one: a batch could change the last bits of a score, and a verdict must not depend on
    which other units happened to be waiting.
    """

    def __init__(self, package: Package, runtime: str = "onnxruntime", threads: int | None = None) -> None:
        self.package = package
        self.manifest = package.manifest
        self._runtime = load_runtime(runtime, package.model, threads or available_cores())
        self._check_golden()

    def find(self, pixels: Pixels) -> Finding:
        """The finding in one frame `[H, W, 3]` uint8 RGB. Raises FrameWrongGeometry or RuntimeFault."""
        return self._find_prepared(prepare(pixels, self.manifest.input))

    def _find_prepared(self, pixels: Pixels) -> Finding:
        outputs = self._runtime.run(pixels[None])
        try:
            score, heatmap = outputs["score"], outputs["heatmap"]
        except KeyError as error:
            raise RuntimeFault(f"{self.package.source} has no output {error}; it is not a detector") from error
        if score.shape != (1,) or heatmap.shape != (1, *self.manifest.input.cells):
            raise RuntimeFault(
                f"{self.package.source} gave score {score.shape} and heatmap {heatmap.shape} for a frame"
            )
        # A maximum may pass over patches that are not numbers; a unit with such a patch has no score.
        known = bool(np.isfinite(heatmap).all())
        return Finding(float(score[0]) if known else math.nan, self.manifest.input.place(heatmap[0]))

    def _check_golden(self) -> None:
        for golden in self.manifest.golden:
            score = self._find_prepared(self.package.golden[golden.name]).score
            outcome = decide(score, self.manifest.limits).outcome
            close = math.isclose(score, golden.score, rel_tol=0, abs_tol=self.manifest.golden_tolerance)
            if not close or outcome is not golden.outcome:
                raise GoldenMismatch(
                    f"{self.package.source} gives {score:.6g} ({outcome}) for its golden frame {golden.name!r}, gave "
                    f"{golden.score:.6g} ({golden.outcome}) when it was made; this machine or runtime must not serve it"
                )


def available_cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
