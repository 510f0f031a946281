"""The conveyor: triggers, frames, findings and records come together here, in one thread, in the order of their coming.

Everything that happens is an event in one queue; nothing in this thread waits for anything but the next event, or for
the time at which a unit is due. So the book and the joiners need no locks, and a unit's time is kept whatever hangs.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from inspection.frames import Frame, Pixels
from inspection.image_finding import ImageFinding
from inspection.records import Entry
from inspection.station import Disposition, Station, fault_text
from inspection.unit_record import UnitAccount, correction_draft
from inspection.verdict import Outcome, Reason
from serve.cameras import Fault, Shot
from serve.pipeline.book import Timing, UnitBook
from serve.pipeline.joining import CameraJoiner, Placed
from serve.pipeline.recorder import Recorder

_MOST_LOST = 100  # units that a gap in a camera's count may stand for; a longer one is a count that began anew
_DOUBTFUL = "a frame may be this unit's or another's: the camera's count and the times do not agree"


class Inspects(Protocol):
    """What frames are given to; `Inspector` is the one. `busy_s` is how long it takes for what waits there and so many
    frames more, as far as it knows."""

    def busy_s(self, more: int) -> float: ...

    def ask(
        self,
        name: str,
        pixels: Pixels,
        answer: Callable[[ImageFinding], None],
        decide_by: float,
        wanted: Callable[[], bool],
    ) -> None: ...


class Challenged(Protocol):
    """Who knows of challenge kits: why a unit of a batch cannot pass, what the unit that comes by now is of a kit, if
    it is, and who is told of its record. None of these may wait."""

    def blocked(self, batch: str | None) -> str: ...

    def take(self) -> dict[str, Any] | None: ...

    def decided(self, taken: dict[str, Any], entry: Entry | None, message: str) -> None: ...


class Offers(Protocol):
    """Who may look at a unit's frames once it was told; whatever comes of it, the line does not hear of it."""

    def offer(self, disposition: Disposition, frames: Sequence[Frame]) -> None: ...


@dataclass(frozen=True)
class CameraTiming:
    """Of each unit a camera gives `frames`, from `after_s` to `within_s` after the trigger."""

    frames: int = 1
    after_s: float = 0.0
    within_s: float = 0.1


class Conveyor:
    """Takes triggers and shots, gives each unit's disposition to `tell`.

    Without `triggered`, the one camera's frames open the units: every `frames` of its own count are one. `doubt(camera,
    why)` asks for a camera to be restarted; `restarted` is to be called once it was. After `consecutive_rejects` units
    in a row that did not pass (0: never) the station stops: `alarm(code, why)` says so, and what comes is rejected
    until `resume`. Where `most_waiting` units are on their way, the next is rejected. All callbacks come from the
    conveyor's or the recorder's thread and must not wait. `timed` is told how long each `record` took, in seconds;
    `challenged` says which units are a challenge kit's, and whether others are blocked; a `shadow` is offered each unit
    after it was told.
    """

    def __init__(
        self,
        station: Station,
        inspector: Inspects,
        cameras: Mapping[str, CameraTiming],
        timing: Timing,
        tell: Callable[[Disposition], None],
        *,
        triggered: bool,
        doubt: Callable[[str, str], None] = lambda _camera, _why: None,
        alarm: Callable[[str, str], None] = lambda _code, _why: None,
        timed: Callable[[str, float], None] = lambda _stage, _seconds: None,
        consecutive_rejects: int = 0,
        most_waiting: int = 1000,
        challenged: Challenged | None = None,
        shadow: Offers | None = None,
    ) -> None:
        if not triggered and len(cameras) != 1:
            msg = f"without a trigger one camera opens the units, got {len(cameras)}"
            raise ValueError(msg)
        self._station, self._inspector, self._cameras, self._triggered = station, inspector, dict(cameras), triggered
        self._tell, self._doubt, self._alarm, self._timed = tell, doubt, alarm, timed
        self._challenged, self._shadow = challenged, shadow
        self._shown: dict[int, tuple[Frame, ...]] = {}  # what the shadow is offered of units that are not told yet
        self._kit: dict[int, dict[str, Any]] = {}  # units of a challenge kit that are not on record yet
        self._decided: dict[int, float] = {}  # when units that are being recorded were decided
        self._most_rejects, self._rejects, self._most_waiting = consecutive_rejects, 0, most_waiting
        self._events: queue.SimpleQueue[Callable[[float], None]] = queue.SimpleQueue()
        self._joiners = {
            name: CameraJoiner[tuple[str, Shot]](one.after_s, one.within_s, one.frames) for name, one in cameras.items()
        }
        self._book = UnitBook({name: one.frames for name, one in cameras.items()}, timing, station.limits, self)
        self._recorder = Recorder(station, self._recorded, partial(alarm, "archive_fault"))
        self._frames, self._decide_s = sum(one.frames for one in cameras.values()), timing.decide_s
        self._number = 0
        self._base: int | None = None  # the camera's count at unit `_base_unit`, where frames open units
        self._base_unit = 0
        self._expected = 0
        self._ending = False
        self._thread = threading.Thread(target=self._work, name="conveyor", daemon=True)
        self.stopped = ""

    @property
    def opened(self) -> int:
        """How many units came by since the start."""
        return self._number

    @property
    def untold(self) -> int:
        """How many units are on their way."""
        return self._book.untold

    @property
    def waiting_records(self) -> int:
        """How many units and events wait to be recorded."""
        return self._recorder.waiting

    def start(self) -> None:
        """Begin. Raises ArchiveFault where the start cannot be recorded."""
        self._station.note("line_started", **self._station.provenance)
        self._recorder.start()
        self._thread.start()

    def stop(self, why: str = "line_stopped", **details: object) -> None:
        """Open no more units, let those on their way come to their end, record them and the stop."""
        self.drain()
        self.close(why, **details)

    def drain(self) -> None:
        """The first half of `stop`: afterwards every unit was told."""
        self._events.put(self._end)
        self._thread.join()

    def close(self, why: str, **details: object) -> None:
        """The second half: record what is still to be recorded, and the stop."""
        self._recorder.event(self._station.event(why, **details))
        self._recorder.stop()

    def trigger(self, name: str | None = None, at: float | None = None, batch: str | None = None) -> None:
        """A unit comes by, triggered at the monotonic time `at` (default: now)."""
        at = time.monotonic() if at is None else at
        self._events.put(lambda _: self._open(name or self._station.new_unit(), at, batch))

    def missed(self, why: str, at: float | None = None) -> None:
        """A unit came by that nobody announced in time: it is rejected."""
        at = time.monotonic() if at is None else at
        self._events.put(lambda now: self._miss(why, at, now))

    def reject_all(self, reason: Reason, why: str) -> None:
        """Reject whatever is on its way and not on record as passed yet."""
        self._events.put(lambda now: self._reject_all(reason, why, now))

    def undelivered(self, entry: Entry, why: str) -> None:
        """A PASS is on record of a unit that was not let through: put the correction on record."""
        self._recorder.event(correction_draft(entry, "not_delivered", why))

    def shot(self, camera: str, shot: Shot, at: float | None = None) -> None:
        """A camera gave a frame, or a fault instead of one, at the monotonic time `at` (default: now)."""
        at = time.monotonic() if at is None else at
        take = self._join if self._triggered else self._open_by_frame
        self._events.put(lambda now: take(camera, shot, at, now))

    def restarted(self, camera: str) -> None:
        """A camera was started anew: it has no frames of units that were opened before."""
        self._events.put(lambda _: self._camera_restarted(camera))

    def resume(self, why: str, by: str) -> None:
        """A person lets a stopped station go on."""
        self._events.put(lambda _: self._resume(why, by))

    def note(self, what: str, **details: object) -> None:
        """Put an event on record, among the units."""
        self._recorder.event(self._station.event(what, **details))

    # What the book has done for it

    def inspect(self, number: int, index: int, frame: Frame, decide_by: float) -> None:
        """See `Hands`."""
        self._inspector.ask(
            frame.name,
            frame.pixels,
            lambda found: self._found(number, index, self._station.counted(found, frame)),
            decide_by,
            lambda: self._book.wanted(number),
        )

    def _found(self, number: int, index: int, found: ImageFinding) -> None:
        self._events.put(lambda now: self._book.found(number, index, found, now))

    def record(self, number: int, account: UnitAccount) -> None:
        """See `Hands`."""
        self._decided[number] = time.monotonic()
        if self._shadow:
            self._shown[number] = tuple(seen.frame for seen in account.seen)
        self._recorder.unit(number, account)

    def tell(self, number: int, disposition: Disposition) -> None:
        """See `Hands`."""
        try:
            self._tell(disposition)
        except Exception as error:  # whoever listens must not stop the line
            self._alarm("not_told", f"{disposition.unit} could not be told: {fault_text(error)}")
        if self._shadow:
            with suppress(Exception):  # nothing of it may touch the line
                self._shadow.offer(disposition, self._shown.pop(number, ()))
        if disposition.reason is Reason.CHALLENGE:  # which was to be rejected
            return
        self._rejects = 0 if disposition.outcome is Outcome.PASS else self._rejects + 1
        if self._most_rejects and self._rejects >= self._most_rejects and not self.stopped:
            self.stopped = f"{self._rejects} units in a row did not pass, at last for {disposition.reason}"
            self._recorder.event(self._station.event("station_stopped", message=self.stopped))
            self._alarm("station_stopped", self.stopped)

    def correct(self, entry: Entry, message: str) -> None:
        """See `Hands`."""
        self._recorder.event(correction_draft(entry, "late_record", message))

    # Events, in the conveyor's thread

    def _work(self) -> None:
        while not (self._ending and self._book.empty):
            due = self._book.next_due()
            if self._triggered and due is None:
                due = time.monotonic() + 0.05  # early frames are given up after a while
            wait = None if due is None else max(0.0, due - time.monotonic())
            try:
                event = self._events.get(timeout=wait)
            except queue.Empty:
                pass
            else:
                self._do(event)
            self._do(self._time_went_by)

    def _do(self, event: Callable[[float], None]) -> None:
        """Whatever goes wrong with one event, the others must have their turn, and units their time."""
        try:
            event(time.monotonic())
        except Exception as error:
            self._alarm("conveyor_fault", f"an event was lost: {fault_text(error)}")

    def _time_went_by(self, now: float) -> None:
        for joiner in self._joiners.values() if self._triggered else ():
            self._place(joiner.passed(now), now)
        self._book.tick(now)

    def _end(self, _: float) -> None:
        self._ending = True

    def _open(self, name: str, at: float, batch: str | None = None) -> None:
        if self._ending:
            return
        self._number += 1
        kit = self._challenged.take() if self._challenged else None
        counted = None if kit else self._station.count(batch)  # a kit's unit is of no batch
        self._book.open(self._number, name, at, counted, kit)
        now = time.monotonic()
        why = "" if kit or not self._challenged else self._challenged.blocked(counted)
        if kit:
            self._kit[self._number] = kit
        elif why:
            self._book.fault(self._number, Reason.STATION_STOPPED, why, now)
        elif self.stopped:
            self._book.fault(self._number, Reason.STATION_STOPPED, self.stopped, now)
        elif self._book.untold > self._most_waiting:
            message = f"{self._most_waiting} units were already on their way; the station is slower than the line"
            self._book.fault(self._number, Reason.QUEUE_FULL, message, now)
        elif now + (busy_s := self._inspector.busy_s(self._frames)) > at + self._decide_s:
            # Looked at in vain it would cost the time of those behind it, and under overload none would be in time.
            message = f"not inspected: it would have taken {busy_s * 1000:.0f} ms more to look at all its frames"
            self._book.fault(self._number, Reason.LATE, message, now)
        for joiner in self._joiners.values() if self._triggered else ():
            self._place(joiner.opened(self._number, at), now)

    def _miss(self, why: str, at: float, now: float) -> None:
        self._open(self._station.new_unit(), at)
        if not self._ending:
            self._book.fault(self._number, Reason.TRIGGER_LOST, why, now)

    def _reject_all(self, reason: Reason, why: str, now: float) -> None:
        for number in list(self._book):
            self._book.fault(number, reason, why, now)

    def _join(self, camera: str, shot: Shot, at: float, now: float) -> None:
        self._place(self._joiners[camera].shot((camera, shot), shot.sequence, at), now)

    def _place(self, placed: list[Placed[tuple[str, Shot]]], now: float) -> None:
        for one in placed:
            camera, shot = one.token if one.token else ("", None)
            for number in one.doubtful:
                if self._book.full(number, camera):
                    self._book.fault(number, Reason.FRAME_EXTRA, f"{camera} gave a frame more than a unit has", now)
                else:
                    self._book.fault(number, Reason.FRAME_DOUBTFUL, _DOUBTFUL, now)
            if shot is None:
                continue
            if one.unit is not None:
                self._give(one.unit, shot, now)
            elif self._joiners[camera].in_doubt:
                self._doubt(camera, f"{camera}: a frame belongs to no unit, or nobody can say to which")

    def _open_by_frame(self, camera: str, shot: Shot, at: float, now: float) -> None:
        """Every so many of the camera's count are a unit; a gap in the count may be units that went by unseen."""
        sequence = self._expected if shot.sequence is None else shot.sequence
        if self._base is None or not 0 <= sequence - self._expected <= _MOST_LOST * self._cameras[camera].frames:
            self._base, self._base_unit = sequence, self._number + 1
        number = self._base_unit + (sequence - self._base) // self._cameras[camera].frames
        while self._number < number and not self._ending:
            self._open(self._station.new_unit(), at)
            if self._number < number:
                self._book.fault(self._number, Reason.FRAME_LOST, f"{camera} counted a frame that never came", now)
        self._expected = sequence + 1
        self._give(number, shot, now)

    def _give(self, number: int, shot: Shot, now: float) -> None:
        if isinstance(shot, Fault):
            self._book.fault(number, shot.reason, shot.message, now)
        else:
            self._book.frame(number, shot, now)

    def _camera_restarted(self, camera: str) -> None:
        self._joiners[camera].restarted()
        self._base = None

    def _resume(self, why: str, by: str) -> None:
        if self.stopped:
            self._recorder.event(self._station.event("station_resumed", by=by, message=why, stopped=self.stopped))
            self.stopped, self._rejects = "", 0
            self._alarm("station_stopped", "")

    def _recorded(self, number: int, entry: Entry | None, message: str) -> None:
        self._events.put(lambda now: self._on_record(number, entry, message, now))

    def _on_record(self, number: int, entry: Entry | None, message: str, now: float) -> None:
        self._timed("record", now - self._decided.pop(number))
        self._book.recorded(number, entry, message, now)
        if kit := self._kit.pop(number, None):
            assert self._challenged
            self._challenged.decided(kit, entry, message)
