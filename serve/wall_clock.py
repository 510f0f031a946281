"""The wall clock beside the monotonic one: what time a moment was, and whether somebody has set the clock."""

import time
from collections.abc import Callable
from datetime import UTC, datetime


def wall_time_of(monotonic_s: float) -> datetime:
    """The UTC time of a moment on the monotonic clock, as the wall clock stands now."""
    return datetime.fromtimestamp(time.time() - (time.monotonic() - monotonic_s), UTC)


class ClockWatch:
    """Sees that the wall clock was set by more than `step_s` between two looks: records would tell wrong times."""

    def __init__(
        self,
        step_s: float = 0.5,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._step_s, self._wall, self._monotonic = step_s, wall, monotonic
        self._ahead = wall() - monotonic()

    def step_s(self) -> float:
        """By how many seconds the clock was set since the last look, forwards or back; 0 where it was not."""
        ahead = self._wall() - self._monotonic()
        step, self._ahead = ahead - self._ahead, ahead
        return step if abs(step) > self._step_s else 0.0
