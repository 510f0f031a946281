"""How a camera is: a state for its alarm, and what was lost. Pure, the clock passed in."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from inspection.frames import Frame
from inspection.verdict import Reason
from serve.cameras.camera import Shot, Watched
from serve.cameras.watch import Gaps, Silence

State = Literal["up", "down", "silent", "frozen", "finished", "failed"]


@dataclass(frozen=True)
class CameraState:
    """How a camera is, `since` when (monotonic seconds), and why if it is not `up`.

    `finished` is an end as wanted; `failed` will not recover by itself. `lost` counts frames that are missing in the
    camera's own count, `restarts` how often it was opened again.
    """

    name: str
    state: State = "down"
    message: str = ""
    since: float = 0.0
    lost: int = 0
    restarts: int = 0


class Health:
    """Takes what happens to a camera, and tells each change of its state."""

    def __init__(self, name: str, watched: Watched, tell: Callable[[CameraState], None], now: float) -> None:
        self.state = CameraState(name, "down", f"camera {name!r} is not open yet", now)
        self._tell = tell
        self._silence = Silence(watched.silence_s, now)
        self._gaps = Gaps()

    def up(self, now: float, restarts: int = 0) -> None:
        """It was opened, maybe again."""
        self._silence.heard(now)
        self._gaps.restart()
        self._set(replace(self.state, state="up", message="", since=now, restarts=restarts))

    def shot(self, shot: Shot, at: float) -> None:
        """It gave a frame or a fault."""
        self._set(replace(self.state, lost=self.state.lost + self._gaps.lost(shot.sequence)))
        reason = None if isinstance(shot, Frame) else shot.reason
        if reason is not Reason.FRAME_LOST:  # which is to say that nothing came
            self._silence.heard(at)
        state, message = self.state.state, self.state.message
        if not isinstance(shot, Frame) and reason is Reason.FRAME_FROZEN:
            state, message = "frozen", message if state == "frozen" else shot.message
        elif reason is None or (state == "silent" and reason is not Reason.FRAME_LOST):
            state, message = "up", ""
        self._become(state, message, at)

    def look(self, now: float) -> float:
        """Whether it is silent; to be called ten times a second. Returns for how long it has been so (0: it is not)."""
        silent_s = self._silence.lasts_s(now) if self.state.state in ("up", "frozen", "silent") else 0.0
        if silent_s and self.state.state != "silent":
            self._become("silent", f"camera {self.state.name!r} has given no frame for {silent_s:.1f} s", now)
        return silent_s

    def down(self, why: str, now: float) -> None:
        """It is being opened again."""
        self._become("down", why, now)

    def finished(self, now: float) -> None:
        """It came to its end, as wanted."""
        self._become("finished", "", now)

    def failed(self, why: str, now: float) -> None:
        """It is given up."""
        self._become("failed", why, now)

    def _become(self, state: State, message: str, now: float) -> None:
        since = self.state.since if state == self.state.state else now
        self._set(replace(self.state, state=state, message=message, since=since))

    def _set(self, new: CameraState) -> None:
        if new != self.state:
            self.state = new
            self._tell(new)
