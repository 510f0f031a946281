"""Which defects units have: what a classifier surely named, and what a reviewer said of them."""

from collections import Counter

from sqlalchemy import Connection, select

from inspection.record_findings import sure_defects
from inspection.records import from_row
from inspection.reviews import REVIEW, counting, read_review
from inspection.schema import entries
from inspection.trends.details import decode_object
from inspection.trends.query import IS_EVENT, Selection
from inspection.verdict import Outcome, Reason

NAMED = (Reason.CLASS_FOUND, Reason.CLASS_FOR_REVIEW)
_MOST = 20_000


def defect_counts(connection: Connection, selection: Selection, named: bool = True) -> tuple[Counter[str], int]:
    """How many units have each defect (a unit may have several), and of how many of them a person said so. Of more than
    20 000 such units the newest are counted. `named` is False where it is known that a classifier named none."""
    table = entries.c
    query = select(table.station, table.sequence, table.details).where(
        *selection.conditions(), table.outcome.in_((Outcome.REJECT, Outcome.REVIEW)), table.reason.in_(NAMED)
    )
    found: dict[str, list[str]] = {}
    newest = query.order_by(table.recorded_at.desc()).limit(_MOST)
    for station, sequence, details in connection.execute(newest) if named else ():
        found[f"{station}/{sequence}"] = sure_defects(decode_object(details))
    said = select(entries).where(*selection.range_conditions(), IS_EVENT, table.reason == REVIEW)
    said = said.where(table.station == selection.station) if selection.station is not None else said
    said = said.where(table.product == selection.product) if selection.product is not None else said
    reviewed = set()
    newest = said.order_by(table.recorded_at.desc(), table.sequence.desc()).limit(_MOST)
    rows = reversed(connection.execute(newest).mappings().all())
    for record, review in counting(read_review(from_row(row)) for row in rows).items():
        if review.found is None:  # nobody can tell: what a classifier named stands
            continue
        if review.labels or not review.found:
            found[record] = list(review.labels)
        reviewed.add(record)
    counts = Counter(name for names in found.values() for name in set(names))
    return counts, len([record for record in reviewed if found.get(record)])
