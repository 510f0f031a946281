"""The line when the machine fails under it: killed, its disk full, its database broken. No unit passes unrecorded."""

import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pytest

from inspection.archive import Archive
from inspection.verify import verify_archive
from tests.serve.serving import listening, running, serve_command, wait_for, write_recipe

pytestmark = pytest.mark.timeout(120)


def assert_on_record(archive: Path, told: list[dict[str, Any]]) -> None:
    """Every told PASS is a record of that unit, and says the same."""
    with Archive(archive, read_only=True) as opened:
        for unit in told:
            if unit["outcome"] == "PASS":
                entry = opened.get(unit["record"]["station"], unit["record"]["sequence"])
                assert entry is not None, f"{unit['unit']} passed and is not on record"
                assert (entry.unit, entry.outcome, entry.hash) == (unit["unit"], "PASS", unit["record"]["hash"])
                assert opened.images.get(entry.frames[0].image or "")


def test_killed_in_the_middle_every_told_pass_is_on_record(
    tmp_path: Path,
    vial_package: Path,
    vial_images: dict[str, list[Path]],
    inspection: Callable[..., CompletedProcess[str]],
) -> None:
    recipe = write_recipe(tmp_path, vial_package, camera={"kind": "simulator", "rate_hz": 50, "defect_rate": 0.1})
    archive, told = tmp_path / "archive", list[dict[str, Any]]()
    with (
        serve_command(recipe, archive) as command,
        listening(command.client) as events,
    ):
        files = {"image": vial_images["good"][0].read_bytes()}
        told.append(command.client.post("/api/inspect", files=files).json())
        while sum(unit["outcome"] == "PASS" for unit in told) < 15:
            name, data = next(events)
            told += [data["unit"]] if name == "unit" else []
        command.process.send_signal(signal.SIGKILL)
        command.process.wait(10)
        with suppress(httpx.HTTPError):  # what was still on the wire was told too
            told.extend(data["unit"] for name, data in events if name == "unit")
    done = inspection("verify", "--archive", archive)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_on_record(archive, told)

    before = verify_archive(archive).entries
    with serve_command(recipe, archive) as command:
        wait_for(lambda: command.client.get("/api/status").json()["tally"]["units"] >= 3)
        assert command.end(signal.SIGTERM, within_s=15)[0] == 0
    found = verify_archive(archive)
    assert found.intact, found.problems
    assert found.entries > before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is soon full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("this machine does not let the test mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_rejects_and_alarms_and_leaves_an_intact_archive(
    tmp_path: Path, vial_package: Path, small_disk: Path
) -> None:
    recipe = write_recipe(tmp_path, vial_package, camera={"kind": "simulator", "rate_hz": 50, "defect_rate": 0})
    told = list[dict[str, Any]]()
    with running(recipe, small_disk / "archive") as station, listening(station.client) as events:
        for name, data in events:
            told += [data["unit"]] if name == "unit" else []
            if sum(unit["reason"] == "archive_fault" for unit in told) == 3:
                break
        assert told[-1]["outcome"] == "REJECT"
        assert told[-1]["record"] is None
        assert re.search("No space left on device|is full", told[-1]["message"])
        answer = station.client.get("/ready")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert station.client.get("/").status_code == 200
    assert any(unit["outcome"] == "PASS" for unit in told)
    assert_on_record(small_disk / "archive", told)
    assert verify_archive(small_disk / "archive").problems == []


def test_broken_database_rejects_and_alarms(
    tmp_path: Path, vial_package: Path, vial_images: dict[str, list[Path]]
) -> None:
    with running(write_recipe(tmp_path, vial_package), tmp_path / "archive") as station:
        good = vial_images["good"][0].read_bytes()
        assert station.upload(good).json()["outcome"] == "PASS"
        with sqlite3.connect(tmp_path / "archive" / "archive.sqlite") as connection:
            connection.execute("ALTER TABLE entries RENAME TO gone")
        connection.close()
        answer = station.upload(good)
        assert (answer.status_code, answer.json()["code"]) == (503, "archive_fault")
        assert answer.json()["outcome"] == "REJECT"
        assert station.client.get("/ready").status_code == 503
        for path in ("/api/records", "/api/records/station-1/1"):
            answer = station.client.get(path)
            assert answer.status_code >= 500
            assert answer.headers["content-type"] == "application/problem+json"


def test_line_does_not_start_where_its_start_cannot_be_recorded(
    tmp_path: Path, vial_package: Path, filled_archive: Callable[[int], Path], inspection: Callable[..., Any]
) -> None:
    archive = filled_archive(1)
    with sqlite3.connect(archive / "archive.sqlite") as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'disk I/O'); END")
    connection.close()
    recipe = write_recipe(tmp_path, vial_package, camera={"kind": "simulator"})
    done = inspection("serve", recipe, "--archive", archive, "--port", 0, "--unapproved")
    assert done.returncode == 1
    assert done.stderr == f"inspection: {archive} did not accept a record (disk I/O) [archive_fault]\n"
