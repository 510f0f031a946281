"""How much time the shadow may take."""

import time
from collections.abc import Callable

_OVER_S = 10.0  # over so long it is averaged


class Share:
    """A share (0 to 1) of one processor core's time, averaged over ten seconds: what was not used longer ago is gone.

    Not for several threads at once. `clock` is monotonic, in seconds.
    """

    def __init__(self, share: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._share, self._clock, self._at = share, clock, clock()
        self._left_s = share * _OVER_S

    @property
    def left(self) -> bool:
        """Whether any time is left. The last piece of work may overdraw it: then it rests for as long as it takes."""
        now = self._clock()
        self._left_s = min(self._share * _OVER_S, self._left_s + self._share * (now - self._at))
        self._at = now
        return self._left_s > 0

    def used(self, seconds: float) -> None:
        """So much processor time was used."""
        self._left_s -= max(0.0, seconds)
