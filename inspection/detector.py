"""The detector: a package, loaded and proved, that says what it finds in a frame."""

import os
from typing import Protocol

from inspection.finding import Finding, OutputReader
from inspection.frames import Pixels
from inspection.manifest import Manifest
from inspection.one_frame import OneFrame
from inspection.package import Package
from inspection.runtime import Outputs, Runtime
from inspection.runtime_choice import proved_runtime


class FrameDetector(Protocol):
    """What finds something in a frame, here or in another process. `classifier` reads what a second package finds,
    where there is one."""

    package: Package
    manifest: Manifest

    @property
    def classifier(self) -> OutputReader | None: ...

    @property
    def runtime(self) -> str: ...

    @property
    def identity(self) -> dict[str, dict[str, str]]: ...

    @property
    def label(self) -> str: ...

    def find(self, pixels: Pixels) -> Finding:
        """The finding in one frame `[H, W, 3]` uint8 RGB. Raises FrameWrongGeometry or RuntimeFault."""
        ...


class Detector(OutputReader):
    """A package in a runtime. Loading re-runs the golden frames and raises GoldenMismatch where one differs.

    `runtime` is the name of an engine, or `auto`: the fastest of those that compute the package's precision and give
    its golden scores. `threads` is the number of cores one call may use (default: all). `find` may be called from
    several threads; `parallel` says how many calls at once are worth preparing for.
    Frames are run one by one: a batch could change the last bits of a score, and a verdict must not depend on
    which other units happened to be waiting.
    """

    _runtime: Runtime
    classifier: OutputReader | None = None

    def __init__(
        self, package: Package, runtime: str = "onnxruntime", threads: int | None = None, parallel: int = 1
    ) -> None:
        super().__init__(package)
        self._runtime = proved_runtime(package.model, [self], runtime, threads or available_cores(), parallel)

    @property
    def runtime(self) -> str:
        """The name of the engine that was chosen."""
        return self._runtime.name

    @property
    def identity(self) -> dict[str, dict[str, str]]:
        """What results name it by."""
        return identity_of(self.package, self.classifier)

    @property
    def label(self) -> str:
        """What people know it by."""
        return label_of(self.package, self.classifier)

    def find(self, pixels: Pixels) -> Finding:
        """The finding in one frame `[H, W, 3]` uint8 RGB. Raises FrameWrongGeometry or RuntimeFault."""
        return self.find_in(OneFrame(pixels))

    def find_in(self, frame: OneFrame) -> Finding:
        """The same in a frame that other detectors look at as well."""
        return self.finding(frame.outputs(self._runtime, self.manifest.input))

    def run(self, pixels: Pixels) -> Outputs:
        """What the graph says of one frame. Raises FrameWrongGeometry or RuntimeFault."""
        return OneFrame(pixels).outputs(self._runtime, self.manifest.input)


def identity_of(package: Package, classifier: OutputReader | None) -> dict[str, dict[str, str]]:
    """What results name one package, or two, by."""
    return {"package": package.identity} | ({"classifier": classifier.package.identity} if classifier else {})


def label_of(package: Package, classifier: OutputReader | None) -> str:
    """What people know one package, or two, by."""
    return f"{package.label} and {classifier.package.label}" if classifier else package.label


def available_cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
