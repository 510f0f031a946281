"""What shadows found becomes evidence: live counts and the report say the same, whatever came first."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from inspection.archive import Archive
from inspection.records import Draft
from inspection.reviews import Decision, add_review
from inspection.shadow import evidence as module
from inspection.shadow.events import (
    SHADOW,
    Decided,
    ShadowEvent,
    ShadowFinding,
    ShadowUnreadable,
    Trial,
    read_shadow,
    shadow_details,
)
from inspection.shadow.evidence import Evidence
from inspection.shadow.live_answer import live_answer
from inspection.shadow.report import ShadowBroken, TrialMissing, shadow_report
from inspection.verify import verify_archive

LIMITS = {"review_limit": 1.0, "reject_limit": 2.0}
TRIAL = Trial({"name": "vial", "version": "1.1.0", "sha256": "c" * 64}, LIMITS,
              {"name": "vial", "version": "1.0.0", "sha256": "a" * 64}, LIMITS, "vial")  # fmt: skip
REASONS = {"PASS": "within_limits", "REVIEW": "above_review_limit", "REJECT": "above_reject_limit"}


def units(archive: Archive, outcomes: Sequence[str]) -> list[Any]:
    return archive.append_all([
        Draft("unit", unit=f"u-{at}", batch=f"B-{at % 2}", product="vial", outcome=outcome, reason=REASONS[outcome],
              score=float(at))
        for at, outcome in enumerate(outcomes)
    ], "line-1")  # fmt: skip


def looked_at(archive: Archive, records: Sequence[Any], new: Sequence[str], trial: Trial = TRIAL, **shed: int) -> None:
    findings = tuple(
        ShadowFinding(one.name, one.hash, one.unit, one.batch, ("top",), Decided(one.outcome, one.reason, one.score),
                      Decided(outcome, REASONS[outcome], one.score + 0.5), (0.5,), 12.0)
        for one, outcome in zip(records, new, strict=True)
    )  # fmt: skip
    event = ShadowEvent(trial, findings, shed, {})
    archive.append(Draft("event", reason=SHADOW, package="a" * 64, details=shadow_details(event, "none")), "line-1")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as opened:
        yield opened


def figures_agree(archive: Archive, evidence: Evidence) -> dict[str, Any]:
    """Live and reported figures and verdict are the same; returns the live answer."""
    evidence.update()
    newest = evidence.newest()
    assert newest
    live, report = live_answer(newest), shadow_report(archive)
    live_figures = json.loads(json.dumps(live["figures"]))
    assert live_figures == {name: json.loads(json.dumps(report["figures"]))[name] for name in live_figures}
    sentence = report["verdict"]["sentence"].partition("; left out")[0].removesuffix(".")
    assert live["verdict"]["sentence"].removesuffix(".") == sentence
    assert live["verdict"]["word"] == report["verdict"]["word"]
    return live


def test_live_counts_and_the_report_agree_as_findings_and_reviews_come(archive: Archive) -> None:
    evidence = Evidence(archive)
    evidence.update()
    assert evidence.newest() is None
    old = ["PASS"] * 20 + ["REVIEW"] * 4 + ["REJECT"] * 10
    records = units(archive, old)
    add_review(archive, records[30].name, ("crack",), "rita")  # before the shadow's finding is on record
    looked_at(archive, records[:25], [*["PASS"] * 19, "REVIEW", *["REVIEW"] * 4, "REJECT"], busy=2)
    live = figures_agree(archive, evidence)
    assert (live["figures"]["units"], live["figures"]["changed"]) == (25, 1)
    looked_at(archive, records[25:], ["REJECT"] * 8 + ["PASS"], busy=1, share=4)
    live = figures_agree(archive, evidence)
    assert live["shed"] == {"units": 7, "by_reason": {"share": 4, "busy": 3}}
    assert live["figures"]["defective"] == 1
    assert [one["record"] for one in live["differing"]] == [records[33].name, records[19].name]
    add_review(archive, records[33].name, ("crack",), "rita")
    add_review(archive, records[19].name, (), "rita")
    live = figures_agree(archive, evidence)
    assert live["verdict"]["word"] == "not equivalent"  # a defective unit would newly pass
    assert live["differing"][0]["record"] == records[33].name
    assert not any("truth" in one for one in live["differing"])  # a second reviewer may be due to look at it blind
    add_review(archive, records[33].name, (), "quinn", decision=Decision.FALSE_REJECT, settles=True)
    live = figures_agree(archive, evidence)
    assert live["verdict"]["word"] == "not shown"
    report = shadow_report(archive, TRIAL.id)
    assert report["left_out"] == {"shed": 7}
    assert report["about"]["new"]["sha256"] == "c" * 64
    assert "7 units not looked at by the candidate" in report["verdict"]["sentence"]
    assert Evidence(archive).newest() is None
    again = Evidence(archive)
    figures_agree(archive, again)
    assert verify_archive(archive.folder).intact


def test_a_long_chain_is_looked_up_and_gives_the_same(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    records = units(archive, ["PASS", "REJECT"] * 20)
    looked_at(archive, records, ["PASS"] * 40)
    add_review(archive, records[1].name, ("crack",), "rita")
    walked, looked_up = Evidence(archive), Evidence(archive)
    figures_agree(archive, walked)
    monkeypatch.setattr(module, "_WALKED", 3)
    figures_agree(archive, looked_up)
    assert (walked.newest().table == looked_up.newest().table).all()  # type: ignore[union-attr]


def test_trials_are_apart_and_chosen_by_candidate(archive: Archive) -> None:
    records = units(archive, ["PASS"] * 6)
    looked_at(archive, records[:3], ["PASS"] * 3)
    other = replace(TRIAL, candidate={"name": "vial", "version": "1.2.0", "sha256": "d" * 64})
    looked_at(archive, records[3:], ["REJECT"] * 3, other)
    assert other.id != TRIAL.id == replace(TRIAL).id
    assert shadow_report(archive)["about"]["new"]["packages"] == {"vial 1.2.0": 3}
    assert shadow_report(archive, "cccc")["about"]["new"]["packages"] == {"vial 1.1.0": 3}
    with pytest.raises(TrialMissing, match=r"it has vial 1.1.0 \(cccccccccccc\), vial 1.2.0"):
        shadow_report(archive, "eeee")


def test_without_any_finding_there_is_no_report(archive: Archive) -> None:
    details = {"units": [], "shed": {"starting": 3}, "failed": {}}
    archive.append(Draft("event", reason=SHADOW, details=details), "line-1")
    evidence = Evidence(archive)
    evidence.update()
    assert (evidence.newest(), evidence.untold) == (None, {"starting": 3})
    with pytest.raises(TrialMissing, match="no candidate"):
        shadow_report(archive)


def test_a_finding_of_a_record_that_is_another_now_is_refused(archive: Archive) -> None:
    records = units(archive, ["PASS"] * 3)
    looked_at(archive, records, ["PASS"] * 3)
    with archive.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER entries_refuse_update"))
        connection.execute(text("UPDATE entries SET hash = :hash WHERE sequence = 2"), {"hash": "0" * 64})
    with pytest.raises(ShadowBroken, match="line-1/2"):
        shadow_report(archive)


@pytest.mark.parametrize("change", [
    {"trial": "0" * 16}, {"units": [{"record": "line-1/1"}]}, {"shed": [1]}, {"limits": 5}, {"candidate": None},
])  # fmt: skip
def test_what_is_no_finding_is_said(change: dict[str, Any]) -> None:
    good = shadow_details(ShadowEvent(TRIAL, (), {}, {}), "none")
    assert read_shadow("line-1/1", good).trial == TRIAL
    with pytest.raises(ShadowUnreadable, match="line-1/1 cannot be read"):
        read_shadow("line-1/1", good | change)
