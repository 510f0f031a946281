"""`inspection reinspect`: which past verdicts a package would change, and what it could not look at."""

import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from subprocess import CompletedProcess
from typing import Any

import pytest

from inspection import reinspect_report
from inspection.archive import Archive
from inspection.archive_work import ArchiveWork
from inspection.detector import Detector
from inspection.folder_work import FolderWork
from inspection.frames import read_frame
from inspection.package import open_package, read_package
from inspection.recipe import Recipe
from inspection.records import Draft, Entry, from_row
from inspection.reinspect import Reinspection
from inspection.station import Station
from inspection.verdict import Limits, Reason
from tests.inspection.reinspection import with_limits

Fill = Callable[[int], Path]
Run = Callable[..., CompletedProcess[str]]
Images = dict[str, list[Path]]
SAME = ("--runtime", "onnxruntime")  # the one of the fixture `detector`


def entries_of(folder: Path) -> list[Entry]:
    with Archive(folder, read_only=True) as archive:
        return [from_row(row) for station in archive.stations() for row in archive.rows(station)]


def reinspected(folder: Path, detector: Detector, out: Path, **options: Any) -> dict[str, Any]:
    with Archive(folder, read_only=True) as archive:
        return Reinspection(ArchiveWork(archive), detector, **options).run(out)


def image_file(folder: Path, entry: Entry) -> Path:
    image = entry.frames[0].image
    assert image
    return Archive(folder, read_only=True).images.path(image)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the scratch files that SQLite keeps beside a database while it is read."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm")))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_with_the_same_package_nothing_changes(
    filled_archive: Fill, vial_package: Path, inspection: Run, tmp_path: Path
) -> None:
    folder, out = filled_archive(12), tmp_path / "out"
    before = contents(folder)
    done = inspection("reinspect", "--archive", folder, vial_package, "--out", out, *SAME)
    assert done.returncode == 0, done.stderr
    result = json.loads((out / "result.json").read_text())
    assert (result["units"], result["frames"], result["without_image"]) == (12, 12, 0)
    assert result["changed_verdicts"] == []
    assert result["unreadable"] == []
    assert result["largest_score_difference"] == 0
    assert {old: {new for new, count in row.items() if count} for old, row in result["agreement"].items()} == {
        old: {old} for old in {entry.outcome for entry in entries_of(folder)}
    }
    assert result["package"]["sha256"] == read_package(vial_package).digest
    assert "No verdict would change" in (out / "report.html").read_text()
    assert contents(folder) == before


def test_with_other_limits_exactly_the_predicted_units_change(
    filled_archive: Fill, vial_package: Path, inspection: Run, tmp_path: Path
) -> None:
    folder, out = filled_archive(18), tmp_path / "out"
    entries = entries_of(folder)
    scores = sorted(entry.score for entry in entries if entry.score is not None)
    limits = Limits(review_limit=scores[2], reject_limit=median(scores))
    (tmp_path / "other.onnx").write_bytes(with_limits(vial_package, limits))
    expected = {}
    for entry in entries:
        assert entry.score is not None
        new = "REJECT" if entry.score >= limits.reject_limit else "PASS"
        new = "REVIEW" if limits.review_limit <= entry.score < limits.reject_limit else new
        if new != entry.outcome:
            expected[entry.sequence] = (entry.outcome, new, entry.score, entry.score, entry.frames[0].image)
    assert 0 < len(expected) < 18

    done = inspection("reinspect", "--archive", folder, tmp_path / "other.onnx", "--out", out, *SAME)
    assert done.returncode == 0, done.stderr
    result = json.loads((out / "result.json").read_text())
    changed = {
        item["sequence"]: (item["old"], item["new"], item["old_score"], item["new_score"], item["image"])
        for item in result["changed_verdicts"]
    }
    assert changed == expected
    assert f"{len(expected)} of 18 verdicts would change" in (out / "report.html").read_text()

    inspection(
        "reinspect",
        "--archive",
        folder,
        tmp_path / "other.onnx",
        "--out",
        tmp_path / "recorded",
        "--limits",
        "recorded",
        *SAME,
    )
    assert json.loads((tmp_path / "recorded" / "result.json").read_text())["changed_verdicts"] == []


def test_damaged_images_are_listed_and_never_pass(filled_archive: Fill, detector: Detector, tmp_path: Path) -> None:
    folder = filled_archive(12)
    passed = [entry for entry in entries_of(folder) if entry.outcome == "PASS"]
    stored = {image_file(folder, entry): entry for entry in passed}
    changed, deleted = list(stored)[:2]
    changed.write_bytes(changed.read_bytes()[:-100])
    deleted.unlink()
    hit = {entry.sequence for entry in passed if image_file(folder, entry) in (changed, deleted)}

    result = reinspected(folder, detector, tmp_path / "out")
    assert {item["sequence"]: item["error"] for item in result["unreadable"]} == {
        entry.sequence: "image_changed" if image_file(folder, entry) == changed else "image_missing"
        for entry in passed
        if entry.sequence in hit
    }
    assert {(item["sequence"], item["new"], item["new_reason"]) for item in result["changed_verdicts"]} == {
        (sequence, "REJECT", "frame_unreadable") for sequence in hit
    }
    page = (tmp_path / "out" / "report.html").read_text()
    assert changed.name in page
    assert deleted.name in page


def test_faults_of_the_line_are_told_apart_from_faults_of_the_unit(
    detector: Detector, recipe: Recipe, vial_images: Images, tmp_path: Path
) -> None:
    good = read_frame(vial_images["good"][0])
    with Archive(tmp_path / "archive") as archive:
        station = Station(recipe, detector, archive)
        station.note("started")
        station.reject(Reason.QUEUE_FULL, "the queue was full", unit="crowded", frame=good)
        station.reject(Reason.FRAME_LOST, "no frame came", unit="lost")
        late = station.inspect(good, unit="late").entry
        assert late
        correction = {"corrects": late.name, "outcome": "REJECT"}
        archive.append(Draft("event", unit="late", reason="late_record", details=correction), recipe.station)
        station.inspect(good, unit="in time")
    result = reinspected(tmp_path / "archive", detector, tmp_path / "out")
    assert (result["units"], result["without_image"]) == (3, 1)
    assert [(item["unit"], item["old"], item["old_reason"], item["new"]) for item in result["changed_verdicts"]] == [
        ("crowded", "REJECT", "queue_full", "PASS"),
        ("late", "REJECT", "late_record", "PASS"),
    ]
    assert "fault of the line" in (tmp_path / "out" / "report.html").read_text()


def test_the_worst_frame_of_a_unit_decides(filled_archive: Fill, detector: Detector, tmp_path: Path) -> None:
    folder = filled_archive(12)
    entries = entries_of(folder)
    good = next(entry for entry in entries if entry.outcome == "PASS").frames[0]
    bad = next(entry for entry in entries if entry.outcome == "REJECT").frames[0]
    with Archive(folder) as archive:
        broken = replace(good, image=archive.images.put(b"no image", ".png"))
        for unit, frames in {"good": (good, good), "mixed": (good, bad), "broken": (good, broken)}.items():
            archive.append(Draft("unit", unit=unit, outcome="PASS", frames=frames), "two-cameras")
    result = reinspected(folder, detector, tmp_path / "out")
    changed = {item["unit"]: item for item in result["changed_verdicts"]}
    assert set(changed) == {"mixed", "broken"}
    assert (changed["mixed"]["new"], changed["mixed"]["new_score"]) == ("REJECT", bad.score)
    assert changed["mixed"]["image"] == bad.image
    assert (changed["broken"]["new"], changed["broken"]["new_reason"]) == ("REJECT", "frame_unreadable")
    assert [item["image"] for item in result["unreadable"]] == [broken.image]
    assert result["frames"] == 12 + 6


@pytest.mark.parametrize("column", ["frames", "details", "outcome", "review_limit"])
def test_a_record_that_is_nonsense_is_listed_and_never_passes(
    column: str, filled_archive: Fill, detector: Detector, tmp_path: Path
) -> None:
    folder = filled_archive(4)
    with sqlite3.connect(folder / "archive.sqlite") as connection:
        connection.execute("DROP TRIGGER entries_refuse_update")
        connection.execute(f"UPDATE entries SET {column} = '[nonsense' WHERE sequence = 1")
    result = reinspected(folder, detector, tmp_path / "out")
    assert result["units"] == 4
    assert [(item["sequence"], item["error"]) for item in result["unreadable"]] == [(1, "record_unreadable")]
    first = json.loads((tmp_path / "out" / "results.jsonl").read_text().splitlines()[1])
    assert (first["sequence"], first["new"], first["new_reason"]) == (1, "REJECT", "frame_unreadable")


def test_a_page_holds_no_more_pictures_than_it_says(
    filled_archive: Fill, vial_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reinspect_report, "MOST_PICTURES", 1)
    limits = Limits(review_limit=-2.0, reject_limit=-1.0)
    detector = Detector(open_package(with_limits(vial_package, limits), "strict"))
    folder = filled_archive(12)
    before = [entry.outcome for entry in entries_of(folder)]
    passed = before.count("PASS")
    result = reinspected(folder, detector, tmp_path / "out")
    assert len(result["changed_verdicts"]) == passed + before.count("REVIEW") and passed > 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<img ") == 2
    assert f"1 of {passed} are shown" in page


def test_the_page_needs_nothing_else_and_shows_names_as_text(
    detector: Detector, recipe: Recipe, vial_images: Images, tmp_path: Path
) -> None:
    name = '<script>alert("1")</script>'
    with Archive(tmp_path / "archive") as archive:
        station = Station(recipe, detector, archive)
        station.reject(Reason.LATE, "late", unit=name, frame=read_frame(vial_images["good"][0]))
    reinspected(tmp_path / "archive", detector, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    sources = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')>]{0,30})""", page)
    assert len(sources) == 2
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)


def test_a_folder_of_images(detector: Detector, vial_images: Images, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for kind, paths in vial_images.items():
        (folder / "deep" / kind).mkdir(parents=True)
        for path in paths[:2]:
            (folder / "deep" / kind / path.name).write_bytes(path.read_bytes())
    (folder / "note.png").write_text("not an image")
    (folder / ".hidden.png").write_text("not looked at")
    (folder / "readme.txt").write_text("not looked at")
    count = 2 * len(vial_images) + 1

    result = Reinspection(FolderWork(folder), detector).run(tmp_path / "out")
    assert (result["units"], result["frames"], result["changed_verdicts"]) == (count, count, [])
    assert sum(result["verdicts"].values()) == count
    [unreadable] = result["unreadable"]
    assert (unreadable["unit"], unreadable["error"]) == ("note.png", "frame_unreadable")
    scores = [item["new_score"] for item in result["stopped"] if item["new_score"] is not None]
    assert scores == sorted(scores, reverse=True)
    assert len(result["stopped"]) == count - result["verdicts"]["PASS"] == len(scores) + 1
    lines = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()[1:]]
    assert [line["unit"] for line in lines] == sorted(line["unit"] for line in lines)
    for line in lines:
        if line["new_score"] is not None:
            assert line["new_score"] == detector.find(read_frame(folder / line["unit"]).pixels).score


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["--folder", "empty"], "no_images", "empty"),
        (["--folder", "nowhere"], "folder_unreadable", "nowhere"),
        (["--archive", "empty"], "archive_missing", "empty"),
        (["--archive", "archive", "--folder", "empty"], "bad_usage", "--folder"),
        ([], "bad_usage", "--archive"),
        (["--folder", "empty", "--limits", "recorded"], "bad_usage", "--limits recorded"),
        (["--archive", "archive", "--out", "archive/out"], "bad_usage", "archive/out"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_makes_nothing(
    arguments: list[str], code: str, named: str, vial_package: Path, inspection: Run, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    Archive(tmp_path / "archive").close()
    where = arguments if "--out" in arguments else [*arguments, "--out", "out"]
    done = inspection("reinspect", vial_package, *where, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"[{code}]" in done.stderr
    assert named in done.stderr
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "archive" / "out").exists()


def test_an_archive_without_units_has_an_empty_result(detector: Detector, tmp_path: Path) -> None:
    Archive(tmp_path / "archive").close()
    result = reinspected(tmp_path / "archive", detector, tmp_path / "out")
    assert (result["units"], result["agreement"], result["largest_score_difference"]) == (0, {}, None)
