"""A score becomes a verdict in one way, and fails closed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inspection.verdict import Limits, Outcome, Reason, decide, reject

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(score=finite, low=finite, high=finite)
def test_only_below_the_review_limit_passes(score: float, low: float, high: float) -> None:
    limits = Limits(review_limit=min(low, high), reject_limit=max(low, high))

    outcome = decide(score, limits).outcome

    assert (outcome is Outcome.PASS) == (score < limits.review_limit)
    assert (outcome is Outcome.REJECT) == (score >= limits.reject_limit)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_rejects(score: float) -> None:
    verdict = decide(score, Limits(review_limit=1, reject_limit=2))

    assert (verdict.outcome, verdict.reason) == (Outcome.REJECT, Reason.SCORE_NOT_FINITE)


@pytest.mark.parametrize(("review", "reject_"), [(2.0, 1.0), (math.nan, 1.0), (0.0, math.inf)])
def test_limits_out_of_order_or_not_finite_are_refused(review: float, reject_: float) -> None:
    with pytest.raises(ValidationError):
        Limits(review_limit=review, reject_limit=reject_)


@pytest.mark.parametrize("reason", Reason)
def test_whatever_the_fault_it_rejects(reason: Reason) -> None:
    assert reject(reason).outcome is Outcome.REJECT
