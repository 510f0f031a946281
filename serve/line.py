"""The line: a camera's shots go through a bounded queue to the station, and each unit gets exactly one disposition."""

import queue
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from inspection.archive import ArchiveFault
from inspection.frames import Frame
from inspection.station import Disposition, Station
from inspection.verdict import Reason
from serve.cameras import Camera, Fault, Shot

State = Literal["ready", "running", "finished", "stopped", "failed"]
_KEPT_LATENCIES = 1000


@dataclass(frozen=True)
class _Waiting:
    shot: Shot
    unit: str
    opened: float


class Tally:
    """Counts of dispositions, and the latest latencies in ms. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._latencies: deque[float] = deque(maxlen=_KEPT_LATENCIES)

    def add(self, disposition: Disposition) -> None:
        """Count one."""
        with self._lock:
            self._counts[(disposition.outcome, disposition.reason)] += 1
            if disposition.entry and disposition.entry.latency_ms is not None:
                self._latencies.append(disposition.entry.latency_ms)

    def snapshot(self) -> dict[str, Any]:
        """Units, counts by outcome and by reason, and the median latency in ms."""
        with self._lock:
            counts, latencies = dict(self._counts), sorted(self._latencies)
        outcomes: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for (outcome, reason), number in counts.items():
            outcomes[str(outcome)] += number
            reasons[str(reason)] += number
        return {
            "units": sum(counts.values()),
            "outcomes": {name: outcomes[name] for name in ("PASS", "REVIEW", "REJECT")},
            "reasons": dict(reasons.most_common()),
            "latency_ms_p50": latencies[len(latencies) // 2] if latencies else None,
        }


class Line:
    """Runs a camera through a station until the camera ends or `stop` is called. `tell` is given each disposition."""

    def __init__(self, station: Station, camera: Camera, tell: Callable[[Disposition], object]) -> None:
        self._station, self._camera, self._tell = station, camera, tell
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue(station.recipe.queue)
        self._stop = threading.Event()
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
        """Take no more shots, finish the units that wait, record the stop."""
        self._stop.set()
        self.wait()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; whether it came."""
        self._feeder.join(timeout)
        self._worker.join(timeout)
        return not self._worker.is_alive()

    def _feed(self) -> None:
        try:
            for shot in self._camera.shots(self._stop):
                self._accept(shot)
            self.state = "stopped" if self._stop.is_set() else "finished"
        except Exception as error:  # a camera that dies must not take the units in the queue with it
            self.alarm = f"the camera failed: {type(error).__name__}: {error}"
            self.state = "failed"
        finally:
            self._waiting.put(None)

    def _accept(self, shot: Shot) -> None:
        waiting = _Waiting(shot, self._station.new_unit(), self._station.clock())
        try:
            self._waiting.put_nowait(waiting)
        except queue.Full:
            message = f"{self._waiting.maxsize} units were already waiting; the station is slower than the line"
            frame = shot if isinstance(shot, Frame) else None
            self._tell(self._station.reject(Reason.QUEUE_FULL, message, waiting.unit, frame))

    def _work(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            self._tell(self._decide(waiting))
        try:
            self._station.note(f"line_{self.state}", **({"alarm": self.alarm} if self.alarm else {}))
        except ArchiveFault as error:
            self.alarm = self.alarm or str(error)

    def _decide(self, waiting: _Waiting) -> Disposition:
        if isinstance(waiting.shot, Fault):
            return self._station.reject(waiting.shot.reason, waiting.shot.message, waiting.unit)
        return self._station.inspect(waiting.shot, waiting.unit, waiting.opened)
