"""The shadow itself: what it is offered it looks at, sheds or fails at; each is counted and on record, and nothing that
becomes of it is said to the line."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from inspection.archive import Archive, ArchiveFault
from inspection.recipe_shadow import CandidateRef, ShadowConfig
from inspection.records import Draft, Entry
from inspection.shadow.events import FAULT, STARTED
from inspection.station import Disposition, Station
from inspection.verdict import Outcome, Reason
from inspection.verify import verify_archive
from serve.pipeline.conveyor import CameraTiming, Conveyor
from serve.pipeline.worker import Backoff
from serve.shadow.shadow import MOST_WAITING, Shadow
from serve.shadow.share import Share
from tests.serve.line_parts import frame
from tests.serve.pipeline.test_conveyor import PATIENT, Here
from tests.serve.serving import wait_for
from tests.serve.shadow.conftest import shadow_events
from tests.serve.shadow.processes import ORDERS, obedient

pytestmark = pytest.mark.timeout(300)
SOON = Backoff(first_s=0.05, longest_s=0.1, calm_s=60.0, most=3)


class Line:
    """A station with a shadow whose process obeys."""

    def __init__(self, station: Station, folder: Path, **more: Any) -> None:
        self.station, self.folder, self.numbers = station, folder, iter(range(10_000))
        self.busy, self.said = False, list[str]()
        self.shadow = Shadow(
            station.recipe, folder, station, station.archive, busy=lambda: self.busy, changed=self.said.append,
            main=more.pop("main", obedient), backoff=SOON, **more,
        )  # fmt: skip

    def order(self, what: str) -> None:
        part = self.folder / "part"
        part.write_text(what)
        part.replace(self.folder / ORDERS)

    def unit(self, kind: str = "good") -> Disposition:
        shot = frame(kind, next(self.numbers))
        self.station.detector.learn(shot)  # type: ignore[attr-defined]
        disposition = self.station.inspect(shot)
        self.shadow.offer(disposition, [shot])
        return disposition

    def counts(self) -> dict[str, Any]:
        return self.shadow.counts.snapshot()

    def events(self, reason: str) -> list[dict[str, Any]]:
        archive = self.station.archive
        return [dict(entry.details) for entry in archive.latest(1000, kind="event") if entry.reason == reason]


@contextmanager
def shadowing(station: Station, folder: Path, **more: Any) -> Iterator[Line]:
    line = Line(station, folder, **more)
    line.shadow.start()
    try:
        wait_for(lambda: line.said, 180)
        yield line
    finally:
        line.shadow.stop()


def test_findings_are_records_bound_to_the_units(station: Station, tmp_path: Path) -> None:
    with shadowing(station, tmp_path) as line:
        told = [line.unit(kind) for kind in ("good", "reject", "review", "good")]
        wait_for(lambda: line.counts()["inspected"] == 4)
        line.order("reject")
        told.append(line.unit())
        wait_for(lambda: line.counts()["inspected"] == 5)
    assert line.said == [""]
    (started,) = line.events(STARTED)
    found = shadow_events(station.archive)
    assert {event.trial.id for event in found} == {started["trial"]}
    findings = [one for event in found for one in event.findings]
    assert [(one.record, one.record_hash, one.unit) for one in findings] == [
        (disposition.entry.name, disposition.entry.hash, disposition.unit)
        for disposition in told if disposition.entry
    ]  # fmt: skip
    assert [(one.old.outcome, one.new.outcome) for one in findings] == [
        ("PASS", "PASS"), ("REJECT", "PASS"), ("REVIEW", "PASS"), ("PASS", "PASS"), ("PASS", "REJECT"),
    ]  # fmt: skip
    assert [one.old.score for one in findings] == [d.entry.score for d in told if d.entry]
    assert line.counts()["differ"] == 3
    assert verify_archive(station.archive.folder).intact


def test_what_there_is_no_time_for_is_shed_and_counted_by_reason(station: Station, tmp_path: Path) -> None:
    with shadowing(station, tmp_path) as line:
        line.busy = True
        for _ in range(MOST_WAITING + 3):
            line.unit()
        assert (line.counts()["inspected"], line.counts()["shed_by_reason"]) == (0, {"busy": 3})
        line.busy = False
        wait_for(lambda: line.counts()["inspected"] == MOST_WAITING)
        line.busy = True
        line.unit()
    assert line.counts()["shed_by_reason"] == {"busy": 3, "stopped": 1}
    told: dict[str, int] = {}
    for event in shadow_events(station.archive):
        for reason, units in event.shed.items():
            told[reason] = told.get(reason, 0) + units
    assert told == {"busy": 3, "stopped": 1}


def test_units_that_the_line_rejected_for_a_fault_are_not_offered(station: Station, tmp_path: Path) -> None:
    with shadowing(station, tmp_path) as line:
        shot = frame("good", 1)
        line.shadow.offer(station.reject(Reason.FRAME_BLURRED, "blurred", frame=shot), [shot])
        line.shadow.offer(station.reject(Reason.MODEL_FAULT, "fell over", frame=shot), [shot])
        line.shadow.offer(Disposition("u", Outcome.REJECT, Reason.ARCHIVE_FAULT), [shot])
        line.shadow.offer(line.station.inspect(shot), [])
        line.shadow.offer(None, [shot])  # type: ignore[arg-type]
        assert (line.counts()["inspected"], line.counts()["shed_by_reason"]) == (0, {"error": 1})


@pytest.mark.parametrize(("order", "failed"), [("raise", "raised"), ("die", "died"), ("hang", "hung")])
def test_a_candidate_that_fails_is_counted_and_said_and_goes_on(
    order: str, failed: str, station: Station, tmp_path: Path
) -> None:
    with shadowing(station, tmp_path, hung_s=0.3) as line:
        line.order(order)
        line.unit()
        wait_for(lambda: line.counts()["failed_by_reason"] == {failed: 1})
        line.order("")
        wait_for(lambda: line.shadow.up)
        line.unit()
        wait_for(lambda: line.counts()["inspected"] == (2 if order == "raise" else 1))
    *raised, last = (one for event in shadow_events(station.archive) for one in event.findings)
    assert (last.new.outcome, last.message) == ("PASS", "")
    assert [(one.new.outcome, one.new.reason, one.message) for one in raised] == (
        [("REJECT", "model_fault", "the graph fell over")] if order == "raise" else []
    )
    assert line.counts()["differ"] == len(raised)
    assert sum(event.failed.get(failed, 0) for event in shadow_events(station.archive)) == 1
    if order != "raise":
        assert len(line.events(FAULT)) == 1 and len(line.events(STARTED)) == 2
        assert line.said[0] == line.said[2] == "" and line.said[1]


def test_a_unit_that_cannot_be_sent_any_more_is_shed_and_the_next_is_looked_at(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shadowing(station, tmp_path) as line:
        worker = line.shadow._worker
        assert worker
        monkeypatch.setattr(worker, "send", lambda _: False)
        line.unit()
        wait_for(lambda: line.counts()["shed_by_reason"] == {"fault": 1})
        monkeypatch.undo()
        line.unit()
        wait_for(lambda: line.counts()["inspected"] == 1)
    assert line.counts()["failed"] == 0


def test_a_killed_process_comes_back_and_one_that_dies_again_and_again_is_given_up(
    station: Station, tmp_path: Path
) -> None:
    with shadowing(station, tmp_path) as line:
        assert line.shadow.pid
        os.kill(line.shadow.pid, signal.SIGKILL)
        wait_for(lambda: len(line.said) >= 3)
        assert line.shadow.up
        line.order("die")
        for _ in range(4):
            wait_for(lambda: line.shadow.up or "failed" in line.said[-1])
            line.unit()
            wait_for(lambda: not line.shadow.up)
        wait_for(lambda: "times within" in line.said[-1])
        line.unit()
        status = line.shadow.status()
    assert (status["state"], status["shed_by_reason"]["fault"] >= 1) == ("fault", True)
    assert "times within" in status["message"]


@pytest.mark.parametrize(("change", "said"), [
    ({"path": "none.onnx"}, "none.onnx"), ({"sha256": "0" * 64}, "asks for 000000000000"),
    ({"path": None, "name": "vial", "version": "7.7.7"}, "not registered"),
    ({"path": "active"}, "is the active package itself"),
])  # fmt: skip
def test_a_candidate_that_cannot_be_had_is_said_and_stops_nothing(
    change: dict[str, Any], said: str, station: Station, candidate_file: Path, vial_package: Path, tmp_path: Path
) -> None:
    keys = {"path": candidate_file} | change
    keys["path"] = vial_package if keys["path"] == "active" else keys["path"]
    station.recipe = station.recipe.model_copy(update={"shadow": ShadowConfig(package=CandidateRef(**keys))})
    with shadowing(station, tmp_path) as line:
        assert said in line.said[0]
        assert line.unit().outcome is Outcome.PASS
        assert line.shadow.status() | {"message": ""} == line.shadow.status() | {"state": "fault", "message": ""}
    assert line.counts()["shed_by_reason"] == {"fault": 1}
    assert [said in event["message"] for event in line.events(FAULT)] == [True]


def test_golden_frames_that_differ_are_said(station: Station, tmp_path: Path) -> None:
    (tmp_path / ORDERS).write_text("refuse")
    with shadowing(station, tmp_path) as line:
        assert "golden frame" in line.said[0]


class Refusing(Archive):
    """An archive that refuses shadow's events while told to."""

    refusing = False

    def append_all(self, drafts: Any, station: str) -> list[Entry]:
        if self.refusing and any(isinstance(one, Draft) and one.kind == "event" for one in drafts):
            raise ArchiveFault("the disk is full")
        return super().append_all(drafts, station)


@pytest.mark.parametrize("back", [True, False])
def test_what_the_archive_refuses_is_recorded_later_or_counted(back: bool, station: Station, tmp_path: Path) -> None:
    with Refusing(tmp_path / "refusing") as archive:
        station.archive = archive
        with shadowing(station, tmp_path) as line:
            archive.refusing = True
            for _ in range(3):
                line.unit()
            wait_for(lambda: line.counts()["inspected"] == 3)
            archive.refusing = not back
        recorded = [one for event in shadow_events(archive) for one in event.findings]
    assert (len(recorded), line.counts()["unrecorded"]) == ((3, 0) if back else (0, 3))


class Raising:
    """A shadow that passes whatever it is offered, and fails at it."""

    offered = 0

    def offer(self, disposition: Disposition, frames: Any) -> None:
        self.offered += len(frames)
        object.__setattr__(disposition, "outcome", Outcome.PASS)
        raise RuntimeError("nobody home")


def test_what_a_shadow_does_with_an_offer_is_told_to_nobody(station: Station) -> None:
    told: list[tuple[str, str]] = []
    alarms: list[str] = []
    shadow = Raising()
    conveyor = Conveyor(
        station, Here(station.detector), {"cam": CameraTiming()}, PATIENT,  # type: ignore[arg-type]
        lambda one: told.append((str(one.outcome), str(one.reason))), triggered=False, shadow=shadow,
        alarm=lambda code, why: alarms.append(f"{code} {why}"),
    )  # fmt: skip
    conveyor.start()
    for number, kind in enumerate(("good", "reject", "review")):
        shot = frame(kind, number)
        station.detector.learn(shot)  # type: ignore[attr-defined]
        conveyor.shot("cam", shot)
    wait_for(lambda: len(told) == 3)
    conveyor.stop()
    assert [outcome for outcome, _ in told] == ["PASS", "REJECT", "REVIEW"]
    assert [one.outcome for one in reversed(station.archive.latest(9, kind="unit"))] == ["PASS", "REJECT", "REVIEW"]
    assert (shadow.offered, alarms) == (3, [])


def test_the_share_of_time_holds_over_any_longer_time() -> None:
    clock = Clock()
    share, busy_s = Share(0.2, clock), 0.0
    while clock.now < 1000:
        if share.left:
            share.used(0.7)
            busy_s += 0.7
            clock.now += 0.7
        else:
            clock.now += 0.05
    assert busy_s <= 0.2 * 1000 + 2.0 + 0.7
    assert busy_s >= 0.2 * 1000 - 2.0
    clock.now += 10_000
    assert share.left
    share.used(2.1)
    assert not share.left


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now
