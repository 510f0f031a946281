"""Promotion with the shadow's report: what is attached is bound to the signature, and evidence against the candidate is
not overlooked."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from inspection.archive import Archive
from inspection.audit import AuditQuery, find_audit
from inspection.equivalence.comparison import compare
from inspection.equivalence.pairs import Pairs
from inspection.package import Package
from inspection.registry.attached import ShadowReport
from inspection.registry.items import SHADOW_REPORT, State, find_version, read_versions
from inspection.registry.rules import StepRefused
from inspection.signatures import signature_fault
from inspection.verify import verify_archive
from tests.inspection.paired_units import Row, known, paired
from tests.inspection.test_registry import Desk
from tests.people import people

GOOD: list[Row] = [*known(400, 200)]
BAD: list[Row] = [*known(40, 20, lost=9)]


def report(rows: list[Row], candidate: str) -> bytes:
    pairs: Pairs = paired(rows)
    trial = {"trial": "7" * 16, "candidate": {"sha256": candidate}, "active": {"sha256": "a" * 64}}
    answer = compare(pairs, about={"shadow": {"trial": trial}}).plain()
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


def test_a_report_that_does_not_fit_changes_nothing(desk: Desk, package: Package, tmp_path: Path) -> None:
    one = ("package", desk.name, desk.version)
    (tmp_path / "no.json").write_text("[]")
    refused = [
        (ShadowReport(tmp_path / "none.json"), "none.json cannot be read as a shadow's report"),
        (ShadowReport(tmp_path / "no.json"), "no.json cannot be read"),
        (ShadowReport(b"\xff"), "the report cannot be read"),
        (ShadowReport(json.dumps(compare(paired(GOOD)).plain()).encode()), "cannot be read as a shadow's report"),
        (ShadowReport(report(GOOD, "f" * 64)), "is of the package ffffffffffff…"),
        (ShadowReport(report(GOOD, "f" * 64), despite=True), "is of the package ffffffffffff…"),
        (ShadowReport(report(BAD, package.digest)), "speaks against .*not equivalent: 9 of 40 .*so with `despite`"),
    ]
    for attached, said in refused:
        with pytest.raises(StepRefused, match=said):
            desk.by("quinn").approve(*one, "looks fine", attached)
    assert desk.state(*one) == State.EVALUATED
    assert len(find_version(read_versions(desk.archive), *one).steps) == 2  # type: ignore[arg-type]


def test_an_attached_report_is_bound_to_the_signature(desk: Desk, package: Package) -> None:
    one = ("package", desk.name, desk.version)
    bad, good = report(BAD, package.digest), report(GOOD, package.digest)
    desk.by("quinn").approve(*one, "lost ones were empty vials", ShadowReport(bad, despite=True))
    desk.by("eva").register_recipe(desk.recipe("1.0.0"), "new line")
    desk.by("eva").evaluate("recipe", "vials", "1.0.0", "ran")
    desk.by("quinn").approve("recipe", "vials", "1.0.0", "reviewed")
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
