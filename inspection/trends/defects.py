"""Which defects units have: what a classifier surely named, and what a reviewer said of them."""

from collections import Counter

from sqlalchemy import Connection, select

from inspection.record_findings import sure_defects
from inspection.reviews import REVIEW
from inspection.schema import entries
from inspection.trends.query import Selection
from inspection.trends.subgroups import decode_details
from inspection.verdict import Outcome, Reason

_NAMED = (Reason.CLASS_FOUND, Reason.CLASS_FOR_REVIEW)
_MOST = 20_000


def defect_counts(connection: Connection, selection: Selection) -> tuple[Counter[str], int]:
    """How many units have each defect (a unit may have several), and of how many of them a person said so. Of more than
    20 000 such units the newest are counted."""
    table = entries.c
    named = select(table.station, table.sequence, table.details).where(
        *selection.conditions(), table.outcome.in_((Outcome.REJECT, Outcome.REVIEW)), table.reason.in_(_NAMED)
    )
    found: dict[str, list[str]] = {}
    for station, sequence, details in connection.execute(named.order_by(table.recorded_at.desc()).limit(_MOST)):
        found[f"{station}/{sequence}"] = sure_defects(decode_details(details))
    said = select(table.details).where(*selection.range_conditions(), table.kind == "event", table.reason == REVIEW)
    said = said.where(table.station == selection.station) if selection.station is not None else said
    said = said.where(table.product == selection.product) if selection.product is not None else said
    reviewed = set()
    for (details,) in connection.execute(said.order_by(table.recorded_at).limit(_MOST)):
        told = decode_details(details)
        labels, record = told.get("labels"), told.get("reviews")
        if isinstance(labels, list) and isinstance(record, str):
            found[record] = [str(label) for label in labels]
            reviewed.add(record)
    counts = Counter(name for names in found.values() for name in set(names))
    return counts, len([record for record in reviewed if found[record]])
