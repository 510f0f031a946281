"""Whatever OpenCV opens: a USB camera by number, an RTSP address, a video file."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from inspection.frames import Frame
from inspection.verdict import Reason
from serve.cameras.camera import Camera, CameraOptions, CameraUnavailable, Fault, Shot, Watched

_OPEN_TIMEOUT_MS = 10_000


class OpenCvOptions(CameraOptions):
    """`source` is a camera's number, an address such as `rtsp://…`, or a video file, which is played to its end.

    `rate_hz` thins a faster live source out, and replaces a file's own rate. An address that is silent for `silence_s`
    has lost a frame; a live source that lost one is opened again every `reconnect_s`. A file is never silent, and
    frozen only where `frozen_after` says so."""

    source: int | str
    rate_hz: float | None = Field(default=None, gt=0, le=1000)
    silence_s: float = Field(default=3.0, gt=0, le=3600)
    reconnect_s: float = Field(default=2.0, gt=0, le=3600)


class OpenCvCamera(Camera):
    """Frames from `cv2.VideoCapture`. Each failed read of a live source is a fault, so that nothing passes unseen."""

    Options: ClassVar[type[CameraOptions]] = OpenCvOptions

    def __init__(self, name: str, options: CameraOptions, folder: Path) -> None:
        assert isinstance(options, OpenCvOptions)
        self._name, self._options = name, options
        self._source = options.source
        self._is_address = _is_address(self._source)
        self._is_file = _is_file(self._source)
        if self._is_file:
            self._source = str(folder / str(self._source))
            if not Path(self._source).is_file():
                raise CameraUnavailable(
                    f"camera {name!r}: {self._source} is not a file; give a video, a number or an address"
                )
        self._capture = self._open()
        if not self._capture.isOpened():
            raise CameraUnavailable(
                f"camera {name!r}: {self._source} cannot be opened; is it connected, not in use, and a video?"
            )

    @classmethod
    def watched(cls, options: CameraOptions) -> Watched:
        """As its options say; a live source that is thinned out may be silent until the next frame is due."""
        assert isinstance(options, OpenCvOptions)
        if _is_file(options.source):
            chosen = options.frozen_after if "frozen_after" in options.model_fields_set else 0
            return Watched(None, chosen, options.expect)
        due_s = 1 / options.rate_hz if options.rate_hz else 0.0
        return Watched(options.silence_s + due_s, options.frozen_after, options.expect)

    def shots(self, stop: threading.Event) -> Iterator[Shot]:
        number, due, rate_hz = 0, time.monotonic(), self._options.rate_hz
        if self._is_file:
            rate_hz = rate_hz or self._capture.get(cv2.CAP_PROP_FPS) or None
        try:
            while not stop.is_set():
                read, image = self._capture.read()
                if stop.is_set():
                    return
                if not read and self._is_file:
                    yield from self._early_end(number)
                    return
                if not read:
                    yield Fault(Reason.FRAME_LOST, f"camera {self._name!r} ({self._source}) gave no frame")
                    self._reopen(stop)
                    continue
                if self._is_file and stop.wait(max(0.0, due - time.monotonic())):
                    return
                if time.monotonic() < due:
                    continue
                if rate_hz:
                    due = max(due + 1 / rate_hz, time.monotonic())
                pixels = np.ascontiguousarray(image[:, :, ::-1], dtype=np.uint8)
                yield Frame(pixels, f"{self._source} {number}", self._name, number)
                number += 1
        finally:
            self._capture.release()

    def _early_end(self, number: int) -> Iterator[Shot]:
        """A file that ends before it said it would is damaged there: what should follow is not silently left out."""
        promised = round(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if number < promised:
            message = (
                f"camera {self._name!r}: {self._source} is damaged or cut short: {number} of {promised} frames came"
            )
            yield Fault(Reason.FRAME_UNREADABLE, message, number)

    def _open(self) -> cv2.VideoCapture:
        if not self._is_address:
            return cv2.VideoCapture(self._source)
        # Left to itself FFmpeg waits for half a minute, and neither a lost camera would show nor the line stop in time.
        silence = [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(self._options.silence_s * 1000)]
        waits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS, *silence]
        return cv2.VideoCapture(str(self._source), cv2.CAP_FFMPEG, waits)

    def _reopen(self, stop: threading.Event) -> None:
        self._capture.release()
        if not stop.wait(self._options.reconnect_s):
            self._capture = self._open()


def _is_address(source: int | str) -> bool:
    return isinstance(source, str) and "://" in source


def _is_file(source: int | str) -> bool:
    return isinstance(source, str) and not _is_address(source)
