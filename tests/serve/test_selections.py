"""Searching, small pictures and exports over HTTP."""

import socket
import statistics
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import httpx
import pytest

from inspection.archive import Archive
from inspection.audit import AuditQuery, find_audit
from inspection.frames import read_frame
from inspection.jpegxl import encode_jpegxl
from inspection.records import Draft, FrameRecord, utc_text
from serve.server import listen
from serve.small_pictures import SmallPictures
from tests.people import PASSWORD, people
from tests.serve.serving import Running, running, write_recipe

UNITS = 130


@pytest.fixture(scope="module")
def plant(
    tmp_path_factory: pytest.TempPathFactory, vial_package: Path, vial_images: dict[str, list[Path]]
) -> Iterator[Running]:
    """130 units, every tenth rejected, with camera frames of JPEG XL."""
    folder = tmp_path_factory.mktemp("selections")
    people(folder / "archive", rita="reviewer", otto="operator", enno="engineer")
    with Archive(folder / "archive") as archive:
        names = {
            kind: [archive.images.put(encode_jpegxl(read_frame(path).pixels), ".jxl") for path in vial_images[kind]]
            for kind in ("good", "crack")
        }
        drafts = []
        for number in range(UNITS):
            bad = number % 10 == 3
            images = names["crack" if bad else "good"]
            frames = (FrameRecord("top", number, utc_text(), images[number // 10 % len(images)], None, 9.0),)
            details = {"sure": ["crack"], "classes": {"crack": 0.97}} if bad else {}
            verdict = ("REJECT", "class_found", 20.0) if bad else ("PASS", "within_limits", 9.0)
            drafts.append(Draft("unit", f"u {number}", f"B{number // 100}", "vial", "vials 1.0.0", "a" * 64, *verdict,
                                15.0, 17.0, 60.0, frames, details))  # fmt: skip
        archive.append_all(drafts, "station-1")
    with running(write_recipe(folder, vial_package), folder / "archive") as served:
        yield served


@contextmanager
def person(plant: Running, name: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=plant.address, timeout=30) as client:
        assert client.post("/api/session", json={"name": name, "password": PASSWORD}).status_code == 200
        yield client


def test_records_are_searched_page_by_page(plant: Running) -> None:
    first = plant.client.get("/api/records", params={"batch": "B0", "limit": 60})
    second = plant.client.get(
        "/api/records", params={"batch": "B0", "limit": 60, "after": first.headers["x-next-after"]}
    )
    units = [one["unit"] for one in (*first.json(), *second.json())]
    assert units == [f"u {number}" for number in reversed(range(100))]
    assert "x-next-after" not in second.headers
    found = plant.client.get("/api/records", params={"defect": "crack", "order": "oldest", "package": "AAAAAA"}).json()
    assert [one["unit"] for one in found] == [f"u {number}" for number in range(3, UNITS, 10)]
    assert len(plant.client.get("/api/records", params={"outcome": "REJECT", "min_score": "20"}).json()) == 13


@pytest.mark.parametrize(("asked", "said"), [
    ({"outcome": "BAD"}, "no verdict"), ({"order": "best"}, "no order"), ({"min_score": "nan"}, "a number"),
    ({"since": "soon"}, "no time"), ({"since": "2026-02-01", "until": "2026-01-01"}, "exchange"),
    ({"package": "unheard 1.0.0"}, "no package"), ({"after": "x"}, "no place"), ({"batch": "\x00"}, "no record has"),
])  # fmt: skip
def test_what_cannot_be_understood_is_one_sentence(asked: dict[str, str], said: str, plant: Running) -> None:
    answer = plant.client.get("/api/records", params=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "search_invalid")
    assert said in answer.json()["detail"]
    if "after" not in asked:
        page = plant.client.get("/records", params=asked)
        assert page.status_code == 200 and said in page.text


def test_a_small_picture_is_made_once_and_then_known(plant: Running) -> None:
    path = "/api/records/station-1/5/image?width=200"
    made = plant.client.get(path)
    assert (made.status_code, made.headers["content-type"]) == (200, "image/jpeg")
    assert made.headers["cache-control"] == "private, no-cache"
    same = plant.client.get("/api/records/station-1/6/image?width=200")  # the same image in another unit
    assert same.headers["etag"] == made.headers["etag"] and same.content == made.content
    known = {"If-None-Match": made.headers["etag"]}
    again = plant.client.get(path, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert plant.client.get("/api/records/station-1/5/image?width=100", headers=known).status_code == 200
    assert httpx.get(plant.address.rstrip("/") + path, headers=known).status_code == 401  # who may not, is not told

    def took(width: int, headers: dict[str, str]) -> float:
        began = time.perf_counter()
        plant.client.get(f"/api/records/station-1/5/image?width={width}", headers=headers)
        return 1000 * (time.perf_counter() - began)

    figures = {
        "made": statistics.median(took(width, {}) for width in range(200, 220)),
        "from memory": statistics.median(took(200, {}) for _ in range(20)),
        "known": statistics.median(took(200, known) for _ in range(20)),
    }
    print("a small picture, ms:", {name: round(value, 1) for name, value in figures.items()})


def test_an_answer_s_body_does_not_wait_for_the_receipt_of_its_head() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_memory_for_small_pictures_is_bounded() -> None:
    kept = SmallPictures(most_bytes=250)
    made: list[str] = []

    def make(name: str) -> bytes:
        return kept.get(name, 200, lambda: (made.append(name), (b"x" * 100, "image/jpeg"))[1])[0]

    for name in ("a", "b", "a", "c", "a", "b"):
        make(name)
    assert made == ["a", "b", "c", "b"]
    kept.get("large", 4000, lambda: (b"x" * 100, "image/jpeg"))
    make("a")
    assert made == ["a", "b", "c", "b"]


def test_those_who_decide_or_train_export_and_others_do_not(plant: Running) -> None:
    body = {"search": "batch=B0&outcome=REJECT"}
    with person(plant, "otto") as client:
        assert client.post("/api/selections", data=body).status_code == 403
        assert client.post("/api/selections/preview", data=body).status_code == 403
    assert plant.client.post("/api/selections", data=body).status_code == 403  # a machine answers for nothing
    with person(plant, "rita") as client:
        told = client.post("/api/selections/preview", data=body).json()
        assert (told["units"], told["labels_from"], list(told["folders"])) == (10, {"verdict": 10}, ["crack"])
        assert not list(find_audit(plant.service.archive, AuditQuery(what="selection_exported")))
        cross = client.post("/api/selections", data=body, headers={"Sec-Fetch-Site": "cross-site"})
        assert cross.status_code == 403
        answer = client.post("/api/selections", data=body)
        assert answer.headers["content-type"] == "application/zip"
        with zipfile.ZipFile(BytesIO(answer.content)) as packed:
            assert packed.testzip() is None and "selection.json" in packed.namelist()
        [event] = find_audit(plant.service.archive, AuditQuery(what="selection_exported"))
        assert event.new["query"] == {"batch": "B0", "outcome": "REJECT", "order": "newest"}
        for unfit, code in (
            ({"records": "station-1/9999"}, "search_invalid"), ({"search": "order=x"}, "search_invalid"),
            ({"search": "unit=none"}, "selection_invalid"), ({"records": "x"}, "search_invalid"),
        ):  # fmt: skip
            answer = client.post("/api/selections", data=unfit)
            assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_pages_are_light(plant: Running) -> None:
    sizes = {path: len(plant.client.get(path).content) for path in (
        "/records", "/records?view=table", "/static/records.js", "/static/records.css", "/static/record_pictures.js",
        "/static/record_export.js", "/static/base.css", "/static/page.js", "/static/vendor/htmx.min.js")}  # fmt: skip
    print(sizes)
    assert sum(sizes.values()) < 300_000
