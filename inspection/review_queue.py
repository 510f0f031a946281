"""What is to be decided by a person: the units of a batch that did not pass, in order, with what was decided on them.

Everything of a batch is read by the index of batches, in one query of the columns that order it; a batch has some
thousands of units, of which few did not pass.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Select, and_, case, or_, select

from inspection.archive import Archive
from inspection.record_findings import CLASSIFIER
from inspection.records import Correction, Entry, correction, from_row, utc_text
from inspection.reviews import REVIEW, Review, deciding_review, read_review
from inspection.schema import entries
from inspection.second_review import second_due
from inspection.verdict import Outcome

Which = Literal["undecided", "rejected", "all"]
Order = Literal["undecided", "worst"]
State = Literal["open", "decided"]
WITHOUT_BATCH_DAYS = 7  # of units of no batch, which never end
_DECIDED_BY_CLASSIFIER = f'"decided_by":"{CLASSIFIER}"'
_BLIND = '"blind":true'
_AT_ONCE = 500
_CORRECTS = '"corrects":'
_NEWEST = 2000


@dataclass(frozen=True)
class QueueUnit:
    """A unit that did not pass. Score and limits are those of the package that decided; `outcome` and `reason` are
    after correction. `reviews`: the oldest first."""

    station: str
    sequence: int
    recorded_at: str
    unit: str | None
    product: str | None
    outcome: str
    reason: str | None
    score: float | None
    reject_limit: float | None
    hash: str
    reviews: tuple[Review, ...] = ()

    @property
    def name(self) -> str:
        """The record's name."""
        return f"{self.station}/{self.sequence}"

    @property
    def ratio(self) -> float | None:
        """The score as a multiple of the reject limit: what packages and batches can be compared by."""
        return self.score / self.reject_limit if self.score is not None and self.reject_limit else None


@dataclass(frozen=True)
class Queue:
    """A reviewer's queue: `units` in order, `total` and `done` of all that fit the filter."""

    units: list[QueueUnit]
    total: int
    done: int


def batch_query(batch: str | None) -> Select[Any]:
    """All that the queue of a batch is made of: units that did not pass, and what corrects or reviews a unit."""
    table = entries.c
    told = case((or_(table.kind == "event", table.details.contains(_DECIDED_BY_CLASSIFIER)), table.details), else_=None)
    about_units = and_(table.kind == "event", or_(table.reason == REVIEW, table.details.contains(_CORRECTS)))
    query = select(
        table.station, table.sequence, table.kind, table.recorded_at, table.unit, table.batch, table.product,
        table.outcome, table.reason, table.score, table.reject_limit, table.hash, told.label("details"),
    ).where(or_(table.outcome.in_([Outcome.REVIEW, Outcome.REJECT]), about_units))  # fmt: skip
    if batch is None:
        since = utc_text(datetime.now(UTC) - timedelta(days=WITHOUT_BATCH_DAYS))
        query = query.where(table.batch.is_(None), table.recorded_at >= since)
    else:
        query = query.where(table.batch == batch)
    return query.order_by(table.recorded_at, table.sequence)


def batch_units(archive: Archive, batch: str | None) -> list[QueueUnit]:
    """The units of a batch that did not pass, as recorded, with their reviews. None: of no batch, of the last days.
    Raises ArchiveFault, and ReviewInvalid for a review that cannot be read."""
    units: dict[str, QueueUnit] = {}
    reviews: dict[str, list[Review]] = {}
    corrected: dict[str, Correction] = {}
    with archive.reader() as connection:
        rows = connection.execute(batch_query(batch)).mappings().all()
    for row in rows:
        if row["kind"] == "unit":
            unit = _unit(row)
            units[unit.name] = unit
        elif row["reason"] == REVIEW:
            review = _review(row)
            reviews.setdefault(review.record, []).append(review)
        else:
            corrected |= correction(dict(row))
    for name, (outcome, reason) in corrected.items():
        found = units.get(name) or _passed(archive, name)
        if found:
            units[name] = replace(found, outcome=outcome, reason=reason)
    return [replace(unit, reviews=tuple(reviews.get(name, ()))) for name, unit in units.items()
            if unit.outcome != Outcome.PASS]  # fmt: skip


def queue(
    units: Iterable[QueueUnit], reviewer: str, share: float, which: Which = "all", order: Order = "undecided",
    state: State = "open",
) -> Queue:  # fmt: skip
    """The queue of `reviewer` where `share` of the reviewed units get a second look. Open are those that nobody decided
    on, and those that this reviewer is to look at as the second one. Worst first, by the score as a multiple of the
    reject limit; units without a score come last; `order` undecided: those that the line left undecided before."""
    fitting = [unit for unit in units if which == "all" or (unit.outcome == Outcome.REVIEW) is (which == "undecided")]
    waiting = [unit for unit in fitting if is_open(unit, reviewer, share)]
    if state == "decided":
        names = {unit.name for unit in waiting}
        shown = sorted((unit for unit in fitting if unit.name not in names), key=_last_decided, reverse=True)
    else:
        shown = sorted(waiting, key=lambda unit: _rank(unit, order))
    return Queue(shown, len(fitting), len(fitting) - len(waiting))


def is_open(unit: QueueUnit, reviewer: str, share: float) -> bool:
    """Whether the reviewer is to decide on it."""
    return not unit.reviews or second_due(unit.reviews, unit.hash, share, reviewer)


def page_of(units: Sequence[QueueUnit], after: str | None, limit: int) -> list[QueueUnit]:
    """The next units after the one of this name, from the first on where it is not among them."""
    names = [unit.name for unit in units]
    first = names.index(after) + 1 if after in names else 0
    return list(units[first : first + limit])


def reviews_of(archive: Archive, entry: Entry) -> tuple[list[Review], list[Entry]]:
    """All reviews of a unit, and all that corrects it, the oldest first, by the index of units."""
    if entry.unit is None:
        return [], []
    query = select(entries).where(entries.c.unit == entry.unit).order_by(entries.c.recorded_at, entries.c.sequence)
    with archive.reader() as connection:
        found = [from_row(row) for row in connection.execute(query).mappings()]
    events = [one for one in found if one.kind == "event"]
    reviews = [read_review(one) for one in events if one.reason == REVIEW and one.details.get("reviews") == entry.name]
    return reviews, [one for one in events if one.details.get("corrects") == entry.name]


def newest_batches(archive: Archive, limit: int = 30) -> list[str]:
    """The batches of the newest units that did not pass, the newest first, by the index of outcomes."""
    table = entries.c
    names: list[tuple[str, str]] = []
    with archive.reader() as connection:
        for outcome in (Outcome.REVIEW, Outcome.REJECT):
            query = select(table.recorded_at, table.batch).where(table.outcome == outcome)
            rows = connection.execute(query.order_by(table.recorded_at.desc()).limit(_NEWEST))
            names += [(at, batch) for at, batch in rows if batch is not None]
    return list(dict.fromkeys(batch for _, batch in sorted(names, reverse=True)))[:limit]


def product_of(archive: Archive, batch: str | None) -> tuple[str | None, list[str]]:
    """The product of a batch, and the defects that its packages know, as its newest records say, by the index of
    batches; None and nothing where it has none."""
    table = entries.c
    query = select(table.product, table.details).where(
        table.batch.is_(None) if batch is None else table.batch == batch, table.kind == "unit"
    )
    with archive.reader() as connection:
        rows = connection.execute(query.order_by(table.recorded_at.desc()).limit(20)).all()
    details = [json.loads(row.details) for row in rows]
    classes = [name for one in details for part in (one, one.get(CLASSIFIER) or {}) for name in part.get("classes", {})]
    return next((row.product for row in rows if row.product), None), list(dict.fromkeys(classes))


def labels_used(archive: Archive, product: str | None, newest: int = 500) -> list[str]:
    """Names of defects in the newest reviews of a product, the most frequent first, by the index of events."""
    table = entries.c
    query = select(table.details).where(table.kind == "event", table.reason == REVIEW, table.product == product)
    counts: dict[str, int] = {}
    with archive.reader() as connection:
        for details in connection.scalars(query.order_by(table.recorded_at.desc()).limit(newest)):
            for label in json.loads(details).get("labels", []):
                counts[label] = counts.get(label, 0) + 1
    return sorted(counts, key=lambda label: (-counts[label], label))


def second_reviews(archive: Archive, since: str, newest: int = 2000) -> list[list[Review]]:
    """All reviews of each unit that a second person looked at since a time (UTC, ISO 8601), the `newest` at most: those
    looks by the index of events, the units' other reviews by the index of units."""
    table = entries.c
    looks = select(table.details, table.unit).where(
        table.kind == "event", table.reason == REVIEW, table.recorded_at >= since, table.details.contains(_BLIND)
    )
    found: dict[str, list[Review]] = {}
    with archive.reader() as connection:
        rows = connection.execute(looks.order_by(table.recorded_at.desc()).limit(newest)).all()
        wanted = {json.loads(details)["reviews"] for details, _ in rows}
        units = sorted({unit for _, unit in rows})
        for first in range(0, len(units), _AT_ONCE):
            of_units = select(entries).where(table.unit.in_(units[first : first + _AT_ONCE]))
            for row in connection.execute(of_units.order_by(table.recorded_at, table.sequence)).mappings():
                if row["kind"] != "event" or row["reason"] != REVIEW:
                    continue
                review = read_review(from_row(row))
                if review.record in wanted:
                    found.setdefault(review.record, []).append(review)
    return list(found.values())


def _rank(unit: QueueUnit, order: Order) -> tuple[bool, bool, float, str, int]:
    ratio = unit.ratio
    later = order == "undecided" and unit.outcome != Outcome.REVIEW
    return later, ratio is None, -(ratio or 0.0), unit.recorded_at, unit.sequence


def _last_decided(unit: QueueUnit) -> str:
    counts = deciding_review(unit.reviews)
    return counts.at if counts else ""


def _unit(row: Mapping[Any, Any]) -> QueueUnit:
    score, limit = row["score"], row["reject_limit"]
    if row["details"] is not None:
        decided = json.loads(row["details"]).get(CLASSIFIER) or {}
        score, limit = decided.get("score"), decided.get("reject_limit")
    return QueueUnit(row["station"], row["sequence"], row["recorded_at"], row["unit"], row["product"], row["outcome"],
                     row["reason"], score, limit, row["hash"])  # fmt: skip


def _review(row: Mapping[Any, Any]) -> Review:
    return read_review(Entry("event", details=json.loads(row["details"]), station=row["station"],
                             sequence=row["sequence"], recorded_at=row["recorded_at"]))  # fmt: skip


def _passed(archive: Archive, name: str) -> QueueUnit | None:
    """A unit whose record says PASS, and was corrected."""
    station, _, number = name.rpartition("/")
    entry = archive.get(station, int(number)) if number.isdigit() else None
    if entry is None or entry.kind != "unit":
        return None
    return QueueUnit(entry.station, entry.sequence, entry.recorded_at, entry.unit, entry.product, str(entry.outcome),
                     entry.reason, entry.score, entry.reject_limit, entry.hash)  # fmt: skip
