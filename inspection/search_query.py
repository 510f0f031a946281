"""What is looked for among units' records."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from inspection.errors import InspectionError
from inspection.records import utc_text

Order = Literal["newest", "oldest", "worst"]
ORDERS: tuple[Order, ...] = get_args(Order)
NOT_PASSED = "not_passed"  # an outcome to look for: REVIEW or REJECT


class SearchInvalid(InspectionError):
    """What is looked for, or where to go on, cannot be understood."""

    code = "search_invalid"


@dataclass(frozen=True)
class RecordQuery:
    """What is looked for: all of what is given. Times are UTC as in records, `until` not included; scores include both
    ends. `packages` are digests; `defect` is one that a classifier surely named; `reviewed` is a defect that the review
    that counts names, or `good`, `cannot_tell`, `any`, `none`."""

    batch: str | None = None
    since: str | None = None
    until: str | None = None
    outcome: str | None = None
    reason: str | None = None
    min_score: float | None = None
    max_score: float | None = None
    defect: str | None = None
    packages: tuple[str, ...] = ()
    recipe: str | None = None
    product: str | None = None
    station: str | None = None
    unit: str | None = None
    reviewed: str | None = None
    order: Order = "newest"

    def plain(self) -> dict[str, Any]:
        """What is given, as JSON values."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()
                if value not in (None, ())}  # fmt: skip


def utc_moment(text: str) -> str:
    """A time or a date as people and addresses write it, in UTC where it names no zone, as records have it. Raises
    SearchInvalid."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SearchInvalid(f"{text!r} is no time; write 2026-11-28 or 2026-11-28T06:30Z") from error
    try:
        return utc_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (OverflowError, ValueError) as error:
        raise SearchInvalid(f"{text!r} lies outside the calendar; write 2026-11-28 or 2026-11-28T06:30Z") from error
