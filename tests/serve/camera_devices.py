"""Devices for the tests to read from: libaravis' fake GigE Vision camera, and programs on a local socket."""

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from serve.cameras.frame_protocol import TAKEN, FrameHeader
from tests.conftest import ROOT
from tests.serve.camera_sources import numbered
from tests.serve.serving import wait_for


def program(name: str, package: str) -> str:
    """Where a program is; its absence is a failure where INSPECTION_REQUIRE_TEST_DATA is set, else a skip."""
    found = shutil.which(name)
    if found is None:
        reason = f"there is no {name}: install the package {package}"
        if os.environ.get("CI") or os.environ.get("INSPECTION_REQUIRE_TEST_DATA"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class FakeCamera:
    """libaravis' GigE Vision camera on the loopback interface."""

    options: ClassVar = {"device": "127.0.0.1"}

    def __init__(self) -> None:
        self._words = [program("arv-fake-gv-camera-0.8", "aravis-tools"), "-i", "127.0.0.1"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3)  # it says nothing when it is ready
        assert self._process.poll() is None, "the fake camera ended"

    def unplug(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(10)
            self._process = None


@contextmanager
def fake_camera() -> Iterator[FakeCamera]:
    """The fake camera at work. Its port is fixed, so tests that run side by side wait for each other."""
    made = FakeCamera()
    with (Path(tempfile.gettempdir()) / "inspection-fake-camera.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made.start()
        try:
            yield made
        finally:
            made.unplug()


@contextmanager
def pushing(path: Path, rate_hz: float = 200.0) -> Iterator[None]:
    """A grabber that connects as soon as somebody listens on `path`, and pushes numbered frames until the end."""
    stop = threading.Event()

    def push() -> None:
        while not stop.wait(0.02):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as out:
                out.connect(str(path))
                for number in range(10**6):
                    pixels = numbered(number % 10)
                    header = FrameHeader(pixels.shape[1], pixels.shape[0], 3, number, number + 1)
                    out.sendall(header.pack() + pixels.tobytes())
                    if out.recv(1) != TAKEN or stop.wait(1 / rate_hz):
                        return

    thread = threading.Thread(target=push)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def build_grabber(folder: Path) -> Path:
    """The example in C++, built."""
    source, built = ROOT / "serve" / "cameras" / "examples" / "grabber.cpp", folder / "grabber"
    words = [program("g++", "g++"), "-O1", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-o", str(built), str(source)]
    subprocess.run(words, check=True, capture_output=True)
    wait_for(built.exists)
    return built
