"""How sure a classifier may be: its temperature, and how far its probabilities are from what they say."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from models.class_graph import Labels

BINS = 10
_SPREAD, _WIDEST = 0.5, 3.0

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: for each bin of confidence its mean, the share that was right, and how many. `error` is
    the expected calibration error, the mean gap between the two (Naeini et al., 2015)."""

    confidence: list[float]
    accuracy: list[float]
    counts: list[int]
    error: float


def temperature(logits: Floats, targets: Floats, labels: Labels) -> float:
    """By what the logits `[N, K]` are divided so that the probabilities of the targets `[N, K]` are largest (Guo et
    al., 2017). A few images, or images without a mistake, are no reason to leave 1: its logarithm is held there by a
    normal prior of deviation 0.5."""

    def loss(logarithm: float) -> float:
        likelihood = _log_likelihood(logits / np.exp(logarithm), targets, labels).sum()
        return float((logarithm / _SPREAD) ** 2 / 2 - likelihood)

    return float(np.exp(optimize.minimize_scalar(loss, bounds=(-_WIDEST, _WIDEST), method="bounded").x))


def probabilities(logits: Floats, labels: Labels) -> NDArray[np.float64]:
    """`[N, K]` of logits `[N, K]`, as the graph makes them."""
    if labels == "multi":
        return np.asarray(special.expit(logits), dtype=np.float64)
    return np.asarray(special.softmax(np.pad(logits, ((0, 0), (1, 0))), axis=1)[:, 1:], dtype=np.float64)


def reliability(confidence: Floats, right: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """Of predictions made with `confidence` `[N]` those that were `right` `[N]`, in bins of equal width; empty bins are
    left out."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    filled = [place == one for one in range(bins) if (place == one).any()]
    means, shares = (
        [float(confidence[which].mean()) for which in filled],
        [float(right[which].mean()) for which in filled],
    )
    counts = [int(which.sum()) for which in filled]
    gaps = sum(count * abs(mean - share) for mean, share, count in zip(means, shares, counts, strict=True))
    return Reliability(means, shares, counts, gaps / len(confidence))


def _log_likelihood(logits: Floats, targets: Floats, labels: Labels) -> Floats:
    """`[N]`, of each image's labels."""
    if labels == "multi":
        return np.asarray(
            (targets * special.log_expit(logits) + (1 - targets) * special.log_expit(-logits)).sum(axis=1)
        )
    logs = special.log_softmax(np.pad(logits, ((0, 0), (1, 0))), axis=1)
    place = np.where(targets.any(axis=1), 1 + targets.argmax(axis=1), 0)
    return np.asarray(np.take_along_axis(logs, place[:, None], axis=1)[:, 0])
