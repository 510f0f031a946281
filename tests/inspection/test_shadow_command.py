"""`inspection shadow report` writes what `inspection compare` does."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from inspection.archive import Archive, ArchiveMissing
from inspection.commands.shadow import shadow
from inspection.equivalence.comparison import check_plain
from inspection.errors import BadUsage, InspectionError
from inspection.shadow.report import TrialMissing
from tests.inspection.test_shadow_report import looked_at, units


def test_the_report_is_written_as_json_page_and_paper(tmp_path: Path) -> None:
    with Archive(tmp_path / "archive") as archive:
        looked_at(archive, units(archive, ["PASS"] * 9 + ["REJECT"]), ["PASS"] * 9 + ["REVIEW"], busy=3)
    words = ["report", "--archive", str(tmp_path / "archive"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(shadow, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "1 unit of 10 would be decided differently" in done.output
    answer = check_plain(json.loads((tmp_path / "out" / "shadow.json").read_text()))
    assert (answer["figures"]["changed"], answer["left_out"]) == (1, {"shed": 3})
    assert b"on the live line, trial" in (tmp_path / "out" / "shadow.html").read_bytes()
    assert (tmp_path / "out" / "shadow.pdf").read_bytes().startswith(b"%PDF")
    first = (tmp_path / "out" / "shadow.json").read_bytes()
    CliRunner().invoke(shadow, words, catch_exceptions=False)
    assert (tmp_path / "out" / "shadow.json").read_bytes() == first


def test_what_cannot_be_reported_is_one_sentence_and_writes_nothing(tmp_path: Path) -> None:
    with Archive(tmp_path / "archive"):
        pass

    def refused(wanted: type[InspectionError], *words: str) -> None:
        with pytest.raises(wanted):
            CliRunner().invoke(shadow, ["report", *words], catch_exceptions=False)

    at = ["--archive", str(tmp_path / "archive")]
    refused(TrialMissing, *at, "--out", str(tmp_path / "out"))
    refused(BadUsage, *at, "--out", str(tmp_path / "archive" / "out"))
    refused(BadUsage, *at, "--out", str(tmp_path / "out"), "--margin-detection", "2")
    refused(ArchiveMissing, "--archive", str(tmp_path / "none"), "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
