"""Re-inspection: every unit of a source through a package, resumable, with results that depend on nothing else.

Interrupted at any moment and started again, a run ends with the same bytes in every file as one that was not.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from inspection import __version__
from inspection.detector import Detector, available_cores
from inspection.files import write_durably
from inspection.json_files import json_bytes
from inspection.ordered_pool import map_in_order
from inspection.reinspect_report import render_report
from inspection.reinspect_tally import Tally
from inspection.results_file import Line, ResultsFile, ResultsOfAnotherRun, earlier_header
from inspection.unit_result import LimitsFrom, UnitResult, inspect_unit
from inspection.work_list import Pinned, WorkItem, WorkList

SCHEMA = "inspection.reinspect/1"
RESULT, REPORT = "result.json", "report.html"


@dataclass(frozen=True)
class Reinspection:
    """What a run is made of. `detector` is best loaded with one thread: units are what is done in parallel."""

    work: WorkList
    detector: Detector
    limits_from: LimitsFrom = "package"
    threads: int | None = None

    def run(self, out: Path, progress: Callable[[int, int], object] = lambda _done, _total: None) -> dict[str, Any]:
        """Inspect what is not done yet, then write `result.json` and `report.html` into `out`; returns the former.

        `progress` is given the number of units done and in all, at the start and after each unit. Raises what pinning
        the source, the results file and writing raise; an interrupt leaves a folder that the same call goes on from.
        """
        earlier = earlier_header(out)
        pinned = self.work.pin(earlier.get("source") if earlier else None)
        header = self._header(pinned)
        with ResultsFile(out, others=(RESULT, REPORT)) as results:
            done, last = results.start(header, known=_is_result)
            progress(done, pinned.units)
            items = self._remaining(done, last, results.path)
            with closing(map_in_order(self._inspect, items, self._threads)) as finished:
                for number, result in enumerate(finished, done + 1):
                    results.append(result.line())
                    progress(number, pinned.units)
            tally = Tally()
            for line in results.results():
                tally.add(UnitResult.from_line(line))
            summary = tally.summary(header, pinned.without_image)
            report = render_report(summary, self.work, self.detector, self._threads)
            write_durably(out / RESULT, json_bytes(summary))
            write_durably(out / REPORT, report)
        return summary

    @property
    def _threads(self) -> int:
        return self.threads or available_cores()

    def _header(self, pinned: Pinned) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "software": __version__,
            **self.detector.identity,
            "runtime": self.detector.runtime,
            "limits": {"from": self.limits_from, "package": self.detector.manifest.limits.model_dump()},
            "source": dict(pinned.identity),
        }

    def _inspect(self, item: WorkItem) -> UnitResult:
        return inspect_unit(item, self.work, self.detector, self.limits_from)

    def _remaining(self, done: int, last: Line | None, path: Path) -> Iterator[WorkItem]:
        """The items after the first `done`, of which the last must be the one that `last` is the result of."""
        items = self.work.items()
        passed = deque(islice(items, done), maxlen=1)
        if last is not None and (not passed or passed[0].key != UnitResult.from_line(last).key):
            raise ResultsOfAnotherRun(f"{path} holds results that are not those of this source; choose another folder")
        return items


def earlier_runtime(out: Path) -> str | None:
    """The runtime of the run that is in `out`, which the rest of it must have too: `auto` may choose another today.

    None where there is no run. Raises ResultsOfAnotherRun.
    """
    earlier = earlier_header(out)
    return str(earlier["runtime"]) if earlier and "runtime" in earlier else None


def _is_result(line: Line) -> bool:
    try:
        UnitResult.from_line(line)
    except (KeyError, TypeError, ValueError):
        return False
    return True
