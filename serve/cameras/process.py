"""A camera in a process of its own: what its driver dies of, or hangs in, takes nothing else with it."""

import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from inspection.config import ConfigInvalid
from inspection.errors import InspectionError
from inspection.recipe import CameraConfig
from serve.cameras import camera_options, open_camera
from serve.cameras.camera import CameraUnavailable, Shot
from serve.cameras.health import CameraState
from serve.cameras.host import CameraHost
from serve.cameras.watch import Checks
from serve.pipeline.worker import Backoff, Ready, Worker, WorkerFailed

_HEARTBEAT_S = 1.0  # how often the process says that it lives, where it has nothing else to say
_HUNG_S = 5.0  # for how long it may say nothing at all
_SILENT_TIMES = 3  # a driver that is silent for so many times `silence_s` hangs: only a new process cures it
_AHEAD = 16  # shots that wait in the process while the service is busy; then the driver has to keep them
_START_S = 60.0
_STOP_S = 1.5
_NEVER = 10**9  # a camera that is unplugged for a night must be back in the morning


@dataclass(frozen=True)
class _Beat:
    """The process lives."""


@dataclass(frozen=True)
class _Go:
    """The camera may begin."""


@dataclass(frozen=True)
class _Ended:
    """The camera came to its end."""


@dataclass(frozen=True)
class _Broken:
    """The camera failed, and why."""

    message: str


class CameraProcess(CameraHost):
    """Runs a camera in a watched process.

    A process that dies, says nothing for `hung_s`, or whose camera is silent for three times its `silence_s` (and at
    least `hung_s`) is started again, with growing pauses of up to 5 s, without end.
    """

    def __init__(
        self,
        config: CameraConfig,
        recipe_file: Path,
        *,
        shot: Callable[[str, Shot, float], None],
        state: Callable[[CameraState], None] = lambda _: None,
        hung_s: float = _HUNG_S,
        backoff: Backoff | None = None,
    ) -> None:
        super().__init__(config, recipe_file, shot, state)
        self._hung_s = hung_s
        self._silence_s: float | None = None
        self._said = 0.0
        self._why = ""
        self._ending: threading.Thread | None = None
        self._going = False
        self._worker = Worker(
            f"camera {config.name!r}", _run_camera, (config, recipe_file), message=self._message, up=self._up,
            down=self._down, gave_up=self._gave_up, hung=self._hung, start_s=_START_S,
            backoff=backoff or Backoff(most=_NEVER),
        )  # fmt: skip

    @property
    def pid(self) -> int | None:
        """Of the camera's process, or None where there is none."""
        return self._worker.pid

    def start(self) -> None:
        """As `CameraHost`'s."""
        self._silence_s = self._watch().silence_s
        try:
            self._worker.start()
        except WorkerFailed as error:
            said = error.refused
            kinds = {ConfigInvalid.code: ConfigInvalid}
            message = str(error) if said is None or said.code == error.code else said.message
            raise kinds.get(said.code if said else "", CameraUnavailable)(message) from error

    def go(self) -> None:
        """As `CameraHost`'s."""
        self._going = True
        self._worker.send(_Go())

    def restart(self, why: str) -> None:
        """As `CameraHost`'s."""
        self._why = why
        self._worker.restart(why)

    def stop(self) -> None:
        """As `CameraHost`'s, within 2 s."""
        if self._ending:
            self._ending.join()
        self._worker.stop(_STOP_S)

    def _up(self, _: object) -> None:
        self._said, self._why = time.monotonic(), ""
        self._of().up(self._said, self._worker.restarts)
        if self._going:
            self._worker.send(_Go())

    def _down(self, why: str) -> None:
        if not self._ending:
            self._of().down(self._why or why, time.monotonic())

    def _gave_up(self, why: str) -> None:
        self._of().failed(why, time.monotonic())

    def _message(self, message: object) -> None:
        self._said = time.monotonic()
        if isinstance(message, _Beat):
            self._look()
        elif isinstance(message, _Ended):
            ending = threading.Thread(target=self._worker.stop, name=f"end {self.name}", daemon=True)
            ending.start()  # its watch, whose thread this is, cannot end it
            self._ending = ending
            self._of().finished(self._said)
        elif isinstance(message, _Broken):
            self._why = message.message
        elif isinstance(message, tuple):
            shot, at = message
            self._hand_on(shot, at)

    def _look(self) -> None:
        silent_s = self._of().look(time.monotonic())
        if silent_s and silent_s >= max(self._hung_s, _SILENT_TIMES * (self._silence_s or 0)):
            self.restart(f"camera {self.name!r} gave no frame for {silent_s:.0f} s and is opened again")

    def _hung(self) -> bool:
        self._look()
        return time.monotonic() - self._said > self._hung_s


def _run_camera(connection: Connection, config: CameraConfig, recipe_file: Path) -> None:
    """In the process: every shot is sent, and a heartbeat where there is none."""
    camera = open_camera(config, recipe_file)
    checks = Checks(camera.watched(camera_options(config, recipe_file)[1]))
    go, stop = threading.Event(), threading.Event()
    outbox: queue.Queue[object] = queue.Queue(_AHEAD)
    connection.send(Ready())
    threading.Thread(target=_obey, args=(connection, go, stop), daemon=True).start()
    sender = threading.Thread(target=_send_all, args=(connection, outbox), daemon=True)
    sender.start()
    try:
        go.wait()
        for shot in camera.shots(stop):
            at = time.monotonic()
            _put(outbox, (checks.check(shot), at), stop)
        _put(outbox, _Ended(), stop)
        stop.wait()
    except Exception as error:
        known = isinstance(error, InspectionError)
        message = str(error) if known else f"camera {config.name!r} failed: {type(error).__name__}: {error}"
        _put(outbox, _Broken(message), stop)
        _put(outbox, None, stop)
        sender.join(_STOP_S)


def _put(outbox: "queue.Queue[object]", message: object, stop: threading.Event) -> None:
    """Wait for the service to take it; not for one that wants no more."""
    while not stop.is_set():
        with suppress(queue.Full):
            return outbox.put(message, timeout=0.1)


def _obey(connection: Connection, go: threading.Event, stop: threading.Event) -> None:
    """None is the wish to end; the end of the connection is the service's, and then this is not to stay behind."""
    try:
        while connection.recv() is not None:
            go.set()
        stop.set()
        go.set()
    except (EOFError, OSError):
        stop.set()
        go.set()
        threading.Event().wait(_STOP_S)
        os._exit(0)


def _send_all(connection: Connection, outbox: "queue.Queue[object]") -> None:
    while True:
        try:
            message = outbox.get(timeout=_HEARTBEAT_S)
        except queue.Empty:
            message = _Beat()
        if message is None:
            return
        try:
            connection.send(message)
        except OSError:  # nobody is there any more
            os._exit(0)
