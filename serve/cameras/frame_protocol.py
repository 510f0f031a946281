"""What a grabber sends over a local socket: a fixed header, a unit's name if it has one, and pixels. See README.md."""

import re
import struct
from dataclasses import dataclass

from inspection.errors import InspectionError
from inspection.frames import MAX_PIXELS

MAGIC = b"PIFR"
VERSION = 1
TAKEN = b"\x00"  # the answer to a frame that was taken; its memory may be used again
REFUSED = b"\x01"  # the answer otherwise: the reason follows as text, and the connection is closed
_LAYOUT = struct.Struct("<4sHHIIBxHHxxQQQQ")
HEADER_BYTES = _LAYOUT.size
MAX_NAME_BYTES = 128
_MEMORY_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


class BadFrameMessage(InspectionError):
    """A grabber sent what is no frame."""

    code = "bad_frame_message"


@dataclass(frozen=True)
class FrameHeader:
    """A frame of height x width x channels (1 or 3, RGB) uint8. `hardware_time_ns` 0: the camera has no clock.

    After the header come `unit_bytes` of the unit's name and `memory_bytes` of the name of a POSIX shared memory, both
    UTF-8; then the pixels, unless they lie in that memory at `offset`.
    """

    width: int
    height: int
    channels: int
    sequence: int
    hardware_time_ns: int = 0
    unit_bytes: int = 0
    memory_bytes: int = 0
    offset: int = 0

    @property
    def payload_bytes(self) -> int:
        """Of the pixels."""
        return self.width * self.height * self.channels

    def pack(self) -> bytes:
        """As it is sent."""
        return _LAYOUT.pack(
            MAGIC, VERSION, HEADER_BYTES, self.width, self.height, self.channels, self.unit_bytes, self.memory_bytes,
            self.sequence, self.hardware_time_ns, self.payload_bytes, self.offset,
        )  # fmt: skip


def parse_header(data: bytes) -> FrameHeader:
    """The header in `HEADER_BYTES` bytes. Raises BadFrameMessage."""
    magic, version, size, width, height, channels, unit, memory, sequence, time_ns, payload, offset = _LAYOUT.unpack(
        data
    )
    if magic != MAGIC:
        raise BadFrameMessage(f"a frame begins with {MAGIC!r}, got {magic!r}")
    if (version, size) != (VERSION, HEADER_BYTES):
        raise BadFrameMessage(
            f"the header must be of version {VERSION} with {HEADER_BYTES} bytes, got version {version} with {size}"
        )
    if channels not in (1, 3):
        raise BadFrameMessage(f"a frame has 1 channel or 3, got {channels}")
    if not 0 < width * height <= MAX_PIXELS:
        raise BadFrameMessage(f"a frame has 1 to {MAX_PIXELS:,} pixels, got {width} x {height}")
    if payload != width * height * channels:
        raise BadFrameMessage(
            f"{width} x {height} pixels of {channels} channels are {width * height * channels} bytes, "
            f"got a payload of {payload}"
        )
    if max(unit, memory) > MAX_NAME_BYTES:
        raise BadFrameMessage(f"a name has at most {MAX_NAME_BYTES} bytes, got {max(unit, memory)}")
    return FrameHeader(width, height, channels, sequence, time_ns, unit, memory, offset)


def parse_unit(data: bytes) -> str:
    """A unit's name. Raises BadFrameMessage."""
    try:
        name = data.decode()
    except UnicodeDecodeError as error:
        raise BadFrameMessage(f"a unit's name must be UTF-8, got {data!r}") from error
    if not name.isprintable():
        raise BadFrameMessage(f"a unit's name must be printable, got {name!r}")
    return name


def parse_memory(data: bytes) -> str:
    """The name of a shared memory, without a slash. Raises BadFrameMessage."""
    name = data.decode("ascii", "replace").removeprefix("/")
    if not _MEMORY_NAME.fullmatch(name):
        raise BadFrameMessage(f"a shared memory's name has letters, digits and . _ - only, got {name!r}")
    return name
