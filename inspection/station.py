"""A station at work: a frame becomes a finding, a verdict, a durable record and only then a disposition."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from inspection.archive import Archive
from inspection.detector import FrameDetector
from inspection.errors import InspectionError
from inspection.finding import Finding, finite
from inspection.frames import Frame, encode_thumbnail, is_grey
from inspection.heatmap import encode_heatmap
from inspection.image_finding import ImageFinding, find_in_frame
from inspection.jpegxl import encode_jpegxl
from inspection.recipe import Recipe
from inspection.recipe_region import RegionCount
from inspection.record_findings import CLASSIFIER
from inspection.records import Draft, Entry, FrameRecord, utc_text
from inspection.unit_record import Seen, UnitAccount, correction_draft, unit_draft
from inspection.verdict import Outcome, Reason, Verdict, reject


@dataclass(frozen=True)
class Disposition:
    """What is done with a unit. A PASS always has its `entry` on stable storage; a REJECT may have none where the
    archive is what failed. `message` says what went wrong, if anything did; `opened` is when its time began, on the
    station's clock."""

    unit: str
    outcome: Outcome
    reason: Reason
    entry: Entry | None = None
    message: str = ""
    opened: float = 0.0


class Station:
    """Inspects units by a recipe and accounts for each. Every call gives one disposition and never raises.

    `batch` is the one that units are of which come by now; `provenance` is put on record with each start.
    `clock` is a monotonic clock in seconds; a unit's deadline runs from the `opened` time a caller took from it.
    """

    def __init__(
        self, recipe: Recipe, detector: FrameDetector, archive: Archive, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.recipe, self.detector, self.archive, self.clock = recipe, detector, archive, clock
        self.limits = recipe.limits or detector.manifest.limits
        self._region = RegionCount(detector.manifest) if recipe.region else None
        self._began = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        self._numbers = itertools.count(1)
        self.provenance: dict[str, Any] = {}
        self.batch = recipe.batch
        self._came_by: Counter[str | None] = Counter()
        self._counting = threading.Lock()

    def open_batch(self, batch: str, came_by: int) -> None:
        """Units that come by from now on are of `batch`, of which so many came by before."""
        with self._counting:
            self.batch, self._came_by[batch] = batch, came_by

    def close_batch(self) -> str:
        """Units are of no batch any more, or of the recipe's. The batch that was open."""
        with self._counting:
            closed, self.batch = str(self.batch), self.recipe.batch
        return closed

    def count(self, batch: str | None) -> str | None:
        """A unit came by, of `batch` or else of the one that is open: which it is of. Called once for each unit."""
        with self._counting:
            batch = batch or self.batch
            self._came_by[batch] += 1
        return batch

    def came_by(self, batch: str) -> int:
        """How many units of a batch came by."""
        return self._came_by[batch]

    def new_unit(self) -> str:
        """An id for a unit that came without one."""
        return f"{self._began}-{next(self._numbers):06d}"

    def inspect(
        self, frame: Frame, unit: str | None = None, opened: float | None = None, batch: str | None = None
    ) -> Disposition:
        """Inspect one frame as a unit."""
        unit, batch = unit or self.new_unit(), self.count(batch)
        opened = self.clock() if opened is None else opened
        # A unit that waited too long is not worth the detector's time: the ones behind it are.
        late = reject(Reason.LATE), f"not decided within the deadline of {self.recipe.deadline_ms} ms"
        finding, verdict, message = (None, *late) if self._late(opened) else self.judge(frame)
        if verdict.outcome is not Outcome.REJECT and self._late(opened):
            verdict, message = late
        return self._record(UnitAccount(unit, verdict, opened, (Seen(frame, finding),), message, batch))

    def reject(
        self,
        reason: Reason,
        message: str,
        unit: str | None = None,
        frame: Frame | None = None,
        batch: str | None = None,
    ) -> Disposition:
        """Reject a unit that cannot be inspected, and record why."""
        unit, batch = unit or self.new_unit(), self.count(batch)
        seen = (Seen(frame),) if frame else ()
        return self._record(UnitAccount(unit, reject(reason), self.clock(), seen, message, batch))

    def note(self, what: str, **details: Any) -> Entry:
        """Record an event (start, stop, alarm) in the station's chain. Raises ArchiveFault."""
        return self.archive.append(self.event(what, **details), self.recipe.station)

    def event(self, what: str, **details: Any) -> Draft:
        """An event of this recipe and its packages, to be recorded."""
        if self.detector.classifier:
            details = {CLASSIFIER: self.detector.classifier.package.digest} | details
        package = self.detector.package.digest
        return Draft("event", recipe=self.recipe.label, reason=what, package=package, details=details)

    def judge(self, frame: Frame) -> tuple[Finding | None, Verdict, str]:
        """What is found in a frame, the verdict at the recipe's limits and in its region, and what went wrong, if
        anything did. Nothing is recorded: a unit goes through `inspect`."""
        judged = self.counted(find_in_frame(self.detector, frame.name, frame.pixels), frame)
        return judged.finding, judged.verdict(self.limits), judged.failure.message if judged.failure else ""

    def counted(self, found: ImageFinding, frame: Frame) -> ImageFinding:
        """Of what was found in a frame, what counts: all of it, or what lies in the recipe's region for its camera."""
        if self._region is None or self.recipe.region is None:
            return found
        return self._region.count(found, self.recipe.region.of(frame.camera))

    def _record(self, account: UnitAccount) -> Disposition:
        unit, verdict = account.unit, account.verdict
        try:
            frames = [self.keep(seen, account) for seen in account.seen]
            entry = self.archive.append(self.draft(account, frames), self.recipe.station)
            if verdict.outcome is Outcome.PASS and self._late(account.opened):
                return self._too_late(entry)
        except Exception as error:
            return Disposition(unit, Outcome.REJECT, Reason.ARCHIVE_FAULT, None, fault_text(error))
        return Disposition(unit, verdict.outcome, verdict.reason, entry, account.message)

    def draft(self, account: UnitAccount, frames: Sequence[FrameRecord]) -> Draft:
        """The record of a unit whose frames were kept."""
        latency_ms = (self.clock() - account.opened) * 1000
        return unit_draft(account, self.recipe, self.detector, self.limits, frames, latency_ms)

    def keep(self, seen: Seen, account: UnitAccount) -> FrameRecord:
        """Store a frame of a decided unit and the heatmap that decided it, or what the recipe keeps of them, durably.
        Raises OutputNotWritable."""
        images, frame, finding, keep = self.archive.images, seen.frame, seen.finding, self.recipe.keep
        in_full = keep.in_full(self.recipe.station, account.unit, account.verdict.outcome)
        heatmap = encode_heatmap(finding.deciding(self.limits)[0].heatmap) if finding and in_full else None
        return FrameRecord(
            camera=frame.camera,
            sequence=frame.sequence,
            captured_at=utc_text(frame.captured_at),
            image=images.put(*self._encoded(frame)) if in_full else None,
            heatmap=images.put(heatmap, ".npy") if heatmap else None,
            score=finite(finding.score) if finding else None,
            thumbnail=None if in_full else images.put(encode_thumbnail(frame.pixels, keep.thumbnail_px), ".jpg"),
        )

    def _encoded(self, frame: Frame) -> tuple[bytes, str]:
        if frame.encoded is not None:
            return frame.encoded, frame.suffix
        # a colour frame that a monochrome package refused keeps its colours
        mono = self.detector.manifest.input.colour == "mono" and is_grey(frame.pixels)
        return encode_jpegxl(frame.pixels[:, :, 0] if mono else frame.pixels), ".jxl"

    def _too_late(self, entry: Entry) -> Disposition:
        """The record says PASS, but the unit was gone before it was on the disk: a correction says so."""
        message = f"recorded after the deadline of {self.recipe.deadline_ms} ms"
        self.archive.append(correction_draft(entry, "late_record", message), self.recipe.station)
        return Disposition(str(entry.unit), Outcome.REJECT, Reason.LATE, entry, message)

    def _late(self, opened: float) -> bool:
        return (self.clock() - opened) * 1000 > self.recipe.deadline_ms


def fault_text(error: Exception) -> str:
    """One sentence: our own errors speak for themselves, others are named."""
    return str(error) if isinstance(error, InspectionError) else f"{type(error).__name__}: {error}"
