"""A start says what it found of the run before: what a crash leaves is mended, what it cannot leave stops the start."""

import json
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspection.archive import Archive
from inspection.records import Draft, FrameRecord
from inspection.recovery import RECOVERED, RecoveryRefused, recover
from inspection.verify import verify_archive
from tests.serve.serving import running, serve_command, wait_for, write_recipe

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An archive that was left as it should be."""
    with Archive(tmp_path / "archive") as archive:
        archive.append(Draft("event", reason="line_started"), "s")
        for number in range(5):
            frames = (FrameRecord("c", number, "t", archive.images.put(f"image {number}".encode(), ".png")),)
            archive.append(Draft("unit", f"u{number}", outcome="PASS", frames=frames), "s")
        archive.append(Draft("event", reason="line_stopped"), "s")
    return tmp_path / "archive"


def found_in(folder: Path, accept: str = "") -> list[str]:
    with Archive(folder) as archive:
        return recover(archive, "s", accept).sentences


def test_nothing_is_found_and_nothing_recorded_where_all_is_well(folder: Path) -> None:
    assert found_in(folder) == []
    assert verify_archive(folder).entries == 7


def test_what_a_crash_leaves_is_mended_and_on_record(folder: Path) -> None:
    image = next((folder / "images").glob("*/*.png"))
    (image.parent / f".{image.name}.abc.part").write_bytes(b"half")
    (folder / "heads" / "s.1.2.part").write_text("{")
    (folder / "heads" / "s.json").write_text(json.dumps({"sequence": 3, "hash": "old"}))
    with sqlite3.connect(folder / "archive.sqlite") as database:
        hash_ = database.execute("SELECT hash FROM entries WHERE sequence = 3").fetchone()[0]
    (folder / "heads" / "s.json").write_text(json.dumps({"sequence": 3, "hash": hash_}))

    assert not any("half-written" in said for said in found_in(folder))  # somebody may still be writing them
    for path in folder.rglob("*.part"):
        os.utime(path, (0, 0))
    (folder / "heads" / "s.json").write_text(json.dumps({"sequence": 3, "hash": hash_}))
    found = found_in(folder)

    assert found == [
        "2 half-written files were removed; no record names them",
        "the note of the last record of s was behind, and is written anew",
    ]
    assert not list(folder.rglob("*.part"))
    with Archive(folder, read_only=True) as archive:
        assert archive.latest(1)[0].reason == RECOVERED
        assert archive.latest(1)[0].details["mended"] == found
    assert verify_archive(folder).problems == []
    assert found_in(folder) == []


def edit(folder: Path, statement: str) -> None:
    database = sqlite3.connect(folder / "archive.sqlite")
    guards = [row[0] for row in database.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
    for name in ("entries_refuse_update", "entries_refuse_delete"):
        database.execute(f"DROP TRIGGER {name}")
    database.execute(statement)
    for guard in guards:
        database.execute(guard)
    database.commit()
    database.close()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: edit(folder, "DELETE FROM entries WHERE sequence > 4"), "s/7 was on record and is gone"),
        (lambda folder: edit(folder, "UPDATE entries SET outcome = 'REJECT' WHERE sequence = 4"), "s/4 was changed"),
        (lambda folder: next((folder / "images").glob("*/*.png")).unlink(), "is missing"),
        (lambda folder: next((folder / "images").glob("*/*.png")).write_bytes(b"other"), "was changed"),
    ],
)
def test_what_no_crash_leaves_stops_the_start_until_a_person_says_why(
    damage: Callable[[Path], object], said: str, folder: Path
) -> None:
    damage(folder)
    with pytest.raises(RecoveryRefused, match=said):
        found_in(folder)
    with Archive(folder, read_only=True) as archive:
        assert archive.latest(1)[0].reason != RECOVERED
    assert any(said in sentence for sentence in found_in(folder, "the disk was replaced, QA informed"))
    with Archive(folder, read_only=True) as archive:
        assert archive.latest(1)[0].details["why"] == "the disk was replaced, QA informed"


def test_a_service_that_was_killed_says_so_at_its_next_start(tmp_path: Path, vial_package: Path) -> None:
    recipe = write_recipe(tmp_path, vial_package, camera={"kind": "simulator", "rate_hz": 20})
    with serve_command(recipe, tmp_path / "archive") as command:
        wait_for(lambda: command.client.get("/api/status").json()["tally"]["units"] >= 3)
        command.process.send_signal(signal.SIGKILL)
        command.process.wait(10)
    with running(recipe, tmp_path / "archive") as station:
        assert station.service.recovery.sentences[-1].endswith("did not come to its end")
    with Archive(tmp_path / "archive", read_only=True) as archive:
        events: list[Any] = [row["reason"] for row in archive.rows("station-1") if row["kind"] == "event"]
    assert events[:3] == ["line_started", RECOVERED, "line_started"], events
    assert verify_archive(tmp_path / "archive").problems == []
