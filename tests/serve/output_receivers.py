"""What stands at the other end of an output, and what each of them can do; a folder of lines and a web server."""

import asyncio
import contextlib
import json
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")
ALL_FIELDS = ("number", "unit", "outcome", "reason", "score", "opened_at", "record")


class Receiver(ABC):
    """Starts, stops and mutes the other end, and says what it has been told."""

    carries: tuple[str, ...] = ALL_FIELDS
    options: dict[str, Any]

    @abstractmethod
    def start(self) -> None:
        """Be there."""

    def attach(self) -> None:  # noqa: B027 - only a client of the output has something to do
        """What follows once the output is open."""

    @abstractmethod
    def stop(self) -> None:
        """Be gone, as after a power cut."""

    @abstractmethod
    def mute(self, muted: bool) -> None:
        """Be there and acknowledge nothing, or do so again."""

    @abstractmethod
    def unit(self) -> dict[str, Any]:
        """The last unit, as far as it is carried."""

    @abstractmethod
    def permits(self) -> bool:
        """Whether a plant that asks now lets the unit pass."""

    @abstractmethod
    def running(self) -> bool:
        """Whether the station was last said to run."""

    def end(self) -> None:
        """Nothing is left behind."""
        self.mute(False)
        self.stop()


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()


class Lines(Receiver):
    """A folder of digital lines."""

    carries = ("outcome",)

    def __init__(self, folder: Path) -> None:
        self._folder, self._away = folder / "lines", folder / "away"
        self._folder.mkdir()
        self.options = {"path": "lines"}

    def start(self) -> None:
        if self._away.exists():
            self._away.rename(self._folder)

    def stop(self) -> None:
        self._folder.rename(self._away)

    def mute(self, muted: bool) -> None:
        # A folder in place of the line cannot be set, by root neither.
        line = self._folder / "pass"
        if muted:
            line.unlink()
            line.mkdir()
        elif line.is_dir():
            line.rmdir()

    def _up(self, line: str) -> bool:
        path = self._folder / line
        return path.is_file() and path.read_text() == "1"

    def unit(self) -> dict[str, Any]:
        states = {(True, False, False): "PASS", (False, True, False): "REJECT", (False, True, True): "REVIEW"}
        return {"outcome": states.get((self._up("pass"), self._up("reject"), self._up("review")))}

    def permits(self) -> bool:
        return self._up("pass")

    def running(self) -> bool:
        return self._up("running")


class WebServer(Receiver):
    """Keeps what is posted; `status` and `headers` are its answer."""

    def __init__(self, port: int) -> None:
        self.status, self.headers, self.posts = 204, {}, list[dict[str, Any]]()
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._port, self._answer, self._server = port, threading.Event(), None
        self._answer.set()
        self._connections: list[Any] = []
        self.options = {"url": f"http://127.0.0.1:{port}/units"}

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                receiver._connections.append(self.connection)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not receiver._answer.is_set():
                    receiver._answer.wait(30)
                    self.close_connection = True
                    return
                receiver.requests.append((self.path, dict(self.headers)))
                if receiver.status == 204:
                    receiver.posts.append(json.loads(body))
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                if receiver.status != 204:
                    self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def mute(self, muted: bool) -> None:
        self._answer.clear() if muted else self._answer.set()

    def _last(self, event: str) -> dict[str, Any]:
        return next((post for post in reversed(self.posts) if post["event"] == event), {})

    def unit(self) -> dict[str, Any]:
        return {key: value for key, value in self._last("unit").items() if key in ALL_FIELDS}

    def permits(self) -> bool:
        return self.running() and self.unit().get("outcome") == "PASS"

    def running(self) -> bool:
        return bool(self._last("station").get("state") == "running")
