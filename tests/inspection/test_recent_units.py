"""A station's last units from its chain: its own, newest first, and a PASS that was not let through is none."""

from pathlib import Path

from inspection.archive import Archive
from inspection.frame_verdicts import frame_verdicts, worst_frame
from inspection.recent_units import last_units, recent_outcomes, seconds
from inspection.records import Draft, Entry, FrameRecord
from inspection.unit_record import correction_draft
from inspection.verdict import Limits, Outcome

LIMITS = {"review_limit": 2.0, "reject_limit": 4.0}


def unit(name: str, outcome: str = "PASS", reason: str = "within_limits") -> Draft:
    return Draft("unit", unit=name, outcome=outcome, reason=reason, score=1.0, latency_ms=1.0, **LIMITS)  # type: ignore[arg-type]


def test_last_units_are_the_station_s_own_with_the_outcome_that_holds(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.append(unit("a"), "station-1")
        late = archive.append(unit("b"), "station-1")
        archive.append(unit("other"), "station-2")
        archive.append(correction_draft(late, "late_record", "too late"), "station-1")
        archive.append(unit("c", "REJECT", "late"), "station-1")

        found = [(entry.unit, outcome, reason) for entry, outcome, reason in last_units(archive, "station-1", 10)]
        assert found == [("c", "REJECT", "late"), ("b", "REJECT", "late_record"), ("a", "PASS", "within_limits")]
        assert [entry.unit for entry, _, _ in last_units(archive, "station-1", 1)] == ["c"]
        assert [one.passed for one in recent_outcomes(archive, "station-1", 0.0)] == [True, False, False]
        assert recent_outcomes(archive, "station-1", seconds(late.recorded_at) + 3600) == []


def frames(*scores: float | None) -> tuple[FrameRecord, ...]:
    return tuple(FrameRecord("cam", number, "2026-01-01", score=score) for number, score in enumerate(scores))


def entry(outcome: str, *scores: float | None, **details: object) -> Entry:
    return Entry("unit", outcome=outcome, frames=frames(*scores), details=details, **LIMITS)  # type: ignore[arg-type]


def test_each_frame_says_what_its_own_score_says() -> None:
    said = frame_verdicts(entry("REJECT", 1.0, 2.0, 4.0, None))
    assert [one.outcome for one in said] == [Outcome.PASS, Outcome.REVIEW, Outcome.REJECT, None]
    assert said[1].limits == Limits(**LIMITS)
    assert worst_frame(entry("REJECT", 1.0, 5.0, 6.0, None)) == 2
    assert worst_frame(entry("REJECT", 1.0, 2.0, None)) == 2
    assert worst_frame(entry("REJECT")) is None


def test_a_frame_says_the_worse_of_both_packages_and_a_named_defect_is_as_bad_as_the_unit() -> None:
    classifier = LIMITS | {"score": 3.0, "package": "p"}
    parts = [
        {"classifier": {"score": 3.0, "classes": {"crack": 0.2}}},
        {"classifier": {"score": 1.0, "sure": ["crack"]}},
    ]
    said = frame_verdicts(entry("REJECT", 1.0, 1.0, classifier=classifier, frames=parts))
    assert [(one.outcome, one.score) for one in said] == [(Outcome.REVIEW, 3.0), (Outcome.REJECT, 1.0)]
    said = frame_verdicts(entry("REVIEW", 1.0, 1.0, classifier=classifier, frames=parts))
    assert said[1].outcome is Outcome.REVIEW


def test_of_limits_that_are_none_nothing_is_said() -> None:
    broken = Entry("unit", outcome="PASS", frames=frames(1.0), review_limit=5.0, reject_limit=1.0)
    assert frame_verdicts(broken)[0].outcome is None
