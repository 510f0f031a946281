"""Every camera of the registry keeps one contract; then what is special to each."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from inspection.config import ConfigInvalid
from inspection.frames import Frame, Pixels
from inspection.recipe import CameraConfig
from inspection.verdict import Reason
from serve.cameras import CAMERAS, Camera, CameraUnavailable, Fault, Shot, open_camera
from tests.bad_images import BAD_IMAGES


@dataclass(frozen=True)
class Kind:
    """How to have a camera of a kind: options that work without end, a misspelt one, and what is not there."""

    options: dict[str, Any]
    misspelt: tuple[str, str]
    missing: dict[str, Any] | None


def numbered(number: int) -> Pixels:
    """A frame whose brightness says its number."""
    return np.full((48, 64, 3), 20 * number + 10, np.uint8)


def write_video(path: Path, frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for number in range(frames):
        writer.write(numbered(number))
    writer.release()
    return path


def write_images(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03}.png"), numbered(number))
    return folder


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    return tmp_path / "recipe.yaml"


@pytest.fixture
def kinds(tmp_path: Path) -> dict[str, Kind]:
    """One for every kind in the registry. Sources are relative to the recipe."""
    write_images(tmp_path / "images", 3)
    write_video(tmp_path / "video.avi", 10)
    return {
        "folder": Kind({"path": "images", "rate_hz": 200, "loop": True}, ("rate", "rate_hz"), {"path": "nowhere"}),
        "opencv": Kind({"source": "video.avi", "rate_hz": 20}, ("sorce", "source"), {"source": "no.avi"}),
        "simulator": Kind({"rate_hz": 200}, ("defect_rat", "defect_rate"), None),
    }


def camera_of(kind: str, recipe_file: Path, **options: Any) -> Camera:
    return open_camera(CameraConfig.model_validate({"kind": kind, "name": "cam", **options}), recipe_file)


def take(camera: Camera, count: int | None = None) -> list[Shot]:
    return list(islice(camera.shots(threading.Event()), count))


def only_frames(shots: list[Shot]) -> list[Frame]:
    assert all(isinstance(shot, Frame) for shot in shots), shots
    return [shot for shot in shots if isinstance(shot, Frame)]


@pytest.mark.parametrize("kind", CAMERAS)
def test_frames_are_rgb_bytes_in_sequence(kind: str, kinds: dict[str, Kind], recipe_file: Path) -> None:
    frames = only_frames(take(camera_of(kind, recipe_file, **kinds[kind].options), 5))
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3, 4]
    for frame in frames:
        assert frame.camera == "cam"
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.ndim == 3
        assert frame.pixels.shape[2] == 3
        assert frame.pixels.flags.c_contiguous
        assert frame.captured_at.utcoffset() is not None
    times = [frame.captured_at for frame in frames]
    assert times == sorted(times)


@pytest.mark.parametrize("kind", CAMERAS)
def test_ends_within_a_second_of_stop(kind: str, kinds: dict[str, Kind], recipe_file: Path) -> None:
    stop, first = threading.Event(), threading.Event()
    camera = camera_of(kind, recipe_file, **(kinds[kind].options | {"rate_hz": 2}))

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


@pytest.mark.parametrize("kind", CAMERAS)
def test_missing_source_is_named(kind: str, kinds: dict[str, Kind], recipe_file: Path) -> None:
    missing = kinds[kind].missing
    if missing is None:
        pytest.skip(f"{kind} needs no source")
    with pytest.raises(CameraUnavailable, match="'cam'") as raised:
        camera_of(kind, recipe_file, **missing)
    assert str(recipe_file.parent / next(iter(missing.values()))) in str(raised.value)


def test_unknown_kind_says_which_there_are(recipe_file: Path) -> None:
    with pytest.raises(ConfigInvalid, match="no kind 'webcam'; choose one of folder, opencv, simulator"):
        camera_of("webcam", recipe_file)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), "fast"])
@pytest.mark.parametrize("kind", CAMERAS)
def test_senseless_rate_is_refused(kind: str, rate: object, kinds: dict[str, Kind], recipe_file: Path) -> None:
    with pytest.raises(ConfigInvalid, match="rate_hz"):
        camera_of(kind, recipe_file, **(kinds[kind].options | {"rate_hz": rate}))


def test_folder_gives_a_fault_for_each_bad_file_and_goes_on(tmp_path: Path, recipe_file: Path) -> None:
    folder = write_images(tmp_path / "images", 3)
    bad = {"000-a.png": "cut-short png", "000-b.png": "text", "001-a.png": "grey", "001-b.png": "zero bytes"}
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


def test_video_plays_to_its_end_in_order(tmp_path: Path, recipe_file: Path) -> None:
    write_video(tmp_path / "video.avi", 10)
    frames = only_frames(take(camera_of("opencv", recipe_file, source="video.avi", rate_hz=1000)))
    assert [frame.sequence for frame in frames] == list(range(10))
    brightness = [float(frame.pixels.mean()) for frame in frames]
    assert brightness == pytest.approx([20 * number + 10 for number in range(10)], abs=4)


def test_video_without_a_rate_plays_at_its_own(tmp_path: Path, recipe_file: Path) -> None:
    write_video(tmp_path / "video.avi", 10)
    began = time.monotonic()
    assert len(take(camera_of("opencv", recipe_file, source="video.avi"))) == 10
    assert time.monotonic() - began >= 9 / 25


def test_text_that_calls_itself_a_video_is_refused(tmp_path: Path, recipe_file: Path) -> None:
    (tmp_path / "video.avi").write_text("not a video\n" * 100)
    with pytest.raises(CameraUnavailable, match=r"video\.avi cannot be opened"):
        camera_of("opencv", recipe_file, source="video.avi")


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


@dataclass
class Stream:
    """A camera on the network. `answering` is what it does with the next connection."""

    address: str
    connections: int = 0
    frames_each: int = 25


@pytest.fixture
def stream() -> Iterator[Stream]:
    """MJPEG over HTTP: every connection gets some frames and is then dropped."""
    image = cv2.imencode(".jpg", numbered(5))[1].tobytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            state.connections += 1
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for _ in range(state.frames_each):
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                self.wfile.write(f"Content-Length: {len(image)}\r\n\r\n".encode() + image + b"\r\n")
            if state.frames_each == 0:
                released.wait(30)

        def log_message(self, *_: object) -> None:
            pass

    released = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Stream(f"http://127.0.0.1:{server.server_address[1]}/video.mjpg")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state
    released.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_dropped_stream_is_a_lost_frame_and_then_goes_on(stream: Stream, recipe_file: Path) -> None:
    camera = camera_of("opencv", recipe_file, source=stream.address, reconnect_s=0.05, silence_s=2)
    stop = threading.Event()
    kinds: list[str] = []
    for shot in camera.shots(stop):
        kinds.append("frame" if isinstance(shot, Frame) else shot.reason)
        if kinds[-1] == "frame" and Reason.FRAME_LOST in kinds:
            stop.set()
    lost = kinds.index(Reason.FRAME_LOST)
    assert 0 < lost <= stream.frames_each
    assert kinds == ["frame"] * lost + [Reason.FRAME_LOST] + ["frame"]
    assert stream.connections == 2


def test_silent_stream_is_a_lost_frame_in_time(stream: Stream, recipe_file: Path) -> None:
    camera = camera_of("opencv", recipe_file, source=stream.address, reconnect_s=0.05, silence_s=0.3)
    shots = camera.shots(threading.Event())
    while isinstance(next(shots), Frame):
        stream.frames_each = 0
    began = time.monotonic()
    assert isinstance(next(shots), Fault)
    assert time.monotonic() - began < 15


def test_unreachable_stream_is_refused(recipe_file: Path, free_port: Callable[[], int]) -> None:
    address = f"http://127.0.0.1:{free_port()}/video.mjpg"
    with pytest.raises(CameraUnavailable, match="cannot be opened; is it connected") as raised:
        camera_of("opencv", recipe_file, source=address)
    assert address in str(raised.value)
