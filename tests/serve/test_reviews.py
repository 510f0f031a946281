"""Decisions over HTTP: who may, what is on record, what a second reviewer is not told, and who settles."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from inspection.frames import decode_frame
from inspection.heatmap import decode_heatmap, overlay
from inspection.outlines import outlines
from inspection.record_findings import deciding_limits
from inspection.reviews import find_record
from inspection.second_review import change_share, sampled
from inspection.verify import verify_archive
from tests.people import PASSWORD, people
from tests.serve.serving import Running, running, write_recipe

Person = Callable[[str], AbstractContextManager[httpx.Client]]
Fill = Callable[[int], Path]
CONFIRM = {"decision": "confirm_reject"}


@pytest.fixture
def reviewing(filled_archive: Fill, vial_package: Path, tmp_path: Path) -> Iterator[Running]:
    """A service over 14 units that belong to no batch."""
    folder = filled_archive(14)
    people(folder, ada="reviewer", grace="reviewer", quinn="quality", quentin="quality", otto="operator")
    with running(write_recipe(tmp_path, vial_package), folder) as service:
        yield service


@pytest.fixture
def person(reviewing: Running) -> Person:
    @contextmanager
    def sign_in(name: str) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=reviewing.address, timeout=30) as client:
            client.post("/api/session", json={"name": name, "password": PASSWORD}).raise_for_status()
            yield client

    return sign_in


def queued(client: httpx.Client, **how: Any) -> list[str]:
    answer = client.get("/api/review/queue", params=how).raise_for_status().json()
    return [f"{one['station']}/{one['sequence']}" for one in answer["units"]]


def test_a_decision_is_a_record(reviewing: Running, person: Person) -> None:
    with person("ada") as ada:
        before = queued(ada)
        asked = CONFIRM | {"labels": ["crack", "dark spot"], "comment": "left side", "after": ""}
        made = ada.post(f"/api/records/{before[0]}/review", json=asked)
        assert made.status_code == 201, made.text
        assert queued(ada) == before[1:]
        assert queued(ada, state="decided") == before[:1]
        answer = ada.get("/api/review/queue").json()
        assert (answer["total"], answer["done"]) == (len(before), 1)
        [told] = ada.get(f"/api/records/{before[0]}/reviews").json()
    assert (told["reviewer"], told["decision"], told["comment"], told["blind"]) == (
        "ada",
        *CONFIRM.values(),
        "left side",
        False,
    )
    assert told["labels"] == ["crack", "dark spot"]
    archive = reviewing.service.archive
    entry = find_record(archive, told["name"])
    assert (entry.reason, entry.details["record_hash"]) == ("review", find_record(archive, before[0]).hash)
    assert verify_archive(archive.folder).intact


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"decision": "good"}, 422, "decision"),
    ({}, 422, "decision"),
    (CONFIRM | {"labels": ["a;b"]}, 422, "is not the name of a defect"),
    (CONFIRM | {"labels": ["good"]}, 422, "is not the name of a defect"),
    ({"decision": "false_reject", "labels": ["crack"]}, 422, "says none"),
    (CONFIRM | {"comment": "x" * 2001}, 422, "comment"),
    (CONFIRM | {"who": "somebody"}, 422, "who"),
    (CONFIRM | {"after": "station-1/999"}, 409, "meanwhile"),
    (CONFIRM | {"settles": True}, 403, "quality"),
]


def test_what_is_no_decision_or_nobody_s_who_may_decide_changes_nothing(reviewing: Running, person: Person) -> None:
    entries, address = reviewing.service.archive.count_entries, "/api/records/station-1/2/review"
    with person("ada") as ada, person("otto") as otto:
        count = entries()
        for asked, status, told in REFUSED:
            answer = ada.post(address, json=asked)
            assert (answer.status_code, entries()) == (status, count), answer.text
            assert told in answer.json()["detail"]
        assert ada.post("/api/records/station-1/9999/review", json=CONFIRM).status_code == 404
        assert queued(otto)
        assert otto.post(address, json=CONFIRM).status_code == 403
    answer = reviewing.client.post(address, json=CONFIRM)
    assert answer.status_code == 403, "a machine answers for nothing"


def test_who_saw_less_than_is_on_record_looks_again(reviewing: Running, person: Person) -> None:
    change_share(reviewing.service.archive, 0.0, "quinn", "none twice")
    with person("ada") as ada, person("grace") as grace:
        [first, *_] = queued(grace)
        made = ada.post(f"/api/records/{first}/review", json=CONFIRM | {"after": ""}).json()
        late = grace.post(f"/api/records/{first}/review", json={"decision": "false_reject", "after": ""})
        assert (late.status_code, late.json()["code"]) == (409, "reviewed_meanwhile")
        assert late.json()["detail"].startswith("ada decided")
        again = grace.post(f"/api/records/{first}/review", json={"decision": "false_reject", "after": made["review"]})
        assert again.status_code == 201


def test_a_second_look_is_blind_and_a_disagreement_is_settled_by_quality(reviewing: Running, person: Person) -> None:
    archive = reviewing.service.archive
    change_share(archive, 1.0, "quinn", "all of them twice")
    with person("ada") as ada, person("grace") as grace, person("quinn") as quinn, person("quentin") as quentin:
        name = queued(ada)[0]
        path = f"/api/records/{name}"
        first = ada.post(f"{path}/review", json=CONFIRM | {"labels": ["crack"], "comment": "plain"}).json()
        assert name not in queued(ada), "nobody sees their own as the second one"
        assert queued(grace)[0] == name
        for address in (f"{path}/reviews", f"/records/{name}/panel", f"/records/{name}"):
            told = grace.get(address).raise_for_status().text
            assert "plain" not in told and "ada," not in told and '"ada"' not in told, address
        for address in (f"/api/records/{first['review']}", f"/records/{first['review']}"):
            assert grace.get(address).status_code == 403
        assert "plain" in ada.get(f"/records/{name}/panel").text
        assert grace.post(f"{path}/review", json={"decision": "false_reject", "after": ""}).status_code == 201
        assert name not in queued(grace)
        assert "plain" not in grace.get(f"/records/{name}").text
        mine, other = (one for one in ada.get(f"{path}/reviews").json())
        assert (mine["blind"], other["blind"], other["reviewer"]) == (False, True, "grace")

        figures = ada.get("/api/review/agreement", params={"batch": ""}).json()
        assert (figures["units"], figures["same"], figures["table"]) == (1, 0, [[0, 0, 1], [0, 0, 0], [0, 0, 0]])
        assert ada.get("/api/review/agreement").json() == figures
        assert name not in ada.get("/review/agreement").text
        assert name in quinn.get("/review/agreement").text

        own = ada.post(f"{path}/review", json=CONFIRM | {"settles": True})
        assert own.status_code == 403
        other_unit = queued(quinn)[-1]
        nothing = quinn.post(f"/api/records/{other_unit}/review", json=CONFIRM | {"settles": True})
        assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_to_settle")
        assert quinn.post(f"{path}/review", json=CONFIRM | {"settles": True}).status_code == 201
        assert name not in quentin.get("/review/agreement").text
        assert "plain" in grace.get(f"{path}/reviews").text, "what is settled is told"
        settled = ada.get(f"{path}/reviews").json()[-1]
        assert (settled["reviewer"], settled["settles"], settled["blind"]) == ("quinn", True, False)


def test_the_share_of_second_looks_is_quality_s(reviewing: Running, person: Person) -> None:
    address, change = "/api/review/second-review-share", {"share": 0.5, "why": "SOP-12"}
    with person("ada") as ada, person("quinn") as quinn:
        assert ada.get(address).json() == {"share": 0.1}
        assert ada.put(address, json=change).status_code == 403
        assert quinn.put(address, json=change | {"share": 2}).status_code == 422
        assert quinn.put(address, json=change).json() == {"share": 0.5}
        chosen = [name for name in queued(ada) if sampled(find_record(reviewing.service.archive, name).hash, 0.5)]
        for name in queued(ada):
            ada.post(f"/api/records/{name}/review", json=CONFIRM).raise_for_status()
        assert sorted(queued(quinn)) == sorted(chosen)


# Pictures.


def test_the_layer_over_the_frame_is_the_overlay(reviewing: Running) -> None:
    archive = reviewing.service.archive
    entry = find_record(archive, "station-1/3")
    frame, limits = entry.frames[0], deciding_limits(entry)
    assert frame.image and frame.heatmap and limits
    pixels = decode_frame(archive.images.get(frame.image), "frame")
    heatmap = decode_heatmap(archive.images.get(frame.heatmap), "heatmap")
    address = f"/api/records/{entry.name}/heatmap"
    answer = reviewing.client.get(address, params={"layer": True, "width": pixels.shape[1]})
    assert answer.headers["content-type"] == "image/png"
    with Image.open(BytesIO(answer.content)) as image:
        layer = np.asarray(image.convert("RGBA").resize((pixels.shape[1], pixels.shape[0]))).astype(float)
    weight = layer[:, :, 3:] / 255
    laid = pixels * (1 - weight) + layer[:, :, :3] * weight
    assert np.abs(laid - overlay(pixels, heatmap, limits, opacity=1.0)).mean() < 2.5
    found = reviewing.client.get(f"/api/records/{entry.name}/outlines").raise_for_status().json()
    drawn = outlines(heatmap, limits, heatmap.shape[1] / heatmap.shape[0])
    assert found == {limit: [[list(point) for point in of] for of in polygons] for limit, polygons in drawn.items()}


def test_what_a_unit_should_look_like(reviewing: Running, person: Person) -> None:
    with person("ada") as ada:
        name = queued(ada)[0]
        for _ in range(20):
            found = ada.get(f"/api/records/{name}/normal").raise_for_status().json()
            if found["compared"] >= 2:
                break
        assert found["kind"] == "passed"
        chosen = find_record(reviewing.service.archive, found["page"].removeprefix("/records/"))
        assert chosen.outcome == "PASS"
        assert ada.get(found["image"]).headers["content-type"].startswith("image/")
        assert ada.get(found["page"]).status_code == 200
        golden = ada.get(f"/api/records/{name}/golden")
        assert golden.headers["content-type"] == "image/png"


def test_without_good_units_the_package_s_golden_frame(
    tmp_path: Path, vial_package: Path, vial_images: dict[str, list[Path]]
) -> None:
    with running(write_recipe(tmp_path, vial_package), tmp_path / "archive") as service:
        service.upload(vial_images["crack"][0].read_bytes(), unit="v 1")
        [entry] = service.service.archive.latest(1, kind="unit")
        found = service.client.get(f"/api/records/{entry.name}/normal").json()
        assert found == {"kind": "golden", "image": f"/api/records/{entry.name}/golden"}
        service.upload(b"no image", unit="v 2")
        [broken] = service.service.archive.latest(1, kind="unit")
        assert service.client.get(f"/records/{broken.name}").status_code == 200
        assert service.client.get(f"/api/records/{broken.name}/normal").status_code == 200
        assert service.client.get(f"/api/records/{broken.name}/outlines").status_code == 404


def test_the_page_of_an_event(reviewing: Running, person: Person) -> None:
    with person("ada") as ada:
        ada.post("/api/records/station-1/2/review", json=CONFIRM | {"comment": "<b>seen</b>"}).raise_for_status()
        for entry in reviewing.service.archive.latest(50, kind="event"):
            page = ada.get(f"/records/{entry.name}", headers={"Accept": "text/html"})
            assert page.status_code == 200, page.text
            assert entry.hash in page.text and "<b>seen" not in page.text
