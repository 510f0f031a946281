"""The book of units: what is known of each unit that is on its way to the ejector. A pure state machine.

Each unit that is opened is told exactly once, in the order of opening, and by its time, whatever happens in between. A
PASS is told only of a unit all of whose frames came, were found good in time, and are on record. Everything else is
told as soon as it is on record, or without a record when its time has come; the record follows.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from inspection.frames import Frame
from inspection.image_finding import ImageFinding
from inspection.records import Entry
from inspection.station import Disposition
from inspection.unit_record import CHALLENGE, Seen, UnitAccount
from inspection.verdict import Limits, Outcome, Reason, Verdict, combine, reject


@dataclass(frozen=True)
class Timing:
    """Seconds after a unit was opened: until when its frames must have come, it must be decided, and be told."""

    frames_s: float
    decide_s: float
    tell_s: float


class Hands(Protocol):
    """What the book has done for it. None of these may wait, and none may raise."""

    def inspect(self, number: int, index: int, frame: Frame, decide_by: float) -> None:
        """Inspect a unit's frame; `found` is called with what was found, unless the unit was decided before."""

    def record(self, number: int, account: UnitAccount) -> None:
        """Put a unit on record; `recorded` is called then. Units come here in the order in which they were opened."""

    def tell(self, number: int, disposition: Disposition) -> None:
        """The unit's one disposition."""

    def correct(self, entry: Entry, message: str) -> None:
        """A PASS is on record that was told as REJECT: put the correction on record."""


@dataclass
class _Look:
    frame: Frame
    found: ImageFinding | None = None


@dataclass
class _Unit:
    number: int
    name: str
    opened: float
    batch: str | None
    kit: Mapping[str, Any] | None = None
    looks: list[_Look] = field(default_factory=list)
    shown: Verdict | None = None  # what was found; `verdict` is what is done, which for a kit's unit is to reject
    verdict: Verdict | None = None
    message: str = ""
    submitted: bool = False
    entry: Entry | None = None
    failed: str | None = None
    told: Disposition | None = None

    @property
    def on_record(self) -> bool:
        """Whether recording it has ended, well or not."""
        return self.entry is not None or self.failed is not None


class UnitBook:
    """`frames` says how many frames each camera gives of a unit; `limits` decide, as everywhere."""

    def __init__(self, frames: Mapping[str, int], timing: Timing, limits: Limits, hands: Hands) -> None:
        self._frames, self._timing, self._limits, self._hands = dict(frames), timing, limits, hands
        self._units: dict[int, _Unit] = {}
        self._to_record: deque[_Unit] = deque()
        self._to_tell: deque[_Unit] = deque()
        self.unwanted = 0  # frames that came for units already decided

    @property
    def untold(self) -> int:
        """How many units are on their way."""
        return len(self._to_tell)

    @property
    def empty(self) -> bool:
        """Whether every unit was told, and its record has ended."""
        return not self._units

    def open(
        self, number: int, name: str, now: float, batch: str | None = None, kit: Mapping[str, Any] | None = None
    ) -> None:
        """A unit was triggered. Numbers go up. One of a challenge `kit` is never passed, whatever is found; what was
        found goes on its record beside what is known of it."""
        unit = _Unit(number, name, now, batch, kit)
        self._units[number] = unit
        self._to_record.append(unit)
        self._to_tell.append(unit)

    def wanted(self, number: int) -> bool:
        """Whether looking at a frame of this unit can still matter."""
        unit = self._units.get(number)
        return unit is not None and unit.verdict is None

    def full(self, number: int, camera: str) -> bool:
        """Whether all frames of a camera came of this unit."""
        unit = self._units.get(number)
        return unit is not None and _came(unit)[camera] >= self._frames.get(camera, 0) > 0

    def frame(self, number: int, frame: Frame, now: float) -> None:
        """A unit's frame came. One too many rejects the unit: some frame is another's."""
        unit = self._units.get(number)
        if unit is None or unit.verdict:
            self.unwanted += 1
            if unit and unit.shown and unit.shown.outcome is not Outcome.REJECT and not unit.submitted:
                self._decide(unit, reject(Reason.FRAME_EXTRA), _extra(frame), now)
            return
        unit.looks.append(_Look(frame))
        if _came(unit)[frame.camera] > self._frames.get(frame.camera, 0):
            self._decide(unit, reject(Reason.FRAME_EXTRA), _extra(frame), now)
            return
        self._hands.inspect(number, len(unit.looks) - 1, frame, unit.opened + self._timing.decide_s)

    def found(self, number: int, index: int, found: ImageFinding, now: float) -> None:
        """What was found in a unit's frame, or why nothing was."""
        unit = self._units.get(number)
        if unit is None or unit.verdict:
            return
        look = unit.looks[index]
        look.found = replace(found, pixels=None)
        if len(unit.looks) < sum(self._frames.values()) or any(look.found is None for look in unit.looks):
            return
        if now > unit.opened + self._timing.decide_s:
            self._decide(unit, *self._late(), now)
            return
        all_found = [look.found for look in unit.looks if look.found]
        verdict = combine([one.verdict(self._limits) for one in all_found])
        failure = next((one.failure for one in all_found if one.failure and one.failure.reason is verdict.reason), None)
        self._decide(unit, verdict, failure.message if failure else "", now)

    def fault(self, number: int, reason: Reason, message: str, now: float) -> None:
        """Something that rejects a unit, unless it is decided already; a PASS that was not recorded yet is not."""
        unit = self._units.get(number)
        if unit and (unit.shown is None or (unit.shown.outcome is not Outcome.REJECT and not unit.submitted)):
            self._decide(unit, reject(reason), message, now)

    def recorded(self, number: int, entry: Entry | None, message: str, now: float) -> None:
        """A unit is on record; without an `entry`, `message` says why it is not."""
        unit = self._units[number]
        unit.entry, unit.failed = entry, None if entry else message
        self._tell_ready(now)
        self._finish(unit)

    def tick(self, now: float) -> None:
        """Time went by: what is overdue is decided and told."""
        for unit in [unit for unit in self._units.values() if unit.verdict is None]:
            age = now - unit.opened
            missing = self._missing(unit)
            if age >= self._timing.frames_s and missing:
                self._decide(unit, reject(Reason.FRAME_LOST), f"no frame came in time from {missing}", now)
            elif age >= self._timing.decide_s:
                self._decide(unit, *self._late(), now)
        self._tell_ready(now)

    def next_due(self) -> float | None:
        """When `tick` has something to do next, if nothing else happens."""
        return min((self._due(unit) for unit in self._units.values() if unit.told is None), default=None)

    def _due(self, unit: _Unit) -> float:
        if unit.verdict:
            return unit.opened + self._timing.tell_s
        waits_for_frames = self._missing(unit) != ""
        return unit.opened + (min(self._timing.frames_s, self._timing.decide_s) if waits_for_frames
                              else self._timing.decide_s)  # fmt: skip

    def _missing(self, unit: _Unit) -> str:
        came = _came(unit)
        lacking = {camera: wanted - came[camera] for camera, wanted in self._frames.items()}
        return ", ".join(
            f"{camera} ({number} of {self._frames[camera]})" for camera, number in lacking.items() if number
        )

    def _decide(self, unit: _Unit, verdict: Verdict, message: str, now: float) -> None:
        unit.shown, unit.message = verdict, message
        unit.verdict = verdict if unit.kit is None else reject(Reason.CHALLENGE)
        while self._to_record and self._to_record[0].verdict:
            first = self._to_record.popleft()
            first.submitted = True
            self._hands.record(first.number, self._account(first))
        self._tell_ready(now)

    def _account(self, unit: _Unit) -> UnitAccount:
        assert unit.verdict
        seen = tuple(Seen(look.frame, look.found.finding if look.found else None) for look in unit.looks)
        more: dict[str, Any] = {}
        if unit.kit is not None and unit.shown:
            shown = {"outcome": str(unit.shown.outcome), "reason": str(unit.shown.reason)}
            more = {CHALLENGE: dict(unit.kit) | shown}
        return UnitAccount(unit.name, unit.verdict, unit.opened, seen, unit.message, unit.batch, more)

    def _tell_ready(self, now: float) -> None:
        """Tell, in order, those that are on record or whose time has come."""
        while self._to_tell and (disposition := self._disposition(self._to_tell[0], now)):
            unit = self._to_tell.popleft()
            unit.told = replace(disposition, opened=unit.opened)
            self._hands.tell(unit.number, unit.told)
            self._finish(unit)

    def _disposition(self, unit: _Unit, now: float) -> Disposition | None:
        if unit.verdict is None or not (unit.on_record or now >= unit.opened + self._timing.tell_s):
            return None
        if unit.failed is not None:
            return Disposition(unit.name, Outcome.REJECT, Reason.ARCHIVE_FAULT, None, unit.failed)
        late = now > unit.opened + self._timing.tell_s or unit.entry is None
        if late and unit.verdict.outcome is Outcome.PASS:
            message = f"not on record within {self._timing.tell_s * 1000:.0f} ms"
            return Disposition(unit.name, Outcome.REJECT, Reason.LATE, unit.entry, message)
        return Disposition(unit.name, unit.verdict.outcome, unit.verdict.reason, unit.entry, unit.message)

    def _finish(self, unit: _Unit) -> None:
        """Told and recorded: forget it, and correct a record that says PASS of what was not passed."""
        if unit.told is None or not unit.on_record or self._units.pop(unit.number, None) is None:
            return
        if unit.entry and unit.entry.outcome == Outcome.PASS and unit.told.outcome is not Outcome.PASS:
            self._hands.correct(unit.entry, unit.told.message)

    def _late(self) -> tuple[Verdict, str]:
        return reject(Reason.LATE), f"not decided within {self._timing.decide_s * 1000:.0f} ms"

    def __iter__(self) -> Iterator[int]:
        return iter(self._units)


def _came(unit: _Unit) -> Counter[str]:
    return Counter(look.frame.camera for look in unit.looks)


def _extra(frame: Frame) -> str:
    return f"{frame.camera} gave a frame more than a unit has"
