"""What people decide on units: the queue of a batch, decisions, second reviews and how far they agree."""

import threading
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from inspection.accounts.roles import Permission
from inspection.agreement import Agreement
from inspection.archive import Archive
from inspection.records import Entry, utc_text
from inspection.review_queue import (
    Order,
    QueueUnit,
    State,
    Which,
    batch_units,
    page_of,
    queue,
    reviews_of,
    second_reviews,
)
from inspection.reviews import REVIEW, Decision, RecordMissing, Review, ReviewInvalid, add_review, find_record
from inspection.second_review import agreement_of, change_share, concealed, disagreement, pair, read_share
from serve.authentication import Who
from serve.deps import Allowed, ArchiveDep, EntryDep, allow
from serve.problems import Problem
from serve.routes.control import Why

router = APIRouter(prefix="/api", tags=["reviews"])
Reader = Annotated[Who, Depends(Allowed(Permission.VIEW))]
Reviewer = Annotated[Who, Depends(Allowed(Permission.REVIEW))]
Label = Annotated[str, Field(min_length=1, max_length=64)]
_ONE_BY_ONE = threading.Lock()  # between what somebody saw of a unit and their decision nobody else's comes


class Decided(BaseModel):
    """A decision on a unit. `after` is the last decision on it that its reviewer saw, empty for none: where somebody
    decided meanwhile, it is refused. `settles` ends the disagreement of two reviewers."""

    model_config = ConfigDict(extra="forbid")

    decision: Decision
    labels: list[Label] = Field(default=[], max_length=16)
    comment: str = Field(default="", max_length=2000)
    after: str | None = Field(default=None, max_length=90)
    settles: bool = False


class ShareChanged(BaseModel):
    """Another share of reviewed units is looked at a second time."""

    model_config = ConfigDict(extra="forbid")

    share: float = Field(ge=0, le=1)
    why: Why


@router.get("/review/queue")
def read_queue(
    archive: ArchiveDep, who: Reader, batch: Annotated[str, Query(max_length=128)] = "", which: Which = "all",
    order: Order = "undecided", state: State = "open", after: Annotated[str | None, Query(max_length=90)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:  # fmt: skip
    """The units of a batch (none named: of no batch) that wait for a decision of who asks, the first ones after the
    unit `after`; or those decided on, the latest first. `total` and `done` count all that fit `which`."""
    found = queue(batch_units(archive, batch or None), who.name, share_of(archive), which, order, state)
    return {
        "batch": batch, "total": found.total, "done": found.done, "left": len(found.units),
        "units": [_described(unit, state) for unit in page_of(found.units, after, limit)],
    }  # fmt: skip


def _described(unit: QueueUnit, state: State) -> dict[str, Any]:
    names = ("station", "sequence", "unit", "outcome", "reason", "score", "reject_limit", "ratio", "recorded_at")
    return {name: getattr(unit, name) for name in names} | {"decided": state == "decided"}


@router.get("/records/{station}/{sequence}/reviews")
def read_reviews(who: Reader, archive: ArchiveDep, entry: EntryDep) -> list[dict[str, Any]]:
    """What people decided on a unit, the oldest first. Who is to look at it blind sees only their own."""
    return [asdict(one) for one in visible_reviews(archive, entry, who)[0]]


@router.post("/records/{station}/{sequence}/review", status_code=201)
def decide(asked: Decided, who: Reviewer, archive: ArchiveDep, entry: EntryDep) -> dict[str, Any]:
    """Decide on a unit, durably. 409 where somebody decided meanwhile, 422 for what is no decision. Whether it is a
    blind second review follows from the unit and from who asks, and is on record."""
    with _ONE_BY_ONE:
        reviews, _ = reviews_of(archive, entry)
        blind = concealed(reviews, entry.hash, share_of(archive), who.name)
        if asked.settles:
            _check_settling(reviews, who)
        elif asked.after is not None and not blind and asked.after != (reviews[-1].name if reviews else ""):
            last = reviews[-1].reviewer if reviews else "nobody"
            raise Problem(409, "reviewed_meanwhile", f"{last} decided on {entry.name} meanwhile; look at it again")
        try:
            made = add_review(archive, entry.name, tuple(asked.labels), who.name, asked.comment.strip(), asked.decision,
                              blind=blind and not asked.settles, settles=asked.settles)  # fmt: skip
        except RecordMissing as error:
            raise Problem(404, error.code, str(error)) from error
        except ReviewInvalid as error:
            raise Problem(422, error.code, str(error)) from error
    return {"review": made.name, "at": made.recorded_at, "decision": asked.decision, "reviewer": who.name}


def _check_settling(reviews: list[Review], who: Who) -> None:
    if Permission.APPROVE not in who.permissions:
        raise Problem(403, "not_permitted", f"{who.name} may not settle this: it needs the role quality")
    both = pair(reviews)
    if both is None or not (disagreement(reviews) or any(one.settles for one in reviews)):
        raise Problem(409, "nothing_to_settle", "two reviewers have not decided differently on this unit")
    if who.name in {one.reviewer for one in reviews if not one.settles}:
        raise Problem(409, "own_disagreement", f"{who.name} decided on this unit before; let somebody else settle it")


@router.get("/review/agreement", dependencies=[allow(Permission.VIEW)])
def read_agreement(
    archive: ArchiveDep, batch: Annotated[str | None, Query(max_length=128)] = None,
    days: Annotated[int, Query(ge=1, le=3650)] = 365,
) -> dict[str, Any]:  # fmt: skip
    """How far first and second reviewers agree: in a batch (empty: in none), or in all decisions of the last days."""
    if batch is not None:
        return described_agreement(agreement_of(unit.reviews for unit in batch_units(archive, batch or None)))
    return described_agreement(overall(archive, days))


def overall(archive: Archive, days: int = 365) -> Agreement:
    """The agreement in all decisions of the last days."""
    return agreement_of(second_reviews(archive, utc_text(datetime.now(UTC) - timedelta(days=days))))


def described_agreement(found: Agreement) -> dict[str, Any]:
    """As JSON values."""
    return asdict(found) | {"units": found.units, "same": found.same, "share": found.share}


@router.get("/review/second-review-share", dependencies=[allow(Permission.VIEW)])
def read_second_review_share(archive: ArchiveDep) -> dict[str, float]:
    """The share of reviewed units that a second person looks at, 0 to 1."""
    return {"share": share_of(archive)}


@router.put("/review/second-review-share")
def put_second_review_share(
    asked: ShareChanged, archive: ArchiveDep, who: Annotated[Who, Depends(Allowed(Permission.APPROVE))]
) -> dict[str, float]:
    """Change it, on the audit trail."""
    return {"share": change_share(archive, asked.share, who.name, asked.why)}


def share_of(archive: Archive) -> float:
    """The share of reviewed units that a second person looks at."""
    with archive.reader() as connection:
        return read_share(connection)


def withheld(archive: Archive, event: Entry, who: Who) -> bool:
    """Whether this is the record of another's decision on a unit that this person is to decide on without it."""
    if event.kind != "event" or event.reason != REVIEW or event.details.get("reviewer") == who.name:
        return False
    if Permission.REVIEW not in who.permissions:
        return False
    return visible_reviews(archive, find_record(archive, str(event.details.get("reviews"))), who)[2]


def refuse_withheld(archive: Archive, event: Entry, who: Who) -> None:
    """Raises Problem for such a record."""
    if withheld(archive, event, who):
        unit = event.details["reviews"]
        raise Problem(403, "withheld", f"{who.name} is to decide on {unit} without knowing what others decided")


def knows_decisions(who: Who) -> bool:
    """Whether this person may read what was decided on many units at once: not one who may be due to decide on one of
    them without knowing."""
    return Permission.REVIEW not in who.permissions or Permission.APPROVE in who.permissions


def refuse_decisions(who: Who) -> None:
    """Raises Problem for somebody who may not."""
    if not knows_decisions(who):
        raise Problem(
            403, "withheld", f"{who.name} reviews units, and the report says what others decided on them; ask quality"
        )


def visible_reviews(archive: Archive, entry: Entry, who: Who) -> tuple[list[Review], list[Entry], bool]:
    """The reviews of a unit that somebody may see, its corrections, and whether others' decisions are held back."""
    reviews, corrections = reviews_of(archive, entry)
    if Permission.REVIEW in who.permissions and concealed(reviews, entry.hash, share_of(archive), who.name):
        return [one for one in reviews if one.reviewer == who.name], corrections, True
    return reviews, corrections, False
