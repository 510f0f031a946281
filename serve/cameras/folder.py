"""A folder of images, replayed at a rate."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from inspection.errors import InspectionError
from inspection.frames import Colour, list_images, read_frame
from inspection.verdict import Reason, reason_for
from serve.cameras.camera import Camera, CameraOptions, CameraUnavailable, Fault, FrozenAfter, Shot, paced


class FolderOptions(CameraOptions):
    """`loop` starts again after the last image; `colour` is what the files are."""

    path: Path
    rate_hz: float = Field(default=2.0, gt=0, le=1000)
    loop: bool = False
    colour: Colour = "rgb"
    frozen_after: FrozenAfter = 0


class FolderCamera(Camera):
    """Images directly in a folder, by name. An unreadable file is a unit like any other, and a fault."""

    Options: ClassVar[type[CameraOptions]] = FolderOptions

    def __init__(self, name: str, options: CameraOptions, folder: Path) -> None:
        assert isinstance(options, FolderOptions)
        source = folder / options.path
        if not source.is_dir():
            raise CameraUnavailable(f"camera {name!r}: {source} is not a folder; give one with images")
        self._files = list_images(source)
        if not self._files:
            raise CameraUnavailable(f"camera {name!r}: {source} holds no images; put at least one there")
        self._name, self._options = name, options

    def shots(self, stop: threading.Event) -> Iterator[Shot]:
        for number in paced(self._options.rate_hz, stop):
            if number >= len(self._files) and not self._options.loop:
                return
            path = self._files[number % len(self._files)]
            try:
                yield read_frame(path, self._options.colour, camera=self._name, sequence=number)
            except InspectionError as error:
                yield Fault(reason_for(error.code, Reason.FRAME_UNREADABLE), str(error), number)
