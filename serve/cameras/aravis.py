"""GigE Vision and USB3 Vision cameras through libaravis, which needs no vendor's software."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from inspection.verdict import Reason
from serve.cameras.aravis_library import AravisDevice, AravisFault, Block
from serve.cameras.camera import CameraOptions, CameraUnavailable, Fault, Shot
from serve.cameras.machine_vision import (
    PIXEL_FORMAT_CODES,
    BlockCount,
    MachineVisionCamera,
    MachineVisionOptions,
    shot_of,
)

_BUFFERS = 16
_LOOK_US = 50_000


class AravisOptions(MachineVisionOptions):
    """`device` is its id, serial number or address; left out, the first that is found."""

    device: str = ""


class AravisCamera(MachineVisionCamera):
    """A camera whose link is lost ends with an error: it has to be opened again."""

    Options: ClassVar[type[CameraOptions]] = AravisOptions

    def __init__(self, name: str, options: CameraOptions, folder: Path) -> None:  # noqa: ARG002
        assert isinstance(options, AravisOptions)
        self._name, self._options = name, options
        self._called = f"the device {options.device!r}" if options.device else "the first device found"
        try:
            self._device = AravisDevice(options.device)
        except AravisFault as error:
            raise CameraUnavailable(f"camera {name!r}: {self._called} cannot be opened: {error}") from error
        try:
            self._set_up()
        except AravisFault as error:
            self._device.close()  # or nobody else could have it
            raise CameraUnavailable(f"camera {name!r}: {self._called} cannot be set up: {error}") from error

    def _set_up(self) -> None:
        chosen, device = self._options, self._device
        if chosen.pixel_format:
            device.set_pixel_format(chosen.pixel_format)
        if chosen.exposure_us:
            device.set_exposure_us(chosen.exposure_us)
        source = {"free": None, "line": chosen.trigger_source, "software": "Software"}[chosen.trigger]
        device.set_trigger(source)
        if chosen.rate_hz and chosen.trigger == "free":
            device.set_rate_hz(chosen.rate_hz)
        device.set_text("AcquisitionMode", "Continuous")

    def shots(self, stop: threading.Event) -> Iterator[Shot]:
        count, due = BlockCount(), time.monotonic()
        period_s = 1 / self._options.rate_hz if self._options.rate_hz else 0.0
        try:
            self._device.start(_BUFFERS)
            while not stop.is_set():
                if self._options.trigger == "software" and time.monotonic() >= due:
                    self._device.trigger()
                    due = max(due + period_s, time.monotonic())
                wait_us = _LOOK_US
                if self._options.trigger == "software":
                    wait_us = min(wait_us, max(0, round((due - time.monotonic()) * 1e6)))
                block = self._device.pop(wait_us)
                if block:
                    yield self._shot(block, count.of(block.block_id))
                elif self._device.lost:
                    raise CameraUnavailable(f"camera {self._name!r}: the link to {self._called} was lost")
        except AravisFault as error:
            raise CameraUnavailable(f"camera {self._name!r}: {self._called} failed: {error}") from error
        finally:
            with suppress(AravisFault):
                self._device.close()

    def _shot(self, block: Block, sequence: int) -> Shot:
        if block.data is None:
            message = f"camera {self._name!r}: frame {sequence} is not complete: {block.wrong}"
            return Fault(Reason.FRAME_UNREADABLE, message, sequence)
        code = block.pixel_format
        fmt = PIXEL_FORMAT_CODES.get(code, f"{code:#010x}")
        return shot_of(self._name, sequence, block.time_ns or None, block.data, block.size, fmt)
