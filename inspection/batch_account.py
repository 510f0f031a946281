"""A batch's account: what is on record of it, as it goes into the batch report (21 CFR 211.188, Annex 11 §8)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select

from inspection.archive import Archive
from inspection.batch_totals import Acceptance, BatchMissing, BatchTotals, acceptance, batch_totals
from inspection.record_findings import SEVERITIES, UNNAMED
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
    """All of it. `triggered` is what the lines of all its stations counted, None where one of them has not ended it."""

    batch: str
    products: tuple[str, ...]
    stations: tuple[str, ...]
    first_at: str
    last_at: str
    started: Entry | None
    stops: tuple[Entry, ...]
    totals: BatchTotals
    triggered: int | None
    ran: tuple[Ran, ...]
    acceptance: tuple[Acceptance, ...]
    worst: tuple[Entry, ...]
    signatures: tuple[Signature, ...]
    heads: tuple[Head, ...]
    events: dict[str, int]

    @property
    def stopped(self) -> Entry | None:
        """The record that ends it, on each station, and is signed."""
        return self.stops[-1] if self.stops else None

    @property
    def challenge(self) -> dict[str, Any] | None:
        """What its start has on record of the challenge kit: by which record the station was cleared, and whether that
        is a signed override. None where the recipe asked for none."""
        return self.started.details.get("challenge") if self.started else None

    @property
    def reconciled(self) -> bool:
        """Whether every unit that came by is on record, when it ended and now."""
        fits = all(stop.details.get("reconciled") for stop in self.stops)
        return self.triggered is not None and fits and self.triggered == self.totals.units

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
            "events": self.events, "challenge": self.challenge,
        }  # fmt: skip


def batch_account(archive: Archive, batch: str) -> BatchAccount:
    """The account of a batch. Raises BatchMissing, ArchiveFault, ReviewInvalid."""
    totals = _totals(archive, batch)
    table = entries.c
    units = (table.batch == batch, table.kind == "unit")
    with archive.reader() as connection:
        groups = connection.execute(
            select(table.recipe, table.package, table.station, table.product, func.count(),
                   func.min(table.recorded_at), func.max(table.recorded_at), func.max(table.sequence))
            .where(*units).group_by(table.recipe, table.package, table.station, table.product)
        ).all()  # fmt: skip
        marks = connection.execute(
            select(entries).where(table.batch == batch, table.kind == "event", table.reason.in_((STARTED, STOPPED)))
            .order_by(table.recorded_at)
        ).mappings().all()  # fmt: skip
        worst = connection.execute(
            select(entries).where(*units, table.score.is_not(None), table.outcome != Outcome.PASS)
            .order_by((table.score / func.nullif(table.reject_limit, 0.0)).desc()).limit(_WORST)
        ).mappings().all()  # fmt: skip
        begun, stops = ([from_row(row) for row in marks if row["reason"] == what] for what in (STARTED, STOPPED))
        times = [time for row in groups for time in row[5:7]] + [one.recorded_at for one in (*begun, *stops)]
        first, until = min(times), max(times)
        ends: dict[str, int] = {}
        for row in groups:
            ends[row[2]] = max(ends.get(row[2], 0), row[7])
        for stop in stops:
            ends[stop.station] = max(ends.get(stop.station, 0), stop.sequence)
        heads = tuple(_head(connection, station, sequence) for station, sequence in sorted(ends.items()))
        # Of all stations, by the index of events and times; those of others are left out here.
        told = connection.execute(
            select(table.reason, table.station, func.count(), func.min(table.recorded_at))
            .where(table.kind == "event", table.recorded_at.between(first, until))
            .group_by(table.reason, table.station).order_by(func.min(table.recorded_at))
        ).all()  # fmt: skip
        happened = Counter[str]()
        for reason, station, count, _ in told:
            happened[str(reason)] += count if station in ends else 0
    return BatchAccount(
        batch=batch,
        products=tuple(sorted({str(row[3]) for row in groups if row[3]})),
        stations=tuple(sorted(ends)),
        first_at=first,
        last_at=until,
        started=begun[0] if begun else None,
        stops=tuple(stops),
        totals=totals,
        triggered=_triggered(stops, {one.station for one in begun}),
        ran=_ran(groups),
        acceptance=tuple(acceptance(totals, AQLS)),
        worst=tuple(from_row(row) for row in worst),
        signatures=tuple(one for stop in stops for one in signatures_of(archive, stop)),
        heads=heads,
        events={reason: count for reason, count in happened.most_common() if count},
    )


def _totals(archive: Archive, batch: str) -> BatchTotals:
    """The totals; all zero for a batch that was begun and had no unit: a report on it matters most."""
    try:
        return batch_totals(archive, batch)
    except BatchMissing:
        query = select(entries.c.sequence).where(entries.c.batch == batch).limit(1)
        with archive.reader() as connection:
            if connection.scalar(query) is None:
                raise
    none = dict.fromkeys((*SEVERITIES, UNNAMED), 0)
    return BatchTotals(batch, 0, dict.fromkeys(Outcome, 0), {}, none, 0, dict.fromkeys(SEVERITIES, 0))


def _ran(groups: Sequence[Any]) -> tuple[Ran, ...]:
    """Recipes with their packages, of all stations together, in the order in which they began."""
    found: dict[tuple[str, str], Ran] = {}
    for recipe, package, _, _, units, first, last, _ in groups:
        key = (str(recipe), str(package))
        old = found.get(key, Ran(*key, 0, first, last))
        found[key] = Ran(*key, old.units + units, min(old.first_at, first), max(old.last_at, last))
    return tuple(sorted(found.values(), key=lambda one: one.first_at))


def _triggered(stops: list[Entry], begun: set[str]) -> int | None:
    """What the lines counted, where each that began it has ended it."""
    counts = {stop.station: stop.details.get("counts", {}).get("triggered") for stop in stops}
    if not stops or not begun <= set(counts) or None in counts.values():
        return None
    return sum(int(count) for count in counts.values())


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
