"""A classifier's limits, from validation images: the score's, and for each class the confidence that naming it
needs."""

import numpy as np
from numpy.typing import NDArray

from inspection.verdict import Limits
from training.limits import LimitSetting, set_limits

LEAST_CONFIDENCE = 0.5
UNTRIED_CONFIDENCE = 0.9
MISTAKES = 0.05
EVEN = float(np.log(2))  # the score of a unit that is as likely good as not
ONE_IN_TEN = float(np.log(10))

Floats = NDArray[np.float64]


def score_limits(scores: Floats, false_reject_rate: float) -> LimitSetting:
    """As `set_limits`, from the scores `[n]` of validation images of good units, on the scale of log-odds, where their
    tail is no steeper than they are. No unit passes that is likelier defective than good, whatever the rate, and one
    that is good with less than one in ten is in the range of rejection."""
    odds = np.log(np.expm1(np.maximum(scores, 1e-30)))
    setting = set_limits(odds, false_reject_rate)
    review, reject = (
        float(np.logaddexp(0, limit)) for limit in (setting.limits.review_limit, setting.limits.reject_limit)
    )
    method = f"log-odds, {setting.method}"
    if review > EVEN:
        review, method = EVEN, f"{method}; review lowered to even odds"
    limits = Limits(review_limit=review, reject_limit=min(max(review, reject), ONE_IN_TEN))
    return LimitSetting(limits, method, int((scores >= review).sum()))


def confidence_limits(probabilities: Floats, targets: NDArray[np.floating]) -> list[float]:
    """For each of K classes the probability from which it is named: the lowest, 0.5 at least, at which no more than one
    in twenty of the validation images `[N, K]` that would be named so has another label. 0.9 where none would."""
    limits = []
    for own, truth in zip(probabilities.T, np.asarray(targets, dtype=bool).T, strict=True):
        candidates = np.sort(own[own >= LEAST_CONFIDENCE])
        if not len(candidates):
            limits.append(UNTRIED_CONFIDENCE)
            continue
        wrong = [(~truth[own >= limit]).mean() for limit in candidates]
        fit = [float(limit) for limit, share in zip(candidates, wrong, strict=True) if share <= MISTAKES]
        limits.append(LEAST_CONFIDENCE if fit and fit[0] == candidates[0] else fit[0] if fit else 1.0)
    return limits
