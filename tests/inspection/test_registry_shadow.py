"""Promotion with the shadow's report: what is attached is bound to the signature, and evidence against the candidate is
not overlooked."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from inspection.accounts.sign_in import SignInRefused
from inspection.archive import Archive
from inspection.audit import AuditQuery, find_audit
from inspection.commands.registry import registry
from inspection.equivalence.comparison import compare
from inspection.equivalence.figures import Margins
from inspection.equivalence.pairs import Pairs
from inspection.errors import BadUsage
from inspection.package import Package
from inspection.registry.attached import ShadowReport
from inspection.registry.items import SHADOW_REPORT, State, find_version, read_versions
from inspection.registry.rules import StepRefused
from inspection.shadow.events import Trial
from inspection.shadow.report import TrialMissing, shadow_report
from inspection.signatures import signature_fault
from inspection.verify import verify_archive
from tests.inspection.paired_units import Row, known, paired
from tests.inspection.test_registry import Desk
from tests.inspection.test_shadow_report import TRIAL, looked_at, units
from tests.people import PASSWORD, people

GOOD: list[Row] = [*known(400, 200)]
BAD: list[Row] = [*known(40, 20, lost=9)]


def report(rows: list[Row], candidate: str, margins: Margins | None = None, **trial: Any) -> bytes:
    pairs: Pairs = paired(rows)
    had = {"trial": "7" * 16, "candidate": {"sha256": candidate}, "active": {"sha256": "a" * 64}, "product": "vial",
           "limits": {"review_limit": 1.0, "reject_limit": 2.0}}  # fmt: skip
    answer = compare(pairs, margins, about={"shadow": {"trial": had | trial}}).plain()
    return json.dumps(answer).encode()


def other_word(data: bytes) -> bytes:
    answer = json.loads(data)
    answer["verdict"]["word"] = "splendid"
    return json.dumps(answer).encode()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, vial_package: Path) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    people(folder / "archive", eva="engineer", quinn="quality")
    with Archive(folder / "archive") as archive:
        made = Desk(archive, folder, vial_package)
        made.by("eva").register_package(vial_package, "first")
        made.by("eva").evaluate("package", made.name, made.version, "good figures", made.report)
        yield made


def test_a_report_that_does_not_fit_changes_nothing(desk: Desk, package: Package) -> None:
    one, own = ("package", desk.name, desk.version), package.digest
    refused = [
        (ShadowReport(b"[]"), "the report cannot be read"),
        (ShadowReport(b"\xff"), "the report cannot be read"),
        (ShadowReport(json.dumps(compare(paired(GOOD)).plain()).encode()), "cannot be read as a shadow's"),
        (ShadowReport(other_word(report(GOOD, own))), "cannot be read as a shadow's"),
        (ShadowReport(report(GOOD, own, Margins(detection=0.02))), "wider margins or less confidence"),
        (ShadowReport(report(GOOD, own, Margins(false_reject=0.03))), "wider margins or less confidence"),
        (ShadowReport(report(GOOD, own, Margins(confidence=0.9)), despite=True), "wider margins or less confidence"),
        (ShadowReport(report(GOOD, "f" * 64)), "is of the package ffffffffffff…"),
        (ShadowReport(report(GOOD, "f" * 64), despite=True), "is of the package ffffffffffff…"),
        (ShadowReport(report(BAD, own)), "speaks against .*not equivalent: 9 of 40 .*so with `despite`"),
    ]
    for attached, said in refused:
        with pytest.raises(StepRefused, match=said):
            desk.by("quinn").approve(*one, "looks fine", attached)
    assert desk.state(*one) == State.EVALUATED
    assert len(find_version(read_versions(desk.archive), *one).steps) == 2  # type: ignore[arg-type]


def test_an_attached_report_is_bound_to_the_signature(desk: Desk, package: Package) -> None:
    one = ("package", desk.name, desk.version)
    limits = package.manifest.limits.model_dump()
    bad, good = report(BAD, package.digest), report(GOOD, package.digest, limits=limits)
    desk.by("quinn").approve(*one, "lost ones were empty vials", ShadowReport(bad, despite=True))
    desk.by("eva").register_recipe(desk.recipe("1.0.0"), "new line")
    desk.by("eva").evaluate("recipe", "vials", "1.0.0", "ran")
    desk.by("quinn").approve("recipe", "vials", "1.0.0", "reviewed")
    said_no = [({}, "had the limits 1 and 2, and not the limits"),
               ({"limits": limits, "product": "ampoule"}, "had the product 'ampoule'"),
               ({"limits": limits, "classifier": "c" * 64}, "had this classifier, and not no classifier"),
               ({"limits": limits, "region": {"shapes": []}}, "had this region, and not no region")]  # fmt: skip
    for trial, said in said_no:
        other = ShadowReport(report(GOOD, package.digest, **trial))
        with pytest.raises(StepRefused, match=said):
            desk.by("quinn").activate("vials", "1.0.0", "goes live", other)
    desk.by("quinn").activate("vials", "1.0.0", "goes live", ShadowReport(good, despite=True))
    versions = read_versions(desk.archive)
    approved = find_version(versions, *one).steps[2]  # type: ignore[arg-type]
    activated = find_version(versions, "recipe", "vials", "1.0.0").steps[-1]
    for step, data in ((approved, bad), (activated, good)):
        said = step.details[SHADOW_REPORT]
        assert desk.archive.images.get(said["file"]) == data
        assert step.statement["attached"] == said["sha256"] == said["file"].partition(".")[0]
        assert signature_fault(step.statement) == ""
    assert (approved.details[SHADOW_REPORT]["word"], approved.details[SHADOW_REPORT]["despite"]) == (
        "not equivalent", True,
    )  # fmt: skip
    assert activated.details[SHADOW_REPORT]["word"] == "equivalent"
    assert "despite" not in activated.details[SHADOW_REPORT]
    assert activated.details[SHADOW_REPORT]["limits"] == limits
    assert activated.details[SHADOW_REPORT]["margins"]["detection"] == 0.01
    trail = next(find_audit(desk.archive, AuditQuery(what="registry_activated")))
    assert trail.more[SHADOW_REPORT]["sentence"].startswith("equivalent: ")
    assert verify_archive(desk.archive.folder).intact


def test_a_lost_or_exchanged_report_is_found(desk: Desk) -> None:
    step = find_version(read_versions(desk.archive), "recipe", "vials", "1.0.0").steps[-1]
    said = step.details[SHADOW_REPORT]
    path = next(desk.archive.folder.rglob(said["file"]))
    data = path.read_bytes()
    path.unlink()
    assert any(said["file"] in problem for problem in verify_archive(desk.archive.folder).problems)
    path.write_bytes(data)
    assert verify_archive(desk.archive.folder).intact
    with desk.archive.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER entries_refuse_update"))
        connection.execute(
            text("UPDATE entries SET details = replace(details, :old, :new) WHERE reason = 'registry_activated'"),
            {"old": f'"sha256":"{said["sha256"]}"', "new": f'"sha256":"{"0" * 64}"'},
        )
    assert any(
        "has another report attached than was signed" in one for one in verify_archive(desk.archive.folder).problems
    )


@pytest.fixture
def tried(tmp_path: Path, vial_package: Path, package: Package) -> Iterator[Desk]:
    """An evaluated package that ran in a shadow twice: first at its own limits, where it stopped many more, then at
    these again beside another active package, on a few units that it passed."""
    people(tmp_path / "archive", eva="engineer", quinn="quality")
    with Archive(tmp_path / "archive") as archive:
        made = Desk(archive, tmp_path, vial_package)
        made.by("eva").register_package(vial_package, "first")
        made.by("eva").evaluate("package", made.name, made.version, "good figures", made.report)
        first = replace(TRIAL, candidate=package.identity, limits=package.manifest.limits.model_dump())
        looked_at(archive, units(archive, ["PASS"] * 40), ["REJECT"] * 40, first)
        looked_at(archive, units(archive, ["PASS"] * 4), ["PASS"] * 4, newer(first))
        yield made


def newer(trial: Trial) -> Trial:
    return replace(trial, active={**trial.active, "version": "1.0.1", "sha256": "b" * 64})


def command(desk: Desk, *words: str) -> str:
    at = ["--archive", str(desk.folder / "archive"), "--as", "quinn", "--why", "reviewed"]
    done = CliRunner().invoke(registry, [*words, *at], input=f"{PASSWORD}\n", catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_newer_small_trial_hides_none_that_speaks_against_it(tried: Desk, package: Package) -> None:
    one = ("package", tried.name, tried.version)
    first = replace(TRIAL, candidate=package.identity, limits=package.manifest.limits.model_dump())
    with pytest.raises(StepRefused, match=f"trial {first.id} speaks against {one[0]} .*differs"):
        command(tried, "approve", *one, "--shadow-report")
    assert tried.state(*one) == State.EVALUATED
    command(tried, "approve", *one, "--shadow-report", "--despite")
    said = find_version(read_versions(tried.archive), *one).steps[-1].details[SHADOW_REPORT]  # type: ignore[arg-type]
    assert (said["trial"], said["word"]) == (newer(first).id, "not shown")
    assert (said["despite"], said["against"], said["limits"]) == (True, [first.id], first.limits)
    assert json.loads(tried.archive.images.get(said["file"])) == shadow_report(tried.archive, newer(first).id)
    shown = CliRunner().invoke(registry, ["show", *one, "--archive", str(tried.folder / "archive")]).output
    assert "margins: detection 0.01, false rejects 0.02, confidence 0.95" in shown


def test_a_recipe_s_own_limits_want_a_trial_at_these(tried: Desk, package: Package) -> None:
    one = ("recipe", "vials", "1.0.0")
    limits = {"review_limit": 3.0, "reject_limit": 4.0}
    tried.by("quinn").approve("package", tried.name, tried.version, "reviewed")
    tried.by("eva").register_recipe(tried.recipe("1.0.0", limits=limits), "new line")
    tried.by("eva").evaluate("recipe", "vials", "1.0.0", "ran")
    with pytest.raises(TrialMissing, match=r"recipe vials 1.0.0 as it decides: .*not the limits 3 and 4"):
        command(tried, "approve", *one, "--shadow-report", "--despite")
    trial = replace(TRIAL, candidate=package.identity, limits=limits)
    looked_at(tried.archive, units(tried.archive, ["PASS"] * 4), ["PASS"] * 4, trial)
    command(tried, "approve", *one, "--shadow-report")
    said = find_version(read_versions(tried.archive), *one).steps[-1].details[SHADOW_REPORT]  # type: ignore[arg-type]
    assert (said["trial"], said["limits"], said.get("despite")) == (trial.id, limits, None)


def test_who_gives_a_wrong_password_stores_nothing(tried: Desk, package: Package) -> None:
    one = ("package", tried.name, tried.version)
    before = sorted(tried.archive.folder.rglob("*.json*"))
    with pytest.raises(SignInRefused):
        tried.by("quinn", "wrong").approve(*one, "reviewed", ShadowReport(report(GOOD, package.digest)))
    assert sorted(tried.archive.folder.rglob("*.json*")) == before
    with pytest.raises(BadUsage):
        command(tried, "approve", *one, "--despite")
