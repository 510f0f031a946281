"""What is drawn of an evaluation's report, and that a report which holds anything else is no fault."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.registry.figures import at_limits, figures_of, histogram, plots_of, roc
from training.metrics import auroc

scores = st.lists(st.integers(0, 20).map(float), min_size=1, max_size=60)


@given(scores, scores)
def test_the_area_under_the_curve_is_the_auroc(good: list[float], defective: list[float]) -> None:
    points = roc(good, defective)
    assert (points[0], points[-1]) == ((0.0, 0.0), (1.0, 1.0))
    area = sum((x_2 - x_1) * (y_1 + y_2) / 2 for (x_1, y_1), (x_2, y_2) in itertools.pairwise(points))
    wanted = auroc(np.array(good + defective), np.repeat([False, True], [len(good), len(defective)]))
    assert area == pytest.approx(wanted)


@given(scores, scores)
def test_every_score_is_in_the_histogram(good: list[float], defective: list[float]) -> None:
    found = histogram(good, defective)
    assert (sum(found["good"]), sum(found["defective"])) == (len(good), len(defective))
    assert found["edges"] == sorted(found["edges"])


ANYTHING = [None, True, 1, 0.5, float("nan"), float("inf"), "text", [], [1], [1, "a"], [None, {}], {}, {"rate": "x"},
            {"a": {"detection_rate": []}}, [{"score": None}, {"score": "1"}, 7], {"p50": None}]  # fmt: skip
KEYS = ("image_auroc", "image_auroc_interval", "detection_rate", "per_defect", "latency_ms", "scores", "limits")


@pytest.mark.parametrize("key", KEYS)
def test_a_report_that_holds_anything_else_is_no_fault(key: str) -> None:
    for value in ANYTHING:
        report: dict[str, Any] = {key: value}
        assert all(one.value is not None for one in figures_of(report))
        assert set(plots_of(report)) == {"roc", "histogram", "limits"}


def test_at_other_limits_the_listed_scores_say_how_many_are_stopped() -> None:
    listed = [
        {"file": "", "defect": name, "score": score}
        for name, values in ((None, [1, 2, 3, 4]), ("crack", [3, 5, 8]), ("stain", [2]))
        for score in values
    ]
    report: dict[str, Any] = {
        "limits": {"review_limit": 9.0, "reject_limit": 9.0}, "scores": listed, "image_auroc": 0.9,
        "detection_rate": {"rate": 0.0, "count": 0, "total": 4, "low": 0.0, "high": 0.6},
    }  # fmt: skip
    assert at_limits(report, report["limits"]) is report
    found = {(one.key, one.name): one for one in figures_of(at_limits(report, {"review_limit": 3, "reject_limit": 9}))}
    counts = [(found[key, ""].count, found[key, ""].total) for key in ("detection_rate", "false_reject_rate")]
    assert counts == [(3, 4), (2, 4)]
    assert found["per_defect", "crack"].count == 3
    assert found["per_defect", "stain"].value == 0
    assert found["image_auroc", ""].value == 0.9
    for lacking in ({"scores": []}, {"classes": {}}):
        left = [one.key for one in figures_of(at_limits(report | lacking, {"review_limit": 3, "reject_limit": 9}))]
        assert left == ["image_auroc"]
