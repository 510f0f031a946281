"""How far a run is and how long it will take: exact counts, and the time left at the rate of this session."""

import json
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`rate` is units in a second since this session began, `seconds_left` what is left at that rate; both None while
    nothing was done yet."""

    done: int
    total: int
    rate: float | None
    seconds_left: float | None

    def line(self) -> str:
        """One line of JSON for a supervisor."""
        return json.dumps({
            "event": "progress", "done": self.done, "total": self.total,
            "units_per_second": None if self.rate is None else round(self.rate, 3),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left, 1),
        })  # fmt: skip


class ProgressClock:
    """Turns counts into `Progress`; `clock` gives seconds that only go on."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began: tuple[float, int] | None = None
        self._said: float | None = None

    def at(self, done: int, total: int) -> Progress:
        """Where the run is. The first call begins the session: what was done before it says nothing of the rate."""
        now = self._clock()
        if self._began is None:
            self._began = now, done
        took, since = now - self._began[0], done - self._began[1]
        rate = since / took if since and took > 0 else None
        left = 0.0 if done >= total else (total - done) / rate if rate else None
        return Progress(done, total, rate, left)

    def due(self, progress: Progress, every_s: float = 1.0) -> bool:
        """Whether it is time to say so again: the first, the last, and one a second between."""
        now = self._clock()
        if self._said is None or progress.done >= progress.total or now - self._said >= every_s:
            self._said = now
            return True
        return False
