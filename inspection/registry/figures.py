"""What a page shows of an evaluation's report (`inspection evaluate --json`): figures with their intervals, the ROC
curve and how the scores lie. A report may lack any of it, and holds what its writer put there: nothing is trusted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from inspection.rates import clopper_pearson

_BINS = 40
_AT_LIMITS = ("detection_rate", "false_reject_rate", "per_defect")  # what depends on the limits
_MOST_POINTS = 200  # of a curve: more is finer than a screen


@dataclass(frozen=True)
class Figure:
    """A figure between 0 and 1, or in `unit`, with its 95 % interval where there is one, and counts where it is a
    share. `key` names its text."""

    key: str
    value: float | None
    low: float | None = None
    high: float | None = None
    count: int | None = None
    total: int | None = None
    unit: str = ""
    name: str = ""


def figures_of(report: Mapping[str, Any]) -> list[Figure]:
    """The figures of a report, in the order in which they are shown; those that it lacks are left out."""
    low, high = _pair(report.get("image_auroc_interval"))
    found = [Figure("image_auroc", _number(report.get("image_auroc")), low, high)]
    found += [_rate(key, report.get(key)) for key in ("detection_rate", "false_reject_rate")]
    found += [Figure(key, _number(report.get(key)))
              for key in ("pixel_auroc", "pixel_average_precision", "aupro_30", "aupro_05")]  # fmt: skip
    for name, part in _mapping(report.get("per_defect")).items():
        found.append(_rate("per_defect", _mapping(part).get("detection_rate"), str(name)))
    found += [Figure("latency", _number(value), unit="ms", name=str(name))
              for name, value in _mapping(report.get("latency_ms")).items()]  # fmt: skip
    return [one for one in found if one.value is not None]


def at_limits(report: Mapping[str, Any], limits: Mapping[str, float] | None) -> Mapping[str, Any]:
    """The report with how many units are stopped at other limits than it was made with, from the scores that it lists.
    Where it cannot be told (no scores, or a classifier, whose classes stop units as well), without those figures."""
    if not report or limits is None or limits == report.get("limits"):
        return report
    left = {key: value for key, value in report.items() if key not in (*_AT_LIMITS, "limits")}
    good, defective = scores_of(report)
    if "classes" in report or not good or not defective:
        return left
    listed = [one for one in report["scores"] if _number(_mapping(one).get("score")) is not None]
    named = sorted({str(one["defect"]) for one in listed if one.get("defect") is not None})

    def stopped(scores: Sequence[float]) -> dict[str, Any]:
        return asdict(clopper_pearson(sum(score >= limits["review_limit"] for score in scores), len(scores)))

    per_defect = {
        name: {"detection_rate": stopped([one["score"] for one in listed if str(one.get("defect")) == name])}
        for name in named
    }
    return left | {"limits": dict(limits), "detection_rate": stopped(defective), "false_reject_rate": stopped(good),
                   "per_defect": per_defect}  # fmt: skip


def tested_on(report: Mapping[str, Any]) -> dict[str, Any]:
    """How many images of each kind a report is of (None: it does not say), and in what they were looked at."""
    data = _mapping(report.get("test_data"))
    return {kind: _whole(data.get(kind)) for kind in ("good", "defective")} | {
        key: str(report.get(key) or "–") for key in ("runtime", "precision")
    }


def scores_of(report: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """The scores of good and of defective images that a report lists."""
    good: list[float] = []
    defective: list[float] = []
    listed = report.get("scores")
    for one in listed if isinstance(listed, list) else []:
        score = _number(_mapping(one).get("score"))
        if score is not None:
            (good if _mapping(one).get("defect") is None else defective).append(score)
    return good, defective


def roc(good: Sequence[float], defective: Sequence[float]) -> list[tuple[float, float]]:
    """False and true positive rate at each limit from the highest score down, (0, 0) and (1, 1) among them; at most
    `_MOST_POINTS` of them. Empty where one kind is missing."""
    if not good or not defective:
        return []
    points = [(0.0, 0.0)]
    ranked = sorted([(score, 0) for score in good] + [(score, 1) for score in defective], reverse=True)
    counts = [0, 0]
    for index, (score, kind) in enumerate(ranked):
        counts[kind] += 1
        if index + 1 == len(ranked) or ranked[index + 1][0] != score:
            points.append((counts[0] / len(good), counts[1] / len(defective)))
    step = max(1, math.ceil(len(points) / _MOST_POINTS))
    return [*points[:-1:step], points[-1]]


def histogram(good: Sequence[float], defective: Sequence[float]) -> dict[str, list[float]]:
    """`edges` (one more than bins) and how many of the `good` and of the `defective` scores lie in each bin."""
    scores = [*good, *defective]
    if not scores:
        return {"edges": [], "good": [], "defective": []}
    low, high = min(0.0, *scores), max(scores)
    width = (high - low) / _BINS or 1.0

    def counted(values: Sequence[float]) -> list[float]:
        bins = [0.0] * _BINS
        for value in values:
            bins[min(_BINS - 1, int((value - low) / width))] += 1
        return bins

    edges = [low + width * index for index in range(_BINS + 1)]
    return {"edges": edges, "good": counted(good), "defective": counted(defective)}


def plots_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the page's charts draw: `roc`, `histogram`, and both `limits`, as far as the report tells."""
    good, defective = scores_of(report)
    limits = _mapping(report.get("limits"))
    return {
        "roc": roc(good, defective), "histogram": histogram(good, defective),
        "limits": {key: _number(limits.get(key)) for key in ("review_limit", "reject_limit")},
    }  # fmt: skip


def _rate(key: str, rate: Any, name: str = "") -> Figure:
    part = _mapping(rate)
    return Figure(key, _number(part.get("rate")), _number(part.get("low")), _number(part.get("high")),
                  _whole(part.get("count")), _whole(part.get("total")), name=name)  # fmt: skip


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _pair(value: Any) -> tuple[float | None, float | None]:
    return (_number(value[0]), _number(value[1])) if isinstance(value, list) and len(value) == 2 else (None, None)
