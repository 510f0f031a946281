"""A real candidate beside a real line: the same verdicts, records and acknowledgements as without it, as many units in
time, and nothing of it reaches the gate."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from inspection.accounts.sign_in import SignIn
from inspection.archive import Archive
from inspection.detector import Detector
from inspection.frames import Frame, read_frame
from inspection.package import Package
from inspection.recipe import Recipe, read_recipe
from inspection.recipe_shadow import CandidateRef, ShadowConfig
from inspection.records import Entry, from_row
from inspection.registry.steps import Registry
from inspection.shadow.events import STARTED
from inspection.signatures import Signer
from inspection.signing import signing_key
from inspection.station import Disposition, Station
from inspection.verdict import Outcome
from inspection.verify import verify_archive
from serve.pipeline.book import Timing
from serve.pipeline.conveyor import CameraTiming, Conveyor
from serve.pipeline.inspector import Inspector, ProcessDetector
from serve.shadow import making
from serve.shadow.shadow import Shadow
from tests.people import PASSWORD, people
from tests.serve.line_parts import FollowingDetector
from tests.serve.serving import Running, running, wait_for, write_recipe
from tests.serve.shadow.conftest import shadow_events

pytestmark = pytest.mark.timeout(600)
Images = dict[str, list[Path]]


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory, vial_package: Path, candidate_file: Path, vial_images: Images
) -> Iterator[tuple[Running, Running]]:
    """A station without and one with a shadow, after the same units came by."""
    folder = tmp_path_factory.mktemp("pair")
    (folder / "alone").mkdir()
    (folder / "beside").mkdir()
    shadow = {"package": {"path": str(candidate_file)}, "share": 1.0}
    same = {"runtime": "onnxruntime"}  # `auto` may take another for each, where other work comes between its trials
    alone = write_recipe(folder / "alone", vial_package, **same)
    beside = write_recipe(folder / "beside", vial_package, shadow=shadow, **same)
    people(folder / "beside" / "archive", rita="reviewer", quinn="quality", otto="operator", eva="engineer")
    units = [*vial_images["good"][:3], *(images[0] for name, images in vial_images.items() if name != "good")]
    with running(alone, folder / "alone" / "archive") as one, running(beside, folder / "beside" / "archive") as two:
        wait_for(lambda: two.service.status()["shadow"]["state"] != "starting", 180)
        for number, path in enumerate(units):
            for served in (one, two):
                served.upload(path.read_bytes(), unit=f"u-{number}").raise_for_status()
            wait_for(lambda number=number: two.service.status()["shadow"]["inspected"] == number + 1, 180)
        yield one, two


def units_of(station: Running) -> list[Entry]:
    return [from_row(row) for row in station.service.archive.rows("station-1") if row["kind"] == "unit"]


def test_records_are_the_same_with_a_shadow_and_without(pair: tuple[Running, Running], candidate: Package) -> None:
    alone, beside = (units_of(one) for one in pair)
    same = ("unit", "outcome", "reason", "score", "review_limit", "reject_limit", "package", "details")
    for one, two in zip(alone, beside, strict=True):
        assert {name: getattr(one, name) for name in same} == {name: getattr(two, name) for name in same}
        assert [(f.camera, f.image, f.heatmap, f.score) for f in one.frames] == [
            (f.camera, f.image, f.heatmap, f.score) for f in two.frames
        ]
    told = [one.service.tally.snapshot() for one in pair]
    assert told[0]["outcomes"] == told[1]["outcomes"] and told[0]["reasons"] == told[1]["reasons"]
    status = [one.service.status() for one in pair]
    assert status[0]["shadow"] is None
    assert status[0]["package"] == status[1]["package"] and status[0]["limits"] == status[1]["limits"]
    assert status[1]["shadow"]["label"] == f"{candidate.manifest.name} 9.0.0"


def test_status_and_metrics_count_what_it_saw(pair: tuple[Running, Running], candidate: Package) -> None:
    _, beside = pair
    shadow = beside.client.get("/api/status").json()["shadow"]
    units = len(units_of(beside))
    assert (shadow["state"], shadow["inspected"], shadow["sha256"]) == ("running", units, candidate.digest)
    assert shadow["differ"] >= 1
    assert beside.client.get("/ready").status_code == 200
    text = beside.client.get("/metrics").text
    assert "inspection_shadow_up 1.0" in text
    assert f'inspection_shadow_units{{reason="",what="inspected"}} {float(units)}' in text


def test_the_report_grows_live_and_is_written_whole(pair: tuple[Running, Running], candidate: Package) -> None:
    alone, beside = pair
    assert alone.client.get("/api/shadow").json() == {"running": None, "trial": None, "trials": []}
    missing = alone.client.get("/api/shadow/report")
    assert (missing.status_code, missing.json()["code"]) == (404, "trial_missing")
    units = len(units_of(beside))

    def so_far() -> dict[str, Any]:
        answer: dict[str, Any] = beside.client.get("/api/shadow").json()
        return answer

    wait_for(lambda: (so_far()["trial"] or {"figures": {"units": 0}})["figures"]["units"] == units, 180)
    answer = so_far()
    assert answer["trial"]["verdict"]["word"] in ("agrees", "differs", "not shown")
    assert sum(map(sum, answer["trial"]["figures"]["agreement"]["table"])) == units
    assert answer["running"]["inspected"] == units
    assert [one["units"] for one in answer["trials"]] == [units]
    differing = answer["trial"]["differing"]
    assert len(differing) == answer["running"]["differ"]
    whole = beside.client.get("/api/shadow/report", params={"candidate": candidate.digest[:8]}, timeout=120)
    assert whole.headers["content-type"] == "application/json"
    assert whole.json()["figures"]["units"] == units
    with making._one:
        busy = beside.client.get("/api/shadow/report", timeout=20)
    assert (busy.status_code, busy.json()["code"]) == (503, "report_busy")
    bad = beside.client.get("/api/shadow", params={"candidate": "../x"})
    assert (bad.status_code, bad.json()["code"]) == (422, "request_invalid")


@contextmanager
def signed_in(station: Running, name: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=station.address, timeout=120) as client:
        client.post("/api/session", json={"name": name, "password": PASSWORD}).raise_for_status()
        yield client


def test_reports_are_not_for_reviewers_who_may_be_due_to_look_blind(
    pair: tuple[Running, Running], candidate: Package, candidate_file: Path
) -> None:
    _, beside = pair
    archive, name, version = beside.service.archive, candidate.manifest.name, candidate.manifest.version
    eva = Registry(archive, signing_key(archive), Signer(SignIn(archive), "eva", PASSWORD))
    eva.register_package(candidate_file, "a stricter one")
    eva.evaluate("package", name, version, "good", json.dumps({"package": {"sha256": candidate.digest}}).encode())
    asked = {"name": "quinn", "password": PASSWORD, "why": "reviewed", "shadow_report": True, "despite": True}
    with signed_in(beside, "quinn") as quinn:
        quinn.post(f"/api/registry/package/{name}/{version}/approve", json=asked).raise_for_status()
        step = quinn.get(f"/api/registry/package/{name}/{version}").json()["steps"][-1]
    paths = ("/api/shadow/report", f"/api/registry/attached/{step['details']['shadow_report']['sha256']}")
    for person, status in (("rita", 403), ("quinn", 200), ("otto", 200)):
        with signed_in(beside, person) as client:
            assert [client.get(path).status_code for path in paths] == [status] * 2
            page = client.get(f"/shadow?candidate={candidate.digest}").text
            assert ("/api/shadow/report" in page) == (status == 200)
            assert client.get("/api/shadow").json()["trial"]["differing"]


def test_its_findings_are_the_candidate_s_own_and_verify(
    pair: tuple[Running, Running], candidate: Package, vial_images: Images
) -> None:
    _, beside = pair
    beside.stop()
    archive = Archive(beside.service.archive.folder, read_only=True)
    events = shadow_events(archive)
    findings = [one for event in events for one in event.findings]
    units = {one.name: one for one in units_of(beside)}
    assert [one.record for one in findings] == list(units)
    detector = Detector(candidate, threads=1)
    for finding, path in zip(findings, vial_images["good"][:3], strict=False):
        expected = detector.find(read_frame(path).pixels)
        verdict = expected.verdict(candidate.manifest.limits)
        assert finding.new.score == pytest.approx(expected.score, rel=1e-4)
        assert (finding.new.outcome, finding.new.reason) == (verdict.outcome, verdict.reason)
        assert finding.old.outcome == units[finding.record].outcome
        assert finding.record_hash == units[finding.record].hash
    started = [one for one in archive.latest(100, kind="event") if one.reason == STARTED]
    assert [one.details["candidate"]["sha256"] for one in started] == [candidate.digest]
    archive.close()
    assert verify_archive(archive.folder).intact


def test_a_candidate_that_cannot_be_loaded_stops_no_start_and_no_unit(tmp_path: Path, vial_package: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no package at all")
    (tmp_path / "gate").mkdir()
    recipe = write_recipe(
        tmp_path, vial_package, shadow={"package": {"path": "broken.onnx"}},
        cameras=[{"kind": "simulator", "rate_hz": 4, "defect_rate": 0, "after_ms": -60, "within_ms": 180}],
        trigger={"kind": "timer", "rate_hz": 4}, deadline_ms=5000,
        outputs=[{"kind": "gpio", "name": "gate", "path": "gate"}],
    )  # fmt: skip
    with running(recipe, tmp_path / "archive", accounts=False) as station:
        wait_for(lambda: station.service.status()["shadow"]["state"] == "fault")
        wait_for(lambda: station.service.tally.snapshot()["outcomes"]["PASS"] >= 2, 180)
        assert station.client.get("/ready").status_code == 200
        assert "broken.onnx" in station.client.get("/api/status").json()["shadow"]["message"]
        assert station.service.station_state().alarms == ()
        station.stop()
        rows = [from_row(row) for row in station.service.archive.rows("station-1")]
        assert ["broken.onnx" in row.details["message"] for row in rows if row.reason == "shadow_fault"] == [True]
        shed = sum(event.get("shed", {}).get("fault", 0) for event in (dict(r.details) for r in rows))
        assert shed >= 2
    assert verify_archive(tmp_path / "archive").intact


@pytest.mark.parametrize("keys", [
    {"camera": {"kind": "simulator"}},
    {"ejector": {"distance_mm": 300, "speed_mm_s": 100}},
])  # fmt: skip
def test_a_candidate_is_loaded_beside_every_form_of_recipe(
    keys: dict[str, Any], package: Package, candidate_file: Path, vial_package: Path, tmp_path: Path
) -> None:
    shadow = {"package": {"path": str(candidate_file)}}
    path = write_recipe(tmp_path, vial_package, shadow=shadow, **keys)
    path.write_text(path.read_text().replace("deadline_ms: 60000\n", ""))
    recipe = read_recipe(path)
    with Archive(tmp_path / "archive") as archive:
        station = Station(recipe, FollowingDetector(package), archive)  # type: ignore[arg-type]
        shadow_of = Shadow(recipe, tmp_path, station, archive, "onnxruntime", busy=lambda: False)
        shadow_of.start()
        wait_for(lambda: shadow_of.status()["state"] != "starting", 60)
        status = shadow_of.status()
        shadow_of.stop()
    assert (status["state"], status["message"]) == ("running", "")


OVERLOAD = 60


class Flood:
    """A line on which units come faster than one lane can look at them."""

    def __init__(self, recipe: Recipe, package: Package, folder: Path) -> None:
        self.archive = Archive(folder)
        self.inspector = Inspector(recipe, folder, "onnxruntime", 1)
        detector = ProcessDetector(package, None, self.inspector, self.inspector.start())
        self.station = Station(recipe, detector, self.archive, time.monotonic)
        self.told: list[Disposition] = []
        self.shadow: Shadow | None = None
        if recipe.shadow:
            self.shadow = Shadow(recipe, folder, self.station, self.archive, "onnxruntime",
                                 busy=lambda: self.inspector.waiting > 0)  # fmt: skip
            self.shadow.start()
            wait_for(lambda: self.shadow and self.shadow.up, 180)

    def run(self, pixels: list[np.ndarray], takes_s: float) -> None:
        """Two and a half times as many units as can be looked at, each to be decided within twelve times as long as one
        takes."""
        until_s = 12 * takes_s
        conveyor = Conveyor(
            self.station, self.inspector, {"cam": CameraTiming(within_s=5.0)},
            Timing(until_s, until_s, until_s + 5.0), self.told.append, triggered=False, shadow=self.shadow,
        )  # fmt: skip
        conveyor.start()
        for number in range(OVERLOAD):
            conveyor.shot("cam", Frame(pixels[number % len(pixels)], f"f-{number}", "cam", number))
            time.sleep(takes_s / 2.5)
        conveyor.stop()

    def passed(self) -> int:
        return sum(one.reason == "within_limits" for one in self.told)

    def end(self) -> None:
        if self.shadow:
            self.shadow.stop()
        self.inspector.stop()
        self.archive.close()


def test_under_overload_the_shadow_is_shed_first_and_units_are_decided_as_without(
    recipe: Recipe, package: Package, candidate_file: Path, vial_images: Images, tmp_path: Path
) -> None:
    config = ShadowConfig(package=CandidateRef(path=candidate_file), share=1.0)
    pixels = [read_frame(path).pixels for path in vial_images["good"][:3]]
    alone = Flood(recipe, package, tmp_path / "alone")
    beside = Flood(recipe.model_copy(update={"shadow": config}), package, tmp_path / "beside")
    taken = []
    for _ in range(8):
        began = time.monotonic()
        alone.station.detector.find(pixels[0])
        taken.append(time.monotonic() - began)
    for line in (alone, beside) * 2:  # by turns: whatever else this machine does meets both
        line.run(pixels, float(np.median(taken)))
    alone.end()
    beside.end()
    assert len(alone.told) == len(beside.told) == 2 * OVERLOAD
    assert alone.passed() < 2 * OVERLOAD
    assert beside.passed() >= 0.4 * alone.passed() - 3
    assert beside.shadow
    counts = beside.shadow.counts.snapshot()
    print(f"passed in time: {alone.passed()} alone, {beside.passed()} beside a shadow: {counts}")
    assert counts["inspected"] + counts["shed"] == beside.passed()
    assert counts["shed_by_reason"].get("busy", 0) >= 1
    assert all(one.outcome is not Outcome.PASS or one.reason == "within_limits" for one in beside.told)


def test_a_shadow_that_cannot_be_made_started_or_stopped_keeps_no_station_from_it(
    tmp_path: Path, vial_package: Path, candidate_file: Path, vial_images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    shadow, good = {"package": {"path": str(candidate_file)}}, vial_images["good"][0].read_bytes()
    recipe = write_recipe(tmp_path, vial_package, shadow=shadow)
    for number, name in enumerate(("__init__", "start", "stop")):
        with monkeypatch.context() as patch:
            patch.setattr(Shadow, name, full)
            with running(recipe, tmp_path / f"archive-{number}") as station:
                assert station.upload(good).json()["outcome"] == "PASS"
        assert verify_archive(tmp_path / f"archive-{number}").problems == []
        with Archive(tmp_path / f"archive-{number}", read_only=True) as archive:
            assert "line_stopped" in [row["reason"] for row in archive.rows("station-1")]
