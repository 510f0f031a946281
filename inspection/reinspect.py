"""Re-inspection: every unit of a source through one package or several, resumable, with results that depend on nothing
else.

Interrupted at any moment and started again, a run ends with the same bytes in every file as one that was not.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from inspection import __version__
from inspection.detector import Detector, available_cores
from inspection.engines import Engine, local
from inspection.files import write_durably
from inspection.json_files import json_bytes
from inspection.records import canonical_json
from inspection.reinspect_comparison import comparison_with_records
from inspection.reinspect_heatmaps import FOLDER, SUFFIXES, HeatmapFolder, count_kept
from inspection.reinspect_pdf import summary_pdf
from inspection.reinspect_report import render_report
from inspection.reinspect_source import Source
from inspection.reinspect_table import TABLE, ResultTable
from inspection.reinspect_tally import Tally
from inspection.results_file import NAME, Line, ResultsFile, ResultsOfAnotherRun, earlier_header
from inspection.unit_inspector import PackageFiles, UnitInspector
from inspection.unit_result import LimitsFrom, UnitResults
from inspection.work_list import Pinned, WorkItem, WorkList

SCHEMA = "inspection.reinspect/2"
RESULT, REPORT, SUMMARY = "result.json", "report.html", "summary.pdf"
WRITTEN = (RESULT, REPORT, SUMMARY, TABLE)
MOST_HEATMAPS = 1000


@dataclass(frozen=True)
class Reinspection:
    """What a run is made of. `detector` is best loaded with one thread: units are what is done in parallel. `further`
    look at the same images. With `source` and `files` an engine can let other processes do the work."""

    work: WorkList
    detector: Detector
    limits_from: LimitsFrom = "package"
    threads: int | None = None
    further: tuple[Detector, ...] = ()
    heatmaps: int = MOST_HEATMAPS
    engine: Engine = local
    source: Source | None = None
    files: PackageFiles | None = None

    def run(self, out: Path, progress: Callable[[int, int], object] = lambda _done, _total: None) -> dict[str, Any]:
        """Inspect what is not done yet, then write `result.json`, `result.parquet`, `report.html` and `summary.pdf`
        into `out`; returns the first.

        `progress` is given the number of units done and in all, at the start and after each unit. Raises what pinning
        the source, the results file and writing raise; an interrupt leaves a folder that the same call goes on from.
        """
        earlier = earlier_header(out)
        pinned = self.work.pin(earlier.get("source") if earlier else None)
        header = self._header(pinned)
        with ResultsFile(out, others=(*WRITTEN, FOLDER)) as results:
            done, last = results.start(header, known=lambda line: self._is_whole(line, out))
            _remove_torn(out)
            progress(done, pinned.units)
            self._inspect(results, done, last, lambda number: progress(number, pinned.units))
            return self._conclude(out, results, header, pinned)

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """All of them, in order."""
        return (self.detector, *self.further)

    @property
    def _threads(self) -> int:
        return self.threads or available_cores()

    @property
    def _digests(self) -> list[str]:
        return [detector.package.digest for detector in self.detectors]

    def _header(self, pinned: Pinned) -> dict[str, Any]:
        first, *further = (
            {
                **detector.identity,
                "runtime": detector.runtime,
                "limits": {"from": self.limits_from, "package": detector.manifest.limits.model_dump()},
            }
            for detector in self.detectors
        )
        return {
            "schema": SCHEMA,
            "software": __version__,
            **first,
            **({"further": further} if further else {}),
            "heatmaps": self.heatmaps,
            "filters": dict(pinned.filters),
            "source": dict(pinned.identity),
        }

    def _inspect(self, results: ResultsFile, done: int, last: Line | None, progress: Callable[[int], object]) -> None:
        items = self._remaining(done, last, results.path)
        kept = sum(count_kept(UnitResults.from_line(line)) for line in results.results()) if done else 0
        heatmaps = HeatmapFolder(results.path.parent, self._digests, self.heatmaps, kept)
        inspect = UnitInspector(
            self.limits_from, work=self.work, detectors=self.detectors, source=self.source, files=self.files
        )
        with closing(self.engine(inspect, items, self.threads)) as finished:
            for number, inspected in enumerate(finished, done + 1):
                results.append(heatmaps.keep(number, inspected).line())
                progress(number)

    def _conclude(self, out: Path, results: ResultsFile, header: Line, pinned: Pinned) -> dict[str, Any]:
        """Write what a person and other programs read, from the lines alone."""
        tallies = [Tally() for _ in self.detectors]
        limits = [detector.manifest.limits for detector in self.detectors]
        packages = [
            (detector.package.digest, detector.label, (its.review_limit, its.reject_limit))
            for detector, its in zip(self.detectors, limits, strict=True)
        ]
        with ResultTable(out, packages) as table:
            for line in results.results():
                unit = UnitResults.from_line(line)
                table.add(unit)
                for tally, one in zip(tallies, unit.each, strict=True):
                    tally.add(one)
        summary = summary_of(header, pinned, tallies)
        if header["source"]["kind"] != "folder":
            for said, digest in zip((summary, *summary.get("further", ())), self._digests, strict=True):
                said["comparison"] = comparison_with_records(out / TABLE, digest, summary["units"])
        hashes = {name: _sha256(out / name) for name in (NAME, TABLE)}
        report = render_report(summary, tallies, self.work, self.detectors, self._threads)
        write_durably(out / REPORT, report)
        write_durably(out / SUMMARY, summary_pdf(summary, tallies, hashes))
        write_durably(out / RESULT, json_bytes(summary))
        return summary

    def _is_whole(self, line: Line, out: Path) -> bool:
        """Whether a line is a result, and the heatmaps that it names are there: else its unit is inspected again."""
        try:
            each = UnitResults.from_line(line).each
        except (KeyError, TypeError, ValueError, AttributeError):
            return False
        named = (out / f"{one.heatmap}{suffix}" for one in each if one.heatmap for suffix in SUFFIXES)
        return len(each) == len(self.detectors) and all(path.is_file() for path in named)

    def _remaining(self, done: int, last: Line | None, path: Path) -> Iterator[WorkItem]:
        """The items after the first `done`, of which the last must be the one that `last` is the result of."""
        items = self.work.items()
        passed = deque(islice(items, done), maxlen=1)
        if last is not None and (not passed or passed[0].key != UnitResults.from_line(last).key):
            raise ResultsOfAnotherRun(f"{path} holds results that are not those of this source; choose another folder")
        return items


def run_id(header: Line) -> str:
    """What a run is known by: the SHA-256 of its header, so that the same run has the same wherever it goes on."""
    return hashlib.sha256(canonical_json(dict(header)).encode()).hexdigest()


def summary_of(header: Line, pinned: Pinned, tallies: Sequence[Tally]) -> dict[str, Any]:
    """`result.json`: the header, what is so of all packages, what the first one changes; `further` has, for each
    other package, what the header says of it and what it changes."""
    first, *others = (tally.summary() for tally in tallies)
    common = {
        "run": run_id(header),
        "units": tallies[0].units,
        "frames": tallies[0].frames,
        "without_image": pinned.without_image,
        "truths": {name: tallies[0].truths[name] for name in ("good", "defective")},
    }
    further = [{**said, **other} for said, other in zip(header.get("further", ()), others, strict=True)]
    return {**header, **common, **first, **({"further": further} if further else {})}


def earlier_runtimes(out: Path) -> list[str]:
    """The runtimes of the run that is in `out`, package by package, which the rest of it must have too: `auto` may
    choose others today.

    Empty where there is no run. Raises ResultsOfAnotherRun.
    """
    earlier = earlier_header(out) or {}
    try:
        return [str(said["runtime"]) for said in (earlier, *earlier.get("further", ()))]
    except (KeyError, TypeError):
        return []


def _remove_torn(out: Path) -> None:
    """Remove what a crash left of files that were being written; the caller holds the folder."""
    for name in (*WRITTEN, NAME):
        for path in out.glob(f".{name}.*.part"):
            path.unlink(missing_ok=True)
    for path in (out / FOLDER).glob(".*.part"):
        path.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
