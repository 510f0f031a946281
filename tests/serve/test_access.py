"""Who may ask what: every route with every role, with a token, and with nothing."""

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from inspection.accounts.roles import PERMITTED, SCOPES, Permission, Role
from inspection.accounts.tokens import create_token
from inspection.archive import Archive
from inspection.audit import AuditQuery, find_audit
from inspection.schema import entries
from serve.app import OPEN, permissions
from serve.routes import session
from tests.people import PASSWORD, people
from tests.serve.serving import Running, running, write_recipe

ROLES = {f"p-{role}": role for role in Role}


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory, vial_package: Path) -> Iterator[Running]:
    """A service, and somebody of every role."""
    folder = tmp_path_factory.mktemp("plant")
    people(folder / "archive", **{name: str(role) for name, role in ROLES.items()})
    with running(write_recipe(folder, vial_package), folder / "archive") as served:
        yield served


def routes() -> list[tuple[str, str, Permission | None]]:
    """Method, path with something in its places, and the permission needed, of each route that is not open."""
    found = []
    for method, path, needed in permissions():
        if (method, path) not in OPEN:
            wanted = next((one for one in needed if one is not None), None)
            filled = re.sub(r"\{kind\}", "recipe", re.sub(r"\{sequence\}", "1", path))
            found.append((method, re.sub(r"\{\w+\}", "none-of-these", filled), wanted))
    assert len(found) > 35
    return found


@contextmanager
def person(plant: Running, name: str) -> Iterator[httpx.Client]:
    """A client of somebody who is signed in."""
    with httpx.Client(base_url=plant.address, timeout=30) as client:
        answer = client.post("/api/session", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        yield client


def ask(client: httpx.Client, method: str, path: str) -> int:
    """The status of a request that asks for nothing sensible."""
    with client.stream(method, path, headers={"Accept": "application/json"}) as answer:
        return answer.status_code


def test_without_a_session_or_token_nothing_but_health_is_answered(plant: Running) -> None:
    with httpx.Client(base_url=plant.address) as nobody, httpx.Client(
        base_url=plant.address, headers={"Authorization": "Bearer insp_made-up"}, cookies={"inspection": "made-up"}
    ) as forger:  # fmt: skip
        for method, path, _ in routes():
            assert (path, ask(nobody, method, path)) == (path, 401)
            assert (path, ask(forger, method, path)) == (path, 401)
        assert nobody.get("/health").json()["status"] == "alive"
        assert set(nobody.get("/ready").json()) == {"status"}


@pytest.mark.parametrize("name", ROLES)
def test_each_role_is_answered_what_it_may_and_nothing_else(name: str, plant: Running) -> None:
    may = PERMITTED[ROLES[name]]
    with person(plant, name) as client:
        for method, path, needed in routes():
            if (method, path) == ("DELETE", "/api/session"):
                continue
            status = ask(client, method, path)
            if needed is None or needed in may:
                assert status not in (401, 403), (method, path)
                assert status < 500, (method, path)
            else:
                assert (path, status) == (path, 403)


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_a_token_does_what_its_scope_says_and_nothing_a_person_answers_for(scope: Permission, plant: Running) -> None:
    text = create_token(plant.service.archive, f"t-{scope}", [scope], "root.person", "test")
    with httpx.Client(base_url=plant.address, headers={"Authorization": f"Bearer {text}"}) as client:
        for method, path, needed in routes():
            status = ask(client, method, path)
            if needed == scope:
                assert status not in (401, 403), (method, path)
            else:
                assert status in (401, 403), (method, path)


def test_refusals_are_on_the_trail_once_and_counted(plant: Running) -> None:
    with person(plant, "p-auditor") as client:
        for _ in range(30):
            assert client.get("/api/users").status_code == 403
    refused = list(find_audit(plant.service.archive, AuditQuery(what="access_refused", by="p-auditor")))
    assert [event.why for event in refused if event.subject == "GET /api/users"] == ["may not administer"]


def test_signing_in_and_out_by_cookie(plant: Running) -> None:
    with httpx.Client(base_url=plant.address) as client:
        refused = client.post("/api/session", json={"name": "p-operator", "password": "wrong"})
        assert (refused.status_code, refused.json()["code"]) == (401, "sign_in_refused")
        answer = client.post("/api/session", json={"name": "p-operator", "password": PASSWORD})
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie
        assert answer.json()["permissions"] == ["inspect", "metrics", "operate", "view"]
        assert PASSWORD not in answer.text
        assert client.get("/api/status").status_code == 200
        assert client.delete("/api/session").status_code == 204
        assert client.get("/api/status").status_code == 401
    told = [event.what for event in find_audit(plant.service.archive, AuditQuery(by="p-operator"), 2)]
    assert told == ["signed_out", "signed_in"]


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example"}]
)
def test_another_site_s_page_cannot_change_anything_with_a_person_s_cookie(
    headers: dict[str, str], plant: Running
) -> None:
    with person(plant, "p-operator") as client:
        for path in ("/api/resume", "/api/batches", "/api/session/password"):
            answer = client.post(path, json={}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
        answer = client.post("/api/session", json={"name": "p-operator", "password": PASSWORD}, headers=headers)
        assert answer.status_code == 403
    refused = list(find_audit(plant.service.archive, AuditQuery(text="another site's page")))
    assert "POST /api/resume" in [event.subject for event in refused]


def test_a_flood_of_sign_ins_leaves_threads_for_everybody_else(plant: Running) -> None:
    with ExitStack() as stack:
        while session._trying.acquire(blocking=False):
            stack.callback(session._trying.release)
        answer = httpx.post(plant.address + "api/session", json={"name": "p-operator", "password": PASSWORD})
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_sign_ins")
    with person(plant, "p-operator"):
        pass


def test_a_person_with_a_given_password_can_only_change_it(plant: Running) -> None:
    with person(plant, "root.person") as client:
        made = client.post("/api/users", json={"name": "nils", "full_name": "Nils Neu", "roles": ["operator"],
                                               "password": "First-Given-Key-31", "why": "new"})  # fmt: skip
        assert made.status_code == 201, made.text
    with httpx.Client(base_url=plant.address) as client:
        answer = client.post("/api/session", json={"name": "nils", "password": "First-Given-Key-31"})
        assert answer.json()["must_change_password"] is True
        assert client.get("/api/status").json()["code"] == "password_expired"
        page = client.get("/", headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=%2F")
        weak = client.post("/api/session/password", json={"old": "First-Given-Key-31", "new": "short"})
        assert (weak.status_code, weak.json()["code"]) == (422, "password_refused")
        changed = client.post("/api/session/password", json={"old": "First-Given-Key-31", "new": "My-Own-Secret-55"})
        assert changed.status_code == 204
        assert client.get("/api/status").status_code == 200


def test_administrators_manage_accounts_and_tokens_and_the_trail_says_so(plant: Running) -> None:
    with person(plant, "root.person") as client:
        assert client.post("/api/users", json={"name": "admin", "full_name": "A B", "roles": ["operator"],
                                               "password": PASSWORD, "why": "new"}).status_code == 422  # fmt: skip
        for _ in range(5):
            client.post("/api/session", json={"name": "p-reviewer", "password": "wrong"})
        assert client.post("/api/users/p-reviewer/unlock", json={"why": "it was them"}).json()["state"] == "active"
        changed = client.patch("/api/users/p-reviewer", json={"full_name": "Rita Neu", "why": "married"})
        assert changed.json()["full_name"] == "Rita Neu"
        assert client.patch("/api/users/nobody", json={"active": False, "why": "gone"}).status_code == 404
        token = client.post("/api/tokens", json={"name": "mes", "scopes": ["view"], "why": "MES"}).json()["token"]
        assert token not in client.get("/api/tokens").text
        assert client.request("DELETE", "/api/tokens/mes", json={"why": "replaced"}).status_code == 204
        assert client.patch("/api/policy", json={"rules": {"password_length": 1}, "why": "easy"}).status_code == 422
        assert (
            client.patch("/api/policy", json={"rules": {"idle_minutes": 20}, "why": "calm"}).json()["idle_minutes"]
            == 20
        )
        found = client.get("/api/audit", params={"by": "root.person", "what": "user_changed"}).json()
        assert found[0]["old"] == {"full_name": "P-Reviewer Person-10"}
        for form, start in (("csv", b"\xef\xbb\xbfat,by,what"), ("json", b'{\n "format"'), ("pdf", b"%PDF-")):
            answer = client.get("/api/audit/export", params={"format": form, "since": "2026-01-01"})
            assert answer.content.startswith(start), form
            assert f"audit-trail.{form}" in answer.headers["content-disposition"]
        assert client.get("/api/audit", params={"since": "yesterday"}).status_code == 422


def test_a_record_is_signed_over_http_by_whoever_is_signed_in(
    plant: Running, vial_images: dict[str, list[Path]]
) -> None:
    record = plant.upload(vial_images["crack"][0].read_bytes()).json()["record"]["links"]["self"]
    body = {"name": "p-quality", "password": PASSWORD, "meaning": "reviewed", "why": "looked at it"}
    with person(plant, "p-quality") as client:
        for change, status in (
            ({"name": "p-engineer"}, 403),
            ({"password": "wrong"}, 401),
            ({"meaning": "liked"}, 422),
        ):
            assert client.post(f"{record}/signatures", json=body | change).status_code == status
        assert client.get(record).json()["signatures"] == []
        refused = next(find_audit(plant.service.archive, AuditQuery(what="access_refused", by="p-quality")))
        assert refused.why == "another's name was given to sign with"
        signed = client.post(f"{record}/signatures", json=body)
        assert signed.status_code == 201, signed.text
        [found] = client.get(record).json()["signatures"]
        assert (found["full_name"], found["meaning"], found["fault"]) == ("P-Quality Person-9", "reviewed", "")
        assert found["hash"] == client.get(record).json()["hash"]


def test_answers_tell_browsers_to_keep_to_this_station(plant: Running) -> None:
    answer = httpx.get(plant.address + "sign-in")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    for name in ("x-frame-options", "x-content-type-options", "referrer-policy", "cross-origin-opener-policy",
                 "permissions-policy"):  # fmt: skip
        assert name in answer.headers
    assert "server" not in answer.headers
    assert plant.client.get("/api/status").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2f..%2fpyproject.toml",
                                  "/api/records/..%2f..%2fetc/1/image", "/static//etc/passwd"])  # fmt: skip
def test_no_path_leads_out(path: str, plant: Running) -> None:
    answer = plant.client.get(path)
    assert answer.status_code in (404, 422)
    assert "root:" not in answer.text


# The first account, and TLS.


def test_the_first_account_is_made_with_the_code_that_the_service_wrote(tmp_path: Path, vial_package: Path) -> None:
    with running(write_recipe(tmp_path, vial_package), tmp_path / "archive", accounts=False) as station:
        first: Any = {"name": "vera", "full_name": "Vera Winter", "password": PASSWORD}
        with httpx.Client(base_url=station.address) as client:
            assert "The first account" in client.get("/sign-in").text
            for code in ("", "0" * 16, "guess", "again"):
                assert client.post("/api/setup", json=first | {"code": code}).status_code == 403
            refused = next(find_audit(station.service.archive, AuditQuery(what="access_refused")))
            assert (refused.subject, "not the code" in refused.why) == ("first account", True)
            right = station.first_start.code
            assert client.post("/api/setup", json=first | {"code": right, "password": "weak"}).status_code == 422
            assert client.post("/api/setup", json=first | {"code": right}).status_code == 201
            assert client.post("/api/setup", json=first | {"code": right}).status_code == 409
            assert "The first account" not in client.get("/sign-in").text
            assert client.post("/api/session", json={"name": "vera", "password": PASSWORD}).status_code == 200


def test_too_many_wrong_codes_close_the_door(tmp_path: Path, vial_package: Path) -> None:
    with running(write_recipe(tmp_path, vial_package), tmp_path / "archive", accounts=False) as station:
        first = {"name": "vera", "full_name": "Vera Winter", "password": PASSWORD}
        for _ in range(5):
            assert httpx.post(station.address + "api/setup", json=first | {"code": "no"}).status_code == 403
        answer = httpx.post(station.address + "api/setup", json=first | {"code": station.first_start.code})
        assert (answer.status_code, "too many" in answer.text) == (403, True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "cert.pem", folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
             "-addext", "subjectAltName=IP:127.0.0.1", "-out", str(made), "-keyout", str(key)]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True)
    return made, key


def test_over_tls_cookies_are_for_tls_alone(tmp_path: Path, vial_package: Path, certificate: tuple[Path, Path]) -> None:
    people(tmp_path / "archive", otto="operator")
    with (
        running(write_recipe(tmp_path, vial_package), tmp_path / "archive", tls=certificate) as station,
        httpx.Client(base_url=station.address, verify=str(certificate[0])) as client,
    ):
        assert station.address.startswith("https://")
        answer = client.post("/api/session", json={"name": "otto", "password": PASSWORD})
        assert answer.headers["set-cookie"].startswith("__Host-inspection=")
        assert "Secure" in answer.headers["set-cookie"]
        assert "max-age" in answer.headers["strict-transport-security"]
        assert client.get("/api/status").status_code == 200


def test_passwords_do_not_cross_a_network_in_clear_by_accident(
    tmp_path: Path, vial_package: Path, certificate: tuple[Path, Path], inspection: Any
) -> None:
    recipe, archive = write_recipe(tmp_path, vial_package), tmp_path / "archive"
    for words, code in (
        (["--host", "0.0.0.0"], "plain_http_refused"),
        (["--tls-certificate", certificate[0]], "bad_usage"),
        (["--tls-certificate", certificate[1], "--tls-key", certificate[0]], "tls_unusable"),
    ):
        done = inspection("serve", recipe, "--archive", archive, "--unapproved", "--port", 0, *words)
        assert done.returncode == 1 and f"[{code}]" in done.stderr
    assert not archive.exists()


def test_nothing_was_changed_by_all_who_were_refused(plant: Running) -> None:
    """Run last: what is on record are people's own steps, not those that were refused."""
    with Archive(plant.service.archive.folder, read_only=True) as archive, archive.reader() as connection:
        stopped = select(func.count()).where(
            entries.c.reason.in_(("batch_started", "recipe_changed", "station_resumed"))
        )
        assert connection.execute(stopped).scalar_one() == 0


def test_nobody_unknown_has_an_upload_taken_in(plant: Running) -> None:
    place = httpx.URL(plant.address)
    head = f"POST /api/inspect HTTP/1.1\r\nHost: {place.host}\r\nCookie: inspection=made-up\r\n"
    head += "Content-Length: 50000000\r\n"
    head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
    head += 'Content-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    with socket.create_connection((place.host, place.port), timeout=20) as sender:
        sender.sendall(
            head.encode() + b"\0" * 1_500_000
        )  # the other 48 MB never come: the answer does not wait for them
        assert sender.recv(12) == b"HTTP/1.1 401"
