"""What a unit's record must say to be found, as SQL that SQLite and PostgreSQL both understand."""

import json
import re
from dataclasses import dataclass
from typing import cast

from sqlalchemy import ColumnElement, Connection, and_, exists, func, not_, or_, select, text
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import custom_op

from inspection.records import from_row, place_of
from inspection.reviews import REVIEW, Decision, Review, counting, read_review
from inspection.schema import entries
from inspection.verdict import Outcome, Reason

ANY, ABSENT, GOOD, CANNOT_TELL = "any", "none", "good", str(Decision.CANNOT_TELL)
REVIEWS_READ = 20_000
# As the partial indexes have it, in these very words: SQLite takes such an index only then.
EVENTS_ONLY = cast("ColumnElement[bool]", text("kind = 'event'"))
STOPPED_ONLY = cast("ColumnElement[bool]", text("kind = 'unit' AND outcome <> 'PASS'"))


@dataclass(frozen=True)
class Terms:
    """All that is given must hold. `classifiers` are digests of packages beside the one that a record names."""

    batch: str | None = None
    outcome: str | None = None
    stopped: bool = False
    reason: str | None = None
    min_score: float | None = None
    max_score: float | None = None
    defect: str | None = None
    packages: tuple[str, ...] = ()
    classifiers: tuple[str, ...] = ()
    recipe: str | None = None
    product: str | None = None
    station: str | None = None
    unit: str | None = None
    unreviewed: bool = False
    postgresql: bool = False


def is_stopped(reason: str) -> bool:
    """Whether units with this reason did not pass."""
    return reason != Reason.WITHIN_LIMITS


def conditions(terms: Terms) -> list[ColumnElement[bool]]:
    """The conditions on a unit's record."""
    table = entries.c
    wanted: list[ColumnElement[bool]] = [_aside(table.kind, terms) == "unit"]
    for name in ("batch", "outcome", "reason", "recipe", "product", "station", "unit"):
        value = getattr(terms, name)
        if value is not None:
            wanted.append(_aside(table[name], terms) == value)
    if terms.stopped:
        wanted.append(_aside(table.outcome, terms) != Outcome.PASS)
    wanted += [table.score >= terms.min_score] if terms.min_score is not None else []
    wanted += [table.score <= terms.max_score] if terms.max_score is not None else []
    digests = [_aside(table.package, terms) == one for one in terms.packages]
    digests += [table.details.contains(f'"package":{json.dumps(one)}', autoescape=True) for one in terms.classifiers]
    wanted += [or_(*digests)] if digests else []
    wanted += [_named(terms.defect)] if terms.defect is not None else []
    wanted += [not_(_reviewed(terms))] if terms.unreviewed else []
    return wanted


def reviewed_records(connection: Connection, label: str | None, batch: str | None) -> list[tuple[str, int]]:
    """Station and number of each record whose review that counts names this defect (`good`: it says that there is none,
    `cannot_tell`: nobody can say; None: any review), of the newest reviews, those of one batch if it is named. Raises
    ReviewInvalid."""
    table = entries.c
    query = select(entries).where(EVENTS_ONLY, table.reason == REVIEW)
    query = query.where(table.batch == batch) if batch else query
    newest = query.order_by(table.recorded_at.desc(), table.sequence.desc()).limit(REVIEWS_READ)
    rows = reversed(connection.execute(newest).mappings().all())
    found = counting(read_review(from_row(row)) for row in rows)
    places = (place_of(record) for record, review in found.items() if label is None or label in _labels(review))
    return [(station, number) for station, number in places if number]


def _labels(review: Review | None) -> tuple[str, ...]:
    if review is None:
        return ()
    return (CANNOT_TELL,) if review.found is None else review.found or (GOOD,)


def _aside(column: ColumnElement[str], terms: Terms) -> ColumnElement[str]:
    """The column, not to be looked up by an index: SQLite, which knows no statistics here, would take any other one
    than the index that a search walks along."""
    return column if terms.postgresql else UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def _named(defect: str) -> ColumnElement[bool]:
    """A classifier is sure of this defect: it stands in a list `sure`. Details are canonical JSON."""
    table, word = entries.c, json.dumps(defect, ensure_ascii=False)
    listed = rf'"sure":\[("([^"\\]|\\.)*",)*{_literal(word)}[],]'
    return and_(
        table.outcome != Outcome.PASS, table.details.contains(word, autoescape=True), table.details.regexp_match(listed)
    )


def _literal(word: str) -> str:
    """For both databases' regular expressions: what has a meaning there, escaped."""
    return re.sub(r"([][\\.^$*+?{}()|])", r"\\\1", word)


def _reviewed(terms: Terms) -> ColumnElement[bool]:
    """There is a review of this record. It names the same unit, which an index finds."""
    table, review = entries.c, entries.alias("review")
    name = '"reviews":"' + table.station + "/" + table.sequence.cast(_Text) + '"'
    return exists().where(
        _aside(review.c.kind, terms) == "event", _aside(review.c.reason, terms) == REVIEW, review.c.unit == table.unit,
        review.c.recorded_at >= table.recorded_at, func.replace(review.c.details, name, "") != review.c.details,
    )  # fmt: skip


_Text = entries.c.details.type
