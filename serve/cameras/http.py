"""A camera whose frames come over HTTP, from a smart camera or a program on another machine."""

import itertools
import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from inspection.errors import InspectionError
from inspection.frames import Colour, Frame, decode_frame, image_suffix
from inspection.verdict import Reason, reason_for
from serve.cameras.camera import Camera, CameraOptions, Fault, Shot

_WAITING = 16  # frames that came and were not taken yet; whoever sends more is refused
_LOOK_S = 0.1


class CameraBusy(InspectionError):
    """Frames come faster than they are taken."""

    code = "camera_busy"


class HttpOptions(CameraOptions):
    """`colour` of the images that are sent."""

    colour: Colour = "rgb"


class HttpCamera(Camera):
    """Gives what is pushed. It has no driver, so it runs in the service itself."""

    Options: ClassVar[type[CameraOptions]] = HttpOptions
    in_service: ClassVar[bool] = True

    def __init__(self, name: str, options: CameraOptions, folder: Path) -> None:  # noqa: ARG002
        assert isinstance(options, HttpOptions)
        self._name, self._colour = name, options.colour
        self._came: queue.Queue[Shot] = queue.Queue(_WAITING)
        self._count = itertools.count()

    def push(
        self, data: bytes, name: str = "", sequence: int | None = None, hardware_time_ns: int | None = None
    ) -> Shot:
        """Take an image file's bytes; what is no image of the right kind is taken as a fault, for it was a frame.

        `sequence` is the sender's own count, a gap in which is a lost frame; without one they are counted here.
        Returns what was taken. Raises CameraBusy, and then the frame is lost.
        """
        sequence = next(self._count) if sequence is None else sequence
        name = name or f"{self._name} {sequence}"
        shot: Shot
        try:
            pixels = decode_frame(data, name, self._colour)
            shot = Frame(
                pixels, name, self._name, sequence, encoded=data, suffix=image_suffix(data),
                hardware_time_ns=hardware_time_ns,
            )  # fmt: skip
        except InspectionError as error:
            shot = Fault(reason_for(error.code, Reason.FRAME_UNREADABLE), str(error), sequence)
        try:
            self._came.put_nowait(shot)
        except queue.Full as error:
            raise CameraBusy(
                f"camera {self._name!r} has {_WAITING} frames waiting and lost frame {sequence}; send more slowly"
            ) from error
        return shot

    def shots(self, stop: threading.Event) -> Iterator[Shot]:
        while not stop.is_set():
            with suppress(queue.Empty):
                yield self._came.get(timeout=_LOOK_S)
