"""What the page counts and names of units that a classifier looked at."""

from typing import Any

import pytest

from inspection.records import Entry
from inspection.station import Disposition
from inspection.verdict import Outcome, Reason
from serve.descriptions import describe
from serve.tally import Tally

SEVERITY = {"crack": "critical", "spot": "minor"}


def _unit(outcome: Outcome, reason: Reason, probabilities: dict[str, float], *sure: str) -> Disposition:
    found: dict[str, Any] = {"classes": probabilities, "severity": SEVERITY, "sure": list(sure)}
    entry = Entry("unit", unit="u", outcome=outcome, reason=reason, score=1.0, latency_ms=2.0,
                  details={"runtime": "onnxruntime", "classifier": found})  # fmt: skip
    return Disposition("u", outcome, reason, entry)


def test_stopped_units_are_counted_by_their_worst_severity() -> None:
    tally = Tally()
    tally.add(_unit(Outcome.REJECT, Reason.CLASS_FOUND, {"crack": 0.9, "spot": 0.8}, "crack", "spot"))
    tally.add(_unit(Outcome.REVIEW, Reason.CLASS_FOR_REVIEW, {"crack": 0.1, "spot": 0.8}, "spot"))
    tally.add(_unit(Outcome.REVIEW, Reason.CLASS_UNSURE, {"crack": 0.3, "spot": 0.3}))
    tally.add(_unit(Outcome.PASS, Reason.WITHIN_LIMITS, {"crack": 0.0, "spot": 0.6}, "spot"))
    tally.add(Disposition("u", Outcome.REJECT, Reason.ARCHIVE_FAULT))

    assert tally.snapshot()["severities"] == {"critical": 1, "minor": 1, "unnamed": 1}
    assert tally.snapshot()["units"] == 5


@pytest.mark.parametrize(
    ("outcome", "reason", "named"),
    [(Outcome.REJECT, Reason.CLASS_FOUND, ["crack 97 %"]), (Outcome.PASS, Reason.WITHIN_LIMITS, [])],
)
def test_a_defect_is_named_where_the_unit_did_not_pass(outcome: Outcome, reason: Reason, named: list[str]) -> None:
    assert describe(_unit(outcome, reason, {"crack": 0.97, "spot": 0.1}, "crack"))["record"]["named"] == named


def test_latency_is_told_as_the_median_and_as_what_99_in_100_do_not_exceed() -> None:
    tally = Tally()
    assert tally.snapshot()["latency_ms_p99"] is None
    for latency_ms in range(1, 201):
        entry = Entry("unit", outcome=Outcome.PASS, score=1.0, latency_ms=float(latency_ms))
        tally.add(Disposition("u", Outcome.PASS, Reason.WITHIN_LIMITS, entry))
    assert tally.snapshot()["latency_ms_p99"] == 198.0
