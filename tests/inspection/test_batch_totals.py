"""QA sees what became of a batch, how severe its defects are, and what is still to be looked at."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspection.archive import Archive
from inspection.batch_totals import BatchMissing, acceptance, batch_totals
from inspection.record_findings import unit_severity
from inspection.records import Draft
from inspection.reviews import add_review

Run = Callable[..., subprocess.CompletedProcess[str]]
SEVERITY = {"crack": "critical", "chip": "major", "spot": "minor"}


def _finding(*sure: str) -> dict[str, Any]:
    return {"classes": dict.fromkeys(SEVERITY, 0.5), "severity": SEVERITY, "sure": list(sure)}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A batch of 100 units that passed, one of them too late, and six that did not; and another batch's."""
    folder = tmp_path / "archive"
    with Archive(folder) as opened:

        def unit(outcome: str, reason: str, details: dict[str, Any], batch: str = "B1") -> str:
            draft = Draft("unit", unit="u", batch=batch, outcome=outcome, reason=reason, details=details)
            return opened.append(draft, "station-1").name

        passed = [unit("PASS", "within_limits", {"classifier": _finding()}) for _ in range(100)]
        late = {"corrects": passed[-1], "outcome": "REJECT"}
        opened.append(Draft("event", unit="u", reason="late_record", details=late), "station-1")
        for found in (("crack", "spot"), ("chip",), ("spot",)):
            unit("REJECT", "class_found", {"classifier": _finding(*found)})
        unit("REJECT", "class_found", _finding("chip"))
        unit("REVIEW", "class_unsure", _finding())
        unit("REJECT", "frame_lost", {})
        unit("PASS", "within_limits", {}, batch="B2")
    return folder


def _look(folder: Path, seen: dict[int, tuple[str, ...]]) -> None:
    with Archive(folder) as opened:
        for sequence, labels in seen.items():
            add_review(opened, f"station-1/{sequence}", labels, "A. Person")


def test_a_batch_is_counted_as_its_records_and_corrections_say(archive: Path) -> None:
    with Archive(archive, read_only=True) as opened:
        totals = batch_totals(opened, "B1")

    assert totals.outcomes == {"PASS": 99, "REJECT": 6, "REVIEW": 1}
    assert totals.units == sum(totals.outcomes.values()) == sum(totals.reasons.values()) == 106
    assert totals.reasons["late_record"] == 1
    assert totals.severities == {"critical": 1, "major": 2, "minor": 1, "unnamed": 3}


def test_the_sample_of_what_passed_is_judged_by_severity(archive: Path) -> None:
    _look(archive, dict.fromkeys(range(1, 19), ()) | {19: ("spot",), 20: ("spot", "crumb"), 21: ()})
    with Archive(archive, read_only=True) as opened:
        totals = batch_totals(opened, "B1")
    critical, major, minor = acceptance(totals, {"critical": 4.0, "major": 0.65, "minor": 4.0})

    assert totals.sampled == 21
    assert totals.found == {"critical": 1, "major": 0, "minor": 1}  # no class has the name crumb: it counts as critical
    assert [row.decision for row in (critical, major, minor)] == ["accept", "accept", "accept"]
    assert acceptance(totals, {"critical": 0.65})[0].decision == "reject"
    assert acceptance(totals, {"major": 1.0}, "III")[0].missing == 50 - 21


def test_a_unit_that_came_too_late_is_no_sample_of_what_passed(archive: Path) -> None:
    """Its record says PASS, the correction after it that it was rejected."""
    _look(archive, {100: ("crack",), 99: ()})
    with Archive(archive, read_only=True) as opened:
        totals = batch_totals(opened, "B1")

    assert (totals.sampled, totals.found["critical"]) == (1, 0)


def test_a_defect_in_a_lot_too_small_to_sample_is_no_open_question(archive: Path) -> None:
    with Archive(archive, read_only=True) as opened:
        number = opened.latest(1, kind="unit")[0].sequence  # the only unit of B2
    _look(archive, {number: ("crack",)})
    with Archive(archive, read_only=True) as opened:
        assert acceptance(batch_totals(opened, "B2"), {"critical": 0.65})[0].decision == "reject"


def test_a_unit_the_line_stopped_is_no_sample_of_what_passed(archive: Path) -> None:
    _look(archive, {102: ("crack",)})
    with Archive(archive, read_only=True) as opened:
        assert batch_totals(opened, "B1").sampled == 0


def test_a_sure_class_without_a_severity_counts_as_critical() -> None:
    assert unit_severity({"sure": ["dent"], "classes": {"dent": 1.0}}) == "critical"


def test_the_command_prints_and_writes_the_same_numbers(archive: Path, inspection: Run) -> None:
    done = inspection("batch", "B1", "--archive", archive)
    assert done.returncode == 0, done.stderr
    assert "99 PASS, 6 REJECT, 1 REVIEW" in done.stdout
    assert "look at 20 more" in done.stdout  # minor, 2.5 %: 20 units, 1 may be defective

    found = json.loads(inspection("batch", "B1", "--archive", archive, "--json", "-").stdout)
    assert found["severities"]["major"] == 2
    assert found["acceptance"][2]["plan"] == {"letter": "F", "sample": 20, "accept": 1}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("B9",), "no unit of batch 'B9'"),
        (("B1", "--aql", "major"), "such as major=0.65"),
        (("B1", "--aql", "grave=1"), "such as major=0.65"),
        (("B1", "--aql", "major=0.7"), "no AQL of ISO 2859-1"),
    ],
)
def test_what_cannot_be_counted_is_said(words: tuple[str, ...], told: str, archive: Path, inspection: Run) -> None:
    done = inspection("batch", *words, "--archive", archive)

    assert done.returncode == 1
    assert told in done.stderr


def test_the_archive_is_only_read(archive: Path) -> None:
    before = (archive / "archive.sqlite").read_bytes()
    with Archive(archive, read_only=True) as opened, pytest.raises(BatchMissing):
        batch_totals(opened, "B9")

    assert (archive / "archive.sqlite").read_bytes() == before
