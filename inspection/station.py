"""A station at work: a frame becomes a finding, a verdict, a durable record and only then a disposition."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from inspection.archive import Archive
from inspection.combined import CombinedDetector
from inspection.detector import Detector
from inspection.errors import InspectionError
from inspection.finding import Finding, finite
from inspection.frames import Frame, encode_png, is_grey
from inspection.heatmap import encode_heatmap
from inspection.preprocess import FrameWrongGeometry
from inspection.recipe import Recipe
from inspection.record_findings import CLASSIFIER, PACKAGE
from inspection.records import Draft, Entry, FrameRecord, utc_text
from inspection.verdict import Outcome, Reason, Verdict, reject


@dataclass(frozen=True)
class Disposition:
    """What is done with a unit. A PASS always has its `entry` on stable storage; a REJECT may have none where the
    archive is what failed. `message` says what went wrong, if anything did."""

    unit: str
    outcome: Outcome
    reason: Reason
    entry: Entry | None = None
    message: str = ""


class Station:
    """Inspects units by a recipe and accounts for each. Every call gives one disposition and never raises.

    `clock` is a monotonic clock in seconds; a unit's deadline runs from the `opened` time a caller took from it.
    """

    def __init__(
        self, recipe: Recipe, detector: Detector, archive: Archive, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.recipe, self.detector, self.archive, self.clock = recipe, detector, archive, clock
        self.limits = recipe.limits or detector.manifest.limits
        self._began = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        self._numbers = itertools.count(1)

    def new_unit(self) -> str:
        """An id for a unit that came without one."""
        return f"{self._began}-{next(self._numbers):06d}"

    def inspect(
        self, frame: Frame, unit: str | None = None, opened: float | None = None, batch: str | None = None
    ) -> Disposition:
        """Inspect one frame as a unit."""
        unit = unit or self.new_unit()
        opened = self.clock() if opened is None else opened
        # A unit that waited too long is not worth the detector's time: the ones behind it are.
        late = reject(Reason.LATE), f"not decided within the deadline of {self.recipe.deadline_ms} ms"
        finding, verdict, message = (None, *late) if self._late(opened) else self._judge(frame)
        if verdict.outcome is not Outcome.REJECT and self._late(opened):
            verdict, message = late
        return self._record(unit, frame, finding, verdict, message, opened, batch)

    def reject(
        self,
        reason: Reason,
        message: str,
        unit: str | None = None,
        frame: Frame | None = None,
        batch: str | None = None,
    ) -> Disposition:
        """Reject a unit that cannot be inspected, and record why."""
        return self._record(unit or self.new_unit(), frame, None, reject(reason), message, self.clock(), batch)

    def note(self, what: str, **details: Any) -> Entry:
        """Record an event (start, stop, alarm) in the station's chain. Raises ArchiveFault."""
        if isinstance(self.detector, CombinedDetector):
            details = {CLASSIFIER: self.detector.classifier.package.digest} | details
        package = self.detector.package.digest
        draft = Draft("event", recipe=self.recipe.label, reason=what, package=package, details=details)
        return self.archive.append(draft, self.recipe.station)

    def _judge(self, frame: Frame) -> tuple[Finding | None, Verdict, str]:
        try:
            finding = self.detector.find(frame.pixels)
        except FrameWrongGeometry as error:
            return None, reject(Reason.FRAME_WRONG_GEOMETRY), f"{frame.name}: {error}"
        except Exception as error:  # whatever it is, the unit must not pass
            return None, reject(Reason.MODEL_FAULT), f"{type(error).__name__}: {error}"
        return finding, finding.verdict(self.limits), ""

    def _record(
        self,
        unit: str,
        frame: Frame | None,
        finding: Finding | None,
        verdict: Verdict,
        message: str,
        opened: float,
        batch: str | None,
    ) -> Disposition:
        try:
            frames = (self._keep(frame, finding),) if frame else ()
            entry = self.archive.append(
                Draft(
                    kind="unit",
                    unit=unit,
                    batch=batch or self.recipe.batch,
                    product=self.recipe.product,
                    recipe=self.recipe.label,
                    package=self.detector.package.digest,
                    outcome=verdict.outcome,
                    reason=verdict.reason,
                    score=finite(finding.score) if finding else None,
                    review_limit=self.limits.review_limit,
                    reject_limit=self.limits.reject_limit,
                    latency_ms=round((self.clock() - opened) * 1000, 3),
                    frames=frames,
                    details=_details(message, frame) | (self._found(finding) if finding else {}),
                ),
                self.recipe.station,
            )
            if verdict.outcome is Outcome.PASS and self._late(opened):
                return self._too_late(entry)
        except InspectionError as error:
            return Disposition(unit, Outcome.REJECT, Reason.ARCHIVE_FAULT, None, str(error))
        except Exception as error:
            return Disposition(unit, Outcome.REJECT, Reason.ARCHIVE_FAULT, None, f"{type(error).__name__}: {error}")
        return Disposition(unit, verdict.outcome, verdict.reason, entry, message)

    def _too_late(self, entry: Entry) -> Disposition:
        """The record says PASS, but the unit was gone before it was on the disk: a correction says so."""
        message = f"recorded after the deadline of {self.recipe.deadline_ms} ms"
        correction = {"corrects": entry.name, "outcome": Outcome.REJECT, "message": message}
        assert entry.unit is not None
        late = Draft("event", unit=entry.unit, recipe=entry.recipe, reason="late_record", details=correction)
        self.archive.append(late, self.recipe.station)
        return Disposition(entry.unit, Outcome.REJECT, Reason.LATE, entry, message)

    def _keep(self, frame: Frame, finding: Finding | None) -> FrameRecord:
        images = self.archive.images
        if frame.encoded is not None:
            data, suffix = frame.encoded, frame.suffix
        else:  # a colour frame that a monochrome package refused keeps its colours
            mono = self.detector.manifest.input.colour == "mono" and is_grey(frame.pixels)
            data, suffix = encode_png(frame.pixels[:, :, 0] if mono else frame.pixels), ".png"
        return FrameRecord(
            camera=frame.camera,
            sequence=frame.sequence,
            captured_at=utc_text(frame.captured_at),
            image=images.put(data, suffix),
            heatmap=images.put(encode_heatmap(finding.deciding(self.limits)[0].heatmap), ".npy") if finding else None,
            score=finite(finding.score) if finding else None,
        )

    def _found(self, finding: Finding) -> dict[str, Any]:
        """What a record says of a finding beside its score: the runtime, the classes, and a second package's finding;
        the heatmap on record is of the one that decided."""
        found: dict[str, Any] = {"runtime": self.detector.runtime} | _classes(finding)
        if isinstance(self.detector, CombinedDetector):
            ((other, limits),) = finding.also
            part = {"package": self.detector.classifier.package.digest, "score": finite(other.score)}
            found[CLASSIFIER] = part | limits.model_dump() | _classes(other)
            found["decided_by"] = CLASSIFIER if finding.deciding(self.limits)[0] is other else PACKAGE
        return found

    def _late(self, opened: float) -> bool:
        return (self.clock() - opened) * 1000 > self.recipe.deadline_ms


def _classes(finding: Finding) -> dict[str, Any]:
    """Of each class its probability and severity, and which are sure."""
    if not finding.classes:
        return {}
    return {
        "classes": {found.name: finite(found.probability) for found in finding.classes},
        "severity": {found.name: found.severity for found in finding.classes},
        "sure": [found.name for found in finding.classes if found.sure],
    }


def _details(message: str, frame: Frame | None) -> dict[str, Any]:
    truth = {"truth": frame.truth} if frame and frame.truth else {}
    return ({"message": message} if message else {}) | truth
