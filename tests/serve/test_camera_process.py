"""A camera in its own process: killed, hung, frozen or at its end, it is noticed, told, and as far as may be cured."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import pytest

from inspection.config import ConfigInvalid
from inspection.frames import Frame
from inspection.recipe import CameraConfig
from inspection.verdict import Reason
from serve.cameras import CameraUnavailable, Fault, Shot
from serve.cameras.health import CameraState
from serve.cameras.process import CameraProcess
from tests.serve.camera_sources import numbered, write_images
from tests.serve.serving import wait_for


@dataclass
class Watching:
    """A camera's process, and what it told."""

    process: CameraProcess
    shots: list[tuple[Shot, float]] = field(default_factory=list)
    states: list[CameraState] = field(default_factory=list)

    def frames(self) -> list[Frame]:
        return [shot for shot, _ in self.shots if isinstance(shot, Frame)]

    def history(self) -> list[str]:
        """The states in order."""
        return [one.state for one in self.states]


@contextmanager
def camera_process(kind: str, recipe_file: Path, *, hung_s: float = 5.0, **options: Any) -> Iterator[Watching]:
    """It at work, until the block ends."""
    config = CameraConfig.model_validate({"kind": kind, "name": "cam", **options})

    def shot(name: str, shot: Shot, at: float) -> None:
        assert name == "cam"
        watching.shots.append((shot, at))

    process = CameraProcess(
        config, recipe_file, shot=shot, state=lambda one: watching.states.append(one), hung_s=hung_s
    )
    watching = Watching(process)
    process.start()
    process.go()
    try:
        yield watching
    finally:
        process.stop()


def test_killed_camera_is_down_and_then_gives_frames_again(recipe_file: Path) -> None:
    with camera_process("simulator", recipe_file, rate_hz=50) as camera:
        wait_for(lambda: len(camera.shots) >= 3)
        killed = camera.process.pid
        assert killed
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: camera.history() == ["up", "down", "up"])
        before = len(camera.shots)
        wait_for(lambda: len(camera.shots) > before)
        assert camera.process.pid != killed
        assert "signal 9" in camera.states[1].message
        assert camera.process.state.restarts == 1
        times = [at for _, at in camera.shots]
        assert times == sorted(times)
        assert times[-1] <= time.monotonic()


def test_camera_that_stands_still_is_killed_and_started_again(recipe_file: Path) -> None:
    with camera_process("simulator", recipe_file, rate_hz=50, hung_s=1.5) as camera:
        wait_for(lambda: camera.shots)
        assert camera.process.pid
        os.kill(camera.process.pid, signal.SIGSTOP)
        wait_for(lambda: camera.history() == ["up", "down", "up"])


def test_camera_is_restarted_for_whoever_asks(recipe_file: Path) -> None:
    with camera_process("simulator", recipe_file, rate_hz=100) as camera:
        wait_for(lambda: camera.shots)
        camera.process.restart("a frame was nobody's")
        wait_for(lambda: camera.history() == ["up", "down", "up"])
        assert camera.states[1].message == "a frame was nobody's"


def test_camera_at_its_end_is_finished_and_stays_so(tmp_path: Path, recipe_file: Path) -> None:
    write_images(tmp_path / "images", 4)
    with camera_process("folder", recipe_file, path="images", rate_hz=200) as camera:
        wait_for(lambda: camera.process.pid is None)
        assert camera.history() == ["up", "finished"]
        assert [frame.sequence for frame in camera.frames()] == [0, 1, 2, 3]


def test_frozen_picture_is_a_fault_and_an_alarm_until_it_moves(tmp_path: Path, recipe_file: Path) -> None:
    folder = write_images(tmp_path / "images", 1)
    for number in (1, 2, 3):
        cv2.imwrite(str(folder / f"{number:03}.png"), numbered(0))
    cv2.imwrite(str(folder / "004.png"), numbered(4))
    with camera_process("folder", recipe_file, path="images", rate_hz=200, frozen_after=3) as camera:
        wait_for(lambda: "finished" in camera.history())
        told = [shot.reason if isinstance(shot, Fault) else shot.sequence for shot, _ in camera.shots]
        assert told == [0, 1, Reason.FRAME_FROZEN, Reason.FRAME_FROZEN, 4]
        assert camera.history() == ["up", "frozen", "up", "finished"]
        assert camera.process.state.lost == 0


def test_slow_camera_is_silent_and_then_up(recipe_file: Path) -> None:
    with camera_process("simulator", recipe_file, rate_hz=1, silence_s=0.3) as camera:
        wait_for(lambda: len(camera.shots) >= 3)
        assert camera.history()[:4] == ["up", "silent", "up", "silent"]
        silent = [one for one in camera.states if one.state == "silent" and one.since > camera.shots[0][1]]
        noticed = [one.since - at for one, (_, at) in zip(silent, camera.shots, strict=False)]
        assert all(0.3 <= after < 1 for after in noticed)
        assert "no frame for 0." in silent[0].message


def test_stops_within_two_seconds(recipe_file: Path) -> None:
    with camera_process("simulator", recipe_file, rate_hz=0.1) as camera:
        began = time.monotonic()
        camera.process.stop()
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"path": "nowhere"}, CameraUnavailable, "nowhere is not a folder"),
        ({"path": "nowhere", "rate": 1}, ConfigInvalid, "did you mean 'rate_hz'"),
    ],
)
def test_camera_that_cannot_be_opened_says_why(
    options: dict[str, Any], error: type[Exception], said: str, recipe_file: Path
) -> None:
    with pytest.raises(error, match=said) as raised, camera_process("folder", recipe_file, **options):
        pass
    assert "\n" not in str(raised.value)
