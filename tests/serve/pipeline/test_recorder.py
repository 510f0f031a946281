"""Records in order and in groups; what a full disk refuses is told, owed, and on record once there is room."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inspection.archive import Archive, ArchiveFault
from inspection.finding import Finding
from inspection.frames import Frame
from inspection.package import Package
from inspection.recipe import Recipe
from inspection.records import Draft, Entry, from_row
from inspection.station import Station
from inspection.unit_record import Seen, UnitAccount
from inspection.verdict import Outcome, Reason, Verdict, reject
from inspection.verify import verify_archive
from serve.pipeline.recorder import Recorder
from tests.serve.line_parts import FollowingDetector
from tests.serve.serving import wait_for

GOOD = Verdict(Outcome.PASS, Reason.WITHIN_LIMITS)


class FullArchive(Archive):
    """Has no room while `full`."""

    full = False
    groups: list[int]

    def append_all(self, drafts: list[Draft], station: str) -> list[Entry]:  # type: ignore[override]
        if self.full:
            raise ArchiveFault("the disk is full")
        self.groups = [*getattr(self, "groups", []), len(drafts)]
        return super().append_all(drafts, station)


class Recording:
    """A recorder with what it told."""

    def __init__(self, recipe: Recipe, package: Package, folder: Path) -> None:
        self.archive = FullArchive(folder)
        self.told: list[tuple[int, Entry | None, str]] = []
        self.alarms: list[str] = []
        station = Station(recipe, FollowingDetector(package), self.archive)  # type: ignore[arg-type]
        self.recorder = Recorder(station, lambda *done: self.told.append(done), self.alarms.append)

    def unit(self, number: int, found: bool = True, verdict: Verdict = GOOD) -> None:
        pixels = np.full((8, 6, 3), number, np.uint8)
        finding = Finding(0.1, np.zeros((2, 2), np.float32)) if found else None
        seen = Seen(Frame(pixels, "frame", "top", number), finding)
        self.recorder.unit(number, UnitAccount(f"u{number}", verdict, 0.0, (seen,)))

    def entries(self) -> list[Entry]:
        return [from_row(row) for row in self.archive.rows("station-1")]


@pytest.fixture
def recording(recipe: Recipe, package: Package, tmp_path: Path) -> Iterator[Recording]:
    own = Recording(recipe, package, tmp_path / "archive")
    yield own
    own.archive.close()


def test_units_and_events_are_recorded_in_order_in_few_groups(recording: Recording) -> None:
    for number in range(10):
        recording.unit(number)
    recording.recorder.event(Draft("event", reason="noon"))
    recording.unit(10)
    recording.recorder.start()
    recording.recorder.stop()
    assert [number for number, entry, _ in recording.told if entry] == list(range(11))
    entries = recording.entries()
    assert [entry.unit or entry.reason for entry in entries] == [*(f"u{n}" for n in range(10)), "noon", "u10"]
    assert [entry.hash for entry in entries if entry.unit] == [entry.hash for _, entry, _ in recording.told if entry]
    assert len(recording.archive.groups) <= 2
    found = verify_archive(recording.archive.folder)
    assert found.intact, found.problems
    assert found.files >= 11


def test_what_is_refused_is_told_and_owed_until_there_is_room(recording: Recording) -> None:
    recording.recorder.start()
    recording.unit(0)
    wait_for(lambda: len(recording.told) == 1)
    recording.archive.full = True
    recording.unit(1)
    recording.unit(2)
    wait_for(lambda: len(recording.told) == 3)
    assert [(number, entry is None) for number, entry, _ in recording.told] == [(0, False), (1, True), (2, True)]
    assert recording.told[1][2] == recording.alarms[0] == "the disk is full"
    assert recording.recorder.owed == 2
    recording.archive.full = False
    recording.unit(3)
    wait_for(lambda: len(recording.told) == 4)
    recording.recorder.stop()
    assert recording.alarms[-1] == ""
    entries = recording.entries()
    assert [(entry.unit, entry.outcome, entry.reason) for entry in entries] == [
        ("u0", "PASS", "within_limits"), ("u1", "REJECT", "archive_fault"),
        ("u2", "REJECT", "archive_fault"), ("u3", "PASS", "within_limits"),
    ]  # fmt: skip
    assert entries[1].details["decided"] == ["PASS", "within_limits"]


def test_what_is_owed_is_recorded_though_nothing_else_comes(recording: Recording) -> None:
    recording.archive.full = True
    recording.recorder.start()
    recording.unit(0)
    wait_for(lambda: recording.recorder.owed == 1)
    recording.archive.full = False
    wait_for(lambda: recording.recorder.owed == 0)
    assert [entry.reason for entry in recording.entries()] == ["archive_fault"]
    recording.recorder.stop()


def test_an_image_that_cannot_be_kept_fails_its_unit_alone(recording: Recording) -> None:
    broken = recording.archive.images.folder
    recording.recorder.start()
    recording.unit(0)
    wait_for(lambda: len(recording.told) == 1)
    moved = broken.rename(broken.with_name("moved"))
    broken.touch()  # a file stands where the folder was
    recording.unit(1)
    wait_for(lambda: len(recording.told) == 2)
    assert recording.told[1][1] is None
    broken.unlink()
    moved.rename(broken)
    recording.unit(2)
    wait_for(lambda: len(recording.told) == 3)
    recording.recorder.stop()
    assert [(entry.unit, entry.outcome) for entry in recording.entries()] == [
        ("u0", "PASS"), ("u1", "REJECT"), ("u2", "PASS"),
    ]  # fmt: skip
    assert verify_archive(recording.archive.folder).intact


def test_in_a_crowd_frames_that_nobody_looked_at_are_not_kept(recording: Recording) -> None:
    for number in range(40):
        recording.unit(number, found=False, verdict=reject(Reason.LATE))
    recording.recorder.start()
    recording.recorder.stop()
    entries = recording.entries()
    assert len(entries) == 40
    kept = [entry.frames[0].image is not None for entry in entries]
    assert kept[0] and not kept[-1]
    assert entries[-1].details["images"] == "not kept: too many units were waiting"
