"""The one way from a finding to a verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, FiniteFloat, model_validator


class Outcome(StrEnum):
    """What happens to a unit: it goes on, it is pushed off, or it is pushed off and a person decides."""

    PASS = "PASS"  # nosec B105
    REJECT = "REJECT"
    REVIEW = "REVIEW"


class Reason(StrEnum):
    """Why. Stable codes: records and reports of past years use them."""

    WITHIN_LIMITS = "within_limits"
    ABOVE_REVIEW_LIMIT = "above_review_limit"
    ABOVE_REJECT_LIMIT = "above_reject_limit"
    CLASS_FOUND = "class_found"
    CLASS_FOR_REVIEW = "class_for_review"
    CLASS_UNSURE = "class_unsure"
    SCORE_NOT_FINITE = "score_not_finite"
    FRAME_UNREADABLE = "frame_unreadable"
    FRAME_WRONG_FORMAT = "frame_wrong_format"
    FRAME_WRONG_GEOMETRY = "frame_wrong_geometry"
    FRAME_LOST = "frame_lost"
    FRAME_FROZEN = "frame_frozen"
    FRAME_BLURRED = "frame_blurred"
    FRAME_EXPOSURE = "frame_exposure"
    FRAME_EXTRA = "frame_extra"
    FRAME_DOUBTFUL = "frame_doubtful"
    QUEUE_FULL = "queue_full"
    LATE = "late"
    MODEL_FAULT = "model_fault"
    RUNTIME_NOT_QUALIFIED = "runtime_not_qualified"
    ARCHIVE_FAULT = "archive_fault"
    STATION_STOPPED = "station_stopped"
    TRIGGER_LOST = "trigger_lost"
    CLOCK_STEP = "clock_step"
    NOT_DELIVERED = "not_delivered"
    CHALLENGE = "challenge"


class Limits(BaseModel):
    """Thresholds on the raw score. Below `review_limit` a unit passes; from `reject_limit` on it is rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    review_limit: FiniteFloat
    reject_limit: FiniteFloat

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.review_limit > self.reject_limit:
            msg = f"review_limit {self.review_limit} is above reject_limit {self.reject_limit}; it must not be"
            raise ValueError(msg)
        return self


@dataclass(frozen=True)
class Verdict:
    """An outcome with its reason."""

    outcome: Outcome
    reason: Reason


@dataclass(frozen=True)
class ClassFound:
    """What a classifier says of one defect class, `probability`, and what its package says of the class."""

    name: str
    severity: str
    probability: float
    confidence_limit: float
    action: str

    @property
    def sure(self) -> bool:
        """Whether the probability is enough to name the class."""
        return self.probability >= self.confidence_limit


def decide(score: float, limits: Limits, classes: Sequence[ClassFound] = ()) -> Verdict:
    """The verdict on one raw score and, of a classifier, on its `classes`.

    A unit passes only below the review limit, and only where no class is sure: a sure one rejects or, where its action
    is that, asks a person. Without one, a classifier's score from the review limit on asks a person as well: it says
    that the unit is not like good ones, and not what is wrong. What is not a finite number is a fault, and rejects.
    """
    if not all(map(math.isfinite, (score, *(found.probability for found in classes)))):
        return Verdict(Outcome.REJECT, Reason.SCORE_NOT_FINITE)
    actions = {found.action for found in classes if found.sure}
    if actions:
        only_review = actions == {"review"}
        return _FOR_REVIEW if only_review else Verdict(Outcome.REJECT, Reason.CLASS_FOUND)
    if score >= limits.reject_limit:
        return _UNSURE if classes else Verdict(Outcome.REJECT, Reason.ABOVE_REJECT_LIMIT)
    if score >= limits.review_limit:
        return Verdict(Outcome.REVIEW, Reason.ABOVE_REVIEW_LIMIT)
    return Verdict(Outcome.PASS, Reason.WITHIN_LIMITS)


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for several findings: the first of the worst. A unit passes only where every finding passes it, and
    there is one."""
    if not verdicts:
        return reject(Reason.MODEL_FAULT)
    return max(verdicts, key=lambda verdict: _WORSE.index(verdict.outcome))


_WORSE = (Outcome.PASS, Outcome.REVIEW, Outcome.REJECT)
_FOR_REVIEW = Verdict(Outcome.REVIEW, Reason.CLASS_FOR_REVIEW)
_UNSURE = Verdict(Outcome.REVIEW, Reason.CLASS_UNSURE)
# What a unit's images show, and no fault of the line.
SHOWN = frozenset(
    {
        Reason.WITHIN_LIMITS, Reason.ABOVE_REVIEW_LIMIT, Reason.ABOVE_REJECT_LIMIT,
        Reason.CLASS_FOUND, Reason.CLASS_FOR_REVIEW, Reason.CLASS_UNSURE,
    }
)  # fmt: skip


def reason_for(code: str, usual: Reason) -> Reason:
    """The reason to reject for an error with this code: the reason of the same code, or else the `usual` one."""
    return Reason(code) if code in set(Reason) else usual


def reject(reason: Reason) -> Verdict:
    """The verdict where there is no finding to judge: whatever went wrong, the unit does not pass."""
    return Verdict(Outcome.REJECT, reason)
