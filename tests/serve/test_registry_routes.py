"""Change control over HTTP: files that are registered, drafts that are made of a recipe, and what it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from inspection.package import Package
from inspection.registry.content import read_pinned, recipe_digest
from inspection.registry.items import State, find_version, read_versions
from inspection.registry.kept import kept_recipe
from tests.people import PASSWORD, people
from tests.serve.serving import Running, running, write_recipe

ROLES = {"enno": "engineer", "quinn": "quality", "otto": "operator"}


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory, vial_package: Path) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("plant")
    people(folder / "archive", **ROLES)
    with running(write_recipe(folder, vial_package), folder / "archive") as served:
        yield served


@pytest.fixture(scope="module")
def desk(plant: Running) -> Iterator[dict[str, httpx.Client]]:
    clients = {name: httpx.Client(base_url=plant.address, timeout=60) for name in ROLES}
    for name, client in clients.items():
        client.post("/api/session", json={"name": name, "password": PASSWORD}).raise_for_status()
    yield clients
    for client in clients.values():
        client.close()


def signed(name: str, **more: str) -> dict[str, str]:
    return {"name": name, "password": PASSWORD, "why": "a good reason"} | more


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def test_files_come_under_change_control(
    plant: Running, desk: dict[str, httpx.Client], vial_package: Path, package: Package, tmp_path: Path
) -> None:
    enno, archive = desk["enno"], plant.service.archive
    data = vial_package.read_bytes()
    name, version = package.manifest.name, package.manifest.version

    def register(content: bytes, client: httpx.Client = enno, **more: str) -> httpx.Response:
        form = signed("enno") | more
        return client.post("/api/registry/package", files={"file": ("../a/vial.onnx", content)}, data=form)

    assert said(register(b"no package at all")) == (422, "not_a_package")
    assert said(register(data[:-9])) in ((422, "not_a_package"), (422, "package_damaged"))
    assert said(register(data, password="wrong")) == (401, "sign_in_refused")
    assert said(register(data, name="quinn")) == (403, "signature_refused")
    assert said(register(data, desk["quinn"], name="quinn")) == (403, "not_permitted")
    assert said(register(data, why="")) == (422, "request_invalid")
    assert read_versions(archive) == {}
    done = register(data)
    assert done.status_code == 201, done.text
    assert find_version(read_versions(archive), "package", name, version).digest == package.digest
    assert said(register(data)) == (409, "step_refused")

    text = yaml.safe_dump({"name": "vials", "version": "1.0.0", "product": "vial", "deadline_ms": 900,
                           "package": {"path": "/elsewhere/vial.onnx"}, "trigger": {"kind": "software"},
                           "camera": {"kind": "http", "name": "top"}})  # fmt: skip

    def recipe(text: str, **files: bytes) -> httpx.Response:
        parts: list[Any] = [("file", ("r.yaml", text.encode()))]
        parts += [("packages", (f"{key}.onnx", content)) for key, content in files.items()]
        return enno.post("/api/registry/recipe", files=parts, data=signed("enno"))

    assert said(recipe("- no mapping")) == (422, "config_invalid")
    assert said(recipe(text)) == (422, "config_invalid")  # its package is not there
    assert said(recipe(text.replace("vials", "x" * 2**21))) == (413, "upload_too_large")
    assert recipe(text, vial=data).status_code == 201
    by_digest = text.replace("1.0.0", "1.0.1").replace("path:", f"sha256: {package.digest}\n  path:")
    assert recipe(by_digest).status_code == 201
    first = find_version(read_versions(archive), "recipe", "vials", "1.0.0")
    assert (first.state, first.packages) == (State.DRAFT, (package.digest,))

    report = json.dumps({"package": {"sha256": package.digest}, "image_auroc": 0.9}).encode()

    def evaluate(kind: str, of: str, content: bytes | None) -> httpx.Response:
        files = {"report": ("r.json", content)} if content is not None else None
        return enno.post(f"/api/registry/{kind}/{of}/evaluate", files=files, data=signed("enno"))

    of = f"{name}/{version}"
    assert said(evaluate("recipe", "vials/1.0.0", None)) == (409, "step_refused")  # its package comes first
    for bad in (b"", b"[", b"[]", b'{"package": []}', b'{"package": {"sha256": "0"}}', b"[" * 100_000, None):
        assert said(evaluate("package", of, bad)) == (409, "step_refused"), bad
    assert said(evaluate("package", "none/1.0.0", report)) == (404, "version_missing")
    assert evaluate("package", of, report).status_code == 200
    assert evaluate("recipe", "vials/1.0.0", None).status_code == 200

    exported = enno.get("/api/registry/recipe/vials/1.0.0/yaml")
    assert "attachment" in exported.headers["content-disposition"]
    (tmp_path / f"package-{package.digest[:12]}.onnx").write_bytes(data)
    (tmp_path / "vials.yaml").write_text(exported.text)
    assert recipe_digest(read_pinned(tmp_path / "vials.yaml")[0]) == first.digest
    assert enno.get(f"/api/registry/package/{of}/golden/0").headers["content-type"] == "image/png"
    assert said(enno.get(f"/api/registry/package/{of}/golden/99")) == (404, "frame_missing")

    draft = "/api/registry/recipe/vials/1.0.0/draft"
    limits = {"review_limit": 3.0, "reject_limit": 4.5}
    square = {"everywhere": [{"rectangle": [0.2, 0.2, 0.8, 0.8]}]}
    for status, code, values in (
        (422, "request_invalid", {}),
        (422, "request_invalid", {"limits": {"review_limit": 5, "reject_limit": 4}}),
        (422, "request_invalid", {"limits": limits, "new_version": "2"}),
        (422, "config_invalid", {"region": {"everywhere": [{"polygon": [[0, 0], [1, 1]]}]}}),
        (422, "config_invalid", {"region": {"cameras": {"side": square["everywhere"]}}}),
        (409, "step_refused", {"limits": limits, "new_version": "1.0.1"}),
    ):
        body: dict[str, Any] = signed("enno") | {"new_version": "2.0.0"} | values
        assert said(enno.post(draft, json=body)) == (status, code), values
    body = signed("enno") | {"new_version": "2.0.0", "limits": limits, "region": square}
    assert enno.post(draft, json=body).status_code == 201
    content = kept_recipe(archive, find_version(read_versions(archive), "recipe", "vials", "2.0.0"))
    assert (content["limits"], content["region"]["everywhere"][0]["rectangle"]) == (limits, [0.2, 0.2, 0.8, 0.8])
    assert content["deadline_ms"] == 900
    assert kept_recipe(archive, first).get("limits") is None
    body = signed("enno") | {"new_version": "2.0.1", "region": None}
    assert enno.post("/api/registry/recipe/vials/2.0.0/draft", json=body).status_code == 201
    without = kept_recipe(archive, find_version(read_versions(archive), "recipe", "vials", "2.0.1"))
    assert "region" not in without
    assert without["limits"] == limits

    asked = {"package": package.digest, "review_limit": 1, "reject_limit": 2, "region": square}
    answer = enno.post("/api/registry/what-if/region", json=asked).json()
    assert answer["changed"] == 0
    assert 0 < answer["cells"]["everywhere"] < answer["inspected"]
    for region in ({"everywhere": []}, {"everywhere": [{"polygon": [[0, 0], [1, 0], [0, 1], [1, 1]]}]}):
        assert said(enno.post("/api/registry/what-if/region", json=asked | {"region": region})) == (
            422, "region_invalid"
        )  # fmt: skip
    order = {"package": package.digest, "review_limit": 2, "reject_limit": 1}
    assert said(enno.get("/api/registry/what-if/limits", params=order)) == (422, "limits_invalid")
    assert said(enno.get("/registry/compare?kind=recipe&name=vials&a=1.0.0&b=9.9.9")) == (404, "version_missing")
    for page in ("/registry", f"/registry/package/{of}", "/registry/recipe/vials/2.0.0", "/registry/limits",
                 "/registry/region?recipe=vials+2.0.0", f"/registry/limits?package={name}+{version}",
                 "/registry/compare?kind=recipe&name=vials&a=1.0.0&b=2.0.0",
                 f"/registry/compare?kind=package&name={name}&a={version}&b={version}"):  # fmt: skip
        assert enno.get(page).status_code == 200, page
