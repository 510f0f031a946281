"""Which unit a frame belongs to: by when it came, and by its place in the camera's own count. Both must agree.

A frame never comes before its time: what is late came too late, so its time names its own unit or a later one. A camera
never counts too far ahead of the triggers, so its count names its own unit or an earlier one. Where both name the same
unit, it is the right one. Where they do not, nobody can say whose the frame is: the units in question are doubtful, and
the camera is in doubt, its frames nobody's, until it was restarted and so has no old frames in its buffers.
"""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

Token = TypeVar("Token")


@dataclass(frozen=True)
class Placed(Generic[Token]):
    """A frame's unit by its number, or None where it is nobody's; `doubtful` units must not pass."""

    token: Token | None
    unit: int | None
    doubtful: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Window:
    number: int
    opens: float
    closes: float


class CameraJoiner(Generic[Token]):
    """One camera's frames, of which each unit has `frames`, that come from `after_s` to `within_s` after its trigger.

    `after_s` may be negative: a trigger that is read from a PLC is seen later than the frame that it fired. Units have
    numbers that count up by one, and times that overlap are in doubt: units must come slower than `within_s - after_s`.
    Times are seconds of one monotonic clock.
    """

    def __init__(self, after_s: float, within_s: float, frames: int = 1) -> None:
        if within_s <= after_s or frames < 1:
            msg = f"frames must have time to come, got {frames} from {after_s} s to {within_s} s"
            raise ValueError(msg)
        self._after_s, self._within_s, self._frames = after_s, within_s, frames
        self._windows: deque[_Window] = deque()
        self._early: deque[tuple[Token, int | None, float]] = deque()
        self._placed: tuple[int, float] | None = None
        self._first: int | None = None  # the first unit since the camera was restarted
        self._base: tuple[int, int] | None = None  # that unit, and the camera's count at its first frame
        self.in_doubt = False

    def opened(self, number: int, at: float) -> list[Placed[Token]]:
        """A unit was triggered. Gives what becomes of frames that came a little before it was known."""
        window = _Window(number, at + self._after_s, at + self._within_s)
        self._windows.append(window)
        if self._first is None:
            self._first = number
        placed: list[Placed[Token]] = []
        if self._placed and self._placed[0] != number and self._placed[1] >= window.opens:
            placed.append(self._doubt(None, (self._placed[0], number)))
        early, self._early = self._early, deque()
        return [*placed, *(one for held in early for one in self.shot(*held))]

    def shot(self, token: Token, sequence: int | None, at: float) -> list[Placed[Token]]:
        """A frame came, the `sequence`-th of the camera; None where it could not say, and time alone decides."""
        while self._windows and self._windows[0].closes < at - self._within_s:
            self._windows.popleft()
        if self.in_doubt:
            return [Placed(token, None)]
        by_time = [one.number for one in self._windows if one.opens <= at <= one.closes]
        if not by_time and self._after_s < 0:
            self._early.append((token, sequence, at))
            return []
        if sequence is None:
            return [Placed(token, by_time[0])] if len(by_time) == 1 else [self._doubt(token, tuple(by_time))]
        by_count = self._by_count(sequence, by_time)
        if by_time != [by_count]:
            return [self._doubt(token, (*by_time, *(() if by_count is None else (by_count,))))]
        self._placed = by_time[0], at
        return [Placed(token, by_time[0])]

    def passed(self, now: float) -> list[Placed[Token]]:
        """Time went by: frames that came before any unit, and for which none was opened since, are nobody's."""
        late: list[Placed[Token]] = []
        while self._early and self._early[0][2] < now + self._after_s:
            token, sequence, _ = self._early.popleft()
            by_count = None if sequence is None else self._by_count(sequence, [])
            late.append(self._doubt(token, () if by_count is None else (by_count,)))
        return late

    def restarted(self) -> None:
        """The camera was started anew: it has no frames of units opened before, and counts from anywhere."""
        self.in_doubt, self._first, self._base, self._placed = False, None, None, None
        self._windows.clear()
        self._early.clear()

    def _by_count(self, sequence: int, by_time: list[int]) -> int | None:
        """The unit by the camera's count; the count begins with the first unit since the restart."""
        if self._base is None and self._first is not None and by_time == [self._first]:
            self._base = self._first, sequence
        if self._base is None or sequence < self._base[1]:
            return None
        return self._base[0] + (sequence - self._base[1]) // self._frames

    def _doubt(self, token: Token | None, doubtful: tuple[int, ...]) -> Placed[Token]:
        # What a camera gives before the first unit is of units that nobody announced: the count begins later.
        self.in_doubt = self.in_doubt or self._first is not None
        return Placed(token, None, tuple(sorted(set(doubtful))))
