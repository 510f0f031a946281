"""What a camera is watched for: silence, a frozen picture, another resolution, gaps in its count. Pure."""

from inspection.frames import Frame, Pixels
from inspection.verdict import Reason
from serve.cameras.camera import Fault, Shot, Watched

_STRIP = 32  # rows compared at once: real frames differ in the first, so that the rest is not looked at
_LARGEST_GAP = 1_000_000  # a longer one is a count that began anew


class Silence:
    """Whether nothing came for `limit_s`; without a limit it never is silence."""

    def __init__(self, limit_s: float | None, now: float) -> None:
        self._limit_s, self._heard = limit_s, now

    def heard(self, now: float) -> None:
        """A shot came, or the camera was opened."""
        self._heard = now

    def lasts_s(self, now: float) -> float:
        """For how long it has been too silent, 0 where it is not."""
        silent_s = now - self._heard
        return silent_s if self._limit_s is not None and silent_s >= self._limit_s else 0.0


class Frozen:
    """Tells frames from the `after`-th identical one in a row on; 0 is never. Keeps the last frame's pixels."""

    def __init__(self, after: int) -> None:
        self._after, self._same = after, 0
        self._last: Pixels | None = None

    def check(self, frame: Frame) -> Fault | None:
        """The fault that the frame is, or None."""
        if not self._after:
            return None
        same = self._last is not None and identical(self._last, frame.pixels)
        self._last, self._same = frame.pixels, self._same + 1 if same else 1
        if self._same < self._after:
            return None
        message = f"camera {frame.camera!r} is frozen: {self._same} frames in a row are the same to the last bit"
        return Fault(Reason.FRAME_FROZEN, message, frame.sequence)


class Geometry:
    """Tells frames of another shape than `expect`, (height, width), or than the first."""

    def __init__(self, expect: tuple[int, int] | None) -> None:
        self._shape = expect

    def check(self, frame: Frame) -> Fault | None:
        """The fault that the frame is, or None."""
        height, width = frame.pixels.shape[:2]
        if self._shape is None:
            self._shape = height, width
        if (height, width) == self._shape:
            return None
        message = (
            f"camera {frame.camera!r} gave a frame of {width} x {height} pixels; "
            f"its frames are {self._shape[1]} x {self._shape[0]}"
        )
        return Fault(Reason.FRAME_WRONG_GEOMETRY, message, frame.sequence)


class Gaps:
    """Counts the frames that are missing in a camera's own count."""

    def __init__(self) -> None:
        self._next: int | None = None

    def lost(self, sequence: int | None) -> int:
        """How many are missing before this one. A count that jumps back, or very far, began anew."""
        if sequence is None:
            return 0
        expected, self._next = self._next, sequence + 1
        gap = 0 if expected is None else sequence - expected
        return gap if 0 < gap <= _LARGEST_GAP else 0

    def restart(self) -> None:
        """The count may begin anywhere."""
        self._next = None


class Checks:
    """Makes a fault of each frame that is of another shape, or frozen."""

    def __init__(self, watched: Watched) -> None:
        self._checks = Geometry(watched.expect), Frozen(watched.frozen_after)

    def check(self, shot: Shot) -> Shot:
        """The shot, or the fault that it is."""
        if isinstance(shot, Fault):
            return shot
        return next((fault for one in self._checks if (fault := one.check(shot))), shot)


def identical(one: Pixels, other: Pixels) -> bool:
    """Whether two images are the same to the last bit; different ones are told apart by their first rows."""
    if one.shape != other.shape:
        return False
    starts = range(0, len(one), _STRIP)
    return all((one[start : start + _STRIP] == other[start : start + _STRIP]).all() for start in starts)
