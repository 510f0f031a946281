"""The line: every shot gets exactly one disposition, and none passes without a look, in time, and a record."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspection.archive import Archive, ArchiveFault
from inspection.package import Package
from inspection.recipe import Recipe
from inspection.station import Station
from inspection.verdict import Outcome, Reason
from serve.cameras import Camera, Fault, Shot
from serve.line import Line
from tests.serve.line_parts import DeafCamera, FailingArchive, FollowingDetector, PlayingCamera, Told, frame
from tests.serve.serving import wait_for

FOUND = {"good": "within_limits", "review": "above_review_limit", "reject": "above_reject_limit",
         "nan": "score_not_finite", "infinite": "score_not_finite", "broken": "model_fault"}  # fmt: skip
FAULTS = [Reason.FRAME_UNREADABLE, Reason.FRAME_WRONG_FORMAT, Reason.FRAME_LOST]
MakeLine = Callable[..., tuple[Line, Told]]
OUTCOMES = {"within_limits": Outcome.PASS, "above_review_limit": Outcome.REVIEW}


@pytest.fixture
def detector_parts(package: Package) -> FollowingDetector:
    return FollowingDetector(package)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[FailingArchive]:
    opened = FailingArchive(tmp_path / "archive")
    yield opened
    opened.close()


@pytest.fixture
def make_line(recipe: Recipe, detector_parts: FollowingDetector, archive: FailingArchive) -> MakeLine:
    """Makes a line over the fixtures' detector and archive, from a camera or from shots, and what it tells."""

    def make(
        source: Camera | list[Any],
        then_wait: bool = False,
        clock: Callable[[], float] = time.perf_counter,
        **changes: Any,
    ) -> tuple[Line, Told]:
        camera = source if isinstance(source, Camera) else PlayingCamera(source, then_wait)
        told = Told()
        station = Station(recipe.model_copy(update=changes), detector_parts, archive, clock)  # type: ignore[arg-type]
        return Line(station, camera, told.append, camera_patience_s=0.1), told

    return make


def run(line: Line) -> None:
    line.start()
    assert line.wait(30)


def events(archive: Archive) -> list[tuple[str, dict[str, Any]]]:
    entries = archive.latest(1000, kind="event")
    return [(str(entry.reason), dict(entry.details)) for entry in reversed(entries)]


steps = st.one_of(st.sampled_from(sorted(FOUND)), st.sampled_from(FAULTS))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(steps, max_size=12), refused=st.frozensets(st.integers(0, 11), max_size=4))
def test_every_shot_gets_exactly_one_disposition(
    make_line: MakeLine, archive: FailingArchive, detector_parts: FollowingDetector,
    steps: list[str | Reason], refused: frozenset[int],
) -> None:  # fmt: skip
    shots: list[Shot] = [
        Fault(step, "went wrong") if isinstance(step, Reason) else frame(step, number)
        for number, step in enumerate(steps)
    ]
    detector_parts.learn(*shots)
    archive.refused, archive.turn = refused, 0
    line, told = make_line(shots, queue=100)
    run(line)

    assert len(told) == len(steps)
    assert len({disposition.unit for disposition in told}) == len(steps)
    for number, (step, disposition) in enumerate(zip(steps, told, strict=True)):
        reason = str(step) if isinstance(step, Reason) else FOUND[step]
        reason = "archive_fault" if number in refused else reason
        assert (disposition.reason, disposition.outcome) == (reason, OUTCOMES.get(reason, Outcome.REJECT))
        assert (disposition.entry is None) == (number in refused)
        if disposition.entry is not None:
            stored = archive.get(disposition.entry.station, disposition.entry.sequence)
            assert stored == disposition.entry
            assert (stored.unit, stored.outcome) == (disposition.unit, disposition.outcome)


def test_full_queue_rejects_on_record_and_loses_nothing(
    make_line: MakeLine, archive: Archive, detector_parts: FollowingDetector
) -> None:
    detector_parts.gate.clear()
    line, told = make_line([frame("good", number) for number in range(6)], queue=1)
    line.start()
    told.wait(4)  # one is being looked at and one waits at most, so four were turned away
    detector_parts.gate.set()
    assert line.wait(30)
    assert len(told) == 6
    turned_away = [disposition for disposition in told if disposition.reason is Reason.QUEUE_FULL]
    assert len(turned_away) >= 4
    for disposition in turned_away:
        assert disposition.outcome is Outcome.REJECT
        assert disposition.entry is not None
        [kept] = disposition.entry.frames
        assert kept.image is not None
        assert archive.images.get(kept.image)
        assert "slower than the line" in disposition.message
    assert {d.outcome for d in told if d not in turned_away} == {Outcome.PASS}


def test_camera_that_dies_is_an_alarm_and_its_units_are_decided(make_line: MakeLine, archive: Archive) -> None:
    line, told = make_line([frame("good", 1), frame("good", 2), OSError("the cable is out")], queue=5)
    run(line)
    assert line.state == "failed"
    assert line.alarm == "the camera failed: OSError: the cable is out"
    assert [disposition.outcome for disposition in told] == [Outcome.PASS, Outcome.PASS]
    assert events(archive) == [("line_started", {}), ("line_failed", {"alarm": line.alarm})]


def test_stop_finishes_what_waits_and_records_itself(
    make_line: MakeLine, archive: Archive, detector_parts: FollowingDetector
) -> None:
    detector_parts.gate.clear()
    line, told = make_line([frame("good", number) for number in range(4)], then_wait=True, queue=10)
    line.start()
    wait_for(lambda: detector_parts.looked_at == 1)
    assert not told
    detector_parts.gate.set()
    line.stop()
    assert [disposition.outcome for disposition in told] == [Outcome.PASS] * 4
    assert line.state == "stopped"
    assert [name for name, _ in events(archive)] == ["line_started", "line_stopped"]


def test_camera_that_ends_leaves_a_finished_line(make_line: MakeLine, archive: Archive) -> None:
    line, told = make_line([frame("good", 1)])
    run(line)
    line.stop()
    assert (line.state, line.alarm, len(told)) == ("finished", "", 1)
    assert [name for name, _ in events(archive)] == ["line_started", "line_finished"]


def test_camera_that_hangs_does_not_keep_the_line_from_stopping(make_line: MakeLine, archive: Archive) -> None:
    camera = DeafCamera()
    line, told = make_line(camera)
    line.start()
    told.wait(1)
    line.stop()
    assert line.state == "failed"
    assert "did not stop within 0.1 s" in line.alarm
    assert events(archive)[-1] == ("line_failed", {"alarm": line.alarm})
    camera.released.set()
    line._feeder.join(10)
    assert len(told) == 1


@pytest.mark.parametrize(("deadline_ms", "outcome", "reason"), [
    (500, Outcome.REJECT, Reason.LATE), (60_000, Outcome.PASS, Reason.WITHIN_LIMITS),
])  # fmt: skip
def test_deadline_decides_whether_a_good_unit_passes(
    make_line: MakeLine, deadline_ms: int, outcome: Outcome, reason: Reason
) -> None:
    seconds = itertools.count()
    line, told = make_line([frame("good", 1), frame("good", 2)], deadline_ms=deadline_ms, clock=seconds.__next__)
    run(line)
    assert [(disposition.outcome, disposition.reason) for disposition in told] == [(outcome, reason)] * 2
    assert all(disposition.entry is not None for disposition in told)


def test_listener_that_fails_does_not_stop_the_line(make_line: MakeLine) -> None:
    line, _ = make_line([frame("good", 1), frame("good", 2)])
    heard: list[Outcome] = []

    def tell(disposition: Any) -> None:
        heard.append(disposition.outcome)
        raise ValueError("no one there")

    line._tell = tell
    run(line)
    assert heard == [Outcome.PASS, Outcome.PASS]
    assert "ValueError: no one there" in line.alarm


def test_line_whose_start_cannot_be_recorded_does_not_start(make_line: MakeLine, archive: Archive) -> None:
    line, told = make_line([frame("good", 1)])
    with archive._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE entries")
    with pytest.raises(ArchiveFault, match="did not accept a record"):
        line.start()
    line.stop()
    assert (line.state, told) == ("ready", [])
