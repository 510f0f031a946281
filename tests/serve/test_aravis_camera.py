"""GigE Vision through libaravis, against its fake camera on the loopback interface: real packets, counts and clocks."""

import time
from pathlib import Path

import numpy as np
import pytest

from inspection.frames import Frame
from serve.cameras import CameraUnavailable
from tests.serve.camera_devices import fake_camera
from tests.serve.camera_sources import camera_of, only_frames, take
from tests.serve.serving import wait_for
from tests.serve.test_camera_process import camera_process

pytestmark = pytest.mark.timeout(90)


def test_frames_come_with_the_camera_s_count_and_clock(recipe_file: Path) -> None:
    with fake_camera() as fake:
        frames = only_frames(take(camera_of("aravis", recipe_file, **fake.options, rate_hz=25), 10))
    counts = [frame.sequence for frame in frames]
    assert np.all(np.diff(counts) == 1)
    times = [frame.hardware_time_ns or 0 for frame in frames]
    assert np.median(np.diff(times)) == pytest.approx(40e6, rel=0.5)
    assert all(frame.pixels.shape == frames[0].pixels.shape for frame in frames)
    assert len({frame.pixels.tobytes() for frame in frames}) == len(frames)


def test_software_trigger_and_exposure_are_set(recipe_file: Path) -> None:
    with fake_camera() as fake:
        options = fake.options | {"trigger": "software", "rate_hz": 10, "exposure_us": 5000}
        began = time.monotonic()
        frames = only_frames(take(camera_of("aravis", recipe_file, **options), 5))
    assert len(frames) == 5
    assert time.monotonic() - began >= 0.4


def test_unplugged_camera_is_noticed_and_comes_back(recipe_file: Path) -> None:
    with (
        fake_camera() as fake,
        camera_process("aravis", recipe_file, **fake.options, rate_hz=20, silence_s=1.0) as camera,
    ):
        wait_for(lambda: len(camera.shots) >= 5)
        fake.unplug()
        unplugged = time.monotonic()
        wait_for(lambda: camera.process.state.state in ("silent", "down"))
        assert time.monotonic() - unplugged < 4  # a second, where the machine has nothing else to do
        fake.start()
        wait_for(lambda: camera.process.state.state == "up", 60)
        before = len(camera.shots)
        wait_for(lambda: sum(isinstance(shot, Frame) for shot, _ in camera.shots[before:]) >= 3)


def test_camera_that_is_not_there_is_named(recipe_file: Path) -> None:
    with pytest.raises(CameraUnavailable, match=r"the device '127\.0\.0\.34' cannot be opened"):
        camera_of("aravis", recipe_file, device="127.0.0.34")
