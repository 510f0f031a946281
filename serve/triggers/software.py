"""Units that the service's callers announce: over HTTP, or another process over a local socket."""

import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from inspection.config import explain
from inspection.errors import InspectionError
from serve.triggers.announcements import MAX_BYTES, AnnouncementSocket, Answer
from serve.triggers.trigger import Trigger, Triggered, TriggerFault, TriggerOptions

_WAKE_S = 0.2


class TriggerRefused(InspectionError):
    """An announcement that opens no unit: it is malformed, or too many wait."""

    code = "trigger_refused"


class Announcement(BaseModel):
    """What a caller may say of a unit: its id, and the caller's own count."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    unit: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")] | None = None
    count: int | None = Field(default=None, ge=0, lt=2**63)


class SoftwareOptions(TriggerOptions):
    """`path` is where a local socket is made, if one is wanted; `queue` is how many announced units may wait."""

    path: Path | None = None
    socket: Literal["stream", "datagram"] = "stream"
    queue: int = Field(default=64, ge=1, le=10_000)


class SoftwareTrigger(Trigger):
    """Opens a unit for each `fire`, from any thread, and for each announcement on its socket."""

    Options: ClassVar[type[TriggerOptions]] = SoftwareOptions

    def __init__(self, options: TriggerOptions, folder: Path) -> None:
        assert isinstance(options, SoftwareOptions)
        self._waiting: queue.Queue[Triggered] = queue.Queue(options.queue)
        self._lock = threading.Lock()  # of the two below
        self._refused, self._taking = "", True
        self._socket: AnnouncementSocket | None = None
        if options.path is not None:
            self._socket = AnnouncementSocket(folder / options.path, options.socket, self._announced, self._unheard)

    def fire(self, unit: str | None = None, at: float | None = None, count: int | None = None) -> None:
        """Open a unit that came by at the monotonic time `at` (default: now). Raises TriggerRefused."""
        said = {"unit": unit, "count": count}
        try:
            self._open(Announcement.model_validate(said), at)
        except ValidationError as error:
            raise TriggerRefused(f"no unit was opened: {explain(error, Announcement)}") from error

    def units(self, stop: threading.Event) -> Iterator[Triggered]:
        with self._lock:
            self._taking = True
        while not stop.is_set():
            with self._lock:
                refused, self._refused = self._refused, ""
            if refused:
                raise TriggerFault(f"a unit that was announced was not opened: {refused}")
            with suppress(queue.Empty):
                yield self._waiting.get(timeout=_WAKE_S)
        with self._lock:
            self._taking = False
        with suppress(queue.Empty):  # whoever was told that a unit is opened must see it opened
            while True:
                yield self._waiting.get_nowait()

    def close(self) -> None:
        with self._lock:
            self._taking = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self, announced: Announcement, at: float | None) -> None:
        now = time.monotonic()
        if at is not None and not 0 <= at <= now:  # one that is still to come would hold up all behind it
            raise TriggerRefused(f"no unit was opened: at is {at}; give a past time of this machine's monotonic clock")
        with self._lock:
            if not self._taking:
                raise TriggerRefused("no unit was opened: the line is stopped; start it first")
            try:
                self._waiting.put_nowait(Triggered(now if at is None else at, announced.count, announced.unit))
            except queue.Full:
                # A unit goes by that will not be looked at: whoever reads the units must know too, not only the caller.
                self._refused = why = f"{self._waiting.maxsize} announced units were already waiting"
                raise TriggerRefused(f"no unit was opened: {why}; the station is slower than the line") from None

    def _announced(self, data: bytes) -> Answer:
        """The answer to a line or datagram, of which anything may be wrong."""
        at = time.monotonic()
        try:
            if len(data) > MAX_BYTES:
                raise TriggerRefused(f"no unit was opened: more than {MAX_BYTES} bytes; announce one unit at a time")
            self._open(Announcement.model_validate_json(data), at)
        except ValidationError as error:
            why = f"no unit was opened: {explain(error, Announcement)}"
            return _answer({"opened": False, "code": TriggerRefused.code, "message": why})
        except TriggerRefused as error:
            return _answer({"opened": False, "code": error.code, "message": str(error)})
        return _answer({"opened": True})

    def _unheard(self, answer: bytes) -> None:
        with self._lock:
            self._refused = str(json.loads(answer)["message"])


def _answer(content: dict[str, object]) -> Answer:
    return Answer(bool(content["opened"]), json.dumps(content).encode() + b"\n")
