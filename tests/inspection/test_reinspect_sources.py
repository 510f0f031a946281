"""What is inspected again: filters, exported batches, PostgreSQL, reviewers' decisions, and what is not believed."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow.parquet as pq
import pytest

from inspection import archive_work
from inspection.archive import Archive
from inspection.archive_work import ArchiveWork
from inspection.batch_export import ExportInvalid, export_batch
from inspection.detector import Detector
from inspection.export_work import ExportWork
from inspection.frames import read_frame
from inspection.recipe import Recipe
from inspection.record_filter import RecordFilter
from inspection.records import Draft, Entry, from_row
from inspection.reinspect import Reinspection
from inspection.reinspect_source import Source
from inspection.results_file import ResultsOfAnotherRun
from inspection.reviews import Decision, add_review
from inspection.signing import sign_heads, signing_key
from inspection.station import Station
from inspection.verdict import Outcome
from inspection.work_list import WorkItem
from tests.databases import PostgreSql
from tests.inspection.reinspection import files, interrupt_at

Run = Callable[..., CompletedProcess[str]]
Images = dict[str, list[Path]]
UNITS = 12


def fill(folder: Path, recipe: Recipe, detector: Detector, images: Images) -> list[Entry]:
    """UNITS units of two batches, products and stations by turns; one PASS corrected, three reviewed."""
    paths = [path for group in zip(*images.values(), strict=False) for path in group]
    with Archive(folder) as archive:
        for number in range(UNITS):
            values = {"station": f"s-{number % 2}", "batch": f"B-{number % 3}", "product": f"product-{number % 2}"}
            Station(recipe.model_copy(update=values), detector, archive).inspect(
                read_frame(paths[number % len(paths)]), unit=f"unit-{number}"
            )
        entries = [from_row(row) for station in archive.stations() for row in archive.rows(station)]
        passed = [one for one in entries if one.outcome == "PASS"]
        stopped = [one for one in entries if one.outcome == "REJECT"]
        late = {"corrects": passed[0].name, "outcome": "REJECT"}
        archive.append(
            Draft("event", unit=passed[0].unit, batch=passed[0].batch, reason="late_record", details=late), "s-0"
        )
        add_review(archive, stopped[0].name, ("crack",), "rita", decision=Decision.CONFIRM_REJECT)
        add_review(archive, stopped[1].name, (), "rita", decision=Decision.FALSE_REJECT)
        add_review(archive, passed[1].name, (), "rita", decision=Decision.CANNOT_TELL)
    return entries


def items(folder: Path, **wanted: Any) -> list[WorkItem]:
    with Source("archive", folder, RecordFilter.of(**wanted)).opened() as work:
        pinned = work.pin()
        found = list(work.items())
    assert pinned.units == len(found)
    return found


@pytest.fixture
def filled(
    tmp_path: Path, recipe: Recipe, detector: Detector, vial_images: Images, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, list[Entry]]:
    monkeypatch.setattr(archive_work, "_PAGE", 4)
    return tmp_path / "archive", fill(tmp_path / "archive", recipe, detector, vial_images)


def test_filters(filled: tuple[Path, list[Entry]]) -> None:
    folder, entries = filled
    names = {f"{one.station}/{one.sequence}" for one in items(folder)}
    assert names == {one.name for one in entries}
    times = sorted(one.recorded_at for one in entries)
    digest = str(entries[0].package)
    corrected = next(one for one in entries if one.outcome == "PASS").name
    outcome_of = {one.name: "REJECT" if one.name == corrected else one.outcome for one in entries}
    cases: list[tuple[dict[str, Any], Callable[[Entry], bool]]] = [
        ({"batch": "B-1"}, lambda one: one.batch == "B-1"),
        ({"product": "product-0"}, lambda one: one.product == "product-0"),
        ({"since": times[4]}, lambda one: one.recorded_at >= times[4]),
        ({"until": times[4]}, lambda one: one.recorded_at < times[4]),
        ({"since": times[2], "until": times[9]}, lambda one: times[2] <= one.recorded_at < times[9]),
        ({"verdicts": ("REJECT",)}, lambda one: outcome_of[one.name] == "REJECT"),
        ({"verdicts": ("REJECT", "PASS")}, lambda one: outcome_of[one.name] in ("REJECT", "PASS")),
        ({"package": digest[:8]}, lambda _: True),
        ({"package": "f" * 64}, lambda _: False),
        ({"batch": "B-1", "product": "product-0"}, lambda one: (one.batch, one.product) == ("B-1", "product-0")),
    ]
    for wanted, fits in cases:
        found = [f"{one.station}/{one.sequence}" for one in items(folder, **wanted)]
        assert sorted(found) == sorted(one.name for one in entries if fits(one)), wanted


def test_a_run_goes_on_with_the_same_filters_alone(
    filled: tuple[Path, list[Entry]], detector: Detector, tmp_path: Path
) -> None:
    folder, _ = filled

    def run(out: Path, wanted: RecordFilter, **more: Any) -> dict[str, Any]:
        with Archive(folder, read_only=True) as archive:
            return Reinspection(ArchiveWork(archive, wanted), detector).run(out, **more)

    stopped = RecordFilter.of(verdicts=("REJECT",))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", stopped, progress=interrupt_at(2))
    before = files(tmp_path / "out")
    with pytest.raises(ResultsOfAnotherRun, match="filters"):
        run(tmp_path / "out", RecordFilter())
    assert files(tmp_path / "out") == before
    result = run(tmp_path / "out", stopped)
    assert result["filters"] == {"verdicts": ["REJECT"]}
    run(tmp_path / "whole", stopped)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_reviewers_decisions_are_the_truth_as_it_was_when_the_run_began(
    filled: tuple[Path, list[Entry]], detector: Detector, tmp_path: Path
) -> None:
    folder, entries = filled
    stopped = [one for one in entries if one.outcome == "REJECT"]

    def run(out: Path, **more: Any) -> dict[str, Any]:
        with Archive(folder, read_only=True) as archive:
            return Reinspection(ArchiveWork(archive), detector).run(out, **more)

    result = run(tmp_path / "whole")
    assert result["truths"] == {"good": 1, "defective": 1}
    rows = {row["record"]: row for row in pq.read_table(tmp_path / "whole" / "result.parquet").to_pylist()}
    assert rows[stopped[0].name]["truth"] == "defective" and rows[stopped[0].name]["defects"] == ["crack"]
    assert rows[stopped[1].name]["truth"] == "good" and rows[stopped[1].name]["defects"] == []
    assert sum(row["truth"] is not None for row in rows.values()) == 2
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", progress=interrupt_at(1))
    with Archive(folder) as archive:
        add_review(archive, stopped[2].name, ("crack",), "rita")
    assert run(tmp_path / "out") == result
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_a_review_of_another_record_is_listed_and_not_believed(
    filled: tuple[Path, list[Entry]], detector: Detector, tmp_path: Path
) -> None:
    folder, entries = filled
    reviewed = [one for one in entries if one.outcome == "REJECT"][:2]
    of, broken = [one for one in entries if one.outcome == "REJECT" and one not in reviewed][:2]
    details = {"reviews": of.name, "record_hash": "0" * 64, "labels": [], "reviewer": "x", "comment": ""}
    with Archive(folder) as archive:
        archive.append(Draft("event", unit=of.unit, reason="review", details=details), of.station)
        archive.append(Draft("event", unit=broken.unit, reason="review",
                             details={"reviews": broken.name}), broken.station)  # fmt: skip
    with Archive(folder, read_only=True) as archive:
        result = Reinspection(ArchiveWork(archive), detector).run(tmp_path / "out")
    listed = {f"{item['station']}/{item['sequence']}": item["error"] for item in result["unreadable"]}
    assert listed == {of.name: "review_unreadable", broken.name: "review_unreadable"}
    assert result["truths"] == {"good": 1, "defective": 1}


def test_a_record_without_a_units_name_keeps_its_review_and_its_correction(filled: tuple[Path, list[Entry]]) -> None:
    folder, entries = filled
    frames = entries[0].frames
    with Archive(folder) as archive:
        passed = archive.append(Draft("unit", outcome="PASS", reason="within_limits", frames=frames), "s-9")
        other = archive.append(Draft("unit", outcome="PASS", reason="within_limits", frames=frames), "s-9")
        add_review(archive, passed.name, ("crack",), "rita")
        late = {"corrects": other.name, "outcome": "REJECT"}
        archive.append(Draft("event", reason="late_record", details=late), "s-9")
    found = {item.unit: item for item in items(folder) if item.station == "s-9"}
    assert (found[passed.name].recorded.truth, found[passed.name].outcome) == ("defective", "PASS")
    assert (found[other.name].recorded.truth, found[other.name].outcome) == (None, "REJECT")


def test_an_exported_batch_gives_what_the_archive_gives(
    filled: tuple[Path, list[Entry]], inspection: Run, vial_package: Path, tmp_path: Path
) -> None:
    folder, _ = filled
    with Archive(folder) as archive:
        key = signing_key(archive)
        sign_heads(archive, key)
        export_batch(archive, "B-0", tmp_path / "export", key)
    mine = items(folder, batch="B-0")
    there = items(tmp_path / "export")
    assert there == mine
    words = ["reinspect", vial_package, "--quiet", "--runtime", "onnxruntime"]
    assert inspection(*words, "--archive", tmp_path / "export", "--out", tmp_path / "a").returncode == 0
    assert inspection(*words, "--archive", folder, "--batch", "B-0", "--out", tmp_path / "b").returncode == 0
    one, other = (json.loads((tmp_path / name / "result.json").read_text()) for name in "ab")
    for name in {*one} - {"run", "source", "filters"}:
        assert one[name] == other[name], name
    assert (tmp_path / "a" / "result.parquet").read_bytes() == (tmp_path / "b" / "result.parquet").read_bytes()


def test_an_export_whose_records_were_changed_is_refused(filled: tuple[Path, list[Entry]], tmp_path: Path) -> None:
    folder, _ = filled
    with Archive(folder) as archive:
        key = signing_key(archive)
        sign_heads(archive, key)
        export_batch(archive, "B-0", tmp_path / "export", key)
    records = tmp_path / "export" / "records.parquet"
    table = pq.read_table(records)
    changed = table.set_column(table.schema.get_field_index("outcome"), "outcome", [[Outcome.PASS] * len(table)])
    pq.write_table(changed, records)
    with pytest.raises(ExportInvalid, match="another file"):
        ExportWork(tmp_path / "export").pin()
    (tmp_path / "export" / "manifest.json").write_text("{}")
    with pytest.raises(ExportInvalid, match="cannot be read"):
        ExportWork(tmp_path / "export").pin()


def test_postgresql_gives_what_sqlite_gives(
    postgresql: PostgreSql, recipe: Recipe, detector: Detector, vial_images: Images, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "archive.yaml").write_text(f"database: {postgresql.new_database()}\n")
    entries = fill(folder, recipe, detector, vial_images)
    assert [f"{one.station}/{one.sequence}" for one in items(folder)] == [one.name for one in entries]
    assert {one.recorded.batch for one in items(folder, batch="B-1", package=str(entries[0].package)[:8])} == {"B-1"}
    with Archive(folder, read_only=True) as archive:
        result = Reinspection(ArchiveWork(archive), detector).run(tmp_path / "out")
    assert (result["units"], result["truths"]) == (UNITS, {"good": 1, "defective": 1})
    assert [item["old_reason"] for item in result["changed_verdicts"]] == ["late_record"]


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["--folder", "images", "--batch", "B"], "bad_usage", "--folder"),
        (["--archive", "archive", "--since", "yesterday"], "search_invalid", "yesterday"),
        (["--archive", "archive", "--since", "2026-02-01", "--until", "2026-01-01"], "bad_usage", "--until"),
        (["--archive", "archive", "--package", "vial"], "bad_usage", "--package"),
        (["--archive", "archive", "--engine", "abacus"], "bad_usage", "abacus"),
        (["--folder", "images", "--record"], "bad_usage", "--record"),
        (["--archive", "archive", "--record"], "bad_usage", "--as"),
        (["--archive", "nowhere", "--record", "--as", "me", "--why", "because"], "archive_missing", "nowhere"),
    ],
)
def test_bad_input_is_one_sentence_and_makes_nothing(
    arguments: list[str], code: str, named: str, vial_package: Path, inspection: Run, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    Archive(tmp_path / "archive").close()
    done = inspection("reinspect", vial_package, *arguments, "--out", "out", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    assert f"[{code}]" in done.stderr
    assert named in done.stderr
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "nowhere").exists()
