"""Change control: every step by its role, signed, in order; and only what is active runs."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspection.accounts.sign_in import SignIn, SignInRefused
from inspection.archive import Archive, ArchiveFault
from inspection.audit import AuditQuery, find_audit
from inspection.package import read_package
from inspection.recipe import read_recipe
from inspection.records import AUDIT, Draft, Entry
from inspection.registry.admission import NotApproved, admit
from inspection.registry.content import read_pinned, recipe_digest
from inspection.registry.items import State, VersionMissing, find_version, read_versions
from inspection.registry.runs import runs_of
from inspection.registry.steps import Registry, StepRefused
from inspection.signatures import SignatureRefused, Signer, signature_fault
from inspection.signing import signing_key
from inspection.verify import verify_archive
from tests.people import PASSWORD, people
from tests.serve.serving import running, write_recipe

Run = Callable[..., subprocess.CompletedProcess[str]]


class Desk:
    """People at the registry of an archive, with a package, its report and recipes of several versions."""

    def __init__(self, archive: Archive, folder: Path, package: Path) -> None:
        self.archive, self.folder, self.package = archive, folder, package
        manifest = read_package(package).manifest
        self.name, self.version = manifest.name, manifest.version
        self.report = folder / "report.json"
        self.report.write_text(json.dumps({"package": {"sha256": read_package(package).digest}, "image_auroc": 0.99}))

    def by(self, name: str, password: str = PASSWORD) -> Registry:
        return Registry(self.archive, signing_key(self.archive), Signer(SignIn(self.archive), name, password))

    def recipe(self, version: str, **more: object) -> Path:
        folder = self.folder / version
        folder.mkdir(exist_ok=True)
        return write_recipe(folder, self.package, version=version, **more)

    def state(self, kind: str, name: str, version: str) -> State:
        return find_version(read_versions(self.archive), kind, name, version).state  # type: ignore[arg-type]

    def approved_package(self) -> None:
        self.by("eva").register_package(self.package, "first")
        self.by("eva").evaluate("package", self.name, self.version, "good figures", self.report)
        self.by("quinn").approve("package", self.name, self.version, "figures reviewed")

    def active(self, version: str, **more: object) -> Entry:
        self.by("eva").register_recipe(self.recipe(version, **more), "new line")
        self.by("eva").evaluate("recipe", "vials", version, "ran on the line")
        self.by("quinn").approve("recipe", "vials", version, "reviewed")
        return self.by("quinn").activate("vials", version, "goes live")


@pytest.fixture
def desk(tmp_path: Path, vial_package: Path) -> Iterator[Desk]:
    people(tmp_path / "archive", eva="engineer", quinn="quality", both="engineer,quality", otto="operator")
    with Archive(tmp_path / "archive") as archive:
        yield Desk(archive, tmp_path, vial_package)


def test_from_draft_to_active_and_back_in_one_step(desk: Desk) -> None:
    desk.approved_package()
    desk.active("1.0.0")
    assert desk.state("package", desk.name, desk.version) == State.ACTIVE
    desk.active("2.0.0", deadline_ms=500)
    assert desk.state("recipe", "vials", "1.0.0") == State.RETIRED
    assert desk.state("recipe", "vials", "2.0.0") == State.ACTIVE
    assert desk.state("package", desk.name, desk.version) == State.ACTIVE  # both recipes have it

    desk.by("quinn").roll_back("vials", "too many late units")
    assert desk.state("recipe", "vials", "1.0.0") == State.ACTIVE
    assert desk.state("recipe", "vials", "2.0.0") == State.RETIRED

    steps = find_version(read_versions(desk.archive), "recipe", "vials", "1.0.0").steps
    assert [(step.step, step.by) for step in steps] == [
        ("registered", "eva"), ("evaluated", "eva"), ("approved", "quinn"), ("activated", "quinn"),
        ("activated", "quinn"), ("rolled_back", "quinn"),
    ]  # fmt: skip
    assert [signature_fault(step.statement) for step in steps] == [""] * 6
    changed = next(find_audit(desk.archive, AuditQuery(what="registry_registered", text="2.0.0")))
    assert (changed.old, changed.new) == (
        {"deadline_ms": 60_000, "version": "1.0.0"}, {"deadline_ms": 500, "version": "2.0.0"}
    )  # fmt: skip
    assert verify_archive(desk.archive.folder).problems == []


def test_one_station_is_rolled_back_and_not_another(desk: Desk) -> None:
    desk.approved_package()
    desk.active("1.0.0", station="left")
    desk.active("1.1.0", station="right")
    desk.active("2.0.0", station="right", deadline_ms=500)
    with pytest.raises(StepRefused, match="on the stations left, right"):
        desk.by("quinn").roll_back("vials", "too late")
    desk.by("quinn").roll_back("vials", "too late", "right")
    states = [desk.state("recipe", "vials", version) for version in ("1.0.0", "1.1.0", "2.0.0")]
    assert states == [State.ACTIVE, State.ACTIVE, State.RETIRED]
    desk.by("quinn").retire("recipe", "vials", "1.1.0", "lets cracks pass")
    desk.active("3.0.0", station="right", deadline_ms=400)
    desk.by("quinn").roll_back("vials", "unreadable", "right")  # not to 1.1.0, which was active last
    assert [desk.state("recipe", "vials", version) for version in ("1.1.0", "2.0.0")] == [State.RETIRED, State.ACTIVE]


def test_steps_out_of_order_or_by_the_wrong_person_change_nothing(desk: Desk) -> None:
    desk.by("eva").register_package(desk.package, "first")
    package = ("package", desk.name, desk.version)
    refused = [
        (StepRefused, "only what is evaluated", lambda: desk.by("quinn").approve(*package, "hurry")),
        (StepRefused, "needs the report", lambda: desk.by("eva").evaluate(*package, "trust me")),
        (SignatureRefused, "permits to develop", lambda: desk.by("quinn").evaluate(*package, "good", desk.report)),
        (SignatureRefused, "permits to develop", lambda: desk.by("otto").register_package(desk.package, "mine")),
        (SignInRefused, "do not fit", lambda: desk.by("eva", "wrong").evaluate(*package, "good", desk.report)),
        (SignatureRefused, "needs a reason", lambda: desk.by("eva").evaluate(*package, "", desk.report)),
        (StepRefused, "registered already", lambda: desk.by("eva").register_package(desk.package, "again")),
        (VersionMissing, "not registered", lambda: desk.by("quinn").activate("vials", "9.0.0", "hurry")),
        (StepRefused, "no version of recipe vials is active", lambda: desk.by("quinn").roll_back("vials", "hurry")),
    ]  # fmt: skip
    before = len(read_versions(desk.archive)[package].steps)
    for error, said, do in refused:
        with pytest.raises(error, match=said):
            do()
    assert desk.state(*package) == State.DRAFT
    assert len(read_versions(desk.archive)[package].steps) == before


def test_nobody_approves_their_own_work(desk: Desk) -> None:
    package = ("package", desk.name, desk.version)
    desk.by("both").register_package(desk.package, "first")
    desk.by("eva").evaluate(*package, "good", desk.report)
    with pytest.raises(StepRefused, match="nobody approves their own"):
        desk.by("both").approve(*package, "fine")
    desk.by("quinn").approve(*package, "fine")


def test_a_recipe_waits_for_its_packages(desk: Desk) -> None:
    desk.by("eva").register_recipe(desk.recipe("1.0.0"), "first")
    with pytest.raises(StepRefused, match="which is not registered"):
        desk.by("eva").evaluate("recipe", "vials", "1.0.0", "good")
    desk.by("eva").register_package(desk.package, "first")
    with pytest.raises(StepRefused, match="its turn comes first"):
        desk.by("eva").evaluate("recipe", "vials", "1.0.0", "good")


def test_what_is_used_is_not_retired_and_a_retired_recipe_takes_its_packages_along(desk: Desk) -> None:
    desk.approved_package()
    desk.active("1.0.0")
    with pytest.raises(StepRefused, match="is used by"):
        desk.by("quinn").retire("package", desk.name, desk.version, "old")
    desk.by("quinn").retire("recipe", "vials", "1.0.0", "product ended")
    assert desk.state("package", desk.name, desk.version) == State.RETIRED
    with pytest.raises(StepRefused, match="retired already"):
        desk.by("quinn").retire("recipe", "vials", "1.0.0", "again")


def test_only_what_is_active_runs(desk: Desk) -> None:
    pinned, _ = read_pinned(desk.recipe("1.0.0"))
    with pytest.raises(NotApproved, match="not registered; activate it"):
        admit(desk.archive, pinned, unapproved=False)
    assert admit(desk.archive, pinned, unapproved=True)["change_control"] == "none"
    desk.approved_package()
    desk.active("1.0.0")
    assert admit(desk.archive, pinned, unapproved=False)["change_control"] == "active"
    other, _ = read_pinned(desk.recipe("1.0.0", deadline_ms=1))
    unknown, _ = read_pinned(desk.recipe("3.0.0"))
    for recipe, said in ((other, "another than was registered"), (unknown, "not registered")):
        with pytest.raises(NotApproved, match=said):
            admit(desk.archive, recipe, unapproved=True)  # an archive under change control stays under it
    desk.by("quinn").retire("recipe", "vials", "1.0.0", "product ended")
    with pytest.raises(NotApproved, match="is retired"):
        admit(desk.archive, pinned, unapproved=True)


def test_a_step_that_nobody_signed_activates_nothing(desk: Desk) -> None:
    """Somebody who can add to the database, and has no password and no key."""
    desk.approved_package()
    active = desk.active("1.0.0")
    desk.by("eva").register_recipe(desk.recipe("2.0.0", deadline_ms=1), "draft")
    draft = find_version(read_versions(desk.archive), "recipe", "vials", "2.0.0")
    listed = {"kind": "recipe", "name": "vials", "version": "2.0.0", "digest": draft.digest, "old": "draft"}
    details = dict(active.details) | {"subject": draft.label, "versions": [listed | {"new": "active"}]}
    forged = desk.archive.append(Draft("event", reason=active.reason, details=details), AUDIT)
    with pytest.raises(ArchiveFault, match="no step of change control"):
        admit(desk.archive, read_pinned(desk.folder / "2.0.0" / "recipe.yaml")[0], unapproved=False)
    assert any(forged.name in problem for problem in verify_archive(desk.archive.folder).problems)


def test_the_batch_and_where_files_lie_are_not_part_of_what_is_approved(desk: Desk, tmp_path: Path) -> None:
    one, _ = read_pinned(desk.recipe("1.0.0"))
    content = yaml.safe_load((desk.folder / "1.0.0" / "recipe.yaml").read_text())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "copy.onnx").write_bytes(desk.package.read_bytes())
    path = tmp_path / "elsewhere" / "recipe.yaml"
    path.write_text(yaml.safe_dump(content | {"batch": "B-9", "package": {"path": "copy.onnx"}}))
    other, _ = read_pinned(path)
    assert recipe_digest(one) == recipe_digest(other)
    assert read_recipe(path).batch == "B-9"


def test_where_a_version_ran_and_which_records_it_made(desk: Desk, vial_images: dict[str, list[Path]]) -> None:
    desk.approved_package()
    desk.active("1.0.0")
    for count in (2, 1):
        with running(desk.folder / "1.0.0" / "recipe.yaml", desk.archive.folder) as station:
            for _ in range(count):
                assert station.upload(vial_images["good"][0].read_bytes()).status_code == 200
            assert station.service.status()["change_control"] == "active"
    versions = read_versions(desk.archive)
    for kind, name, version in (("recipe", "vials", "1.0.0"), ("package", desk.name, desk.version)):
        runs = runs_of(desk.archive, versions[kind, name, version])
        assert [run.units for run in runs] == [2, 1]
        assert all(run.ended_at and run.first and run.last for run in runs)
        first = desk.archive.get(*_split(runs[0].first))
        assert first is not None and first.recipe == "vials 1.0.0"


def _split(name: str | None) -> tuple[str, int]:
    station, _, number = str(name).rpartition("/")
    return station, int(number)


@given(tries=st.lists(st.tuples(st.sampled_from(["evaluate", "approve", "activate", "retire", "roll_back"]),
                          st.sampled_from(["1.0.0", "2.0.0"])), max_size=10))  # fmt: skip
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_tried_at_most_one_version_is_active_and_it_was_approved(
    tries: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory, vial_package: Path
) -> None:
    folder = tmp_path_factory.mktemp("tries")
    people(folder / "archive", eva="engineer", quinn="quality")
    with Archive(folder / "archive") as archive:
        desk = Desk(archive, folder, vial_package)
        desk.approved_package()
        for version, deadline in (("1.0.0", 1000), ("2.0.0", 2000)):
            desk.by("eva").register_recipe(desk.recipe(version, deadline_ms=deadline), "test")
        for step, version in tries:
            who = desk.by("eva" if step == "evaluate" else "quinn")
            words = {"activate": ("vials", version), "roll_back": ("vials",)}.get(step, ("recipe", "vials", version))
            with suppress(StepRefused):
                getattr(who, step)(*words, "test")
            versions = [one for one in read_versions(archive).values() if one.kind == "recipe"]
            assert sum(one.state == State.ACTIVE for one in versions) <= 1
            for one in versions:
                if one.state == State.ACTIVE:
                    assert "approved" in [taken.step for taken in one.steps]


def test_change_control_by_the_command_line(
    tmp_path: Path, vial_package: Path, inspection: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, desk_folder = tmp_path / "archive", tmp_path / "desk"
    desk_folder.mkdir()
    people(folder, eva="engineer", quinn="quality")
    with Archive(folder) as archive:
        desk = Desk(archive, desk_folder, vial_package)
        recipe = desk.recipe("1.0.0")
        name, version, report = desk.name, desk.version, desk.report
    monkeypatch.setenv("INSPECTION_PASSWORD", PASSWORD)
    done = inspection("serve", recipe, "--archive", folder, "--port", 0)
    assert done.returncode == 1 and "[not_approved]" in done.stderr
    eva, quinn = (("--archive", folder, "--as", who, "--why", "for the test") for who in ("eva", "quinn"))
    for words in (
        ("register", vial_package, *eva), ("register", recipe, *eva),
        ("evaluated", "package", name, version, "--report", report, *eva),
        ("evaluated", "recipe", "vials", "1.0.0", *eva), ("approve", "package", name, version, *quinn),
        ("approve", "recipe", "vials", "1.0.0", *quinn), ("activate", "vials", "1.0.0", *quinn),
    ):  # fmt: skip
        done = inspection("registry", *words)
        assert done.returncode == 0, done.stderr
    assert "active     recipe vials 1.0.0" in inspection("registry", "list", "--archive", folder).stdout
    shown = inspection("registry", "show", "recipe", "vials", "1.0.0", "--archive", folder).stdout
    assert "evaluated → approved  Quinn Person-5 (quinn): for the test" in shown
    assert "0 runs" in shown
    assert inspection("verify", "--archive", folder).returncode == 0
