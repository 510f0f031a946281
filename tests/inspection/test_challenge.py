"""A challenge kit proves the station, or does not; nothing that is not a plain pass counts as one."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from inspection.archive import Archive
from inspection.challenge.clearance import ChallengeDue, clearance, override, override_fault
from inspection.challenge.kit import KitUnusable, approved_kit, kept_kit, read_kit
from inspection.challenge.run import FAILED, PASSED, begin, decided_as_registered, run_by_images
from inspection.config import ConfigInvalid
from inspection.detector import Detector
from inspection.errors import InspectionError
from inspection.recipe import ChallengeConfig, Recipe
from inspection.records import Draft, Entry
from inspection.registry.content import recipe_content
from inspection.registry.items import read_versions
from inspection.registry.rules import StepRefused
from inspection.signatures import SignatureRefused
from inspection.signing import signing_key
from inspection.station import Station
from inspection.verdict import SHOWN, Outcome, Reason
from inspection.verify import verify_archive
from tests.kits import CHALLENGE, approved, desk, vial_kit, write_kit
from tests.people import PASSWORD, people
from tests.serve.serving import write_recipe

Images = dict[str, list[Path]]
Run = Callable[..., subprocess.CompletedProcess[str]]
BATCH, SHIFT = ChallengeConfig(kit="vial-kit"), ChallengeConfig(kit="vial-kit", every="shift", shift_hours=8)
SHA = "a" * 64


def unit(name: str, truth: str, image: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "truth": truth, "images": [image]} | more


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ([unit("a", "good", "good.png")], "at least 2"),
        ([unit("a", "good", "good.png"), unit("b", "good", "crack.png")], "good and defective"),
        ([unit("a", "good", "good.png"), unit("a", "defective", "crack.png")], "more than once"),
        ([unit("a", "good", "good.png"), unit("b", "defective", "good.png", expected="PASS")], "cannot be expected"),
        ([unit("a", "good", "good.png", expected="REJECT"), unit("b", "defective", "crack.png")], "cannot be expected"),
        (
            [unit("a", "good", "good.png", defect="crack"), unit("b", "defective", "crack.png")],
            "cannot have the defect",
        ),
        ([unit("a", "good", "good.png"), unit("b", "defective", "none.png")], "cannot be read"),
        ([unit("a", "good", "good.png"), unit("b", "defective", "copy.png")], "the very same image"),
        ([unit("a", "good", "good.png"), unit("b", "defective", "text.png")], "not an image"),
        ([unit("a", "good", "good.png"), unit("b", "maybe", "crack.png")], "truth"),
        ([unit("a", "good", "good.png"), {"id": "b", "truth": "defective", "images": []}], "images"),
    ],
)
def test_a_kit_that_is_none_is_refused_and_nothing_is_kept(
    units: list[dict[str, Any]], said: str, tmp_path: Path, vial_images: Images
) -> None:
    vial_kit(tmp_path, vial_images)
    (tmp_path / "copy.png").write_bytes((tmp_path / "good.png").read_bytes())
    (tmp_path / "text.png").write_text("no picture")
    people(tmp_path / "archive", eva="engineer")
    with Archive(tmp_path / "archive") as archive:
        with pytest.raises(InspectionError, match=said):
            desk(archive, "eva").register_kit(write_kit(tmp_path, units), "new")
        assert list(archive.images.names()) == [] and read_versions(archive) == {}


def test_nobody_approves_their_own_kit_and_only_an_engineer_registers_one(tmp_path: Path, vial_images: Images) -> None:
    people(tmp_path / "archive", eva="engineer", both="engineer,quality", quinn="quality", otto="operator")
    with Archive(tmp_path / "archive") as archive:
        file = vial_kit(tmp_path, vial_images)
        with pytest.raises(SignatureRefused):
            desk(archive, "otto").register_kit(file, "new")
        assert list(archive.images.names()) == []
        desk(archive, "both").register_kit(file, "new")
        with pytest.raises(KitUnusable, match="not approved"):
            approved_kit(read_versions(archive), BATCH)
        with pytest.raises(StepRefused, match="nobody approves their own"):
            desk(archive, "both").approve("kit", "vial-kit", "1.0.0", "looks good")
        with pytest.raises(StepRefused, match="registered and approved, not evaluated"):
            desk(archive, "both").evaluate("kit", "vial-kit", "1.0.0", "looks good")
        with pytest.raises(StepRefused, match="registered already"):
            desk(archive, "eva").register_kit(file, "again")
        desk(archive, "quinn").approve("kit", "vial-kit", "1.0.0", "looked at")
        assert approved_kit(read_versions(archive), BATCH).version == "1.0.0"
        desk(archive, "quinn").retire("kit", "vial-kit", "1.0.0", "vials are worn")
        with pytest.raises(KitUnusable, match="retired"):
            approved_kit(read_versions(archive), BATCH)
    assert verify_archive(tmp_path / "archive").problems == []


def test_a_kit_s_lost_image_is_named_by_verify(tmp_path: Path, vial_images: Images) -> None:
    approved(tmp_path / "archive", vial_kit(tmp_path, vial_images))
    with Archive(tmp_path / "archive") as archive:
        kit = kept_kit(archive, approved_kit(read_versions(archive), BATCH))
        archive.images.delete(kit.files[0])
    [said] = verify_archive(tmp_path / "archive").problems
    assert kit.files[0] in said


def ran(archive: Archive, recipe: Recipe, detector: Detector) -> Entry:
    version = approved_kit(read_versions(archive), BATCH)
    station = Station(recipe, detector, archive)
    return run_by_images(station, version, kept_kit(archive, version), SHA, "otto", "shift begins")


def test_each_unit_is_decided_as_registered_and_the_run_says_so(
    tmp_path: Path, vial_images: Images, recipe: Recipe, detector: Detector
) -> None:
    approved(tmp_path / "archive", vial_kit(tmp_path, vial_images))
    with Archive(tmp_path / "archive") as archive:
        entry = ran(archive, recipe, detector)
        units = {one["unit"]: one for one in entry.details["units"]}
        assert (entry.reason, entry.package, entry.recipe) == (PASSED, detector.package.digest, "vials 1.0.0")
        assert (entry.details["by"], entry.details["as_registered"], entry.details["of"]) == ("otto", 2, 2)
        assert units["K-1"]["outcome"] == "PASS" and units["K-2"]["outcome"] in ("REJECT", "REVIEW")
        assert not [row for row in archive.rows("station-1") if row["kind"] == "unit"]


def test_the_wrong_truth_a_lost_and_a_changed_image_are_not_passed(
    tmp_path: Path, vial_images: Images, recipe: Recipe, detector: Detector
) -> None:
    approved(tmp_path / "archive", vial_kit(tmp_path, vial_images, "2.0.0"), "2.0.0")
    with Archive(tmp_path / "archive") as archive:
        entry = ran(archive, recipe, detector)
        assert (entry.reason, entry.details["as_registered"]) == (FAILED, 0)
        assert "0 of 2" in clearance(archive, "station-1", SHIFT, SHA).why
    approved(tmp_path / "archive", vial_kit(tmp_path, vial_images, "3.0.0"), "3.0.0")
    with Archive(tmp_path / "archive") as archive:
        kit = kept_kit(archive, approved_kit(read_versions(archive), BATCH))
        crack = kit.units[1].images[0].image
        path = tmp_path / "archive" / "images" / crack[:2] / crack
        path.write_bytes(vial_images["crack"][1].read_bytes())  # a defective unit's image, but not the one
        entry = ran(archive, recipe, detector)
        assert (entry.reason, entry.details["units"][1]["as_registered"]) == (FAILED, False)
        assert "changed" in entry.details["units"][1]["message"]
        path.unlink()  # rejected, and all the same not as registered
        entry = ran(archive, recipe, detector)
        assert entry.reason == FAILED and entry.details["units"][1]["outcome"] == "REJECT"


def test_a_model_fault_stops_defective_units_and_proves_nothing(
    tmp_path: Path, vial_images: Images, recipe: Recipe, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved(tmp_path / "archive", vial_kit(tmp_path, vial_images))
    monkeypatch.setattr(detector, "find", lambda _: 1 / 0)
    with Archive(tmp_path / "archive") as archive:
        entry = ran(archive, recipe, detector)
    assert (entry.reason, entry.details["as_registered"]) == (FAILED, 0)
    assert {one["reason"] for one in entry.details["units"]} == {"model_fault"}


@given(
    st.sampled_from(["PASS", "stopped", "REJECT"]),
    st.one_of(st.none(), st.sampled_from(Outcome)),
    st.sampled_from(Reason),
)
def test_only_what_images_show_can_be_as_registered(expected: str, outcome: Outcome | None, reason: Reason) -> None:
    found = decided_as_registered(expected, outcome, reason)
    if found:
        assert reason in SHOWN
        assert (expected == "PASS") == (outcome is Outcome.PASS)
    else:
        assert reason not in SHOWN or outcome is None or (
            outcome != expected and not (expected == "stopped" and outcome is not Outcome.PASS)
        )  # fmt: skip


def test_a_run_counts_once_for_this_recipe_this_kit_and_so_many_hours(
    tmp_path: Path, vial_images: Images, recipe: Recipe, detector: Detector
) -> None:
    approved(tmp_path / "archive", vial_kit(tmp_path, vial_images))
    with Archive(tmp_path / "archive") as archive:
        station = Station(recipe, detector, archive)

        def why(config: ChallengeConfig = BATCH, **more: Any) -> str:
            return clearance(archive, "station-1", config, more.pop("sha", SHA), **more).why

        def batch(what: str) -> None:
            archive.append(Draft("event", batch="B-1", reason=what, details={"challenge": {"recipe_sha256": SHA}}),
                           "station-1")  # fmt: skip

        assert "not run yet" in why()
        entry = ran(archive, recipe, detector)
        assert why() == why(SHIFT) == ""
        assert "not run with this recipe" in why(sha="b" * 64)
        assert "not run yet" in clearance(archive, "station-2", BATCH, SHA).why
        year = entry.recorded_at[:4]
        assert "hours' challenge is over" in why(SHIFT, now=entry.recorded_at.replace(year, str(int(year) + 1)))
        assert "hours' challenge is over" in why(SHIFT, now=entry.recorded_at.replace(year, str(int(year) - 1)))
        batch("batch_started")
        assert "not run since batch B-1 began" in why(batch="B-2")
        assert why(batch="B-1", running=True) == ""
        assert "another recipe" in why(batch="B-1", running=True, sha="b" * 64)
        ran(archive, recipe, detector)
        batch("batch_stopped")
        assert "not run since batch B-1 ended" in why(batch="B-2")
        ran(archive, recipe, detector)
        assert why(batch="B-2") == ""
        begin(station, approved_kit(read_versions(archive), BATCH), SHA, "images", "otto", "crashes")
        assert "has not ended" in why(batch="B-2")
        ran(archive, recipe, detector)
        desk(archive, "eva").register_kit(vial_kit(tmp_path, vial_images, "1.1.0"), "newer")
        assert why(batch="B-2") == ""
        desk(archive, "quinn").approve("kit", "vial-kit", "1.1.0", "looked at")
        assert "vial-kit 1.1.0 is approved, and another one was run" in why(batch="B-2")


def test_an_override_is_quality_s_for_one_batch_and_cannot_be_moved(
    tmp_path: Path, vial_images: Images, recipe: Recipe, detector: Detector
) -> None:
    approved(tmp_path / "archive", vial_kit(tmp_path, vial_images))
    with Archive(tmp_path / "archive") as archive:
        station, key = Station(recipe, detector, archive), signing_key(archive)
        with pytest.raises(SignatureRefused):
            override(station, key, BATCH, SHA, desk(archive, "otto").signer, "we are late", "B-1")
        with pytest.raises(ChallengeDue, match="names the batch"):
            override(station, key, BATCH, SHA, desk(archive, "quinn").signer, "kit is broken")
        with pytest.raises(ChallengeDue, match="names no batch"):
            override(station, key, SHIFT, SHA, desk(archive, "quinn").signer, "kit is broken", "B-1")
        with pytest.raises(SignatureRefused):
            override(station, key, BATCH, SHA, desk(archive, "quinn").signer, "", "B-1")
        assert "not run yet" in clearance(archive, "station-1", BATCH, SHA, "B-1").why
        entry = override(station, key, BATCH, SHA, desk(archive, "quinn").signer, "kit is broken", "B-1")
        assert clearance(archive, "station-1", BATCH, SHA, "B-1").overridden
        assert "for batch B-1 alone" in clearance(archive, "station-1", BATCH, SHA, "B-2").why
        assert verify_archive(tmp_path / "archive").problems == []
        forged = dict(entry.details) | {"batch": "B-2"}
        archive.append(Draft("event", reason=entry.reason, details=forged), "station-1")
        assert "does not hold" in clearance(archive, "station-1", BATCH, SHA, "B-2").why
        assert override_fault(entry) == ""
    assert len(verify_archive(tmp_path / "archive").problems) == 1


def test_recipes_without_a_challenge_keep_their_digest_and_a_wrong_one_is_refused(
    tmp_path: Path, vial_package: Path, recipe: Recipe
) -> None:
    assert "challenge" not in recipe_content(recipe)
    from inspection.recipe import read_recipe

    assert read_recipe(write_recipe(tmp_path, vial_package, challenge=CHALLENGE)).challenge == BATCH
    for more in ({"challenge": {"kit": "x", "every": "year"}}, {"challenge": CHALLENGE, "batch": "B-1"},
                 {"challenge": {"kit": "x", "shift_hours": 0}}):  # fmt: skip
        with pytest.raises(ConfigInvalid):
            read_recipe(write_recipe(tmp_path, vial_package, **more))


def test_by_commands_from_a_file_to_a_passed_run(
    tmp_path: Path, vial_images: Images, vial_package: Path, inspection: Run
) -> None:
    file, folder = vial_kit(tmp_path, vial_images), tmp_path / "archive"
    people(folder, eva="engineer", quinn="quality", otto="operator")
    recipe = write_recipe(tmp_path, vial_package, challenge=CHALLENGE)
    (tmp_path / "password").write_text(PASSWORD)

    def done(*words: object, by: str = "eva", archive: Path = folder) -> subprocess.CompletedProcess[str]:
        who = ["--as", by, "--password-file", tmp_path / "password", "--why", "test of it"]
        return inspection("challenge", *words, "--archive", archive, *who)

    assert done("register", file).returncode == 0
    unapproved = done("run", recipe, by="otto")
    assert unapproved.returncode == 1 and "[kit_unusable]" in unapproved.stderr
    assert "nobody approves" not in done("approve", "vial-kit", "1.0.0", by="quinn").stderr
    ran = done("run", recipe, by="otto")
    assert ran.returncode == 0 and "passed: all 2 units" in ran.stdout, ran.stderr
    shown = inspection("challenge", "show", "--archive", folder).stdout
    assert "kit vial-kit 1.0.0: approved" in shown and "K-2: crack, expected stopped" in shown
    assert "challenge_passed" in shown
    done("register", vial_kit(tmp_path, vial_images, "2.0.0"))
    done("approve", "vial-kit", "2.0.0", by="quinn")
    failed = done("run", recipe, by="otto")
    assert failed.returncode == 1 and "[challenge_failed]" in failed.stderr
    assert "NOT AS REGISTERED" in failed.stdout
    assert verify_archive(folder).problems == []


def test_a_kit_s_file_names_images_by_path_or_with_their_camera(tmp_path: Path, vial_images: Images) -> None:
    file = vial_kit(tmp_path, vial_images)
    kit = yaml.safe_load(file.read_text())
    kit["units"][0]["images"] = [{"image": "good.png", "camera": "top"}]
    file.write_text(yaml.safe_dump(kit))
    read, data = read_kit(file)
    assert read.units[0].images[0].camera == "top" and set(data) == {"good.png", "crack.png"}
