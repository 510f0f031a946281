"""The packages that look at the same images in one pass, loaded so that what they have in common is computed once."""

from collections.abc import Sequence
from pathlib import Path

from inspection.combined import detector_of
from inspection.detector import Detector, available_cores
from inspection.errors import BadUsage
from inspection.finding import OutputReader
from inspection.joined_graph import join_graphs
from inspection.package import Package, read_package
from inspection.preprocess import Geometry
from inspection.runtime import AUTO, Runtime
from inspection.runtime_choice import proved_runtime


class JoinedDetector(Detector):
    """One of several packages whose graphs run as one in `runtime`; its outputs there have `prefix`."""

    def __init__(self, package: Package, prefix: str) -> None:
        OutputReader.__init__(self, package, prefix)

    def run_in(self, runtime: Runtime) -> None:
        """Take the runtime that the joined graph was proved in."""
        self._runtime = runtime


def load_lineup(
    packages: Sequence[Path], classifier: Path | None, runtimes: Sequence[str], threads: int, parallel: int
) -> list[Detector]:
    """A detector for each package, in order, each with the classifier where there is one; `runtimes` has a name, or
    `auto`, for each. Packages with the same model input, precision and runtime share one graph.

    Raises BadUsage for the same package twice, and what reading and loading packages raises.
    """
    read = [read_package(path) for path in packages]
    digests = [package.digest for package in read]
    if len(set(digests)) < len(digests):
        raise BadUsage("the same package was given twice; give each package once")
    if classifier is not None or len(read) == 1:
        beside = read_package(classifier) if classifier else None
        return [detector_of(package, beside, runtime, threads, parallel)
                for package, runtime in zip(read, runtimes, strict=True)]  # fmt: skip
    return join_detectors(read, runtimes, threads, parallel)


def join_detectors(
    packages: Sequence[Package], runtimes: Sequence[str], threads: int | None = None, parallel: int = 1
) -> list[Detector]:
    """Detectors of packages that were read: those with the same model input, precision and runtime in one graph where
    their graphs can be joined, each proved by its golden frames in what serves it."""
    groups: dict[tuple[Geometry, str, str], list[int]] = {}
    for index, (package, runtime) in enumerate(zip(packages, runtimes, strict=True)):
        manifest = package.manifest
        groups.setdefault((manifest.input, manifest.precision, runtime), []).append(index)
    loaded: dict[int, Detector] = {}
    for (_, _, runtime), members in groups.items():
        model = join_graphs([packages[index].model for index in members]) if len(members) > 1 else None
        if model is None:
            loaded |= {index: Detector(packages[index], runtime, threads, parallel) for index in members}
            continue
        joined = [JoinedDetector(packages[index], f"{place}/") for place, index in enumerate(members)]
        proved = proved_runtime(model, joined, runtime, threads or available_cores(), parallel)
        for index, detector in zip(members, joined, strict=True):
            detector.run_in(proved)
            loaded[index] = detector
    return [loaded[index] for index in range(len(packages))]


def runtimes_for(count: int, wanted: str, earlier: Sequence[str]) -> list[str]:
    """A runtime for each of `count` packages: as `wanted`, or for `auto` that of the run which is to go on."""
    return list(earlier) if wanted == AUTO and len(earlier) == count else [wanted] * count
