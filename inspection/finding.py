"""What a detector finds in a frame, and how it is read from what a graph says."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError
from inspection.manifest import DefectClass
from inspection.package import Package
from inspection.runtime import Outputs, Runtime, RuntimeFault
from inspection.verdict import ClassFound, Limits, Verdict, combine, decide

PROBABILITIES = "class_probabilities"


class GoldenMismatch(InspectionError):
    """On this machine the package does not say what it said when it was made."""

    code = "golden_mismatch"


@dataclass(frozen=True)
class Finding:
    """What a detector says of one frame: the raw score, the map `[h, w]` float32 that it is the maximum of, and a
    classifier's classes, in the manifest's order. `also` is what the recipe's other package finds, with its limits.
    Where a recipe's region counts alone, the score is that of the region and `frame_score` that of the whole map.

    The map covers the whole frame, and is zero outside the region of interest."""

    score: float
    heatmap: NDArray[np.float32]
    classes: tuple[ClassFound, ...] = ()
    also: tuple[tuple["Finding", Limits], ...] = ()
    frame_score: float | None = None

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


def finite(value: float) -> float | None:
    """The number, or None for what is none: JSON and records have no infinity and no NaN."""
    return value if math.isfinite(value) else None


class OutputReader:
    """What a graph says, as the finding of a `package`. The graph may compute more than the package's own; its outputs'
    names have `prefix` then."""

    def __init__(self, package: Package, prefix: str = "") -> None:
        self.package = package
        self.manifest = package.manifest
        self._prefix = prefix

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

    def prove(self, runtime: Runtime) -> None:
        """Raise GoldenMismatch where `runtime` does not say of the package's golden frames what was said when it was
        made: the score, the probability of each class, and the outcome."""
        for golden in self.manifest.golden:
            finding = self.finding(runtime.run(self.package.golden[golden.name][None]))
            score, outcome = finding.score, finding.verdict(self.manifest.limits).outcome
            wanted = golden.score_in(runtime.name)
            if not self._close(score, wanted) or outcome is not golden.outcome:
                self._refuse(runtime, golden.name, f"{score:.6g} ({outcome})", f"{wanted:.6g} ({golden.outcome})")
            probabilities = golden.probabilities_in(runtime.name)
            for one, probability in zip(finding.classes if probabilities else (), probabilities, strict=True):
                if not self._close(one.probability, probability):
                    told = f"{one.name} the probability "
                    self._refuse(runtime, golden.name, f"{told}{one.probability:.6g}", f"{told}{probability:.6g}")

    def _close(self, value: float, wanted: float) -> bool:
        return math.isclose(value, wanted, rel_tol=0, abs_tol=self.manifest.golden_tolerance)

    def _refuse(self, runtime: Runtime, frame: str, now: str, then: str) -> None:
        raise GoldenMismatch(
            f"{self.package.source} gives {now} for its golden frame {frame!r}, gave {then} when it was made; this "
            f"machine must not serve it with {runtime.name}"
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
