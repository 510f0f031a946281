"""A score becomes a verdict in one way, and fails closed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inspection.verdict import SHOWN, ClassFound, Limits, Outcome, Reason, Verdict, combine, decide, reject

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


probabilities = st.floats(0, 1)
found_classes = st.lists(
    st.builds(
        ClassFound,
        st.sampled_from(["crack", "chip"]),
        st.sampled_from(["critical", "minor"]),
        probabilities,
        st.floats(0.1, 1),
        st.sampled_from(["reject", "review"]),
    ),
    max_size=3,
)


@given(score=finite, low=finite, high=finite, classes=found_classes)
def test_a_classifier_passes_only_what_is_like_good_units_and_surely_shows_no_class(
    score: float, low: float, high: float, classes: list[ClassFound]
) -> None:
    limits = Limits(review_limit=min(low, high), reject_limit=max(low, high))

    outcome = decide(score, limits, classes).outcome
    sure = {found.action for found in classes if found.sure}
    assert (outcome is Outcome.PASS) == (score < limits.review_limit and not sure)
    if classes:
        assert (outcome is Outcome.REJECT) == ("reject" in sure)


@pytest.mark.parametrize(
    ("probability", "action", "wanted"),
    [
        (0.9, "reject", (Outcome.REJECT, Reason.CLASS_FOUND)),
        (0.9, "review", (Outcome.REVIEW, Reason.CLASS_FOR_REVIEW)),
        (0.7, "reject", (Outcome.REVIEW, Reason.CLASS_UNSURE)),
        (math.nan, "reject", (Outcome.REJECT, Reason.SCORE_NOT_FINITE)),
    ],
)
def test_a_defective_unit_is_rejected_where_its_class_is_sure_and_reviewed_else(
    probability: float, action: str, wanted: tuple[Outcome, Reason]
) -> None:
    crack = ClassFound("crack", "critical", probability, 0.8, action)

    verdict = decide(3.0, Limits(review_limit=1, reject_limit=2), [crack])
    assert (verdict.outcome, verdict.reason) == wanted


def test_limits_that_are_not_the_classifier_s_own_do_not_pass_what_it_surely_shows() -> None:
    crack = ClassFound("crack", "critical", 0.99, 0.5, "reject")

    assert decide(4.6, Limits(review_limit=30, reject_limit=40), [crack]).outcome is Outcome.REJECT


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_either_shown_by_the_images_or_a_fault(reason: Reason) -> None:
    """A unit stopped for a fault, or a challenge kit's, which is rejected whatever it shows, is inspected again as if
    for the first time; one that was judged is not."""
    faults = ("score_not_finite", "frame_", "queue_full", "late", "model_fault", "runtime_not_qualified",
              "archive_fault", "station_stopped", "trigger_lost", "clock_step", "not_delivered",
              "challenge")  # fmt: skip

    assert (reason in SHOWN) != reason.startswith(faults)


@given(st.lists(st.sampled_from(list(Outcome)), max_size=6))
def test_a_unit_passes_only_where_every_finding_passes_it(outcomes: list[Outcome]) -> None:
    together = combine([Verdict(outcome, Reason.WITHIN_LIMITS) for outcome in outcomes]).outcome

    assert (together is Outcome.PASS) == (bool(outcomes) and set(outcomes) == {Outcome.PASS})
    assert (together is Outcome.REJECT) == (not outcomes or Outcome.REJECT in outcomes)
