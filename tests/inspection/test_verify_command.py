"""`inspection verify`: an intact archive is called intact, and each kind of change is named."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from inspection.archive import Archive
from inspection.records import FrameRecord, from_row

Fill = Callable[[int], Path]
Run = Callable[..., CompletedProcess[str]]


def edit(folder: Path, statement: str) -> None:
    """Change rows as somebody with the file could: the triggers are taken away first, and put back afterwards."""
    connection = sqlite3.connect(folder / "archive.sqlite")
    guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in guards:
        connection.execute(f"DROP TRIGGER {name}")
    assert connection.execute(statement).rowcount > 0
    for _, creation in guards:
        connection.execute(creation)
    connection.commit()
    connection.close()


def frame_of(folder: Path, sequence: int) -> FrameRecord:
    with Archive(folder, read_only=True) as archive:
        return from_row(next(archive.rows("station-1", sequence - 1))).frames[0]


def test_an_intact_archive_is_called_intact(filled_archive: Fill, inspection: Run, tmp_path: Path) -> None:
    folder = filled_archive(6)
    done = inspection("verify", "--archive", folder, "--json", tmp_path / "found.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "archive intact: 6 records, 12 images and heatmaps, 1 stations\n"
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["intact"] and found["records"] == 6 and found["problems"] == []
    assert list(found["stations"]) == ["station-1"]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE entries SET outcome = 'PASS' WHERE sequence = 2", "station-1/2 was changed"),
        ("UPDATE entries SET score = score + 0.001 WHERE sequence = 5", "station-1/5 was changed"),
        ("UPDATE entries SET frames = '[]' WHERE sequence = 3", "station-1/3 was changed"),
        ("DELETE FROM entries WHERE sequence = 4", "station-1/4 is missing"),
        ("DELETE FROM entries WHERE sequence > 4", "the chain was cut off after 4"),
        ("DELETE FROM entries WHERE sequence < 3", "station-1/1 to 2 is missing"),
    ],
)
def test_a_changed_row_is_named(filled_archive: Fill, inspection: Run, statement: str, named: str) -> None:
    folder = filled_archive(6)
    edit(folder, statement)
    done = inspection("verify", "--archive", folder)
    assert done.returncode == 1
    assert named in done.stdout
    assert "archive intact" not in done.stdout
    assert "[archive_altered]" in done.stderr and str(folder) in done.stderr


def test_a_changed_image_and_a_deleted_heatmap_are_named(filled_archive: Fill, inspection: Run) -> None:
    folder = filled_archive(6)
    images = Archive(folder, read_only=True).images
    changed, deleted = frame_of(folder, 2).image, frame_of(folder, 5).heatmap
    assert changed and deleted
    images.path(changed).write_bytes(images.path(changed).read_bytes() + b"\0")
    images.path(deleted).unlink()
    done = inspection("verify", "--archive", folder, "--json", "-")
    assert done.returncode == 1
    problems = json.loads(done.stdout)["problems"]
    assert len(problems) == 2
    assert problems[0].startswith("record station-1/2") and changed in problems[0]
    assert problems[1].startswith("record station-1/5") and deleted in problems[1]
    assert "2 places" in done.stderr


def test_a_removed_guard_is_named(filled_archive: Fill, inspection: Run) -> None:
    folder = filled_archive(2)
    with sqlite3.connect(folder / "archive.sqlite") as connection:
        connection.execute("DROP TRIGGER entries_refuse_update")
    done = inspection("verify", "--archive", folder)
    assert done.returncode == 1 and "entries_refuse_update" in done.stdout


def test_what_is_no_archive_is_one_sentence(inspection: Run, tmp_path: Path) -> None:
    done = inspection("verify", "--archive", tmp_path / "nothing")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and str(tmp_path / "nothing") in done.stderr
    (tmp_path / "archive.sqlite").write_bytes(b"this is no database, whatever its name says" * 50)
    done = inspection("verify", "--archive", tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "[archive_fault]" in done.stderr
