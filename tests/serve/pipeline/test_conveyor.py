"""The conveyor as a whole: triggers and frames in, one disposition and one record for each unit."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from inspection.archive import Archive
from inspection.detector import Detector
from inspection.frames import Frame, Pixels, read_frame
from inspection.image_finding import ImageFinding, find_in_frame
from inspection.package import Package
from inspection.recipe import Recipe
from inspection.records import Entry, from_row
from inspection.station import Disposition, Station
from inspection.verdict import Outcome, Reason
from inspection.verify import verify_archive
from serve.cameras import Fault
from serve.pipeline.book import Timing
from serve.pipeline.conveyor import CameraTiming, Conveyor
from serve.pipeline.inspector import Inspector, ProcessDetector
from tests.serve.line_parts import FollowingDetector, Told, frame
from tests.serve.serving import wait_for

PATIENT = Timing(frames_s=20.0, decide_s=30.0, tell_s=40.0)


class Here:
    """Inspects at once, in the thread that asks; `never` is a name it gives no answer for."""

    def __init__(self, detector: FollowingDetector) -> None:
        self.detector = detector

    def busy_s(self, more: int) -> float:  # noqa: ARG002
        return 0.0

    def ask(self, name: str, pixels: Pixels, answer: Callable[[ImageFinding], None], *_: object) -> None:
        if name != "never":
            answer(find_in_frame(self.detector, name, pixels))  # type: ignore[arg-type]


class Running:
    """A conveyor with what it told."""

    def __init__(self, recipe: Recipe, package: Package, folder: Path) -> None:
        self.archive = Archive(folder)
        self.detector = FollowingDetector(package)
        self.station = Station(recipe, self.detector, self.archive, time.monotonic)  # type: ignore[arg-type]
        self.told, self.doubts, self.alarms = Told(), list[str](), list[tuple[str, str]]()

    @contextmanager
    def line(
        self, cameras: dict[str, CameraTiming], timing: Timing = PATIENT, triggered: bool = True, rejects: int = 0
    ) -> Iterator[Conveyor]:
        conveyor = Conveyor(
            self.station, Here(self.detector), cameras, timing, self.told.append, triggered=triggered,
            doubt=lambda camera, _: self.doubts.append(camera),
            alarm=lambda code, why: self.alarms.append((code, why)), consecutive_rejects=rejects,
        )  # fmt: skip
        conveyor.start()
        try:
            yield conveyor
        finally:
            conveyor.stop()

    def units(self) -> list[Entry]:
        entries = [from_row(row) for row in self.archive.rows("station-1")]
        found = verify_archive(self.archive.folder)
        assert found.intact, found.problems
        return [entry for entry in entries if entry.kind == "unit"]

    def frame(self, name: str, number: int, camera: str = "cam") -> Frame:
        shot = frame(name, number)
        self.detector.learn(shot)
        return Frame(shot.pixels, shot.name, camera, number)


@pytest.fixture
def running(recipe: Recipe, package: Package, tmp_path: Path) -> Iterator[Running]:
    own = Running(recipe, package, tmp_path / "archive")
    yield own
    own.archive.close()


def test_a_camera_s_frames_open_units(running: Running) -> None:
    names = ["good", "reject", "review", "nan", "broken", "good"]
    with running.line({"cam": CameraTiming()}, triggered=False) as conveyor:
        for number, name in enumerate(names):
            conveyor.shot("cam", running.frame(name, number))
        conveyor.shot("cam", Fault(Reason.FRAME_UNREADABLE, "half a file"))
        running.told.wait(7)
    expected = ["PASS", "REJECT", "REVIEW", "REJECT", "REJECT", "PASS", "REJECT"]
    assert [told.outcome for told in running.told] == expected
    units = running.units()
    assert [(unit.unit, unit.outcome, unit.reason) for unit in units] == [
        (told.unit, told.outcome, told.reason) for told in running.told
    ]
    assert all(unit.frames[0].image for unit in units[:6])


def test_units_that_went_by_unseen_are_rejected(running: Running) -> None:
    with running.line({"cam": CameraTiming(frames=2)}, triggered=False) as conveyor:
        for number in (0, 1, 6, 7):
            conveyor.shot("cam", running.frame("good", number))
        running.told.wait(4)
    assert [str(told.reason) for told in running.told] == ["within_limits", "frame_lost", "frame_lost", "within_limits"]


def test_a_camera_that_counts_from_anew_opens_units_from_there(running: Running) -> None:
    with running.line({"cam": CameraTiming()}, triggered=False) as conveyor:
        for number in (0, 60_000, 60_001, 0):
            conveyor.shot("cam", running.frame("good", number))
        running.told.wait(4)
    assert [str(told.reason) for told in running.told] == ["within_limits"] * 4


def test_a_listener_that_fails_does_not_stop_the_line(running: Running) -> None:
    def fail(disposition: Disposition) -> None:
        Told.append(running.told, disposition)
        raise ValueError("nobody home")

    running.told.append = fail  # type: ignore[method-assign]
    with running.line({"cam": CameraTiming()}, triggered=False) as conveyor:
        for number in range(3):
            conveyor.shot("cam", running.frame("good", number))
        conveyor.shot("no such camera", running.frame("good", 3))
        running.told.wait(3)
        wait_for(lambda: len(running.alarms) == 4)
    assert {code for code, _ in running.alarms} == {"not_told", "conveyor_fault"}
    assert len(running.units()) == 3


def test_frames_of_two_cameras_join_a_triggered_unit_and_the_worst_decides(running: Running) -> None:
    cameras = {"top": CameraTiming(within_s=10.0), "side": CameraTiming(frames=2, within_s=10.0)}
    with running.line(cameras) as conveyor:
        conveyor.trigger("vial-1", batch="B7")
        conveyor.shot("top", running.frame("good", 0, "top"))
        conveyor.shot("side", running.frame("good", 10, "side"))
        conveyor.shot("side", running.frame("reject", 11, "side"))
        running.told.wait(1)
    (told,) = running.told
    assert (told.unit, told.outcome, told.reason) == ("vial-1", Outcome.REJECT, Reason.ABOVE_REJECT_LIMIT)
    (unit,) = running.units()
    assert unit.batch == "B7"
    assert [(one.camera, one.sequence, one.image is not None) for one in unit.frames] == [
        ("top", 0, True), ("side", 10, True), ("side", 11, True),
    ]  # fmt: skip
    assert unit.score == max(one.score for one in unit.frames if one.score is not None)
    assert len(unit.details["frames"]) == 3


@pytest.mark.parametrize(
    ("shots", "reason"),
    [([], Reason.FRAME_LOST), (["never"], Reason.LATE), (["good", "good"], Reason.FRAME_EXTRA)],
)
def test_what_does_not_come_in_time_or_once_too_often_is_rejected(
    running: Running, shots: list[str], reason: Reason
) -> None:
    timing = Timing(frames_s=0.2, decide_s=0.4, tell_s=5.0)
    with running.line({"cam": CameraTiming(within_s=5.0), "other": CameraTiming()}, timing) as conveyor:
        conveyor.trigger()
        if "never" in shots:
            conveyor.shot("other", running.frame("good", 100, "other"))
        for number, name in enumerate(shots):
            conveyor.shot("cam", running.frame(name, number))
        running.told.wait(1)
    assert [(told.outcome, told.reason) for told in running.told] == [(Outcome.REJECT, reason)]
    assert [unit.reason for unit in running.units()] == [reason]


def test_a_frame_that_may_be_another_s_rejects_both_and_restarts_the_camera(running: Running) -> None:
    with running.line({"cam": CameraTiming(within_s=5.0)}) as conveyor:
        began = time.monotonic()
        conveyor.trigger("a", at=began)
        conveyor.trigger("b", at=began + 0.001)
        conveyor.shot("cam", running.frame("good", 0), at=began + 0.002)
        running.told.wait(2)
        assert running.doubts == ["cam"]
        conveyor.restarted("cam")
        conveyor.trigger("c")
        conveyor.shot("cam", running.frame("good", 50))
        running.told.wait(3)
    assert [str(told.reason) for told in running.told] == ["frame_doubtful", "frame_doubtful", "within_limits"]


def test_too_many_rejects_stop_the_station_until_a_person_lets_it_go_on(running: Running) -> None:
    with running.line({"cam": CameraTiming()}, triggered=False, rejects=3) as conveyor:
        for number in range(3):
            conveyor.shot("cam", running.frame("reject", number))
        running.told.wait(3)
        conveyor.shot("cam", running.frame("good", 3))
        running.told.wait(4)
        assert running.alarms == [("station_stopped", conveyor.stopped)]
        conveyor.resume("the window was cleaned", "ada")
        conveyor.shot("cam", running.frame("good", 4))
        running.told.wait(5)
    assert [str(told.reason) for told in running.told][3:] == ["station_stopped", "within_limits"]
    assert running.alarms[-1] == ("station_stopped", "")
    events = [row["reason"] for row in running.archive.rows("station-1") if row["kind"] == "event"]
    assert events == ["line_started", "station_stopped", "station_resumed", "line_stopped"]


def test_stop_brings_the_units_on_their_way_to_their_end(running: Running) -> None:
    with running.line({"cam": CameraTiming()}, Timing(0.2, 0.3, 0.5)) as conveyor:
        for _ in range(5):
            conveyor.trigger()
    assert [told.reason for told in running.told] == [Reason.FRAME_LOST] * 5
    assert len(running.units()) == 5


def test_real_frames_through_the_inspector_s_process(
    recipe: Recipe, detector: Detector, tmp_path: Path, vial_package: Path, vial_images: dict[str, list[Path]]
) -> None:
    named = recipe.model_copy(update={"package": recipe.package.model_copy(update={"path": vial_package})})
    inspector = Inspector(named, tmp_path, "onnxruntime", threads=1, lanes=2)
    told = Told()
    with Archive(tmp_path / "archive") as archive:
        runtime = inspector.start()
        station = Station(named, ProcessDetector(detector.package, None, inspector, runtime), archive, time.monotonic)
        conveyor = Conveyor(station, inspector, {"cam": CameraTiming(2)}, PATIENT, told.append, triggered=False)
        conveyor.start()
        good, bad = vial_images["good"][0], vial_images["missing_stopper"][0]
        for number, path in enumerate((good, good, good, bad)):
            conveyor.shot("cam", read_frame(path, camera="cam", sequence=number))
        told.wait(2)
        conveyor.stop()
        inspector.stop()
        units = [from_row(row) for row in archive.rows("station-1") if row["kind"] == "unit"]
    assert [one.outcome for one in told] == [Outcome.PASS, Outcome.REJECT]
    scores = [np.float32(one.score) for unit in units for one in unit.frames if one.score is not None]
    wanted = [np.float32(detector.find(read_frame(path).pixels).score) for path in (good, good, good, bad)]
    assert scores == pytest.approx(wanted, rel=1e-5)
    wait_for(lambda: inspector.pid is None)
