"""The line: a camera's shots go through a bounded queue to the station, and each unit gets exactly one disposition."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from inspection.archive import ArchiveFault
from inspection.frames import Frame
from inspection.station import Disposition, Station
from inspection.verdict import Reason
from serve.cameras import Camera, Fault, Shot

State = Literal["ready", "running", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class _Waiting:
    shot: Shot
    unit: str
    opened: float


class Line:
    """Runs a camera through a station until the camera ends or `stop` is called.

    `tell` is given each disposition, `changed` is called when `state` or `alarm` has changed; both from the line's own
    threads. `stop` waits `camera_patience_s` for a camera that does not answer, and then goes on without it.
    """

    def __init__(
        self,
        station: Station,
        camera: Camera,
        tell: Callable[[Disposition], object],
        changed: Callable[[], object] = lambda: None,
        camera_patience_s: float = 5.0,
    ) -> None:
        self._station, self._camera, self._tell, self._changed = station, camera, tell, changed
        self._camera_patience_s = camera_patience_s
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue(station.recipe.queue)
        self._stop = threading.Event()
        self._gate, self._ended = threading.Lock(), False
        self._feeder = threading.Thread(target=self._feed, name="camera", daemon=True)
        self._worker = threading.Thread(target=self._work, name="inspect", daemon=True)
        self.state: State = "ready"
        self.alarm = ""

    def start(self) -> None:
        """Begin. Raises ArchiveFault where the start cannot be recorded."""
        self._station.note("line_started")
        self.state = "running"
        self._worker.start()
        self._feeder.start()

    def stop(self) -> None:
        """Take no more shots, finish the units that wait, record the stop. Nothing to do where `start` failed."""
        self._stop.set()
        if self.state == "ready":
            return
        self._feeder.join(self._camera_patience_s)
        self._end("failed", f"the camera did not stop within {self._camera_patience_s:g} s")  # unless it has ended
        self._worker.join()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; whether it came."""
        self._worker.join(timeout)
        return not self._worker.is_alive()

    def _feed(self) -> None:
        try:
            for shot in self._camera.shots(self._stop):
                self._accept(shot)
            self._end("stopped" if self._stop.is_set() else "finished")
        except Exception as error:  # a camera that dies must not take the units in the queue with it
            self._end("failed", f"the camera failed: {type(error).__name__}: {error}")

    def _accept(self, shot: Shot) -> None:
        waiting = _Waiting(shot, self._station.new_unit(), self._station.clock())
        try:
            with self._gate:
                if not self._ended:
                    self._waiting.put_nowait(waiting)
        except queue.Full:
            message = f"{self._waiting.maxsize} units were already waiting; the station is slower than the line"
            frame = shot if isinstance(shot, Frame) else None
            self._account(self._station.reject(Reason.QUEUE_FULL, message, waiting.unit, frame))

    def _end(self, state: State, alarm: str = "") -> None:
        """The last shot is in the queue: let the worker end after it. The first call counts."""
        with self._gate:
            if self._ended:
                return
            self._ended = True
        self.state, self.alarm = state, alarm
        self._changed()
        self._waiting.put(None)

    def _work(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            self._account(self._decide(waiting))
        try:
            self._station.note(f"line_{self.state}", **({"alarm": self.alarm} if self.alarm else {}))
        except ArchiveFault as error:
            self.alarm = self.alarm or str(error)
            self._changed()

    def _decide(self, waiting: _Waiting) -> Disposition:
        if isinstance(waiting.shot, Fault):
            return self._station.reject(waiting.shot.reason, waiting.shot.message, waiting.unit)
        return self._station.inspect(waiting.shot, waiting.unit, waiting.opened)

    def _account(self, disposition: Disposition) -> None:
        try:
            self._tell(disposition)
        except Exception as error:  # whoever listens must not stop the line
            self.alarm = f"a disposition could not be told: {type(error).__name__}: {error}"
            self._changed()
