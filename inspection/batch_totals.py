"""A batch in numbers: what became of its units, how severe their defects are, and what is still to be looked at before
it may go (acceptance sampling of the units that passed)."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, func, select

from inspection.archive import Archive, rows_at
from inspection.errors import InspectionError
from inspection.manifest import Severity
from inspection.record_findings import SEVERITIES, UNNAMED, unit_severity, worst_severity
from inspection.records import Correction, correction, place_of
from inspection.reviews import Review, check_reviewed, counting_reviews
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
    counts the ones with a defect, by its severity. Of those that did not pass a person looked at `looked_at`."""

    batch: str
    units: int
    outcomes: dict[str, int]
    reasons: dict[str, int]
    severities: dict[str, int]
    sampled: int
    found: dict[str, int]
    looked_at: int = 0

    @property
    def open_reviews(self) -> int:
        """Units that did not pass and that no person has looked at yet."""
        return self.units - self.outcomes[Outcome.PASS] - self.looked_at


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
    """The totals of a batch, as its records and their corrections say: the database counts, and only of units that did
    not pass or that a person looked at are the records read. Raises BatchMissing, ArchiveFault, and ReviewInvalid for a
    review that is not as it was made."""
    table = entries.c
    mine = (table.batch == batch, table.kind == "unit")
    outcomes, reasons, severities = Counter[str](), Counter[str](), Counter[str]()
    with archive.reader() as connection:
        groups = connection.execute(
            select(table.outcome, table.reason, func.count()).where(*mine)
            .group_by(table.outcome, table.reason).order_by(func.min(table.recorded_at))
        ).all()  # fmt: skip
        for outcome, reason, count in groups:
            outcomes[str(outcome)] += count
            reasons[str(reason)] += count
        stopped = {
            (row[0], row[1]): row[2]
            for row in connection.execute(
                select(table.station, table.sequence, table.details).where(
                    *mine, func.coalesce(table.outcome, "") != Outcome.PASS
                )
            )
        }
        corrected = _corrected(connection, batch) if groups else {}
        for place, (row, (outcome, reason)) in corrected.items():
            outcomes[str(row["outcome"])] -= 1
            outcomes[str(outcome)] += 1
            reasons[str(row["reason"])] -= 1
            reasons[str(reason)] += 1
            stopped.pop(place, None)
            if outcome != Outcome.PASS:
                stopped[place] = row["details"]
    for details in stopped.values():
        severities[unit_severity(json.loads(details))] += 1
    if not outcomes.total():
        raise BatchMissing(f"{archive.folder} has no unit of batch {batch!r}; see `batch` in the recipe or the record")
    sampled, looked_at, found = 0, 0, Counter[str]()
    for row, review in _reviews(archive, batch):
        if (row["station"], row["sequence"]) in stopped:
            looked_at += 1
        elif review.found is not None:
            sampled += 1
            found.update([worst_severity(json.loads(row["details"]), review.found)] if review.found else [])
    return BatchTotals(
        batch=batch,
        units=outcomes.total(),
        outcomes={name: outcomes[name] for name in Outcome},
        reasons={name: count for name, count in reasons.most_common() if count},
        severities={name: severities[name] for name in (*SEVERITIES, UNNAMED)},
        sampled=sampled,
        found={name: found[name] for name in SEVERITIES},
        looked_at=looked_at,
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


def _reviews(archive: Archive, batch: str) -> Iterator[tuple[Mapping[Any, Any], Review]]:
    """Each of the batch's units that a person looked at, with the review of it that counts."""
    latest = counting_reviews(archive, batch)
    columns = ("station", "sequence", "hash", "batch", "kind", "details")
    with archive.reader() as connection:
        rows = {(row["station"], row["sequence"]): row
                for row in rows_at(connection, map(place_of, latest), *columns)}  # fmt: skip
    for name, review in latest.items():
        row = rows.get(place_of(name))
        check_reviewed(review, row["hash"] if row else None)
        if row and row["batch"] == batch and row["kind"] == "unit":
            yield row, review


def _corrected(connection: Connection, batch: str) -> dict[tuple[str, int], tuple[Mapping[Any, Any], Correction]]:
    """The batch's units that a later event corrects, by their place: the unit's row and the last correction of it."""
    table = entries.c
    first = connection.scalar(select(func.min(table.recorded_at)).where(table.batch == batch))
    events = select(table.details, table.reason).where(
        table.kind == "event", table.recorded_at >= first, table.details.contains('"corrects":')
    )
    found: dict[str, Correction] = {}
    for row in connection.execute(events.order_by(table.recorded_at, table.sequence)).mappings():
        found |= correction(dict(row))
    corrected: dict[tuple[str, int], tuple[Mapping[Any, Any], Correction]] = {}
    for unit in rows_at(connection, (place_of(name) for name in found)):
        if unit["batch"] == batch and unit["kind"] == "unit":
            place = (unit["station"], unit["sequence"])
            corrected[place] = unit, found[f"{unit['station']}/{unit['sequence']}"]
    return corrected
