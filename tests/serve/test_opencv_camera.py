"""A camera that OpenCV opens: a video file, and a source on the network that drops out."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import pytest

from inspection.frames import Frame
from inspection.verdict import Reason
from serve.cameras import CameraUnavailable, Fault
from tests.serve.camera_sources import camera_of, numbered, only_frames, take, write_video


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


@pytest.mark.parametrize("damage", ["cut short", "overwritten"])
def test_video_that_breaks_off_is_a_fault_and_no_silent_end(damage: str, tmp_path: Path, recipe_file: Path) -> None:
    video = write_video(tmp_path / "video.avi", 50)
    data = video.read_bytes()
    middle = len(data) // 2
    video.write_bytes(data[:middle] if damage == "cut short" else data[:middle] + bytes(middle // 2) + data[-10:])
    *frames, last = take(camera_of("opencv", recipe_file, source="video.avi", rate_hz=1000))
    assert 0 < len(only_frames(frames)) < 50
    assert isinstance(last, Fault)
    assert (last.reason, last.sequence) == (Reason.FRAME_UNREADABLE, len(frames))
    assert f"{len(frames)} of 50 frames" in last.message


def test_text_that_calls_itself_a_video_is_refused(tmp_path: Path, recipe_file: Path) -> None:
    (tmp_path / "video.avi").write_text("not a video\n" * 100)
    with pytest.raises(CameraUnavailable, match=r"video\.avi cannot be opened"):
        camera_of("opencv", recipe_file, source="video.avi")


@dataclass
class Stream:
    """A camera on the network. Each connection gets some frames and is then dropped, or left open and silent."""

    address: str
    silent: bool = False
    connections: int = 0
    frames_each: int = 25


@pytest.fixture
def stream() -> Iterator[Stream]:
    """MJPEG over HTTP on the loopback interface."""
    image = cv2.imencode(".jpg", numbered(5))[1].tobytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.connections += 1
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for _ in range(state.frames_each):
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                self.wfile.write(f"Content-Length: {len(image)}\r\n\r\n".encode() + image + b"\r\n")
            if state.silent:
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


def test_silent_stream_is_a_lost_frame_soon(stream: Stream, recipe_file: Path) -> None:
    stream.silent = True
    camera = camera_of("opencv", recipe_file, source=stream.address, silence_s=0.3)
    began = time.monotonic()
    lost = next(shot for shot in camera.shots(threading.Event()) if isinstance(shot, Fault))
    assert lost.reason is Reason.FRAME_LOST
    assert stream.address in lost.message
    assert time.monotonic() - began < 5


def test_unreachable_stream_is_refused(recipe_file: Path, free_port: Callable[[], int]) -> None:
    address = f"http://127.0.0.1:{free_port()}/video.mjpg"
    with pytest.raises(CameraUnavailable, match="cannot be opened; is it connected") as raised:
        camera_of("opencv", recipe_file, source=address)
    assert address in str(raised.value)
