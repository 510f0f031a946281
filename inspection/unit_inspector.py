"""The function that a run maps over its work list, here or in other processes."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspection.detector import Detector
from inspection.lineup import load_lineup
from inspection.reinspect_source import Source
from inspection.unit_result import Inspected, LimitsFrom, inspect_unit
from inspection.work_list import WorkItem, WorkList


@dataclass(frozen=True)
class PackageFiles:
    """The run's packages by their files, the classifier beside each, and the runtime of each: none is `auto`, so that
    every process computes the same. `sha256` are their digests, checked where they are loaded."""

    packages: tuple[Path, ...]
    classifier: Path | None
    runtimes: tuple[str, ...]
    sha256: tuple[str, ...]


class UnitInspector:
    """From an item to what came of it. It may be pickled where it knows the `source` and the `files`: it then travels
    without open handles, and opens the source and loads the packages at the first item, once in a process.

    May be called from several threads.
    """

    def __init__(
        self, limits_from: LimitsFrom, *, work: WorkList | None = None, detectors: Sequence[Detector] = (),
        source: Source | None = None, files: PackageFiles | None = None,
    ) -> None:  # fmt: skip
        self._limits_from = limits_from
        self._source, self._files = source, files
        self._open(work, detectors)

    def __call__(self, item: WorkItem) -> Inspected:
        """Inspect one unit. Raises only what opening the source and loading the packages raises."""
        work, detectors = self._ready()
        return inspect_unit(item, work, detectors, self._limits_from)

    def __getstate__(self) -> dict[str, Any]:
        if self._source is None or self._files is None:
            msg = "an inspector of an open source cannot travel; give it the source and the package files"
            raise TypeError(msg)
        return {"limits_from": self._limits_from, "source": self._source, "files": self._files}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._limits_from = state["limits_from"]
        self._source, self._files = state["source"], state["files"]
        self._open(None, ())

    def close(self) -> None:
        """Close what it opened itself."""
        self._opened.close()

    def _open(self, work: WorkList | None, detectors: Sequence[Detector]) -> None:
        self._work, self._detectors = work, detectors
        self._lock = threading.Lock()
        self._opened = ExitStack()

    def _ready(self) -> tuple[WorkList, Sequence[Detector]]:
        with self._lock:
            if self._work is None:
                assert self._source is not None
                self._work = self._opened.enter_context(self._source.opened())
            if not self._detectors:
                self._detectors = self._loaded()
            return self._work, self._detectors

    def _loaded(self) -> Sequence[Detector]:
        assert self._files is not None
        files = self._files
        loaded = load_lineup(files.packages, files.classifier, files.runtimes, threads=1, parallel=1)
        if tuple(detector.package.digest for detector in loaded) != files.sha256:
            msg = "a package's file is another one than where the run was started; give every process the same files"
            raise ValueError(msg)
        return loaded
