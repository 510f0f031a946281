"""GigE Vision and USB3 Vision cameras through their vendor's GenTL producer, a `.cti` file, read by `harvesters`."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from serve.cameras.camera import CameraOptions, CameraUnavailable, Shot
from serve.cameras.machine_vision import BlockCount, MachineVisionCamera, MachineVisionOptions, shot_of

_BUFFERS = 16
_LOOK_S = 0.05


class GenicamOptions(MachineVisionOptions):
    """`producer` is the vendor's `.cti` file. `serial` or `device`, its id, names the camera; left out, it is the first
    that is found."""

    producer: Path
    serial: str | None = None
    device: str | None = None


class GenicamCamera(MachineVisionCamera):
    """A camera of a GenTL producer. One that fails ends with an error: it has to be opened again."""

    Options: ClassVar[type[CameraOptions]] = GenicamOptions

    def __init__(self, name: str, options: CameraOptions, folder: Path) -> None:
        assert isinstance(options, GenicamOptions)
        self._name, self._options = name, options
        producer = folder / options.producer
        if not producer.is_file():
            raise CameraUnavailable(
                f"camera {name!r}: {producer} is not a file; give the vendor's GenTL producer (.cti)"
            )
        try:
            from harvesters.core import Harvester
        except ImportError as error:
            raise CameraUnavailable(
                f"camera {name!r}: harvesters is not installed; install pharma-inspection[genicam]"
            ) from error
        logging.getLogger("harvesters").setLevel(logging.CRITICAL)  # it logs what it raises, with a traceback
        self._harvester = Harvester()
        try:
            self._harvester.add_file(str(producer.resolve()), check_validity=True)
            self._harvester.update()
            self._acquirer = self._harvester.create(self._found())
            self._set_up()
        except CameraUnavailable:
            self._close()
            raise
        except Exception as error:  # the producer's own errors are of many types
            self._close()
            raise CameraUnavailable(f"camera {name!r}: it cannot be opened by {producer}: {_said(error)}") from error

    def shots(self, stop: threading.Event) -> Iterator[Shot]:
        count, due = BlockCount(), time.monotonic()
        period_s = 1 / self._options.rate_hz if self._options.rate_hz else 0.0
        by_software = self._options.trigger == "software"
        try:
            self._acquirer.start()
            while not stop.is_set():
                if by_software and time.monotonic() >= due:
                    self._features.TriggerSoftware.execute()
                    due = max(due + period_s, time.monotonic())
                wait_s = min(_LOOK_S, max(0.001, due - time.monotonic())) if by_software else _LOOK_S
                buffer = self._acquirer.try_fetch(timeout=wait_s)
                if buffer is not None:
                    with buffer:
                        yield self._shot(buffer, count)
        except Exception as error:
            raise CameraUnavailable(f"camera {self._name!r} failed: {_said(error)}") from error
        finally:
            self._close()

    @property
    def _features(self) -> Any:
        return self._acquirer.remote_device.node_map

    def _found(self) -> int:
        """The index of the camera that the options name."""
        devices = self._harvester.device_info_list
        chosen = self._options
        for index, device in enumerate(devices):
            if chosen.serial in (None, device.serial_number) and chosen.device in (None, device.id_):
                return index
        wanted = chosen.serial or chosen.device or "any"
        there = ", ".join(f"{one.serial_number} ({one.id_})" for one in devices) or "none"
        raise CameraUnavailable(f"camera {self._name!r}: there is no camera {wanted!r}; found {there}")

    def _set_up(self) -> None:
        chosen = self._options
        self._acquirer.num_buffers = _BUFFERS
        settings: dict[str, object] = {"AcquisitionMode": "Continuous"}
        if chosen.pixel_format:
            settings["PixelFormat"] = chosen.pixel_format
        if chosen.exposure_us:
            settings["ExposureTime"] = chosen.exposure_us
        if chosen.trigger == "free":
            if hasattr(self._features, "TriggerMode"):
                settings["TriggerMode"] = "Off"
            if chosen.rate_hz:
                settings["AcquisitionFrameRate"] = chosen.rate_hz
        else:
            source = "Software" if chosen.trigger == "software" else chosen.trigger_source
            settings |= {"TriggerSelector": "FrameStart", "TriggerMode": "On", "TriggerSource": source}
        for feature, value in settings.items():
            self._set(feature, value)

    def _set(self, feature: str, value: object) -> None:
        try:
            node = getattr(self._features, feature)
            if node.value != value:  # what has one value only may not be written
                node.value = value
        except Exception as error:
            why = "it has no such feature" if isinstance(error, AttributeError) else _said(error)
            raise CameraUnavailable(f"camera {self._name!r}: {feature} cannot be set to {value!r}: {why}") from error

    def _shot(self, buffer: Any, count: BlockCount) -> Shot:
        raw = buffer.module  # harvesters leaves out what is not complete: a gap in the count
        sequence = count.of(int(raw.frame_id))
        part = buffer.payload.components[0]
        data = np.array(part.data, np.uint8, copy=True).reshape(-1)  # the buffer is used again
        size = int(part.width), int(part.height)
        return shot_of(self._name, sequence, _time_ns(raw), data, size, str(part.data_format))

    def _close(self) -> None:
        with suppress(Exception):
            if hasattr(self, "_acquirer"):
                self._acquirer.destroy()
        with suppress(Exception):
            self._harvester.reset()


def _time_ns(raw: Any) -> int | None:
    """The buffer's time by the camera's clock, where it has one."""
    with suppress(Exception):
        return int(raw.timestamp_ns)
    with suppress(Exception):
        return int(raw.timestamp) * 10**9 // int(raw.timestamp_frequency)
    return None


def _said(error: Exception) -> str:
    """The error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
