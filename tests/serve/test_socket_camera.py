"""A grabber that is a program of its own: over a local socket or shared memory; and whatever it sends wrongly."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from inspection.frames import Frame
from inspection.verdict import Reason
from serve.cameras import CameraUnavailable, Fault, Shot
from serve.cameras.frame_protocol import TAKEN, FrameHeader
from tests.serve.camera_devices import build_grabber
from tests.serve.camera_sources import camera_of
from tests.serve.serving import wait_for

HEADER = FrameHeader(width=4, height=3, channels=3, sequence=7, hardware_time_ns=5)
PIXELS = bytes(range(36))


@contextmanager
def reading(recipe_file: Path, **options: object) -> Iterator[tuple[Path, list[Shot]]]:
    """A camera that is read in a thread: its socket's path, and its shots so far."""
    camera = camera_of("socket", recipe_file, path="cam.sock", **options)
    shots: list[Shot] = []
    stop = threading.Event()

    def read() -> None:
        for shot in camera.shots(stop):
            shots.append(shot)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield recipe_file.parent / "cam.sock", shots
    finally:
        stop.set()
        thread.join(5)
        assert not thread.is_alive()


def connect(path: Path) -> socket.socket:
    out = socket.socket(socket.AF_UNIX)
    out.settimeout(10)
    out.connect(str(path))
    return out


def answer(out: socket.socket) -> bytes:
    """All that comes until the camera hangs up."""
    said = b""
    while part := out.recv(1000):
        said += part
    return said


@pytest.mark.parametrize("how", [[], ["shared"]], ids=["socket", "shared memory"])
def test_the_example_grabber_in_c_plus_plus_pushes_frames(how: list[str], tmp_path: Path, recipe_file: Path) -> None:
    grabber = build_grabber(tmp_path)
    with reading(recipe_file) as (path, shots):
        words = [str(grabber), str(path), "64", "48", "30", "0", *how]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        wait_for(lambda: len(shots) == 30)
    frames = [shot for shot in shots if isinstance(shot, Frame)]
    assert [frame.sequence for frame in frames] == list(range(30))
    assert [frame.name for frame in frames] == [f"unit {number}" for number in range(30)]
    assert all((frame.pixels == number).all() for number, frame in enumerate(frames))
    assert all(frame.hardware_time_ns for frame in frames)


def test_pixels_are_as_they_were_sent_and_grey_is_widened(recipe_file: Path) -> None:
    with reading(recipe_file) as (path, shots), connect(path) as out:
        out.sendall(HEADER.pack() + PIXELS)
        assert out.recv(1) == TAKEN
        out.sendall(replace(HEADER, channels=1, sequence=8, hardware_time_ns=0).pack() + PIXELS[:12])
        assert out.recv(1) == TAKEN
        wait_for(lambda: len(shots) == 2)
    colour, grey = (shot for shot in shots if isinstance(shot, Frame))
    assert colour.pixels.tobytes() == PIXELS
    assert (colour.sequence, colour.hardware_time_ns, grey.hardware_time_ns) == (7, 5, None)
    assert grey.pixels[..., 0].tobytes() == grey.pixels[..., 2].tobytes() == PIXELS[:12]


MALFORMED = {
    "another protocol": (b"GET / HTTP/1.1\r\nHost: somewhere\r\nUser-Agent: a browser\r\n\r\n", "a frame begins"),
    "no pixels": (replace(HEADER, width=0).pack(), "1 to"),
    "too many pixels": (replace(HEADER, width=2**31, height=2**31).pack(), "1 to"),
    "two channels": (replace(HEADER, channels=2).pack(), "1 channel or 3"),
    "a long name": (replace(HEADER, unit_bytes=129).pack(), "at most 128 bytes"),
    "a name that is no text": (replace(HEADER, unit_bytes=2).pack() + b"\xff\xfe" + PIXELS, "UTF-8"),
    "no such memory": (replace(HEADER, memory_bytes=7).pack() + b"nowhere", "cannot be read"),
    "memory elsewhere": (replace(HEADER, memory_bytes=9).pack() + b"../passwd", "letters, digits"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_no_frame_is_answered_with_a_sentence_and_the_next_grabber_is_heard(
    what: str, recipe_file: Path
) -> None:
    data, sentence = MALFORMED[what]
    with reading(recipe_file) as (path, shots):
        with connect(path) as out:
            out.sendall(data)
            said = answer(out)
            assert said[:1] == b"\x01"
            assert sentence in said[1:].decode()
        with connect(path) as out:
            out.sendall(HEADER.pack() + PIXELS)
            assert out.recv(1) == TAKEN
        wait_for(lambda: len(shots) == 1)
    assert isinstance(shots[0], Frame)


@pytest.mark.parametrize("stays", [True, False])
def test_frame_that_is_cut_short_is_a_fault(stays: bool, recipe_file: Path) -> None:
    with reading(recipe_file, frame_s=0.3) as (path, shots), connect(path) as out:
        out.sendall(HEADER.pack() + PIXELS[:20])
        if not stays:
            out.shutdown(socket.SHUT_WR)
        wait_for(lambda: shots)
        assert b"cut short" in answer(out)
    [fault] = shots
    assert isinstance(fault, Fault)
    assert (fault.reason, fault.sequence) == (Reason.FRAME_UNREADABLE, 7)


def test_second_grabber_is_refused_and_the_first_goes_on(recipe_file: Path) -> None:
    with reading(recipe_file) as (path, shots), connect(path) as first:
        first.sendall(HEADER.pack() + PIXELS)
        assert first.recv(1) == TAKEN
        with connect(path) as second:
            assert b"has a grabber already" in answer(second)
        first.sendall(replace(HEADER, sequence=8).pack() + PIXELS)
        assert first.recv(1) == TAKEN
        wait_for(lambda: len(shots) == 2)


def test_what_lies_at_the_path_is_not_removed_unless_a_killed_process_left_it(recipe_file: Path) -> None:
    path = recipe_file.parent / "cam.sock"
    path.write_text("somebody's notes")
    with pytest.raises(CameraUnavailable, match="is there and no socket"):
        camera_of("socket", recipe_file, path="cam.sock")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with reading(recipe_file) as (again, _):
        assert again.is_socket()
        with pytest.raises(CameraUnavailable, match="another process listens"):
            camera_of("socket", recipe_file, path="cam.sock")
    assert not path.exists()
