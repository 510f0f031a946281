"""Every camera of the registry keeps one contract; then what is special to a folder and to the simulator."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inspection.config import ConfigInvalid
from inspection.frames import Frame
from serve.cameras import CAMERAS, CameraUnavailable, Fault
from tests.bad_images import BAD_IMAGES
from tests.serve.camera_devices import FakeCamera, fake_camera, pushing
from tests.serve.camera_sources import camera_of, only_frames, take, write_images, write_video


@dataclass(frozen=True)
class Kind:
    """How to have a camera of a kind: options that work without end, a misspelt one, and what is not there."""

    options: dict[str, Any]
    misspelt: tuple[str, str]
    missing: dict[str, Any]


# A kind that no test can open: no package ships a GenTL producer, which comes with the vendor's camera.
TRIED = sorted(CAMERAS.keys() - {"genicam"})


@pytest.fixture
def source(kind: str, tmp_path: Path) -> Iterator[None]:
    """What a camera of the kind needs beside files: a device, or a program that pushes."""
    with ExitStack() as stack:
        if kind == "aravis":
            stack.enter_context(fake_camera())
        if kind == "socket":
            stack.enter_context(pushing(tmp_path / "cam.sock"))
        yield


@pytest.fixture
def kinds(tmp_path: Path) -> dict[str, Kind]:
    """One for every kind in the registry. Sources are relative to the recipe."""
    write_images(tmp_path / "images", 3)
    write_video(tmp_path / "video.avi", 10)
    return {
        "folder": Kind({"path": "images", "rate_hz": 200, "loop": True}, ("rate", "rate_hz"), {"path": "nowhere"}),
        "opencv": Kind({"source": "video.avi", "rate_hz": 20}, ("sorce", "source"), {"source": "no.avi"}),
        "simulator": Kind({"rate_hz": 200}, ("defect_rat", "defect_rate"), {}),
        "aravis": Kind({**FakeCamera.options, "rate_hz": 25}, ("devise", "device"), {"device": "127.0.0.77"}),
        "genicam": Kind({"producer": "none.cti"}, ("produced", "producer"), {"producer": "none.cti"}),
        "http": Kind({"colour": "rgb"}, ("color", "colour"), {}),
        "socket": Kind({"path": "cam.sock"}, ("frames_s", "frame_s"), {"path": "nowhere/cam.sock"}),
    }


@pytest.mark.parametrize("kind", TRIED)
@pytest.mark.usefixtures("source")
def test_frames_are_rgb_bytes_in_sequence(kind: str, kinds: dict[str, Kind], recipe_file: Path) -> None:
    frames = only_frames(take(camera_of(kind, recipe_file, **kinds[kind].options), 5))
    first = frames[0].sequence  # a device's own count begins where it likes
    assert [frame.sequence for frame in frames] == [first + number for number in range(5)]
    for frame in frames:
        assert frame.camera == "cam"
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.ndim == 3
        assert frame.pixels.shape[2] == 3
        assert frame.pixels.flags.c_contiguous
        assert frame.captured_at.utcoffset() is not None
    times = [frame.captured_at for frame in frames]
    assert times == sorted(times)


@pytest.mark.parametrize("kind", TRIED)
@pytest.mark.usefixtures("source")
def test_ends_within_a_second_of_stop(kind: str, kinds: dict[str, Kind], recipe_file: Path) -> None:
    stop, first = threading.Event(), threading.Event()
    slow = {"rate_hz": 2} if "rate_hz" in CAMERAS[kind].Options.model_fields else {}
    camera = camera_of(kind, recipe_file, **(kinds[kind].options | slow))

    def consume() -> None:
        for _ in camera.shots(stop):
            first.set()

    thread = threading.Thread(target=consume)
    thread.start()
    assert first.wait(10)
    stop.set()
    thread.join(1)
    assert not thread.is_alive()


@pytest.mark.parametrize("kind", CAMERAS)
def test_unknown_option_names_recipe_and_nearest_key(kind: str, kinds: dict[str, Kind], recipe_file: Path) -> None:
    wrong, right = kinds[kind].misspelt
    with pytest.raises(ConfigInvalid) as raised:
        camera_of(kind, recipe_file, **kinds[kind].options, **{wrong: 1})
    assert str(recipe_file) in str(raised.value)
    assert f"{wrong!r}; did you mean {right!r}?" in str(raised.value)


@pytest.mark.parametrize("kind", sorted(CAMERAS.keys() - {"simulator", "http"}))  # which need no source
def test_missing_source_is_named(kind: str, kinds: dict[str, Kind], recipe_file: Path) -> None:
    missing = kinds[kind].missing
    with pytest.raises(CameraUnavailable, match="'cam'") as raised:
        camera_of(kind, recipe_file, **missing)
    where = next(iter(missing.values()))
    assert (where if "device" in missing else str(recipe_file.parent / where)) in str(raised.value)


def test_unknown_kind_says_which_there_are(recipe_file: Path) -> None:
    with pytest.raises(
        ConfigInvalid, match="no kind 'webcam'; choose one of aravis, folder, genicam, http, opencv, simulator, socket"
    ):
        camera_of("webcam", recipe_file)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), "fast"])
@pytest.mark.parametrize("kind", sorted(CAMERAS.keys() - {"socket", "http"}))  # whose senders set the rate
def test_senseless_rate_is_refused(kind: str, rate: object, kinds: dict[str, Kind], recipe_file: Path) -> None:
    with pytest.raises(ConfigInvalid, match="rate_hz"):
        camera_of(kind, recipe_file, **(kinds[kind].options | {"rate_hz": rate}))


def test_folder_gives_a_fault_for_each_bad_file_and_goes_on(tmp_path: Path, recipe_file: Path) -> None:
    folder = write_images(tmp_path / "images", 3)
    bad = {"000a.png": "cut-short png", "000b.png": "text", "001a.png": "grey", "001b.png": "zero bytes"}
    for name, what in bad.items():
        (folder / name).write_bytes(BAD_IMAGES[what][0])
    shots = take(camera_of("folder", recipe_file, path="images", rate_hz=500))
    told = [(shot.reason.value, shot.message) if isinstance(shot, Fault) else shot.sequence for shot in shots]
    assert [told[0], told[3], told[6]] == [0, 3, 6]
    faults = [told[1], told[2], told[4], told[5]]
    for fault, (name, what) in zip(faults, bad.items(), strict=True):
        assert isinstance(fault, tuple)
        assert fault[0] == BAD_IMAGES[what][2]
        assert name in fault[1]


def test_folder_keeps_the_file_as_it_is(tmp_path: Path, recipe_file: Path) -> None:
    folder = write_images(tmp_path / "images", 1)
    [frame] = only_frames(take(camera_of("folder", recipe_file, path=str(folder), rate_hz=500)))
    assert frame.encoded == (folder / "000.png").read_bytes()


def test_folder_without_images_is_refused(tmp_path: Path, recipe_file: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(CameraUnavailable, match="holds no images"):
        camera_of("folder", recipe_file, path="images")


def test_simulator_frames_carry_the_truth_and_come_again(recipe_file: Path) -> None:
    def run(**options: Any) -> list[Frame]:
        return only_frames(take(camera_of("simulator", recipe_file, rate_hz=1000, defect_rate=0.5, **options), 12))

    first, again, other = run(seed=3), run(seed=3), run(seed=4)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, again, strict=True))
    assert [frame.truth for frame in first] == [frame.truth for frame in again]
    assert "good" in {frame.truth for frame in first}
    assert len({frame.truth for frame in first}) > 1
    assert not np.array_equal(first[0].pixels, other[0].pixels)


def test_simulator_ends_after_its_count(recipe_file: Path) -> None:
    assert len(take(camera_of("simulator", recipe_file, rate_hz=1000, count=3))) == 3


def test_simulator_shows_a_unit_as_often_as_asked_each_time_a_little_other(recipe_file: Path) -> None:
    options = {"rate_hz": 1000, "defect_rate": 0.5, "seed": 3}
    single = only_frames(take(camera_of("simulator", recipe_file, **options, count=6)))
    views = only_frames(take(camera_of("simulator", recipe_file, **options, count=6, frames=3)))
    assert [frame.sequence for frame in views] == list(range(18))
    assert [frame.truth for frame in views] == [frame.truth for frame in single for _ in range(3)]
    for unit, first, second, third in zip(single, views[::3], views[1::3], views[2::3], strict=True):
        assert np.array_equal(unit.pixels, first.pixels)
        for one, other in ((first, second), (second, third)):
            difference = np.abs(one.pixels.astype(int) - other.pixels)
            assert 0 < difference.mean() < 4
