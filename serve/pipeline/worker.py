"""A worker: a process of its own that is watched, and started again with growing pauses when it dies or hangs.

What it does stands in a function `main(connection, *arguments)` that another process can import. It answers first
with `Ready`, or raises an InspectionError where it cannot work; then both sides send each other whatever pickles.
None asks it to end; where its parent dies, the connection ends (EOFError), and it must end too.
"""

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from inspection.errors import InspectionError

# Workers are forked from a process that has imported, once, what takes seconds to: units are rejected while a worker
# that died is started again. Nothing in it has threads but OpenBLAS, which knows of forks: the runtimes are imported
# by the worker. It starts with the first worker, and anew where it was killed.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["inspection.archive", "inspection.frames", "inspection.package"])
_LOOK_S = 0.1  # how often the watch looks whether a worker hangs or is to stop
_STOP_S = 5.0  # how long a worker may take to end by itself
_KILL_S = 5.0  # how long the system may take to end it


class WorkerFailed(InspectionError):
    """A worker cannot be started, or dies again and again."""

    code = "worker_failed"

    def __init__(self, message: str, refused: "Refused | None" = None) -> None:
        super().__init__(message)
        self.refused = refused  # what the process itself said, where it could


@dataclass(frozen=True)
class Ready:
    """A worker's first message: it is at work. `said` is whatever its owner wants to know."""

    said: Any = None


@dataclass(frozen=True)
class Refused:
    """A worker's first and last message: it cannot do its work, and why. `code` is the error's."""

    code: str
    message: str


@dataclass(frozen=True)
class Backoff:
    """Pauses before a restart: `first_s`, doubled each time up to `longest_s`, from the first again after `calm_s` of
    work. More than `most` deaths within `calm_s` are too many: the worker is given up."""

    first_s: float = 0.05
    longest_s: float = 5.0
    calm_s: float = 60.0
    most: int = 8

    def pause_s(self, deaths: int) -> float:
        """Before the restart after so many deaths in a row, 1 or more."""
        return float(min(self.longest_s, self.first_s * 2 ** min(deaths - 1, 60)))  # 2**1024 is no float any more


class Worker:
    """Runs `main(connection, *arguments)` in another process. All callbacks come from the worker's own watch thread,
    in the order of what happened: `up(said)`, `message(anything)`…, `down(why)`, `up`…; `gave_up(why)` is the last.

    `hung` is asked ten times a second whether the process owes something for too long; it is killed then.
    """

    def __init__(
        self,
        name: str,
        main: Callable[..., None],
        arguments: tuple[Any, ...],
        *,
        message: Callable[[Any], None],
        up: Callable[[Any], None] = lambda _: None,
        down: Callable[[str], None] = lambda _: None,
        gave_up: Callable[[str], None] = lambda _: None,
        hung: Callable[[], bool] = lambda: False,
        start_s: float = 120.0,
        backoff: Backoff | None = None,
    ) -> None:
        self.name, self._main, self.arguments = name, main, arguments
        self._message, self._up, self._down, self._gave_up, self._hung = message, up, down, gave_up, hung
        self._start_s, self._backoff = start_s, backoff or Backoff()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._handle: int | None = None  # of the process, whoever it was forked from
        self._connection: Connection | None = None
        self._outbox: queue.SimpleQueue[tuple[Connection, Any] | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._ending = threading.Lock()
        self._writing = threading.Lock()  # a connection is not closed under whoever writes to it
        self._watch = threading.Thread(target=self._watch_it, name=f"watch {name}", daemon=True)
        self._sender = threading.Thread(target=self._send_all, name=f"send {name}", daemon=True)
        self._restarts = 0
        self._unwanted = ""
        self.refused: Refused | None = None  # what the process said when it last could not start, if it could not

    @property
    def pid(self) -> int | None:
        """Of the process that is at work, or None."""
        process = self._process
        return process.pid if process and self._connection else None

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return self._restarts

    def start(self) -> Any:
        """Start it and wait until it is at work; returns what it said. Raises WorkerFailed."""
        said = self._spawn()
        if isinstance(said, Refused):
            self._end_process()
            raise WorkerFailed(f"{self.name} cannot start: {said.message}", said)
        self._up(said)
        self._sender.start()
        self._watch.start()
        return said

    def send(self, message: Any) -> bool:
        """Send it, without waiting; False where the worker is down. What is on its way when it dies is lost."""
        connection = self._connection
        if connection is None:
            return False
        self._outbox.put((connection, message))
        return True

    def restart(self, why: str) -> None:
        """Have it killed and started again, soon; `down` is told why."""
        self._unwanted = why

    def stop(self, patience_s: float = _STOP_S) -> None:
        """End it: it is sent None, and killed where it has not ended after `patience_s`. Not for a callback to call."""
        self._stop.set()
        if self._watch.is_alive():
            self._watch.join()
        self._end_process(patience_s)
        self._outbox.put(None)

    def _watch_it(self) -> None:
        deaths: deque[float] = deque()
        while not self._stop.is_set():
            why = self._receive()
            self._end_process(0)
            if self._stop.is_set():
                return
            now = time.monotonic()
            deaths.append(now)
            while deaths[0] < now - self._backoff.calm_s:
                deaths.popleft()
            self._down(why)
            if not self._again(deaths, why):
                return

    def _again(self, deaths: deque[float], why: str) -> bool:
        """Start it until it is at work; False where it is given up or not wanted any more."""
        while len(deaths) <= self._backoff.most:
            if self._stop.wait(self._backoff.pause_s(len(deaths))):
                return False
            self._restarts += 1
            said = self._spawn()
            self.refused = said if isinstance(said, Refused) else None
            if not self.refused:
                self._up(said)
                return True
            self._end_process(0)
            why = self.refused.message
            deaths.append(time.monotonic())
        self._gave_up(f"{self.name} failed {len(deaths)} times within {self._backoff.calm_s:g} s, at last: {why}")
        return False

    def _spawn(self) -> Any:
        """What the new process said when it was ready, or Refused."""
        ours, theirs = _context.Pipe()
        process = _context.Process(target=_run, args=(theirs, self._main, self.arguments), name=self.name, daemon=True)
        try:
            process.start()
            self._process = process
            self._handle = os.pidfd_open(process.pid or 0)
        except Exception as error:  # no memory, no process left, or what it is forked from died: it is tried again
            ours.close()
            return Refused("worker_failed", f"no process can be started for it: {error or type(error).__name__}")
        finally:
            theirs.close()
        until = time.monotonic() + self._start_s
        try:
            while not ours.poll(_LOOK_S):
                if self._stop.is_set() or time.monotonic() > until:
                    ours.close()
                    return Refused("worker_failed", f"it was not ready within {self._start_s:g} s")
            said = ours.recv()
        except (EOFError, OSError):
            said = Refused("worker_failed", f"it ended while it started ({self._exit()})")
        if isinstance(said, Ready):
            self._connection = ours
            return said.said
        ours.close()
        return said if isinstance(said, Refused) else Refused("worker_failed", f"it said {said!r} instead of Ready")

    def _receive(self) -> str:
        """Hand on messages until the worker is gone; returns why."""
        connection = self._connection
        assert connection is not None
        self._unwanted = ""  # what it was not wanted for went with the one before
        while not self._stop.is_set():
            if self._unwanted:
                return self._unwanted
            try:
                if connection.poll(_LOOK_S):
                    self._message(connection.recv())
                    continue
            except (EOFError, OSError):
                return f"{self.name} died ({self._exit()})"
            if self._hung():
                return f"{self.name} gave no answer in time and was killed"
        return "stopped"

    def _send_all(self) -> None:
        while (item := self._outbox.get()) is not None:
            connection, message = item
            with self._writing, suppress(OSError):  # it died; the watch sees that too
                if not connection.closed:
                    connection.send(message)

    def _end_process(self, patience_s: float = 0) -> None:
        connection, self._connection = self._connection, None
        process = self._process
        with self._ending:  # it may be stopped while it is started
            handle, self._handle = self._handle, None
        if handle is not None and connection and patience_s:
            self._outbox.put((connection, None))  # asks it to end
            wait([handle], patience_s)
        if handle is not None:
            # Not by `process`: where what it was forked from died, that takes it for dead and would let it live.
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            wait([handle], _KILL_S)
            os.close(handle)
        if process:
            process.join(_KILL_S)
        if connection:
            with self._writing:  # a write to a killed process ends at once
                connection.close()

    def _exit(self) -> str:
        process = self._process
        if process is None:
            return "never started"
        process.join(1)
        code = process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def _run(connection: Connection, main: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """In the worker: a refusal is told, an end of the connection is the end."""
    for number in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C goes to the whole group; the service ends its workers
        signal.signal(number, signal.SIG_IGN)
    try:
        main(connection, *arguments)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except InspectionError as error:
        with suppress(OSError):
            connection.send(Refused(error.code, str(error)))
