"""A grabber that is a program of its own, in C++ or whatever, and pushes frames over a local socket."""

import os
import select
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from inspection.frames import Frame, Pixels
from inspection.verdict import Reason
from serve.cameras.camera import Camera, CameraOptions, CameraUnavailable, Fault, Shot
from serve.cameras.frame_protocol import (
    HEADER_BYTES,
    REFUSED,
    TAKEN,
    BadFrameMessage,
    FrameHeader,
    parse_header,
    parse_memory,
    parse_unit,
)

_SHARED_MEMORY = Path("/dev/shm")  # nosec B108
_LOOK_S = 0.1
_LONGEST_PATH = 107  # bytes that Linux keeps of a local socket's path


class SocketOptions(CameraOptions):
    """`path` of the local socket to listen on. A frame that was begun must be there after `frame_s`."""

    path: Path
    frame_s: float = Field(default=1.0, gt=0, le=60)


class _CutShort(Exception):
    """The grabber went, or gave no more, within a frame."""


class _Stopped(Exception):
    """The camera is to end."""


class SocketCamera(Camera):
    """One grabber at a time; another is refused. It may come, go and come again."""

    Options: ClassVar[type[CameraOptions]] = SocketOptions

    def __init__(self, name: str, options: CameraOptions, folder: Path) -> None:
        assert isinstance(options, SocketOptions)
        self._name, self._frame_s = name, options.frame_s
        self._path = folder / options.path
        self._memories: dict[str, int] = {}
        self._listener = self._listen()

    def shots(self, stop: threading.Event) -> Iterator[Shot]:
        try:
            while not stop.is_set():
                if select.select([self._listener], [], [], _LOOK_S)[0]:
                    grabber, _ = self._listener.accept()
                    with grabber:
                        yield from self._frames(grabber, stop)
        finally:
            self._forget_memories()
            self._listener.close()
            self._path.unlink(missing_ok=True)

    def _frames(self, grabber: socket.socket, stop: threading.Event) -> Iterator[Shot]:
        """One connection's frames; a message that is none ends it, and the grabber is told why."""
        grabber.setblocking(False)
        header: FrameHeader | None = None
        try:
            while self._wait(grabber, stop):
                header = None
                until = time.monotonic() + self._frame_s
                header = parse_header(self._read(grabber, HEADER_BYTES, until, stop).tobytes())
                unit = parse_unit(self._read(grabber, header.unit_bytes, until, stop).tobytes())
                pixels = self._pixels(grabber, header, until, stop)
                grabber.setblocking(True)
                grabber.sendall(TAKEN)
                grabber.setblocking(False)
                yield Frame(
                    pixels, unit or f"{self._name} {header.sequence}", self._name, header.sequence,
                    hardware_time_ns=header.hardware_time_ns or None,
                )  # fmt: skip
        except _Stopped:
            return
        except BadFrameMessage as error:
            _refuse(grabber, str(error))
        except (_CutShort, OSError) as error:
            if header:
                message = f"camera {self._name!r}: frame {header.sequence} was cut short: {error}"
                yield Fault(Reason.FRAME_UNREADABLE, message, header.sequence)
            _refuse(grabber, f"the frame was cut short: {error}")
        finally:
            self._forget_memories()

    def _wait(self, grabber: socket.socket, stop: threading.Event) -> bool:
        """Until a frame begins; False where the grabber went."""
        while not stop.is_set():
            ready = select.select([grabber, self._listener], [], [], _LOOK_S)[0]
            if self._listener in ready:
                other, _ = self._listener.accept()
                with other:
                    _refuse(other, f"camera {self._name!r} has a grabber already")
            if grabber in ready:
                return bool(grabber.recv(1, socket.MSG_PEEK))
        raise _Stopped

    def _read(self, grabber: socket.socket, count: int, until: float, stop: threading.Event) -> Pixels:
        """So many bytes, uint8."""
        data = np.empty(count, np.uint8)
        view, got = data.data, 0
        while got < count:
            if stop.is_set():
                raise _Stopped
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise _CutShort(f"{got} of {count} bytes came within {self._frame_s:g} s")
            if not select.select([grabber], [], [], min(left_s, _LOOK_S))[0]:
                continue
            came = grabber.recv_into(view[got:])
            if not came:
                raise _CutShort(f"the grabber went after {got} of {count} bytes")
            got += came
        return data

    def _pixels(self, grabber: socket.socket, header: FrameHeader, until: float, stop: threading.Event) -> Pixels:
        """`[H, W, 3]`, from the socket or from shared memory."""
        if header.memory_bytes:
            name = parse_memory(self._read(grabber, header.memory_bytes, until, stop).tobytes())
            flat = self._from_memory(name, header)
        else:
            flat = self._read(grabber, header.payload_bytes, until, stop)
        pixels = flat.reshape(header.height, header.width, header.channels)
        return np.repeat(pixels, 3, axis=2) if header.channels == 1 else pixels

    def _from_memory(self, name: str, header: FrameHeader) -> Pixels:
        """Copied out by a read and not by mapping it: memory that was cut short is then an error and no signal."""
        data = np.empty(header.payload_bytes, np.uint8)
        try:
            if name not in self._memories:
                self._memories[name] = os.open(_SHARED_MEMORY / name, os.O_RDONLY | os.O_NOFOLLOW)
            got = os.preadv(self._memories[name], [data.data], header.offset)
        except (OSError, OverflowError) as error:
            raise BadFrameMessage(f"the shared memory {name!r} cannot be read: {error}") from error
        if got != len(data):
            raise BadFrameMessage(f"the shared memory {name!r} has {got} bytes at {header.offset}, not {len(data)}")
        return data

    def _forget_memories(self) -> None:
        for descriptor in self._memories.values():
            os.close(descriptor)
        self._memories.clear()

    def _listen(self) -> socket.socket:
        if len(os.fsencode(self._path)) > _LONGEST_PATH:
            raise CameraUnavailable(
                f"camera {self._name!r}: {self._path} is too long for a socket; give a path of at most "
                f"{_LONGEST_PATH} bytes"
            )
        self._clear_the_place()
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(self._path))
            self._path.chmod(0o660)
            listener.listen(4)
        except OSError as error:
            listener.close()
            raise CameraUnavailable(
                f"camera {self._name!r}: {self._path} cannot be listened on ({error.strerror}); give a path in a "
                "folder that this service may write to"
            ) from error
        return listener

    def _clear_the_place(self) -> None:
        """What a killed process left behind is removed; nothing else is."""
        try:
            if not stat.S_ISSOCK(self._path.lstat().st_mode):
                raise CameraUnavailable(
                    f"camera {self._name!r}: {self._path} is there and no socket; give another path"
                )
        except OSError:
            return
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self._path))
            except ConnectionRefusedError:
                self._path.unlink(missing_ok=True)
            except OSError:
                return
            else:
                raise CameraUnavailable(f"camera {self._name!r}: another process listens on {self._path}; end it first")


def _refuse(grabber: socket.socket, why: str) -> None:
    """Say why, and take in what it has still sent: left unread, it would cost the grabber the answer."""
    until = time.monotonic() + _LOOK_S
    with suppress(OSError):
        grabber.setblocking(False)
        grabber.send(REFUSED + why.encode())
        grabber.shutdown(socket.SHUT_WR)
        while (left_s := until - time.monotonic()) > 0 and select.select([grabber], [], [], left_s)[0]:
            if not grabber.recv(2**16):
                return
