"""A re-inspection written back: beside the originals, once, by somebody who may, and taken for nothing else."""

import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from inspection.archive import Archive
from inspection.archive_work import ArchiveWork
from inspection.batch_totals import batch_totals
from inspection.detector import Detector
from inspection.frames import read_frame
from inspection.lineup import load_lineup
from inspection.recent_units import last_units
from inspection.recipe import Recipe
from inspection.records import Entry, from_row
from inspection.reinspect import Reinspection
from inspection.reinspect_record import REINSPECTED, RUN_RECORDED, ReinspectionNotRecorded, Run, record_run
from inspection.reinspect_report import per_package
from inspection.results_file import read_results
from inspection.reviews import add_review
from inspection.search import search
from inspection.search_query import RecordQuery
from inspection.station import Station
from inspection.unit_events import afterwards
from inspection.unit_result import UnitResults
from inspection.verdict import Limits
from inspection.verify import verify_archive
from tests.inspection.reinspection import with_limits
from tests.people import PASSWORD, people

Cli = Callable[..., CompletedProcess[str]]
Images = dict[str, list[Path]]


@pytest.fixture
def folder(recipe: Recipe, detector: Detector, vial_images: Images, tmp_path: Path) -> Path:
    """Ten units of two stations in batch B, of which one is reviewed, and people."""
    paths = [path for group in zip(*vial_images.values(), strict=False) for path in group]
    with Archive(tmp_path / "archive") as archive:
        for number in range(10):
            one = recipe.model_copy(update={"station": f"s-{number % 2}", "batch": "B"})
            Station(one, detector, archive).inspect(read_frame(paths[number]), unit=f"unit-{number}")
        stopped = archive.latest(1, outcome="REJECT")[0]
        add_review(archive, stopped.name, ("crack",), "rita")
    people(tmp_path / "archive", emil="engineer", rita="reviewer")
    return tmp_path / "archive"


@pytest.fixture
def other(vial_package: Path, tmp_path: Path) -> Path:
    path = tmp_path / "other.onnx"
    path.write_bytes(with_limits(vial_package, Limits(review_limit=-2.0, reject_limit=-1.0)))
    return path


def events(folder: Path, reason: str = REINSPECTED) -> list[Entry]:
    with Archive(folder, read_only=True) as archive:
        rows = [from_row(row) for station in archive.stations() for row in archive.rows(station)]
    return [row for row in rows if row.reason == reason]


def units(folder: Path) -> list[Entry]:
    with Archive(folder, read_only=True) as archive:
        return [from_row(row) for name in ("s-0", "s-1") for row in archive.rows(name) if row["kind"] == "unit"]


def record(
    inspection: Cli, folder: Path, package: Path, out: Path, *more: object, by: str = "emil", password: str = PASSWORD
) -> CompletedProcess[str]:
    words = ["--archive", folder, "--out", out, "--runtime", "onnxruntime", "--quiet", "--as", by, "--why", "because"]
    environment = {**os.environ, "INSPECTION_PASSWORD": password}
    return inspection("reinspect", package, *words, "--record", *more, env=environment)


def test_changed_units_are_put_on_record_once_and_nothing_else_changes(
    folder: Path, other: Path, inspection: Cli, tmp_path: Path
) -> None:
    before = units(folder)
    with Archive(folder, read_only=True) as archive:
        totals, recent = batch_totals(archive, "B"), list(last_units(archive, "s-1", 20))
        found, said = search(archive, RecordQuery(outcome="REJECT"), 50), afterwards(archive, before)
    out = tmp_path / "out"
    done = record(inspection, folder, other, out)
    assert done.returncode == 0, done.stderr
    written = events(folder)
    changed = [one for one in before if one.outcome != "REJECT"]
    assert {one.details["reinspects"] for one in written} == {one.name for one in changed}
    assert f"{len(changed)} events put on record" in done.stdout
    by_name = {one.name: one for one in before}
    for event in written:
        original = by_name[event.details["reinspects"]]
        assert event.details["record_hash"] == original.hash
        assert event.station == original.station
        assert event.details["old"]["outcome"] == original.outcome
        assert event.details["new"]["outcome"] == "REJECT"
        assert (event.details["by"], event.details["why"]) == ("emil", "because")
        assert (event.outcome, event.batch, event.package, event.score) == (None, None, None, None)

    assert units(folder) == before
    assert verify_archive(folder).problems == []
    with Archive(folder, read_only=True) as archive:
        assert batch_totals(archive, "B") == totals
        assert list(last_units(archive, "s-1", 20)) == recent
        assert search(archive, RecordQuery(outcome="REJECT"), 50) == found
        assert afterwards(archive, before) == said
        work = ArchiveWork(archive)
        work.pin()
        assert {item.outcome for item in work.items() if item.unit in {one.unit for one in changed}} == {
            one.outcome for one in changed
        }

    done = record(inspection, folder, other, out)
    assert done.returncode == 0, done.stderr
    assert "0 events put on record" in done.stdout and f"{len(changed)} were on record already" in done.stdout
    assert events(folder) == written
    done = record(inspection, folder, other, out, "all")
    assert len(events(folder)) == len(before)
    assert len(events(folder, RUN_RECORDED)) == 1
    assert verify_archive(folder).problems == []


def test_recording_that_was_cut_off_goes_on(
    folder: Path, vial_package: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspection.reinspect_record._AT_ONCE", 3)
    detectors = load_lineup([vial_package, other], None, ["onnxruntime"] * 2, 1, 1)
    with Archive(folder) as archive:
        work = ArchiveWork(archive)
        summary = Reinspection(work, detectors[0], further=(detectors[1],)).run(tmp_path / "out")
        results = [UnitResults.from_line(line) for line in read_results(tmp_path / "out")]
        run = Run(summary["run"], per_package(summary), "emil", "because")

        def cut_off() -> object:
            yield from results[:4]
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            record_run(archive, cut_off(), run, "all")  # type: ignore[arg-type]
        there = len(events(folder))
        assert 0 < there < 20
        written = record_run(archive, results, run, "all")
        assert (written.appended, written.there) == (20 - there, there)
        pairs = [(one.details["reinspects"], one.details["package"]) for one in events(folder)]
        assert len(pairs) == len(set(pairs)) == 20
    assert verify_archive(folder).problems == []


def test_who_may_not_record_changes_nothing(folder: Path, other: Path, inspection: Cli, tmp_path: Path) -> None:
    for by, password, code in (("emil", "wrong", "sign_in_refused"), ("rita", PASSWORD, "not_permitted")):
        done = record(inspection, folder, other, tmp_path / "out", by=by, password=password)
        assert done.returncode == 1
        assert f"[{code}]" in done.stderr
        assert not (tmp_path / "out").exists()
    assert events(folder) == events(folder, RUN_RECORDED) == []


def test_a_result_of_another_record_is_not_recorded(folder: Path, other: Path, tmp_path: Path) -> None:
    detector = load_lineup([other], None, ["onnxruntime"], 1, 1)[0]
    with Archive(folder) as archive:
        summary = Reinspection(ArchiveWork(archive), detector).run(tmp_path / "out")
        lines = [dict(line) for line in read_results(tmp_path / "out")]
        changed = next(line for line in lines if line["old"] != line["new"])
        changed["recorded"] = {**changed["recorded"], "hash": "0" * 64}
        run = Run(summary["run"], per_package(summary), "emil", "because")
        with pytest.raises(ReinspectionNotRecorded, match="verify"):
            record_run(archive, map(UnitResults.from_line, [changed]), run, "changed")
    assert events(folder) == []
