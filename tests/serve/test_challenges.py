"""Production is blocked until the station has decided known units as registered, or quality has signed otherwise."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from inspection.archive import Archive
from inspection.challenge.kit import approved_kit
from inspection.challenge.run import begin
from inspection.recipe import ChallengeConfig
from inspection.records import Entry, from_row
from inspection.registry.items import read_versions
from inspection.verify import verify_archive
from serve import challenges
from tests.kits import CHALLENGE, approved, vial_kit
from tests.people import PASSWORD
from tests.serve.serving import Running, running, wait_for, write_recipe

pytestmark = pytest.mark.timeout(180)
Images = dict[str, list[Path]]
WHY = {"why": "shift begins"}


def alarms(station: Running) -> dict[str, str]:
    return {alarm["code"]: alarm["message"] for alarm in station.client.get("/api/status").json()["alarms"]}


def entries_of(archive: Archive, kind: str = "event") -> list[Entry]:
    return [from_row(row) for row in archive.rows("station-1") if row["kind"] == kind]


def begin_batch(station: Running, batch: str) -> httpx.Response:
    return station.client.post("/api/batches", json={"batch": batch, "why": "order 7"})


def as_person(station: Running, who: str, path: str, /, **body: Any) -> httpx.Response:
    with httpx.Client(base_url=station.address, timeout=30) as client:
        assert client.post("/api/session", json={"name": who, "password": PASSWORD}).status_code == 200
        return client.post(path, json=body)


def override(station: Running, name: str = "quinn", **more: Any) -> httpx.Response:
    said = {"name": name, "password": PASSWORD, "why": "kit is broken"} | more
    return as_person(station, name, "/api/challenge/override", **said)


def test_no_batch_begins_and_no_unit_passes_before_the_kit_was_passed(
    tmp_path: Path, vial_package: Path, vial_images: Images
) -> None:
    folder = tmp_path / "archive"
    approved(folder, vial_kit(tmp_path, vial_images))
    recipe, good = write_recipe(tmp_path, vial_package, challenge=CHALLENGE), vial_images["good"][1].read_bytes()
    with running(recipe, folder) as station:
        refused = begin_batch(station, "B-1")
        assert (refused.status_code, refused.json()["code"]) == (409, "challenge_due")
        assert alarms(station) == {}
        for form in ({}, {"batch": "B-9"}):  # of no batch, or of one that nobody began
            assert station.upload(good, **form).json()["reason"] == "station_stopped"
        wait_for(lambda: "challenge_due" in alarms(station))
        ran = station.client.post("/api/challenge/run", json=WHY)
        assert (ran.status_code, ran.json()["reason"]) == (200, "challenge_passed")
        assert begin_batch(station, "B-1").status_code == 201
        assert station.upload(good).json()["outcome"] == "PASS"
        assert alarms(station) == {}
        assert station.upload(good, batch="B-9").json()["reason"] == "station_stopped"
    with running(recipe, folder) as station:  # after a restart
        assert station.upload(good).json()["outcome"] == "PASS"
        station.client.post("/api/batches/stop", json=WHY)
        assert begin_batch(station, "B-2").json()["code"] == "challenge_due"
        assert station.upload(good).json()["reason"] == "station_stopped"
        account = station.client.get("/api/batches/B-1").json()
        assert account["challenge"]["record"] == f"station-1/{ran.json()['sequence']}"
        assert account["challenge"]["overridden"] is False
    assert verify_archive(folder).problems == []


def test_a_kit_that_is_not_passed_in_the_middle_of_a_batch_stops_it(
    tmp_path: Path, vial_package: Path, vial_images: Images
) -> None:
    folder = tmp_path / "archive"
    approved(folder, vial_kit(tmp_path, vial_images))
    good = vial_images["good"][1].read_bytes()
    with running(write_recipe(tmp_path, vial_package, challenge=CHALLENGE), folder) as station:
        station.client.post("/api/challenge/run", json=WHY)
        begin_batch(station, "B-1")
        version = approved_kit(read_versions(station.service.archive), ChallengeConfig(kit="vial-kit"))
        kept = next(name for name in station.service.archive.images.names() if name.endswith(".png"))
        path = folder / "images" / kept[:2] / kept
        data = path.read_bytes()
        path.write_bytes(data[:-1] + b"x")
        failed = station.client.post("/api/challenge/run", json=WHY).json()
        assert failed["reason"] == "challenge_failed" and failed["details"]["as_registered"] == 1
        assert station.upload(good).json()["reason"] == "station_stopped"
        assert "1 of 2 units as registered" in alarms(station)["challenge_due"]
        path.write_bytes(data)
        assert station.client.post("/api/challenge/run", json=WHY).json()["reason"] == "challenge_passed"
        assert station.upload(good).json()["outcome"] == "PASS"
        # A run that crashes has a beginning and no end.
        sha256 = failed["details"]["recipe_sha256"]
        begin(station.service.station, version, sha256, "images", "otto", "crashes")
        station.service.challenges.refresh()
        assert station.upload(good).json()["reason"] == "station_stopped"


def test_an_override_is_signed_by_quality_for_one_batch_and_seen_everywhere(
    tmp_path: Path, vial_package: Path, vial_images: Images
) -> None:
    folder = tmp_path / "archive"
    approved(folder, vial_kit(tmp_path, vial_images))
    good = vial_images["good"][1].read_bytes()
    with running(write_recipe(tmp_path, vial_package, challenge=CHALLENGE), folder) as station:
        assert override(station, "otto", batch="B-1").status_code == 403
        assert override(station, batch="B-1", password="wrong").status_code == 401
        assert override(station, batch="B-1", why="").status_code == 422
        assert override(station).json()["code"] == "challenge_due"
        assert begin_batch(station, "B-1").status_code == 409
        assert override(station, batch="B-1").status_code == 201
        assert begin_batch(station, "B-2").status_code == 409
        assert begin_batch(station, "B-1").status_code == 201
        assert "quinn has overridden" in alarms(station)["challenge_overridden"]
        assert "quinn" in station.client.get("/api/status").json()["challenge"]["overridden"]
        assert station.upload(good).json()["outcome"] == "PASS"
        station.client.post("/api/batches/stop", json=WHY)
        assert "challenge_overridden" not in alarms(station)
        account = station.client.get("/api/batches/B-1").json()
        assert (
            account["challenge"] | {"overridden": True, "by": "quinn", "why": "kit is broken"} == account["challenge"]
        )
        assert station.client.get("/api/batches/B-1/report").content.startswith(b"%PDF-")
        assert begin_batch(station, "B-3").status_code == 409
    assert verify_archive(folder).problems == []


def test_a_shift_s_time_stops_the_station_until_a_run_passes(
    tmp_path: Path, vial_package: Path, vial_images: Images
) -> None:
    folder, good = tmp_path / "archive", vial_images["good"][1].read_bytes()
    approved(folder, vial_kit(tmp_path, vial_images))
    shift = CHALLENGE | {"every": "shift", "shift_hours": 4 / 3600}
    with running(write_recipe(tmp_path, vial_package, challenge=shift), folder) as station:
        assert "challenge_due" in alarms(station)
        assert station.upload(good).json()["reason"] == "station_stopped"
        assert begin_batch(station, "B-1").status_code == 409
        assert station.client.post("/api/challenge/run", json=WHY).json()["reason"] == "challenge_passed"
        assert station.upload(good).json()["outcome"] == "PASS"
        wait_for(lambda: "challenge_due" in alarms(station))
        assert "hours' challenge is over" in alarms(station)["challenge_due"]
        assert station.upload(good).json()["reason"] == "station_stopped"
        assert override(station).status_code == 201
        assert station.upload(good).json()["outcome"] == "PASS"
        assert "challenge_overridden" in alarms(station)
        wait_for(lambda: "challenge_due" in alarms(station))


def push(station: Running, data: bytes) -> None:
    answer = station.client.post("/api/cameras/top/frames", files={"image": ("a.png", data)})
    assert answer.status_code < 300, answer.text


def test_the_kit_s_units_on_the_line_are_never_passed_nor_counted_and_prove_the_station(
    tmp_path: Path, vial_package: Path, vial_images: Images
) -> None:
    folder = tmp_path / "archive"
    approved(folder, vial_kit(tmp_path, vial_images))
    good, crack = (vial_images[kind][0].read_bytes() for kind in ("good", "crack"))
    other = vial_images["good"][1].read_bytes()
    recipe = write_recipe(
        tmp_path, vial_package, challenge=CHALLENGE, camera={"kind": "http", "name": "top"}, consecutive_rejects=3
    )
    with running(recipe, folder) as station:
        archive = station.service.archive

        def run(*images: bytes, **body: Any) -> Entry:
            told = station.units()
            answer = station.client.post("/api/challenge/line", json=WHY | body)
            assert answer.status_code == 201, answer.text
            for number, data in enumerate(images, 1):
                push(station, data)
                wait_for(lambda number=number: station.units() == told + number)  # type: ignore[misc]
            wait_for(lambda: station.client.get("/api/challenge").json()["run"] is None)
            wait_for(lambda: entries_of(archive)[-1].reason.startswith("challenge_") and  # type: ignore[union-attr]
                     entries_of(archive)[-1].reason != "challenge_started")  # fmt: skip
            return entries_of(archive)[-1]

        wrong = run(crack, good)  # in the other order than was said
        assert (wrong.reason, wrong.details["as_registered"]) == ("challenge_failed", 0)
        assert begin_batch(station, "B-1").status_code == 409
        assert station.client.post("/api/challenge/line", json=WHY | {"order": ["K-1"]}).status_code == 409
        passed = run(crack, good, order=["K-2", "K-1"])
        assert (passed.reason, passed.details["manner"]) == ("challenge_passed", "line")
        units = entries_of(archive, "unit")
        assert [(one.outcome, one.reason, one.batch) for one in units] == [("REJECT", "challenge", None)] * 4
        assert units[-1].details["challenge"]["outcome"] == "PASS"
        assert "station_stopped" not in alarms(station), "the kit's units are no rejects in a row"
        assert begin_batch(station, "B-1").status_code == 201
        told = station.units()
        push(station, other)
        wait_for(lambda: station.units() == told + 1)
        assert entries_of(archive, "unit")[-1].outcome == "PASS"
        # In the middle of a batch, and ended before all came.
        assert station.client.post("/api/challenge/line", json=WHY).status_code == 201
        assert station.client.post("/api/challenge/run", json=WHY).status_code == 409
        push(station, good)
        wait_for(lambda: station.units() == told + 2)
        closed = station.client.post("/api/challenge/line/close", json=WHY).json()
        assert closed["reason"] == "challenge_failed"
        assert [one["outcome"] for one in closed["details"]["units"]] == ["PASS", None]
        push(station, other)
        wait_for(lambda: station.units() == told + 3)
        assert entries_of(archive, "unit")[-1].reason == "station_stopped"
        assert station.client.post("/api/challenge/line/close", json=WHY).status_code == 409
        stopped = station.client.post("/api/batches/stop", json=WHY).json()["details"]
        assert (stopped["counts"]["triggered"], stopped["reconciled"]) == (2, True)
    assert verify_archive(folder).problems == []


def test_a_kit_is_listed_and_approved_over_http_by_another_person(
    tmp_path: Path, vial_package: Path, vial_images: Images
) -> None:
    from tests.kits import desk
    from tests.people import people

    folder = tmp_path / "archive"
    people(folder, eva="engineer", both="engineer,quality", quinn="quality")
    with Archive(folder) as archive:
        desk(archive, "both").register_kit(vial_kit(tmp_path, vial_images), "new")
    with running(write_recipe(tmp_path, vial_package), folder) as station:
        [kit] = station.client.get("/api/challenge/kits").json()
        assert (kit["state"], [one["id"] for one in kit["units"]]) == ("draft", ["K-1", "K-2"])
        assert station.client.get("/api/challenge").json() == {"asked": False}
        assert station.client.post("/api/challenge/run", json=WHY).json()["code"] == "challenge_refused"
        path = "/api/challenge/kits/vial-kit/1.0.0/approve"
        said = {"password": PASSWORD, "why": "looked at"}
        assert as_person(station, "both", path, name="both", **said).status_code == 409
        assert as_person(station, "eva", path, name="eva", **said).status_code == 403
        assert as_person(station, "quinn", path, name="quinn", **said).status_code == 200
        assert station.client.get("/api/challenge/kits").json()[0]["state"] == "approved"
        assert as_person(station, "quinn", "/api/challenge/override", name="quinn", **said).status_code == 409


def test_records_that_cannot_be_read_allow_nothing(
    tmp_path: Path, vial_package: Path, vial_images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "archive"
    approved(folder, vial_kit(tmp_path, vial_images))
    shift = CHALLENGE | {"every": "shift"}
    with running(write_recipe(tmp_path, vial_package, challenge=shift), folder) as station:
        assert station.client.post("/api/challenge/run", json=WHY).json()["reason"] == "challenge_passed"
        assert station.service.challenges.blocked(None) == ""
        monkeypatch.setattr(challenges, "clearance", lambda *_, **__: 1 / 0)
        station.service.challenges.refresh()
        assert "nobody can tell" in station.service.challenges.blocked(None)
        monkeypatch.undo()
        wait_for(lambda: station.service.challenges.blocked(None) == "")
