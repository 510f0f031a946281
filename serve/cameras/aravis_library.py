"""The few functions of libaravis 0.8 that a camera needs, by ctypes."""

import ctypes
import ctypes.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError

_LIBRARY = "libaravis-0.8.so.0"
_COMPLETE = 0
_STATUS = {
    -1: "unknown", 1: "empty", 2: "packets came too late", 3: "packets are missing", 4: "a packet id was wrong",
    5: "of another size than announced", 6: "still being filled", 7: "aborted", 8: "of a kind that is not read",
}  # fmt: skip


class AravisFault(InspectionError):
    """libaravis is not there, or refuses something."""

    code = "aravis_fault"


class _GError(ctypes.Structure):
    _fields_ = (("domain", ctypes.c_uint32), ("code", ctypes.c_int), ("message", ctypes.c_char_p))


_Error = ctypes.POINTER(_GError)
_Lost = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_pointer, _text, _int = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int


@dataclass(frozen=True)
class Block:
    """What came of one frame; `wrong` says why it is not complete, and then there is no `data`."""

    block_id: int
    time_ns: int
    wrong: str = ""
    data: NDArray[np.uint8] | None = None
    size: tuple[int, int] = (0, 0)
    pixel_format: int = 0


class AravisDevice:
    """A camera by its id, serial number or address; "" is the first that is found. Not for several threads.

    Every method raises AravisFault, in libaravis' words.
    """

    def __init__(self, device: str) -> None:
        self._lib = _library()
        name = _device_id(self._lib, device)
        self._camera = self._call("arv_camera_new", _pointer, (_text, name.encode() or None))
        self._stream: int | None = None
        self.lost = False
        self._on_lost = _Lost(self._control_lost)  # kept, as long as the library may call it
        inner = self._plain("arv_camera_get_device", _pointer, (_pointer, self._camera))
        gobject().g_signal_connect_data(inner, b"control-lost", self._on_lost, None, None, 0)
        is_network = self._plain("arv_camera_is_gv_device", _int, (_pointer, self._camera))
        if is_network and not self._plain("arv_gv_device_is_controller", _int, (_pointer, inner)):
            self.close()  # libaravis opens it all the same, and then no frame ever comes
            raise AravisFault("another program controls it, or did a moment ago")

    def set_text(self, feature: str, value: str) -> None:
        """Set a GenICam feature by its text."""
        self._of_camera("arv_camera_set_string", None, (_text, feature.encode()), (_text, value.encode()))

    def set_pixel_format(self, name: str) -> None:
        """By its GenICam name."""
        self._of_camera("arv_camera_set_pixel_format_from_string", None, (_text, name.encode()))

    def set_exposure_us(self, exposure_us: float) -> None:
        """Microseconds."""
        self._of_camera("arv_camera_set_exposure_time", None, (ctypes.c_double, exposure_us))

    def set_rate_hz(self, rate_hz: float) -> None:
        """Frames a second, where it runs free."""
        self._of_camera("arv_camera_set_frame_rate", None, (ctypes.c_double, rate_hz))

    def set_trigger(self, source: str | None) -> None:
        """Each frame by a trigger of this source; None: free running."""
        if source is None:
            self._of_camera("arv_camera_clear_triggers", None)
        else:
            self._of_camera("arv_camera_set_trigger", None, (_text, source.encode()))

    def trigger(self) -> None:
        """By software."""
        self._of_camera("arv_camera_software_trigger", None)

    def start(self, buffers: int) -> None:
        """Begin to acquire, into so many buffers."""
        nothing = (_pointer, None)
        self._stream = self._of_camera("arv_camera_create_stream", _pointer, nothing, nothing)
        payload = self._of_camera("arv_camera_get_payload", ctypes.c_uint)
        for _ in range(buffers):
            buffer = self._plain("arv_buffer_new_allocate", _pointer, (ctypes.c_size_t, payload))
            self._give_back(buffer)
        self._of_camera("arv_camera_start_acquisition", None)

    def pop(self, timeout_us: int) -> Block | None:
        """The next block, or None where none came in time."""
        stream = (_pointer, self._stream)
        buffer = self._plain("arv_stream_timeout_pop_buffer", _pointer, stream, (ctypes.c_uint64, timeout_us))
        if not buffer:
            return None
        try:
            return self._block(buffer)
        finally:
            self._give_back(buffer)

    def close(self) -> None:
        """Stop and let it go. One that was lost is left as it is: libaravis would wait for its answer for seconds."""
        if self.lost:
            return
        if self._stream:
            self._of_camera("arv_camera_stop_acquisition", None)
        for what in (self._stream, self._camera):
            if what:
                gobject().g_object_unref(what)
        self._stream = None

    def _block(self, buffer: int) -> Block:
        def get(name: str, kind: Any) -> int:
            return int(self._plain(f"arv_buffer_get_{name}", kind, (_pointer, buffer)))

        block_id, time_ns = get("frame_id", ctypes.c_uint64), get("timestamp", ctypes.c_uint64)
        status = get("status", _int)
        if status != _COMPLETE:
            return Block(block_id, time_ns, _STATUS.get(status, f"of status {status}"))
        length = ctypes.c_size_t()
        data = self._plain(
            "arv_buffer_get_image_data", _pointer, (_pointer, buffer), (ctypes.POINTER(ctypes.c_size_t), length)
        )
        pixels = np.frombuffer(ctypes.string_at(data, length.value), np.uint8)
        size = get("image_width", _int), get("image_height", _int)
        return Block(block_id, time_ns, "", pixels, size, get("image_pixel_format", ctypes.c_uint32))

    def _give_back(self, buffer: int) -> None:
        self._plain("arv_stream_push_buffer", None, (_pointer, self._stream), (_pointer, buffer))

    def _control_lost(self, _device: object, _data: object) -> None:
        self.lost = True

    def _of_camera(self, name: str, result: Any, *arguments: tuple[Any, Any]) -> Any:
        return self._call(name, result, (_pointer, self._camera), *arguments)

    def _plain(self, name: str, result: Any, *arguments: tuple[Any, Any]) -> Any:
        return _function(self._lib, name, result, *(kind for kind, _ in arguments))(*(value for _, value in arguments))

    def _call(self, name: str, result: Any, *arguments: tuple[Any, Any]) -> Any:
        error = _Error()
        got = self._plain(name, result, *arguments, (ctypes.POINTER(_Error), ctypes.byref(error)))
        if error:
            raise AravisFault(error.contents.message.decode(errors="replace"))
        return got


@cache
def gobject() -> ctypes.CDLL:
    """The library under libaravis that keeps its objects."""
    library = ctypes.CDLL("libgobject-2.0.so.0")
    library.g_signal_connect_data.argtypes = [_pointer, _text, _Lost, _pointer, _pointer, _int]
    library.g_object_unref.argtypes = [_pointer]
    return library


@cache
def _library() -> ctypes.CDLL:
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise AravisFault(f"{_LIBRARY} is not installed (on Debian: libaravis-0.8-0)") from error


@cache
def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    found = library[name]
    found.restype, found.argtypes = result, arguments
    return found


def _device_id(library: ctypes.CDLL, device: str) -> str:
    """What libaravis calls the device with this id, serial number or address; an address is not searched for."""
    if device.count(".") == 3 or not device:
        return device
    _function(library, "arv_update_device_list", None)()
    known: list[str] = []
    for index in range(_function(library, "arv_get_n_devices", ctypes.c_uint)()):
        names = [
            (_function(library, f"arv_get_device_{what}", _text, ctypes.c_uint)(index) or b"").decode(errors="replace")
            for what in ("id", "serial_nbr", "address")
        ]
        if device in names:
            return names[0]
        known.append(names[0])
    raise AravisFault(f"there is no device {device!r}; found {', '.join(known) or 'none'}")
