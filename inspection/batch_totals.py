"""A batch in numbers: what became of its units, how severe their defects are, and what is still to be looked at before
it may go (acceptance sampling of the units that passed)."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import func, select

from inspection.archive import Archive, reading
from inspection.errors import InspectionError
from inspection.manifest import Severity
from inspection.record_findings import SEVERITIES, UNNAMED, unit_severity, worst_severity
from inspection.records import Correction, Entry, correction, from_row
from inspection.reviews import reviewed
from inspection.sampling import Level, SamplingPlan, sampling_plan
from inspection.schema import entries
from inspection.verdict import Outcome


class BatchMissing(InspectionError):
    """The archive has no unit of this batch."""

    code = "batch_missing"


@dataclass(frozen=True)
class BatchTotals:
    """Counts of a batch's units: by outcome and by reason, and of those that did not pass by the worst severity that a
    classifier surely named, `unnamed` where it named none. Of those that passed a person looked at `sampled`; `found`
    counts the ones with a defect, by its severity."""

    batch: str
    units: int
    outcomes: dict[str, int]
    reasons: dict[str, int]
    severities: dict[str, int]
    sampled: int
    found: dict[str, int]


@dataclass(frozen=True)
class Acceptance:
    """Of defects of one severity: the plan for the units that passed (None for fewer than two), and what a person's
    look at a sample of them says: accept, reject, or how many are still to be looked at."""

    severity: Severity
    aql: float
    plan: SamplingPlan | None
    sampled: int
    found: int

    @property
    def missing(self) -> int:
        """Units still to be looked at."""
        return max(0, self.plan.sample - self.sampled) if self.plan else 0

    @property
    def decision(self) -> Literal["accept", "reject", "open"]:
        """Of a sample larger than asked every defective unit counts; so does one of a lot too small for a plan."""
        if self.found >= (self.plan.reject if self.plan else 1):
            return "reject"
        return "open" if self.missing or not self.plan else "accept"


def batch_totals(archive: Archive, batch: str) -> BatchTotals:
    """The totals of a batch, as its records and their corrections say. Raises BatchMissing, ArchiveFault, and
    ReviewInvalid for a review that is not as it was made."""
    outcomes, reasons, severities = Counter[str](), Counter[str](), Counter[str]()
    sampled, found = 0, Counter[str]()
    with reading(archive.folder):
        seen = {review.record: review.found for _, review in reviewed(archive, batch)}
        for entry, outcome, reason in _units(archive, batch):
            outcomes[outcome] += 1
            reasons[reason] += 1
            if outcome != Outcome.PASS:
                severities[unit_severity(entry.details)] += 1
            elif (labels := seen.get(entry.name)) is not None:
                sampled += 1
                found.update([worst_severity(entry.details, labels)] if labels else [])
    if not outcomes:
        raise BatchMissing(f"{archive.folder} has no unit of batch {batch!r}; see `batch` in the recipe or the record")
    return BatchTotals(
        batch=batch,
        units=outcomes.total(),
        outcomes={name: outcomes[name] for name in Outcome},
        reasons=dict(reasons.most_common()),
        severities={name: severities[name] for name in (*SEVERITIES, UNNAMED)},
        sampled=sampled,
        found={name: found[name] for name in SEVERITIES},
    )


def acceptance(totals: BatchTotals, aqls: Mapping[Severity, float], level: Level = "II") -> list[Acceptance]:
    """What is to be looked at of the units that passed, for each severity with an AQL in percent. Raises BadUsage."""
    lot = totals.outcomes[Outcome.PASS]
    return [
        Acceptance(
            name, aqls[name], sampling_plan(lot, aqls[name], level) if lot > 1 else None, totals.sampled,
            totals.found[name],
        )
        for name in SEVERITIES if name in aqls
    ]  # fmt: skip


def _units(archive: Archive, batch: str) -> Iterator[tuple[Entry, str, str]]:
    """Each unit's record with its outcome and reason after correction, by the index of batches."""
    table = entries.c
    mine = select(entries).where(table.batch == batch, table.kind == "unit").order_by(table.recorded_at, table.sequence)
    with archive.reader() as connection:
        first = connection.scalar(select(func.min(table.recorded_at)).where(table.batch == batch))
        if first is None:
            return
        corrected: dict[str, Correction] = {}
        events = select(table.details, table.reason).where(table.kind == "event", table.recorded_at >= first)
        for row in connection.execute(events.order_by(table.recorded_at, table.sequence)).mappings():
            corrected |= correction(dict(row))
        for row in connection.execution_options(yield_per=1000).execute(mine).mappings():
            entry = from_row(row)
            outcome, reason = corrected.get(entry.name, (entry.outcome, entry.reason))
            yield entry, str(outcome), str(reason)
