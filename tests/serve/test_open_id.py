"""Sign-in with a real OpenID Connect provider over HTTP: who has an account with that identity comes in."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from oidc_provider_mock import run_server_in_thread

from inspection.accounts.users import change_user
from inspection.audit import AuditQuery, find_audit
from tests.people import people
from tests.serve.serving import Running, running, write_recipe


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The address of a provider with two people."""
    with run_server_in_thread(require_client_registration=False) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        for sub in ("sub-otto", "sub-mallory"):
            httpx.put(f"{address}/users/{sub}", json={}).raise_for_status()
        yield address


@pytest.fixture
def plant(provider: str, tmp_path: Path, vial_package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setenv("OPEN_ID_SECRET", "secret")
    folder = tmp_path / "archive"
    folder.mkdir()
    known = "client_id: line-1, client_secret: {env: OPEN_ID_SECRET}, name: the plant"
    (folder / "archive.yaml").write_text(f"open_id: {{issuer: '{provider}', {known}}}\n")
    people(folder, otto="operator")
    with running(write_recipe(tmp_path, vial_package), folder) as station:
        change_user(station.service.archive, "otto", "root.person", "joined", oidc_subject="sub-otto")
        yield station


def to_provider(client: httpx.Client, sub: str) -> str:
    """Begin here, sign in there; the address that the provider sends the browser back to."""
    begun = client.get("/open-id/start", params={"next": "/api/status"})
    assert begun.status_code == 303, begun.text
    answer = httpx.post(begun.headers["location"], data={"sub": sub})
    assert answer.status_code in (302, 303), answer.text
    return answer.headers["location"]


def test_who_has_an_account_with_this_identity_comes_in(plant: Running) -> None:
    with httpx.Client(base_url=plant.address) as client:
        assert "Sign in with the plant" in client.get("/sign-in").text
        back = client.get(to_provider(client, "sub-otto"))
        assert (back.status_code, back.headers["location"]) == (303, "/api/status")
        assert client.get("/api/session").json()["name"] == "otto"
        assert client.get("/api/status").status_code == 200
    signed_in = next(find_audit(plant.service.archive, AuditQuery(what="signed_in")))
    assert (signed_in.by, signed_in.more["how"]) == ("otto", "OpenID Connect")


def test_who_has_none_is_refused_and_that_is_on_the_trail(plant: Running) -> None:
    with httpx.Client(base_url=plant.address) as client:
        back = client.get(to_provider(client, "sub-mallory"))
        assert (back.status_code, back.json()["code"]) == (401, "sign_in_refused")
        assert client.get("/api/status").status_code == 401
    refused = next(find_audit(plant.service.archive, AuditQuery(what="sign_in_refused")))
    assert (refused.subject, refused.why) == ("sub-mallory", "no account has this identity")


def test_a_disabled_account_stays_out(plant: Running) -> None:
    change_user(plant.service.archive, "otto", "root.person", "left", active=False)
    with httpx.Client(base_url=plant.address) as client:
        assert client.get(to_provider(client, "sub-otto")).status_code == 401


@pytest.mark.parametrize("what", ["another browser", "twice", "forged state", "forged code"])
def test_what_was_not_begun_here_is_refused(what: str, plant: Running) -> None:
    with httpx.Client(base_url=plant.address) as client:
        place = to_provider(client, "sub-otto")
        if what == "another browser":
            with httpx.Client(base_url=plant.address) as other:
                assert other.get(place).status_code == 401
            return
        if what == "twice":
            assert client.get(place).status_code == 303
        query = {key: values[0] for key, values in parse_qs(urlsplit(place).query).items()}
        query |= {"forged state": {"state": "made-up"}, "forged code": {"code": "made-up"}}.get(what, {})
        answer = client.get("/open-id/finish", params=query)
        assert answer.status_code == 401, answer.text


def test_whoever_comes_back_without_end_does_not_fill_the_archive(plant: Running) -> None:
    with httpx.Client(base_url=plant.address) as client:
        client.get("/open-id/finish")
        before = plant.service.archive.count_entries()
        for _ in range(10):
            assert client.get("/open-id/finish").status_code == 401
    assert plant.service.archive.count_entries() == before


def test_the_way_back_never_leads_elsewhere(plant: Running) -> None:
    with httpx.Client(base_url=plant.address) as client:
        begun = client.get("/open-id/start", params={"next": "//evil.example/"})
        back = httpx.post(begun.headers["location"], data={"sub": "sub-otto"}).headers["location"]
        assert client.get(back).headers["location"] == "/"


def test_without_a_provider_or_with_one_that_is_gone(station: Running, tmp_path: Path, vial_package: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    assert httpx.get(station.address + "open-id/start").status_code == 404
    monkeypatch.setenv("OPEN_ID_SECRET", "secret")
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "archive.yaml").write_text(
        "open_id: {issuer: 'http://127.0.0.1:9', client_id: line-1, client_secret: {env: OPEN_ID_SECRET}}\n"
    )
    (tmp_path / "r").mkdir()
    with running(write_recipe(tmp_path / "r", vial_package), folder) as other:
        answer = httpx.get(other.address + "open-id/start")
        assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
