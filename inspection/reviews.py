"""Reviewers' decisions: events in a station's chain, each about one unit's record, which stays as it is."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from inspection.archive import Archive, reading, rows_at
from inspection.errors import InspectionError
from inspection.record_findings import UNNAMED
from inspection.records import Draft, Entry, from_row, place_of
from inspection.schema import entries

REVIEW = "review"
_NAME = re.compile(r"[^,;\s]+( +[^,;\s]+)*")
_NO_DEFECT = ("", "good", "unsure", UNNAMED)


class RecordMissing(InspectionError):
    """There is no such unit's record in the archive."""

    code = "record_missing"


class ReviewInvalid(InspectionError):
    """A decision lacks what it needs."""

    code = "review_invalid"


class Decision(StrEnum):
    """What a person says of a unit: it is defective, it is good, or the pictures do not tell. The worst first."""

    CONFIRM_REJECT = "confirm_reject"
    CANNOT_TELL = "cannot_tell"
    FALSE_REJECT = "false_reject"


@dataclass(frozen=True)
class Review:
    """What a reviewer said of a unit: the decision, and the defects it shows where they were named. `name` is the
    review's own record, `at` its time in UTC; `record` and `record_hash` are those of the unit's. `blind`: made without
    seeing what others had decided; `settles`: ends the disagreement of two."""

    name: str
    at: str
    record: str
    record_hash: str
    labels: tuple[str, ...]
    reviewer: str
    comment: str
    decision: Decision
    blind: bool = False
    settles: bool = False

    @property
    def found(self) -> tuple[str, ...] | None:
        """The defects, `unnamed` for one without a name; none for a good unit; None where nobody can tell."""
        if self.decision is Decision.CANNOT_TELL:
            return None
        return self.labels or ((UNNAMED,) if self.decision is Decision.CONFIRM_REJECT else ())


def find_record(archive: Archive, record: str) -> Entry:
    """The record with this name (`station/sequence`). Raises RecordMissing and ArchiveFault."""
    station, sequence = place_of(record)
    with reading(archive.folder):
        entry = archive.get(station, sequence) if station and sequence else None
    if entry is None:
        raise RecordMissing(f"the archive has no record {record!r}; give one as station/number")
    return entry


def add_review(
    archive: Archive, record: str, labels: tuple[str, ...], reviewer: str, comment: str = "",
    decision: Decision | None = None, *, blind: bool = False, settles: bool = False,
) -> Entry:  # fmt: skip
    """Record what `reviewer` decided on the unit of `record` (`station/sequence`), with the defects that it shows.
    Without a `decision` the labels say it: some for a defective unit, none for a good one. A later review of the same
    unit counts instead of an earlier one (`deciding_review`); both stay.

    Raises RecordMissing, ReviewInvalid, ArchiveFault.
    """
    entry = find_record(archive, record)
    draft = review_draft(entry, labels, reviewer, comment, decision, blind=blind, settles=settles)
    return archive.append(draft, entry.station)


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The names of defects, without spaces around them. Raises ReviewInvalid."""
    labels = tuple(label.strip() for label in labels)
    unfit = [label for label in labels if label.lower() in _NO_DEFECT or not _NAME.fullmatch(label)]
    if unfit:
        raise ReviewInvalid(f"{unfit[0]!r} is not the name of a defect; give one without commas and semicolons")
    return labels


def review_draft(
    entry: Entry, labels: Sequence[str], reviewer: str, comment: str = "", decision: Decision | None = None, *,
    blind: bool = False, settles: bool = False, **more: Any,
) -> Draft:  # fmt: skip
    """The event of a review of a unit's record, which belongs into the same chain; `more` is added to its details.
    Raises RecordMissing and ReviewInvalid."""
    if entry.kind != "unit":
        raise RecordMissing(f"the archive has no unit's record {entry.name!r}; give one as station/number")
    if not reviewer.strip():
        raise ReviewInvalid("a review needs the reviewer's name")
    labels = check_labels(labels)
    decision = decision or _said_by(labels)
    if labels and decision is not Decision.CONFIRM_REJECT:
        raise ReviewInvalid(f"{labels[0]!r} is a defect, and {decision.replace('_', ' ')!r} says none; leave one out")
    details: dict[str, Any] = {
        "reviews": entry.name,
        "record_hash": entry.hash,
        "labels": sorted(set(labels)),
        "reviewer": reviewer.strip(),
        "comment": comment,
        "decision": str(decision),
    }
    details |= {name: True for name, said in (("blind", blind), ("settles", settles)) if said}
    details |= more
    return Draft("event", unit=entry.unit, batch=entry.batch, product=entry.product, reason=REVIEW, details=details)


def deciding_review(reviews: Sequence[Review]) -> Review | None:
    """Of all reviews of one unit, the oldest first, the one that counts: what settled a disagreement; else the last
    one, and where a blind second review says something else, the worse of both until somebody settles it."""
    settled = [one for one in reviews if one.settles]
    if settled:
        return settled[-1]
    blind = [one for one in reviews if one.blind]
    last = next(reversed([one for one in reviews if not one.blind] or blind), None)
    if last is None or not blind:
        return last
    second = blind[-1]
    order = list(Decision)
    return second if order.index(second.decision) < order.index(last.decision) else last


def reviewed(archive: Archive, batch: str | None = None) -> Iterator[tuple[Entry, Review]]:
    """Each unit's record that was reviewed, of one batch if it is named, with the review that counts, by station and
    number. Raises ReviewInvalid where a review is not of the record as it is."""
    latest = counting_reviews(archive, batch)
    with archive.reader() as connection:
        found = {(row["station"], row["sequence"]): row for row in rows_at(connection, map(place_of, latest))}
    for record, review in sorted(latest.items(), key=lambda item: place_of(item[0])):
        row = found.get(place_of(record))
        check_reviewed(review, row["hash"] if row else None)
        assert row is not None
        yield from_row(row), review


def counting_reviews(archive: Archive, batch: str | None = None) -> dict[str, Review]:
    """The review that counts of each unit that was reviewed, of one batch if it is named, by the name of the unit's
    record. Raises ReviewInvalid for one that cannot be read."""
    table = entries.c
    query = select(entries).where(table.kind == "event", table.reason == REVIEW)
    query = query.where(table.batch == batch) if batch is not None else query
    with archive.reader() as connection:
        rows = connection.execute(query.order_by(table.recorded_at, table.sequence)).mappings()
        reviews = [read_review(from_row(row)) for row in rows]
    hashes: dict[str, str] = {}
    for review in reviews:
        check_reviewed(review, hashes.setdefault(review.record, review.record_hash))
    return counting(reviews)


def counting(reviews: Iterable[Review]) -> dict[str, Review]:
    """Of reviews of any units, the oldest first, the one that counts of each unit, by the name of its record."""
    found: dict[str, list[Review]] = {}
    for review in reviews:
        found.setdefault(review.record, []).append(review)
    deciding = {record: deciding_review(of) for record, of in found.items()}
    return {record: review for record, review in deciding.items() if review}


def check_reviewed(review: Review, hash_: str | None) -> None:
    """Raises ReviewInvalid where the review is not of the record that has this hash now."""
    if hash_ != review.record_hash:
        raise ReviewInvalid(f"{review.name} reviews {review.record} as it is not; run `inspection verify`")


def read_review(entry: Entry) -> Review:
    """The review in an event. Raises ReviewInvalid."""
    details = entry.details
    try:
        labels = tuple(details["labels"])
        return Review(
            name=entry.name,
            at=entry.recorded_at,
            record=details["reviews"],
            record_hash=details["record_hash"],
            labels=labels,
            reviewer=details["reviewer"],
            comment=details["comment"],
            # the first reviews had labels alone
            decision=Decision(details["decision"]) if "decision" in details else _said_by(labels),
            blind=details.get("blind") is True,
            settles=details.get("settles") is True,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReviewInvalid(f"{entry.name} cannot be read as a review; run `inspection verify`") from error


def _said_by(labels: Sequence[str]) -> Decision:
    return Decision.CONFIRM_REJECT if labels else Decision.FALSE_REJECT
