"""A batch's account: what is on record of it, as it goes into the batch report (21 CFR 211.188, Annex 11 §8)."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select

from inspection.archive import Archive
from inspection.batch_totals import Acceptance, BatchTotals, acceptance, batch_totals
from inspection.record_findings import SEVERITIES
from inspection.records import Entry, from_row
from inspection.schema import entries
from inspection.signatures import Signature, signatures_of
from inspection.signing import HEAD_SIGNED
from inspection.verdict import Outcome

STARTED, STOPPED = "batch_started", "batch_stopped"
_WORST = 6
AQLS = dict(zip(SEVERITIES, (0.065, 0.65, 2.5), strict=True))


@dataclass(frozen=True)
class Ran:
    """A recipe with its package, as they stand on the units' records; times are UTC."""

    recipe: str
    package: str
    units: int
    first_at: str
    last_at: str


@dataclass(frozen=True)
class Head:
    """Where a station's chain stood at the batch's end; `signed` names the signed head at or after it."""

    station: str
    sequence: int
    hash: str
    signed: str | None


@dataclass(frozen=True)
class BatchAccount:
    """All of it. `triggered` is what the line counted, None where the batch was never stopped; `reconciled` whether
    that is the number of units on record, as `batch_stopped` says and the records still do."""

    batch: str
    products: tuple[str, ...]
    stations: tuple[str, ...]
    first_at: str
    last_at: str
    started: Entry | None
    stopped: Entry | None
    totals: BatchTotals
    triggered: int | None
    ran: tuple[Ran, ...]
    acceptance: tuple[Acceptance, ...]
    worst: tuple[Entry, ...]
    signatures: tuple[Signature, ...]
    heads: tuple[Head, ...]
    events: dict[str, int]

    @property
    def reconciled(self) -> bool:
        """Whether every unit that came by is on record."""
        return self.triggered is not None and self.triggered == self.totals.units

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "format": "inspection-batch-report/1", "batch": self.batch, "products": list(self.products),
            "stations": list(self.stations), "first_at": self.first_at, "last_at": self.last_at,
            "started": _event(self.started), "stopped": _event(self.stopped), "totals": asdict(self.totals),
            "triggered": self.triggered, "reconciled": self.reconciled, "ran": [asdict(one) for one in self.ran],
            "acceptance": [asdict(one) | {"decision": one.decision} for one in self.acceptance],
            "worst": [{"record": one.name, "unit": one.unit, "score": one.score, "reject_limit": one.reject_limit,
                       "outcome": one.outcome, "reason": one.reason, "hash": one.hash} for one in self.worst],
            "signatures": [asdict(one) for one in self.signatures], "heads": [asdict(one) for one in self.heads],
            "events": self.events,
        }  # fmt: skip


def batch_account(archive: Archive, batch: str) -> BatchAccount:
    """The account of a batch. Raises BatchMissing, ArchiveFault, ReviewInvalid."""
    totals = batch_totals(archive, batch)
    table = entries.c
    units = (table.batch == batch, table.kind == "unit")
    with archive.reader() as connection:
        ran = connection.execute(
            select(table.recipe, table.package, func.count(), func.min(table.recorded_at), func.max(table.recorded_at))
            .where(*units).group_by(table.recipe, table.package).order_by(func.min(table.recorded_at))
        ).all()  # fmt: skip
        places = connection.execute(
            select(table.station, table.product, func.min(table.recorded_at), func.max(table.recorded_at),
                   func.max(table.sequence)).where(*units).group_by(table.station, table.product)
        ).all()  # fmt: skip
        marks = connection.execute(
            select(entries).where(table.batch == batch, table.kind == "event", table.reason.in_((STARTED, STOPPED)))
            .order_by(table.recorded_at)
        ).mappings().all()  # fmt: skip
        worst = connection.execute(
            select(entries).where(*units, table.score.is_not(None), table.outcome != Outcome.PASS)
            .order_by((table.score / func.nullif(table.reject_limit, 0.0)).desc()).limit(_WORST)
        ).mappings().all()  # fmt: skip
        first, last = min(row[2] for row in places), max(row[3] for row in places)
        started, stopped = (
            next((from_row(row) for row in marks if row["reason"] == what), None) for what in (STARTED, STOPPED)
        )
        ends = {row[0]: row[4] for row in places}
        if stopped:
            ends[stopped.station] = max(ends.get(stopped.station, 0), stopped.sequence)
        heads = tuple(_head(connection, station, sequence) for station, sequence in sorted(ends.items()))
        until = stopped.recorded_at if stopped else last
        told = connection.execute(
            select(table.reason, func.count()).where(
                table.kind == "event", table.station.in_(ends), table.recorded_at.between(first, until)
            ).group_by(table.reason)
        ).all()  # fmt: skip
    return BatchAccount(
        batch=batch,
        products=tuple(sorted({str(row[1]) for row in places})),
        stations=tuple(sorted(ends)),
        first_at=started.recorded_at if started else first,
        last_at=until,
        started=started,
        stopped=stopped,
        totals=totals,
        triggered=stopped.details["counts"]["triggered"] if stopped else None,
        ran=tuple(Ran(*row) for row in ran),
        acceptance=tuple(acceptance(totals, AQLS)),
        worst=tuple(from_row(row) for row in worst),
        signatures=tuple(signatures_of(archive, stopped)) if stopped else (),
        heads=heads,
        events=dict(Counter(dict(told)).most_common()),
    )


def _head(connection: Any, station: str, sequence: int) -> Head:
    table = entries.c
    hash_ = connection.scalar(select(table.hash).where(table.station == station, table.sequence == sequence))
    signed = connection.scalar(
        select(func.min(table.sequence)).where(
            table.station == station, table.sequence >= sequence, table.kind == "event", table.reason == HEAD_SIGNED
        )
    )
    return Head(station, sequence, str(hash_), f"{station}/{signed}" if signed else None)


def _event(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {"record": entry.name, "at": entry.recorded_at, "hash": entry.hash} | dict(entry.details)
