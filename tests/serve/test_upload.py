"""Images sent to a running service: each becomes a unit with a verdict and a record, and no bad one ever passes."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from inspection.archive import Archive, ArchiveFault
from inspection.frames import read_frame
from inspection.verify import verify_archive
from serve.routes import inspect
from tests.bad_images import BAD_IMAGES
from tests.serve.serving import Running, running, write_recipe

Images = dict[str, list[Path]]


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of an answer that must be a problem with this status and code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"]
    return body


def test_good_image_passes_on_record(station: Running, vial_images: Images) -> None:
    path = vial_images["good"][0]
    answer = station.upload(path.read_bytes(), path.name, unit="vial 7", batch="B-42").json()
    assert (answer["outcome"], answer["reason"], answer["unit"]) == ("PASS", "within_limits", "vial 7")
    record = answer["record"]
    assert record["score"] < record["review_limit"]
    assert (record["batch"], record["product"], record["recipe"]) == ("B-42", "vial", "vials 1.0.0")
    stored = station.service.archive.get(record["station"], record["sequence"])
    assert stored is not None
    assert (stored.unit, stored.outcome, stored.hash) == ("vial 7", "PASS", record["hash"])


def test_defective_image_does_not_pass(station: Running, vial_images: Images) -> None:
    for path in (vial_images["crack"][0], vial_images["missing_stopper"][0]):
        answer = station.upload(path.read_bytes(), path.name).json()
        assert answer["outcome"] in ("REJECT", "REVIEW")
        assert answer["record"]["score"] >= answer["record"]["review_limit"]


def test_answer_is_what_the_detector_says(station: Running, vial_images: Images) -> None:
    path = vial_images["fibre"][0]
    score = station.service.station.detector.find(read_frame(path).pixels).score
    assert station.upload(path.read_bytes()).json()["record"]["score"] == score


@pytest.mark.parametrize("what", BAD_IMAGES)
def test_bad_image_is_a_problem_and_a_reject_on_record(shared_station: Running, what: str) -> None:
    data, name, code = BAD_IMAGES[what]
    body = problem(shared_station.upload(data, name, unit="u-1"), 422, code)
    assert (body["outcome"], body["reason"], body["unit"]) == ("REJECT", code, "u-1")
    assert name in body["detail"]
    [entry] = shared_station.service.archive.latest(1, kind="unit")
    assert (entry.outcome, entry.reason, entry.unit, entry.hash) == ("REJECT", code, "u-1", body["record"]["hash"])


def test_frame_of_another_camera_is_refused(shared_station: Running) -> None:
    data = cv2.imencode(".png", np.full((100, 400, 3), 90, np.uint8))[1].tobytes()
    body = problem(shared_station.upload(data, "wide.png"), 422, "frame_wrong_geometry")
    assert body["outcome"] == "REJECT"
    assert "400 x 100" in body["detail"]
    assert shared_station.client.get(body["record"]["links"]["image"]).content == data


def test_image_out_of_focus_is_not_judged(tmp_path: Path, vial_package: Path, vial_images: Images) -> None:
    recipe = write_recipe(tmp_path, vial_package, image_quality={"min_sharpness": 8})
    with running(recipe, tmp_path / "archive") as station:
        pixels = read_frame(vial_images["good"][0]).pixels
        assert station.upload(vial_images["good"][0].read_bytes()).json()["outcome"] == "PASS"
        data = cv2.imencode(".png", cv2.GaussianBlur(pixels, (0, 0), 2)[:, :, ::-1])[1].tobytes()
        body = problem(station.upload(data, "soft.png"), 422, "frame_blurred")
        assert (body["outcome"], body["record"]["reason"]) == ("REJECT", "frame_blurred")
        assert body["detail"].startswith("soft.png: the sharpness is ")


def test_form_without_an_image_says_so(station: Running) -> None:
    body = problem(station.client.post("/api/inspect", data={"unit": "u-1"}), 422, "request_invalid")
    assert body["detail"].startswith("image: ")
    body = problem(station.client.post("/api/inspect", data={"image": "text"}), 422, "request_invalid")
    assert body["detail"].startswith("image: ")
    too_long = {"image": ("a.png", b"x")}
    body = problem(
        station.client.post("/api/inspect", files=too_long, data={"unit": "u" * 129}), 422, "request_invalid"
    )
    assert body["detail"].startswith("unit: ")
    assert station.service.archive.latest(10, kind="unit") == []


@pytest.mark.parametrize("size", [1_001, 4_000_000])
def test_upload_that_is_too_large_is_refused(
    shared_station: Running, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect, "MAX_UPLOAD_BYTES", 1000)
    body = problem(shared_station.upload(b"\0" * size, "big.png"), 413, "upload_too_large")
    assert "larger than" in body["detail"]
    assert shared_station.client.get("/health").status_code == 200


def test_endless_upload_is_answered_before_it_ends(shared_station: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "MAX_UPLOAD_BYTES", 1000)
    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + b"\0" * 2_000_000
    head = "POST /api/inspect HTTP/1.1\r\nHost: station\r\nTransfer-Encoding: chunked\r\n"
    head += f"Content-Type: multipart/form-data; boundary=b\r\n\r\n{len(part):x}\r\n"
    host, port = shared_station.address.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as wire:
        wire.sendall(head.encode() + part + b"\r\n")
        assert wire.recv(12) == b"HTTP/1.1 413"


def test_archive_that_fails_is_503_and_never_a_pass(
    station: Running, vial_images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = vial_images["good"][0].read_bytes()

    def refuse(*_: object) -> None:
        raise ArchiveFault("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "append", refuse)
        body = problem(station.upload(good), 503, "archive_fault")
        assert (body["outcome"], body["record"], body["detail"]) == ("REJECT", None, "the disk is full")
        assert problem(station.client.get("/ready"), 503, "not_ready")["detail"] == "the disk is full"
    assert station.upload(good).json()["outcome"] == "PASS"
    assert station.client.get("/ready").status_code == 200


def test_twenty_at_once_are_twenty_records_in_one_chain(station: Running, vial_images: Images) -> None:
    images = [path for paths in vial_images.values() for path in paths]
    jobs = [(images[number % len(images)], f"u-{number}") for number in range(20)]

    def send(job: tuple[Path, str]) -> dict[str, Any]:
        path, unit = job
        with httpx.Client(base_url=station.address, timeout=60, headers=station.client.headers) as client:
            sent = client.post("/api/inspect", files={"image": (path.name, path.read_bytes())}, data={"unit": unit})
            answer: dict[str, Any] = sent.json()
            return answer

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(send, jobs))
    assert [answer["unit"] for answer in answers] == [unit for _, unit in jobs]
    records = {answer["record"]["sequence"]: answer["record"] for answer in answers}
    assert sorted(records) == list(range(2, 22))  # after the line's start
    assert all(records[number]["previous"] == records[number - 1]["hash"] for number in range(3, 22))
    for answer in answers:
        kept = answer["record"]["frames"][0]["image"]
        assert station.service.archive.images.get(kept) == jobs[int(answer["unit"][2:])][0].read_bytes()
    found = verify_archive(station.service.archive.folder)
    assert (found.intact, found.entries) == (
        True,
        23,
    )  # with the line's start, and the token and the account of these tests
