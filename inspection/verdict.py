"""The one way from a finding to a verdict."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, FiniteFloat, model_validator


class Outcome(StrEnum):
    """What happens to a unit: it goes on, it is pushed off, or it is pushed off and a person decides."""

    PASS = "PASS"
    REJECT = "REJECT"
    REVIEW = "REVIEW"


class Reason(StrEnum):
    """Why. Stable codes: records and reports of past years use them."""

    WITHIN_LIMITS = "within_limits"
    ABOVE_REVIEW_LIMIT = "above_review_limit"
    ABOVE_REJECT_LIMIT = "above_reject_limit"
    SCORE_NOT_FINITE = "score_not_finite"
    FRAME_UNREADABLE = "frame_unreadable"
    FRAME_WRONG_FORMAT = "frame_wrong_format"
    FRAME_WRONG_GEOMETRY = "frame_wrong_geometry"
    FRAME_LOST = "frame_lost"
    QUEUE_FULL = "queue_full"
    LATE = "late"
    MODEL_FAULT = "model_fault"
    ARCHIVE_FAULT = "archive_fault"


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


def decide(score: float, limits: Limits) -> Verdict:
    """The verdict on one raw anomaly score. A score that is not a finite number is a fault, and rejects."""
    if not math.isfinite(score):
        return Verdict(Outcome.REJECT, Reason.SCORE_NOT_FINITE)
    if score >= limits.reject_limit:
        return Verdict(Outcome.REJECT, Reason.ABOVE_REJECT_LIMIT)
    if score >= limits.review_limit:
        return Verdict(Outcome.REVIEW, Reason.ABOVE_REVIEW_LIMIT)
    return Verdict(Outcome.PASS, Reason.WITHIN_LIMITS)


def reason_for(code: str, usual: Reason) -> Reason:
    """The reason to reject for an error with this code: the reason of the same code, or else the `usual` one."""
    return Reason(code) if code in set(Reason) else usual


def reject(reason: Reason) -> Verdict:
    """The verdict where there is no finding to judge: whatever went wrong, the unit does not pass."""
    return Verdict(Outcome.REJECT, reason)
