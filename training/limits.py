"""Limits from the scores of good images that the detector was not fitted on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from inspection.errors import BadUsage
from inspection.manifest import LimitsInfo
from inspection.verdict import Limits

_TAIL_SHARE = 0.2
_REJECT_FACTOR = 10
_ENOUGH = 10
_FEW = 20  # scores: of fewer there is no tail to look at


@dataclass(frozen=True)
class LimitSetting:
    """Limits with the method that gave them and the share of held-out good images at or above the review limit."""

    limits: Limits
    method: str
    above_review: int

    def info(self, scores: NDArray[np.float64], false_reject_rate: float) -> LimitsInfo:
        """What a manifest keeps of the setting: the held-out `scores` `[n]` and the rate it was made from."""
        return LimitsInfo(
            method=self.method,
            false_reject_rate=false_reject_rate,
            held_out_good=len(scores),
            held_out_above_review=self.above_review,
            held_out_median=float(np.median(scores)),
            held_out_maximum=float(scores.max()),
        )


def check_false_reject_rate(rate: float) -> None:
    """Raise BadUsage for a rate outside (0, 0.5]."""
    if not 0 < rate <= 0.5:
        raise BadUsage(f"--false-reject-rate must be above 0 and at most 0.5, got {rate}")


def set_limits(scores: NDArray[np.float64], false_reject_rate: float) -> LimitSetting:
    """Limits from held-out good scores `[n]`, for a wanted share of good units that do not pass.

    `review_limit` is the score that a share of `false_reject_rate` of good units reaches; `reject_limit` the one that a
    tenth of that share reaches. Between the two, a person decides. Where at least ten of the held-out images lie beyond
    a limit it is the order statistic of rank ceil((n + 1)(1 - rate)) (distribution-free: Vovk's conformal quantile).
    With fewer, one odd image would set it; the highest fifth is then taken as an exponential tail, and the limit allows
    for how little of it was seen. With fewer than twenty images there is no tail to see: the limit is that of a normal
    distribution's next value (a prediction limit by Student's t: Hahn and Meeker, 1991), and a wide one.
    Raises BadUsage for a rate outside (0, 0.5] or fewer than two scores.
    """
    check_false_reject_rate(false_reject_rate)
    scores = np.sort(np.asarray(scores, dtype=np.float64))
    if len(scores) < 2:
        raise BadUsage(f"limits need at least two held-out good images, got {len(scores)}; add good images")
    review, review_method = _quantile(scores, false_reject_rate)
    reject, reject_method = _quantile(scores, false_reject_rate / _REJECT_FACTOR)
    limits = Limits(review_limit=review, reject_limit=max(review, reject))
    method = f"review: {review_method}; reject: {reject_method}"
    return LimitSetting(limits, method, int((scores >= review).sum()))


def _quantile(scores: NDArray[np.float64], rate: float) -> tuple[float, str]:
    """The score that a share `rate` of good units reaches. A unit passes below it, so it lies just above that rank.

    The tail: a new unit exceeds the floor, the highest score but k, with probability (k + 1) / (n + 1). How far the k
    above it lie is then exponential (Renyi, 1953); over all samples a new one lies t further with probability
    (1 + t / sum) ** -k, where `sum` is that of the k excesses. The limit is the t that makes the product `rate`.
    """
    count = len(scores)
    if count < _FEW:
        reach = special.stdtrit(count - 1, 1 - rate) * np.sqrt(1 + 1 / count)
        return float(np.nextafter(scores.mean() + reach * scores.std(ddof=1), np.inf)), "normal prediction limit"
    tail = max(1, round(count * _TAIL_SHARE))
    share = (tail + 1) / (count + 1)
    if count * rate >= _ENOUGH or rate >= share:
        rank = int(np.ceil((count + 1) * (1 - rate)))
        return float(np.nextafter(scores[rank - 1], np.inf)), "order statistic"
    floor = scores[-tail - 1]
    limit = floor + (scores[-tail:] - floor).sum() * ((share / rate) ** (1 / tail) - 1)
    return float(np.nextafter(limit, np.inf)), "exponential tail"
