"""What a running service answers: records and their pictures, events, health, and errors of one shape."""

import socket
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from inspection.frames import decode_frame
from tests.serve.serving import Running, listening, running, wait_for, write_recipe

Images = dict[str, list[Path]]
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def record(station: Running, vial_images: Images) -> dict[str, Any]:
    """The record of an uploaded defective image."""
    answer = station.upload(vial_images["crack"][0].read_bytes(), unit="cracked")
    found: dict[str, Any] = answer.json()["record"]
    return found


def test_records_are_listed_newest_first_and_read_one_by_one(station: Running, vial_images: Images) -> None:
    for number in range(3):
        station.upload(vial_images["good"][number].read_bytes(), unit=f"u-{number}")
    station.upload(b"", unit="empty")
    listed = station.client.get("/api/records").json()
    assert [record["unit"] for record in listed] == ["empty", "u-2", "u-1", "u-0"]
    assert [record["unit"] for record in station.client.get("/api/records?limit=2").json()] == ["empty", "u-2"]
    rejects = station.client.get("/api/records", params={"outcome": "REJECT"}).json()
    assert [record["unit"] for record in rejects] == ["empty"]
    for record in listed:
        assert station.client.get(record["links"]["self"]).json() == record | {"signatures": [], "intact": True}


def test_image_comes_back_byte_for_byte(station: Running, record: dict[str, Any], vial_images: Images) -> None:
    answer = station.client.get(record["links"]["image"])
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == vial_images["crack"][0].read_bytes()


def test_image_can_be_had_smaller(station: Running, record: dict[str, Any]) -> None:
    whole = decode_frame(station.client.get(record["links"]["image"]).content, "whole")
    small = decode_frame(station.client.get(record["links"]["image"] + "?width=100").content, "small")
    assert small.shape[1] == 100
    expected = cv2.resize(whole, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(expected.astype(int) - small).mean() < 3
    same = decode_frame(station.client.get(record["links"]["image"] + "?width=4096").content, "same")
    assert np.array_equal(same, whole)


def test_heatmap_is_a_picture_of_the_frame_marked_where_the_defect_is(
    station: Running, record: dict[str, Any], vial_images: Images
) -> None:
    whole = decode_frame(vial_images["crack"][0].read_bytes(), "whole").astype(int)
    picture = decode_frame(station.client.get(record["links"]["heatmap"]).content, "heatmap").astype(int)
    assert picture.shape == whole.shape
    small = station.client.get(record["links"]["heatmap"] + "?width=100").content
    assert decode_frame(small, "small").shape[1] == 100
    marked = np.abs(picture - whole).max(axis=2) > 40
    mask = cv2.imread(str(mask_of(vial_images["crack"][0])), cv2.IMREAD_GRAYSCALE)
    assert mask is not None
    assert marked[mask > 0].mean() > 0.5
    assert marked[cv2.dilate(mask, np.ones((121, 121))) == 0].mean() < 0.1


def mask_of(image: Path) -> Path:
    """The defect's mask beside a test image, in the mvtec layout."""
    defect, category = image.parent.name, image.parents[2]
    return category / "ground_truth" / defect / f"{image.stem}_mask.png"


@pytest.mark.parametrize("path", [
    "/api/records/station-1/99", "/api/records/other/1", "/api/records/station-1/99/image",
    "/api/records/..%2f..%2fetc/1", "/api/records/%2e%2e/1/image", "/api/records/station-1%00/1",
    "/api/records/station-1'--/1", "/static/../serve.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py",
    "/nowhere",
])  # fmt: skip
def test_what_is_not_there_is_a_404_problem(shared_station: Running, path: str) -> None:
    answer = shared_station.client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in ("record_missing", "not_found")


@pytest.mark.parametrize(("path", "code"), [
    ("/api/records/station-1/0", "request_invalid"), ("/api/records/station-1/x", "request_invalid"),
    (f"/api/records/station-1/{10**30}", "request_invalid"), ("/api/records?limit=0", "request_invalid"),
    ("/api/records?outcome=GOOD", "search_invalid"),
])  # fmt: skip
def test_senseless_question_is_a_422_problem(shared_station: Running, path: str, code: str) -> None:
    answer = shared_station.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_frame_and_width_outside_the_range(station: Running, record: dict[str, Any]) -> None:
    assert station.client.get(record["links"]["image"] + "?frame=1").json()["code"] == "image_missing"
    assert station.client.get(record["links"]["image"] + "?width=5").json()["code"] == "request_invalid"


def test_record_without_an_image_says_so(station: Running) -> None:
    record = station.upload(b"", unit="empty").json()["record"]
    assert record["links"]["image"] is None
    assert station.client.get(record["links"]["self"] + "/image").json()["code"] == "image_missing"


def test_image_changed_on_disk_is_not_shown(station: Running, record: dict[str, Any]) -> None:
    path = station.service.archive.images.path(record["frames"][0]["image"])
    path.write_bytes(path.read_bytes() + b"\0")
    for link in ("image", "heatmap"):
        answer = station.client.get(record["links"][link])
        assert (answer.status_code, answer.json()["code"]) == (409, "image_changed")
        assert f"{record['station']}/{record['sequence']}" in answer.json()["detail"]
    path.unlink()
    assert station.client.get(record["links"]["image"]).json()["code"] == "image_missing"


def test_pictures_are_not_kept_by_browsers(station: Running, record: dict[str, Any]) -> None:
    """The same address shows another image when another archive is served: a browser must ask again."""
    for link in ("image", "heatmap"):
        assert station.client.get(record["links"][link]).headers["cache-control"] == "no-cache"


def test_events_tell_each_unit_with_the_counts_after_it(station: Running, vial_images: Images) -> None:
    with listening(station.client) as events:
        name, status = next(events)
        assert (name, status["tally"]["units"], status["line"]) == ("status", 0, "no camera")
        answer = station.upload(vial_images["good"][0].read_bytes(), unit="told").json()
        name, told = next(events)
        assert (name, told["unit"]) == ("unit", answer)
        assert told["status"]["tally"]["outcomes"] == {"PASS": 1, "REVIEW": 0, "REJECT": 0}
        assert told["status"]["tally"]["latency_ms_p50"] == answer["record"]["latency_ms"]


def test_the_trend_is_told_by_an_event_and_is_there_after_a_restart(
    tmp_path: Path, vial_package: Path, vial_images: Images
) -> None:
    recipe, archive = write_recipe(tmp_path, vial_package), tmp_path / "archive"
    with running(recipe, archive) as station, listening(station.client) as events:
        assert next(events)[1]["trend"]["units"] == []
        station.upload(vial_images["good"][0].read_bytes())
        station.upload(b"no image")
        name, told = next((name, data) for name, data in events if name == "trend" and data["units"] == [2])
        assert (name, told["stopped"], told["signal"]) == ("trend", [1], "")
    with running(recipe, archive) as station:
        trend = station.client.get("/api/status").json()["trend"]
        assert (trend["units"], trend["stopped"]) == ([2], [1])
        past = station.client.get("/api/units").json()
        assert [unit["outcome"] for unit in past] == ["REJECT", "PASS"]
        assert [unit["pictured"] for unit in past] == [False, True]


def test_events_tell_when_the_line_ends(tmp_path: Path, vial_package: Path) -> None:
    camera = {"kind": "simulator", "rate_hz": 20, "count": 10}
    with (
        running(write_recipe(tmp_path, vial_package, camera=camera), tmp_path / "archive") as station,
        listening(station.client) as events,
    ):
        name, first = next(events)
        assert (name, first["line"]) == ("status", "running")
        last = next(data for name, data in events if name == "status")
        assert last["line"] == "finished"
        wait_for(lambda: station.units() == 10)


def test_health_and_readiness(shared_station: Running) -> None:
    assert shared_station.client.get("/health").json()["status"] == "alive"
    assert shared_station.client.get("/ready").json() == {"status": "ready"}


@pytest.mark.parametrize("path", [
    "/", "/health", "/ready", "/api/status", "/api/records", "/openapi.json", "/static/live.js", "/static/live.css",
    "/nowhere", "/api/records/station-1/x", "/api/fails",
])  # fmt: skip
def test_every_answer_carries_the_content_policy(
    shared_station: Running, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(shared_station.service), "status", fail) if path == "/api/fails" else None
    answer = shared_station.client.get("/api/status" if path == "/api/fails" else path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def fail(*_: object) -> None:
    raise KeyError("something nobody thought of")


def test_failure_inside_is_a_problem_without_its_traceback(
    shared_station: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(shared_station.service), "status", fail)
    answer = shared_station.client.get("/api/status")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "internal_error"
    assert "nobody thought of" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["connection"] == "close"
    assert shared_station.client.get("/health").status_code == 200


def test_method_that_is_not_offered_is_a_405_problem(shared_station: Running) -> None:
    answer = shared_station.client.delete("/api/records/station-1/1")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


def test_garbage_on_the_wire_does_not_hurt(shared_station: Running) -> None:
    host, port = shared_station.address.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port))) as wire:
        wire.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert wire.recv(100).startswith(b"HTTP/1.1 400")
    assert httpx.get(shared_station.address + "health").status_code == 200
