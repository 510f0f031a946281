"""What was said of units after they were inspected: the review of each that counts, and corrections of its outcome."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from inspection.archive import Archive
from inspection.records import Correction, Entry, correction, from_row
from inspection.reviews import REVIEW, Review, counting, read_review
from inspection.schema import entries

_CHUNK = 400


@dataclass(frozen=True)
class Afterwards:
    """By the unit's record: the review that counts, and the outcome it has instead of the recorded one, with why."""

    reviews: dict[str, Review] = field(default_factory=dict)
    corrections: dict[str, Correction] = field(default_factory=dict)


def afterwards(archive: Archive, units: Sequence[Entry]) -> Afterwards:
    """What was said of these units' records. Raises ArchiveFault, and ReviewInvalid for what cannot be read."""
    table, known = entries.c, {entry.name for entry in units}
    names = sorted({entry.unit for entry in units if entry.unit})
    reviews: list[Review] = []
    corrections: dict[str, Correction] = {}
    with archive.reader() as connection:
        for first in range(0, len(names), _CHUNK):
            about = select(entries).where(table.unit.in_(names[first : first + _CHUNK]))
            rows = [row for row in connection.execute(about).mappings() if row["kind"] == "event"]
            for row in sorted(rows, key=lambda row: (row["recorded_at"], row["station"], row["sequence"])):
                if row["reason"] == REVIEW:
                    reviews.append(read_review(from_row(row)))
                else:
                    corrections |= {name: said for name, said in correction(dict(row)).items() if name in known}
    return Afterwards(counting(review for review in reviews if review.record in known), corrections)
