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
from serve.cameras.camera import Camera, CameraOptions, CameraUnavailable, Fault, Shot


class OpenCvOptions(CameraOptions):
    """`source` is a camera's number, an address such as `rtsp://…`, or a video file. A live source that falls silent
    is opened again every `reconnect_s` seconds; a file ends. `rate_hz` thins a faster source out."""

    source: int | str
    rate_hz: float | None = Field(default=None, gt=0, le=1000)
    reconnect_s: float = Field(default=2.0, gt=0, le=3600)


class OpenCvCamera(Camera):
    """Frames from `cv2.VideoCapture`. Each failed read of a live source is a fault, so that nothing passes unseen."""

    Options: ClassVar[type[CameraOptions]] = OpenCvOptions

    def __init__(self, name: str, options: CameraOptions) -> None:
        assert isinstance(options, OpenCvOptions)
        self._name, self._options = name, options
        self._is_file = isinstance(options.source, str) and "://" not in options.source
        if self._is_file and not Path(str(options.source)).is_file():
            raise CameraUnavailable(
                f"camera {name!r}: {options.source} is not a file; give a video, a number or an address"
            )
        self._capture = cv2.VideoCapture(options.source)
        if not self._capture.isOpened():
            raise CameraUnavailable(
                f"camera {name!r}: {options.source} cannot be opened; is it connected and not in use?"
            )

    def shots(self, stop: threading.Event) -> Iterator[Shot]:
        number, due = 0, time.monotonic()
        try:
            while not stop.is_set():
                read, image = self._capture.read()
                if not read and self._is_file:
                    return
                if not read:
                    yield Fault(Reason.FRAME_LOST, f"camera {self._name!r} ({self._options.source}) gave no frame")
                    self._reopen(stop)
                    continue
                if self._options.rate_hz and not self._is_file and time.monotonic() < due:
                    continue
                if self._options.rate_hz:
                    stop.wait(max(0.0, due - time.monotonic()))
                    due = max(due, time.monotonic() - 1) + 1 / self._options.rate_hz
                pixels = np.ascontiguousarray(image[:, :, ::-1], dtype=np.uint8)
                yield Frame(pixels, f"{self._options.source} {number}", self._name, number)
                number += 1
        finally:
            self._capture.release()

    def _reopen(self, stop: threading.Event) -> None:
        self._capture.release()
        if not stop.wait(self._options.reconnect_s):
            self._capture = cv2.VideoCapture(self._options.source)
