"""The detector: a package, loaded and proved, that says what it finds in a frame."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError
from inspection.frames import Pixels
from inspection.manifest import DefectClass
from inspection.package import Package
from inspection.preprocess import prepare
from inspection.runtime import AUTO, Outputs, Runtime, RuntimeFault, able, load_runtime
from inspection.runtime_choice import fastest
from inspection.verdict import ClassFound, Limits, Verdict, combine, decide

PROBABILITIES = "class_probabilities"


class GoldenMismatch(InspectionError):
    """On this machine the package does not say what it said when it was made."""

    code = "golden_mismatch"


@dataclass(frozen=True)
class Finding:
    """What a detector says of one frame: the raw score, the map `[h, w]` float32 that it is the maximum of, and a
    classifier's classes, in the manifest's order. `also` is what the recipe's other package finds, with its limits.

    The map covers the whole frame, and is zero outside the region of interest."""

    score: float
    heatmap: NDArray[np.float32]
    classes: tuple[ClassFound, ...] = ()
    also: tuple[tuple["Finding", Limits], ...] = ()

    @property
    def named(self) -> tuple[ClassFound, ...]:
        """The classes that any package is sure of, the likeliest first."""
        return tuple(sorted((one for one in self.all_classes if one.sure), key=lambda one: -one.probability))

    @property
    def all_classes(self) -> tuple[ClassFound, ...]:
        """Its own and those of what else was found."""
        return (*self.classes, *(one for finding, _ in self.also for one in finding.classes))

    def verdict(self, limits: Limits) -> Verdict:
        """The verdict at `limits`: a unit passes only where all that was found passes it."""
        return self.deciding(limits)[2]

    def deciding(self, limits: Limits) -> tuple["Finding", Limits, Verdict]:
        """What the verdict at `limits` comes from, this finding or one of `also`, with its own limits."""
        found = [(self, limits), *self.also]
        verdicts = [decide(one.score, its, one.classes) for one, its in found]
        verdict = combine(verdicts)
        return *found[verdicts.index(verdict)], verdict


class Detector:
    """A package in a runtime. Loading re-runs the golden frames and raises GoldenMismatch where one differs.

    A `model` that computes more than the package's own graph may stand in for it; its outputs' names have `prefix`
    then.

    `runtime` is the name of an engine, or `auto`: the fastest of those that compute the package's precision and give
    its golden scores. `threads` is the number of cores one call may use (default: all). `find` may be called from
    several threads; `parallel` says how many calls at once are worth preparing for.
    Frames are run one by one: a batch could change the last bits of a score, and a verdict must not depend on
    which other units happened to be waiting.
    """

    def __init__(
        self,
        package: Package,
        runtime: str = "onnxruntime",
        threads: int | None = None,
        parallel: int = 1,
        *,
        model: bytes | None = None,
        prefix: str = "",
        beside: "Detector | None" = None,
    ) -> None:
        self.package = package
        self.manifest = package.manifest
        self._model, self._prefix = model or package.model, prefix
        self._runtime: Runtime
        if beside:
            self._runtime = beside._runtime
            self._check_golden(self._runtime)
            return
        names = able(self.manifest.precision) if runtime == AUTO else [runtime]
        self._runtime = self._choose(names, threads or available_cores(), parallel)

    @property
    def runtime(self) -> str:
        """The name of the engine that was chosen."""
        return self._runtime.name

    @property
    def identity(self) -> dict[str, dict[str, str]]:
        """What results name it by."""
        return {"package": self.package.identity}

    @property
    def label(self) -> str:
        """What people know it by."""
        return self.package.label

    def find(self, pixels: Pixels) -> Finding:
        """The finding in one frame `[H, W, 3]` uint8 RGB. Raises FrameWrongGeometry or RuntimeFault."""
        return self.finding(self.run(pixels))

    def run(self, pixels: Pixels) -> Outputs:
        """What the graph says of one frame. Raises FrameWrongGeometry or RuntimeFault."""
        return self._runtime.run(prepare(pixels, self.manifest.input)[None])

    def finding(self, outputs: Outputs) -> Finding:
        """The finding in what the graph says of one frame. Raises RuntimeFault."""
        try:
            score, heatmap = (outputs[self._prefix + name] for name in ("score", "heatmap"))
        except KeyError as error:
            raise RuntimeFault(f"{self.package.source} has no output {error}; it is not a detector") from error
        if score.shape != (1,) or heatmap.shape != (1, *self.manifest.input.cells):
            raise RuntimeFault(
                f"{self.package.source} gave score {score.shape} and heatmap {heatmap.shape} for a frame"
            )
        # A maximum may pass over patches that are not numbers; a unit with such a patch has no score.
        known = bool(np.isfinite(heatmap).all())
        place = self.manifest.input.place(heatmap[0])
        classes = classes_found(outputs, self.manifest.classes, self._prefix)
        return Finding(float(score[0]) if known else math.nan, place, classes)

    def _choose(self, names: list[str], threads: int, parallel: int) -> Runtime:
        """The fastest of the named runtimes that load the package and give its golden scores. Where none does, what
        kept the first from it is raised."""
        proved: list[Runtime] = []
        refusals: list[InspectionError] = []
        for name in names:
            try:
                runtime = load_runtime(name, self._model, threads, self.manifest.precision, parallel)
                self._check_golden(runtime)
            except (RuntimeFault, GoldenMismatch) as error:
                refusals.append(error)
            else:
                proved.append(runtime)
        if not proved:
            raise refusals[0]
        return fastest(proved, self.package.golden[self.manifest.golden[0].name])

    def _check_golden(self, runtime: Runtime) -> None:
        for golden in self.manifest.golden:
            finding = self.finding(runtime.run(self.package.golden[golden.name][None]))
            score, outcome = finding.score, finding.verdict(self.manifest.limits).outcome
            wanted = golden.score_in(runtime.name)
            close = math.isclose(score, wanted, rel_tol=0, abs_tol=self.manifest.golden_tolerance)
            if not close or outcome is not golden.outcome:
                raise GoldenMismatch(
                    f"{self.package.source} gives {score:.6g} ({outcome}) for its golden frame {golden.name!r}, gave "
                    f"{wanted:.6g} ({golden.outcome}) when it was made; this machine must not serve it with "
                    f"{runtime.name}"
                )


def classes_found(outputs: Outputs, classes: Sequence[DefectClass], prefix: str = "") -> tuple[ClassFound, ...]:
    """What a package's graph says in one frame of each of its `classes`; nothing where it has none. Raises
    RuntimeFault."""
    if not classes:
        return ()
    found = outputs.get(prefix + PROBABILITIES)
    if found is None or found.shape != (1, len(classes)):
        raise RuntimeFault(f"the package gives no probability for each of its {len(classes)} classes")
    return tuple(
        ClassFound(one.name, one.severity, float(probability), one.confidence_limit, one.action)
        for one, probability in zip(classes, found[0], strict=True)
    )


def available_cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
