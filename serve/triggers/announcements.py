"""A local Unix socket on which another process announces units: a line of JSON, or a datagram, for each."""

import os
import socket
import socketserver
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from serve.triggers.trigger import TriggerUnavailable

MAX_BYTES = 4096
_MAX_CONNECTIONS = 16


class Answer(NamedTuple):
    """Whether a unit was opened, and a line of JSON that says so."""

    opened: bool
    line: bytes


class AnnouncementSocket:
    """Gives each announcement to `take`, and its answer to whoever can hear one; a refusal that nobody hears, as the
    caller has hung up or its datagram bears no address, goes to `unheard`."""

    def __init__(
        self,
        path: Path,
        kind: Literal["stream", "datagram"],
        take: Callable[[bytes], Answer],
        unheard: Callable[[bytes], None],
    ) -> None:
        """Listen. Raises TriggerUnavailable where `path` is taken, or cannot be made."""
        _make_way(path, kind)
        try:
            self._server = _Streams(path, take, unheard) if kind == "stream" else _Datagrams(path, take, unheard)
        except OSError as error:
            why = error.strerror or error
            raise TriggerUnavailable(f"trigger: {path} cannot be listened on ({why}); choose another path") from error
        self._path, self._inode = path, path.stat().st_ino
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.1,), name="announcements", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more, end all connections, remove the socket if it is still this one."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


def _make_way(path: Path, kind: str) -> None:
    """Remove what a killed process left. Raises TriggerUnavailable where something else, or someone alive, is there."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return  # nothing is there; or binding will say why not
    if not is_socket:
        raise TriggerUnavailable(f"trigger: {path} is there and is no socket; choose another path")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if kind == "stream" else socket.SOCK_DGRAM)
    with probe:
        probe.settimeout(1)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass  # someone listens there, in another way
    raise TriggerUnavailable(f"trigger: another process listens on {path}; stop it, or choose another path")


class _Streams(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = _MAX_CONNECTIONS

    def __init__(self, path: Path, take: Callable[[bytes], Answer], unheard: Callable[[bytes], None]) -> None:
        self.take, self.unheard = take, unheard
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(os.fspath(path), _Lines, bind_and_activate=False)
        _activate(self, path)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        with self._lock:
            if len(self._open) >= _MAX_CONNECTIONS:
                return False
            self._open.add(request)
            return True

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever breaks a connection off has announced what came until then."""


class _Lines(socketserver.StreamRequestHandler):
    server: _Streams

    def handle(self) -> None:
        while line := self.rfile.readline(MAX_BYTES + 1):
            whole = line.endswith(b"\n")
            too_long = len(line) > MAX_BYTES
            answer = self.server.take(line if whole or too_long else b"cut short")
            try:
                self.wfile.write(answer.line)
            except OSError:
                if not answer.opened:
                    self.server.unheard(answer.line)
                return
            if not whole:
                return


class _Datagrams(socketserver.UnixDatagramServer):
    max_packet_size = MAX_BYTES + 1

    def __init__(self, path: Path, take: Callable[[bytes], Answer], unheard: Callable[[bytes], None]) -> None:
        self.take, self.unheard = take, unheard
        super().__init__(os.fspath(path), _Datagram, bind_and_activate=False)
        _activate(self, path)


class _Datagram(socketserver.BaseRequestHandler):
    server: _Datagrams

    def handle(self) -> None:
        data, connection = self.request
        answer = self.server.take(data)
        try:
            connection.sendto(answer.line, socket.MSG_DONTWAIT, self.client_address)
        except (OSError, TypeError):  # TypeError: it has no address
            if not answer.opened:
                self.server.unheard(answer.line)


def _activate(server: socketserver.TCPServer, path: Path) -> None:
    """Bind, let owner and group in, and listen."""
    try:
        server.server_bind()
        path.chmod(0o660)
        server.server_activate()
    except BaseException:
        server.server_close()
        raise
