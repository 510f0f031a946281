"""Every signed statement of an archive against what it signs: signatures of records, steps of change control, removals
by the retention rule."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from inspection.archive import Archive
from inspection.challenge.clearance import override_fault
from inspection.challenge.run import OVERRIDDEN
from inspection.records import AUDIT, Entry, from_row
from inspection.registry.items import PREFIX, step_fault
from inspection.retention_marks import REMOVED, Kept, removal_fault
from inspection.schema import entries
from inspection.signatures import SIGNED, signature_fault

Found = Callable[[str], object]


def check_signatures(archive: Archive, kept: Kept, keys: Collection[str], found: Found) -> None:
    """Give `found` a sentence for each statement that does not hold, was signed with none of `keys`, where there are
    any, or stands on record a second time. Raises ArchiveFault."""
    table = entries.c
    steps = (table.reason >= PREFIX) & (table.reason < PREFIX + "~")
    query = select(entries).where(
        table.kind == "event",
        or_(and_(table.station == AUDIT, or_(table.reason.in_((SIGNED, REMOVED)), steps)), table.reason == OVERRIDDEN),
    )
    seen: dict[str, str] = {}
    with archive.reader() as connection:
        for row in connection.execute(query.order_by(table.station, table.sequence)).mappings():
            try:
                event = from_row(row)
                fault = _fault(connection, event, kept, keys)
            except (TypeError, ValueError, KeyError, AttributeError):
                found(f"record {row['station']}/{row['sequence']} cannot be read as a signature")
                continue
            statement = event.details if event.reason == SIGNED else event.details.get("statement", {})
            signature = str(statement.get("signature"))
            if not fault and seen.setdefault(signature, event.name) != event.name:
                fault = f"stands under {seen[signature]} already"
            if fault:
                about = statement.get("signs") or event.details.get("subject")
                found(f"{event.name}, a signature under {about}: {fault}")


def _fault(connection: Connection, event: Entry, kept: Kept, keys: Collection[str]) -> str:
    if event.reason == OVERRIDDEN:
        return override_fault(event, keys)
    if event.reason == REMOVED:
        return removal_fault(event.details, keys)
    if event.reason != SIGNED:
        return step_fault(event, keys)
    return signature_fault(event.details, keys) or _record_fault(connection, event.details, kept)


def _record_fault(connection: Connection, details: Mapping[str, Any], kept: Kept) -> str:
    station, _, number = str(details["signs"]).rpartition("/")
    sequence = int(number) if number.isdigit() and len(number) < 18 else 0
    hash_ = connection.scalar(
        select(entries.c.hash).where(entries.c.station == station, entries.c.sequence == sequence)
    )
    if hash_ is None and kept.record_may_be_gone(station, sequence):
        return ""  # the rule removed the record; who signed it stays on record
    return "" if hash_ == details["hash"] else "the record is another than was signed"
