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
from inspection.runtime import AUTO, Runtime, RuntimeFault, able, load_runtime
from inspection.runtime_choice import fastest
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

    `runtime` is the name of an engine, or `auto`: the fastest of those that compute the package's precision and give
    its golden scores. `threads` is the number of cores one call may use (default: all). `find` may be called from
    several threads; `parallel` says how many calls at once are worth preparing for.
    Frames are run one by one: a batch could change the last bits of a score, and a verdict must not depend on
    which other units happened to be waiting.
    """

    def __init__(
        self, package: Package, runtime: str = "onnxruntime", threads: int | None = None, parallel: int = 1
    ) -> None:
        self.package = package
        self.manifest = package.manifest
        names = able(self.manifest.precision) if runtime == AUTO else [runtime]
        self._runtime = self._choose(names, threads or available_cores(), parallel)

    @property
    def runtime(self) -> str:
        """The name of the engine that was chosen."""
        return self._runtime.name

    def find(self, pixels: Pixels) -> Finding:
        """The finding in one frame `[H, W, 3]` uint8 RGB. Raises FrameWrongGeometry or RuntimeFault."""
        return self._find_prepared(prepare(pixels, self.manifest.input))

    def _choose(self, names: list[str], threads: int, parallel: int) -> Runtime:
        """The fastest of the named runtimes that load the package and give its golden scores. Where none does, what
        kept the first from it is raised."""
        proved: list[Runtime] = []
        refusals: list[InspectionError] = []
        for name in names:
            try:
                runtime = load_runtime(name, self.package.model, threads, self.manifest.precision, parallel)
                self._check_golden(runtime)
            except (RuntimeFault, GoldenMismatch) as error:
                refusals.append(error)
            else:
                proved.append(runtime)
        if not proved:
            raise refusals[0]
        return fastest(proved, self.package.golden[self.manifest.golden[0].name])

    def _find_prepared(self, pixels: Pixels, runtime: Runtime | None = None) -> Finding:
        outputs = (runtime or self._runtime).run(pixels[None])
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

    def _check_golden(self, runtime: Runtime) -> None:
        for golden in self.manifest.golden:
            score = self._find_prepared(self.package.golden[golden.name], runtime).score
            outcome = decide(score, self.manifest.limits).outcome
            wanted = golden.score_in(runtime.name)
            close = math.isclose(score, wanted, rel_tol=0, abs_tol=self.manifest.golden_tolerance)
            if not close or outcome is not golden.outcome:
                raise GoldenMismatch(
                    f"{self.package.source} gives {score:.6g} ({outcome}) for its golden frame {golden.name!r}, gave "
                    f"{wanted:.6g} ({golden.outcome}) when it was made; this machine must not serve it with "
                    f"{runtime.name}"
                )


def available_cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
