"""Reviewers' decisions: events in a station's chain, each about one unit's record, which stays as it is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from inspection.archive import Archive, reading, rows_at
from inspection.errors import InspectionError
from inspection.records import Draft, Entry, from_row, place_of
from inspection.schema import entries

REVIEW = "review"
_NAME = re.compile(r"[^,;\s]+( +[^,;\s]+)*")
_NO_DEFECT = ("", "good", "unsure")


class RecordMissing(InspectionError):
    """There is no such unit's record in the archive."""

    code = "record_missing"


class ReviewInvalid(InspectionError):
    """A decision lacks what it needs."""

    code = "review_invalid"


@dataclass(frozen=True)
class Review:
    """What a reviewer said of a unit: the defects it shows, none for a good one. `name` is the review's own record,
    `at` its time in UTC; `record` and `record_hash` are those of the unit's."""

    name: str
    at: str
    record: str
    record_hash: str
    labels: tuple[str, ...]
    reviewer: str
    comment: str


def find_record(archive: Archive, record: str) -> Entry:
    """The record with this name (`station/sequence`). Raises RecordMissing and ArchiveFault."""
    station, sequence = place_of(record)
    with reading(archive.folder):
        entry = archive.get(station, sequence) if station and sequence else None
    if entry is None:
        raise RecordMissing(f"the archive has no record {record!r}; give one as station/number")
    return entry


def add_review(archive: Archive, record: str, labels: tuple[str, ...], reviewer: str, comment: str = "") -> Entry:
    """Record that `reviewer` found these defects on the unit of `record` (`station/sequence`), none for a good unit. A
    later review of the same unit counts instead of an earlier one; both stay.

    Raises RecordMissing, ReviewInvalid, ArchiveFault.
    """
    entry = find_record(archive, record)
    if entry.kind != "unit":
        raise RecordMissing(f"the archive has no unit's record {record!r}; give one as station/number")
    if not reviewer.strip():
        raise ReviewInvalid("a review needs the reviewer's name")
    labels = tuple(label.strip() for label in labels)
    unfit = [label for label in labels if label.lower() in _NO_DEFECT or not _NAME.fullmatch(label)]
    if unfit:
        raise ReviewInvalid(f"{unfit[0]!r} is not the name of a defect; give one without commas and semicolons")
    details = {
        "reviews": entry.name,
        "record_hash": entry.hash,
        "labels": sorted(set(labels)),
        "reviewer": reviewer.strip(),
        "comment": comment,
    }
    draft = Draft("event", unit=entry.unit, batch=entry.batch, product=entry.product, reason=REVIEW, details=details)
    return archive.append(draft, entry.station)


def reviewed(archive: Archive, batch: str | None = None) -> Iterator[tuple[Entry, Review]]:
    """Each unit's record that was reviewed, of one batch if it is named, with the last review of it, by station and
    number. Raises ReviewInvalid where a review is not of the record as it is."""
    latest = latest_reviews(archive, batch)
    with archive.reader() as connection:
        found = {(row["station"], row["sequence"]): row for row in rows_at(connection, map(place_of, latest))}
    for record, review in sorted(latest.items(), key=lambda item: place_of(item[0])):
        row = found.get(place_of(record))
        check_reviewed(review, row["hash"] if row else None)
        assert row is not None
        yield from_row(row), review


def latest_reviews(archive: Archive, batch: str | None = None) -> dict[str, Review]:
    """The last review of each unit that was reviewed, of one batch if it is named, by the name of the unit's record.
    Raises ReviewInvalid for one that cannot be read."""
    table = entries.c
    query = select(entries).where(table.kind == "event", table.reason == REVIEW)
    query = query.where(table.batch == batch) if batch is not None else query
    with archive.reader() as connection:
        rows = connection.execute(query.order_by(table.recorded_at, table.sequence)).mappings().all()
    return {review.record: review for review in (_review(from_row(row)) for row in rows)}


def check_reviewed(review: Review, hash_: str | None) -> None:
    """Raises ReviewInvalid where the review is not of the record that has this hash now."""
    if hash_ != review.record_hash:
        raise ReviewInvalid(f"{review.name} reviews {review.record} as it is not; run `inspection verify`")


def _review(entry: Entry) -> Review:
    details = entry.details
    try:
        return Review(
            name=entry.name,
            at=entry.recorded_at,
            record=details["reviews"],
            record_hash=details["record_hash"],
            labels=tuple(details["labels"]),
            reviewer=details["reviewer"],
            comment=details["comment"],
        )
    except (KeyError, TypeError) as error:
        raise ReviewInvalid(f"{entry.name} cannot be read as a review; run `inspection verify`") from error
