"""Batches on a station: begun and ended by a person, each unit counted to the one that ran when it came by."""

import threading
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from inspection.archive import Archive
from inspection.batch_account import STARTED, STOPPED
from inspection.batch_list import find_batches
from inspection.batch_totals import BatchMissing, batch_totals
from inspection.errors import InspectionError
from inspection.records import Draft, Entry
from inspection.schema import entries, station_of_event
from inspection.station import Station
from inspection.verdict import Outcome

if TYPE_CHECKING:
    from serve.service import Service

_DRAIN_S = 10.0


class BatchRefused(InspectionError):
    """A batch cannot be begun or ended now."""

    code = "batch_refused"


class Batches:
    """Begins and ends the batches of a service. One runs at a time; its name is used once."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._lock = threading.Lock()

    @property
    def current(self) -> str | None:
        """The batch that runs."""
        return self._service.station.batch

    @property
    def begun(self) -> str | None:
        """The batch that runs, where it was begun here and is to be ended here."""
        station = self._service.station
        return station.batch if station.batch != station.recipe.batch else None

    def refuse_ended(self, batch: str) -> None:
        """No unit comes to a batch that was ended: its counts were signed. Raises BatchRefused and ArchiveFault."""
        table = entries.c
        query = select(table.sequence).where(table.kind == "event", table.reason == STOPPED, table.batch == batch)
        with self._service.archive.reader() as connection:
            if connection.scalar(query.limit(1)) is not None:
                raise BatchRefused(f"batch {batch} was ended; units are of another one")

    def resume(self) -> str | None:
        """After a start of the service: go on with the batch that was running, if one was. What came by before is
        counted as what is on record of it."""
        archive, station = self._service.archive, self._service.station
        last = _last(archive, station.recipe.station)
        if last is None or last.reason != STARTED or last.batch is None:
            return None
        station.open_batch(last.batch, _recorded(archive, last.batch))
        return last.batch

    def start(self, batch: str, by: str, why: str) -> Entry:
        """Units from now on are of `batch`. Raises BatchRefused, ChallengeDue and ArchiveFault."""
        with self._lock:
            station, archive = self._service.station, self._service.archive
            if station.batch is not None:
                raise BatchRefused(f"batch {station.batch} runs; stop it first")
            if _used(archive, batch):
                raise BatchRefused(f"there are records of batch {batch} already; a batch's name is used once")
            challenged = self._service.challenges.clear_for(batch)
            said = {"challenge": challenged} if challenged else {}
            entry = _note(station, STARTED, batch, {"by": by, "why": why} | said)
            self._service.challenges.begin_batch(batch, lambda: station.open_batch(batch, 0))
        self._service.changed()
        return entry

    def stop(self, by: str, why: str) -> Entry:
        """No unit is of the batch any more. Waits for those on their way, counts what is on record of it, and signs the
        chains. Raises BatchRefused and ArchiveFault."""
        with self._lock:
            station = self._service.station
            if self.begun is None:
                raise BatchRefused("no batch runs that was started here")
            batch = station.close_batch()
            self._wait_for_units_on_their_way()
            counts = self._counts(batch, station.came_by(batch))
            reconciled = counts["triggered"] == counts["passed"] + counts["rejected"] + counts["undecided"]
            more = {"by": by, "why": why, "counts": counts, "reconciled": reconciled}
            entry = _note(station, STOPPED, batch, more)
        self._service.challenges.refresh()
        self._service.sign_heads()
        self._service.changed()
        return entry

    def _counts(self, batch: str, triggered: int) -> dict[str, int]:
        try:
            outcomes: dict[str, int] = dict(batch_totals(self._service.archive, batch).outcomes)
        except BatchMissing:
            outcomes = {}
        return {
            "triggered": triggered,
            "passed": outcomes.get(Outcome.PASS, 0),
            "rejected": outcomes.get(Outcome.REJECT, 0),
            "undecided": outcomes.get(Outcome.REVIEW, 0),
        }

    def _wait_for_units_on_their_way(self) -> None:
        end = time.monotonic() + _DRAIN_S
        while self._service.line.on_the_way and time.monotonic() < end:
            time.sleep(0.02)


def _note(station: Station, what: str, batch: str, details: dict[str, Any]) -> Entry:
    draft = station.event(what, **details)
    named = Draft("event", batch=batch, product=station.recipe.product, recipe=draft.recipe, package=draft.package,
                  reason=what, details=draft.details)  # fmt: skip
    return station.archive.append(named, station.recipe.station)


def _last(archive: Archive, station: str) -> Entry | None:
    table = entries.c
    query = select(table.sequence).where(
        table.kind == "event", table.reason.in_((STARTED, STOPPED)), station_of_event == station
    )
    with archive.reader() as connection:
        sequence = connection.scalar(query.order_by(table.recorded_at.desc()).limit(1))
    return archive.get(station, sequence) if sequence is not None else None


def _used(archive: Archive, batch: str) -> bool:
    with archive.reader() as connection:
        return connection.scalar(select(entries.c.sequence).where(entries.c.batch == batch).limit(1)) is not None


def _recorded(archive: Archive, batch: str) -> int:
    query = select(func.count()).where(entries.c.batch == batch, entries.c.kind == "unit")
    with archive.reader() as connection:
        return int(connection.execute(query).scalar_one())


def list_batches(archive: Archive, limit: int, text: str = "", before: str = "") -> list[dict[str, Any]]:
    """Batches that were begun, the newest first: name, station, when, and what its end says. `key` is what `before` of
    the next page is. Raises ArchiveFault."""
    found = []
    for one in find_batches(archive, text, before, limit):
        more = {"counts": one.counts, "reconciled": one.reconciled}
        stopped = _said(one.stopped) | more if one.stopped else None
        found.append({"batch": one.batch, "station": one.station, "started": _said(one.started), "stopped": stopped,
                      "key": one.key})  # fmt: skip
    return found


def _said(entry: Entry) -> dict[str, Any]:
    return {"at": entry.recorded_at, "by": entry.details.get("by"), "record": entry.name}
