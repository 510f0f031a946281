"""Reviewers' decisions: events in a station's chain, each about one unit's record, which stays as it is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from inspection.archive import Archive, reading
from inspection.errors import InspectionError
from inspection.records import Draft, Entry, from_row
from inspection.schema import entries

REVIEW = "review"
_NUMBER = re.compile(r"[0-9]{1,18}")  # what a database takes for one
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
    station, _, number = record.rpartition("/")
    with reading(archive.folder):
        entry = archive.get(station, int(number)) if station and _NUMBER.fullmatch(number) else None
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
    table = entries.c
    query = select(entries).where(table.kind == "event", table.reason == REVIEW)
    query = query.where(table.batch == batch) if batch is not None else query
    with archive.reader() as connection:
        rows = connection.execute(query.order_by(table.recorded_at, table.sequence)).mappings().all()
    latest = {review.record: review for review in (_review(from_row(row)) for row in rows)}
    for record, review in sorted(latest.items(), key=lambda item: _place(item[0])):
        entry = archive.get(*_place(record))
        if entry is None or entry.hash != review.record_hash:
            raise ReviewInvalid(f"{review.name} reviews {record} as it is not; run `inspection verify`")
        yield entry, review


def _place(record: str) -> tuple[str, int]:
    station, _, number = record.rpartition("/")
    return station, int(number) if _NUMBER.fullmatch(number) else 0


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
