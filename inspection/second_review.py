"""Which reviewed units a second person looks at, without knowing what the first one decided, and how far they agree.

Which ones follows from the hash of the unit's record, so that anybody can tell and nobody can choose.
"""

import hashlib
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, select

from inspection.agreement import Agreement, agreement
from inspection.archive import Archive
from inspection.audit import audit_draft
from inspection.config import validate
from inspection.records import AUDIT
from inspection.reviews import Decision, Review
from inspection.schema import settings

SETTING = "second_review_share"
CHANGED = "second_review_share_changed"
_DIGITS = 13  # of a SHA-256 in hex: 52 bits, exact as a float


class SecondReview(BaseModel):
    """The share of reviewed units that a second person looks at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(default=0.1, ge=0, le=1)


def read_share(connection: Connection) -> float:
    """The share in force, 0 to 1."""
    value = connection.scalar(select(settings.c.value).where(settings.c.name == SETTING))
    return (SecondReview.model_validate_json(value) if value else SecondReview()).share


def change_share(archive: Archive, share: float, by: str, why: str) -> float:
    """Let another share be in force, on the audit trail. It holds for all units whose second review was not made yet.
    Raises ConfigInvalid and ArchiveFault."""
    new = validate({"share": share}, SecondReview, SETTING)
    with archive.writing() as write:
        old = read_share(write.connection)
        if new.share != old:
            write.connection.execute(settings.delete().where(settings.c.name == SETTING))
            write.connection.execute(settings.insert().values(name=SETTING, value=new.model_dump_json()))
            write.append([audit_draft(CHANGED, by, SETTING, old=old, new=new.share, why=why)], AUDIT)
    return new.share


def sampled(record_hash: str, share: float) -> bool:
    """Whether the unit of the record with this hash is among the `share` that a second person looks at. A larger share
    holds all units of a smaller one."""
    digest = hashlib.sha256(b"second review " + record_hash.encode()).hexdigest()
    return int(digest[:_DIGITS], 16) < share * float(1 << 4 * _DIGITS)


def second_due(reviews: Sequence[Review], record_hash: str, share: float, reviewer: str) -> bool:
    """Whether `reviewer` is to look at this unit as the second one: it was decided on, by others alone, it is among the
    sampled ones, and no second one looked at it."""
    if not reviews or any(one.blind or one.settles or one.reviewer == reviewer for one in reviews):
        return False
    return sampled(record_hash, share)


def concealed(reviews: Sequence[Review], record_hash: str, share: float, reviewer: str) -> bool:
    """Whether `reviewer` must not see what others decided on this unit, and decides blind: as long as they are to look
    at it as the second one, and after that (they may decide anew) until it is settled."""
    if any(one.settles for one in reviews):
        return False
    own_blind = any(one.blind and one.reviewer == reviewer for one in reviews)
    return own_blind or second_due(reviews, record_hash, share, reviewer)


def pair(reviews: Sequence[Review]) -> tuple[Review, Review] | None:
    """The first and the second reviewer's decision on one unit: the last open one before the first blind one, and the
    last blind one. None where no second one looked at it."""
    blind = [one for one in reviews if one.blind]
    if not blind:
        return None
    before = [one for one in reviews[: reviews.index(blind[0])] if not one.settles]
    return (before[-1], blind[-1]) if before else None


def disagreement(reviews: Sequence[Review]) -> tuple[Review, Review] | None:
    """The two decisions where they differ and nobody has settled it. Which defects were named does not matter."""
    found = pair(reviews)
    if found is None or found[0].decision is found[1].decision or any(one.settles for one in reviews):
        return None
    return found


def agreement_of(units: Iterable[Sequence[Review]]) -> Agreement:
    """How far first and second reviewers agree on these units, each given by all of its reviews, the oldest first."""
    pairs = [found for found in map(pair, units) if found]
    return agreement([(first.decision, second.decision) for first, second in pairs], [*Decision])
