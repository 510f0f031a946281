"""Pages of batches, the audit trail, accounts and settings, as HTML: who sees them, and what they say."""

import html
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from inspection.accounts.policy import Policy
from inspection.accounts.roles import PERMITTED, Permission, Role
from inspection.audit import AuditQuery, find_audit
from serve.pages.settings import list_rules
from tests.people import PASSWORD, people
from tests.serve.serving import Running, running, write_recipe

PAGES = {"/batches": Permission.VIEW, "/audit": Permission.AUDIT, "/users": Permission.ADMINISTER,
         "/settings": Permission.AUDIT, "/account": None}  # fmt: skip


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory, vial_package: Path) -> Iterator[Running]:
    """A service, and somebody of every role."""
    folder = tmp_path_factory.mktemp("pages")
    people(folder / "archive", **{f"p-{role}": str(role) for role in Role})
    with running(write_recipe(folder, vial_package), folder / "archive") as served:
        yield served


@contextmanager
def person(plant: Running, name: str) -> Iterator[httpx.Client]:
    """A browser of somebody who is signed in."""
    with httpx.Client(base_url=plant.address, timeout=30, headers={"Accept": "text/html"}) as client:
        assert client.post("/api/session", json={"name": name, "password": PASSWORD}).status_code == 200
        yield client


@pytest.mark.parametrize("role", Role)
def test_each_role_sees_the_pages_it_may_and_the_menu_leads_to_those_alone(role: Role, plant: Running) -> None:
    with person(plant, f"p-{role}") as client:
        menu = client.get("/account").text
        for address, needed in PAGES.items():
            answer = client.get(address)
            may = needed is None or needed in PERMITTED[role]
            assert answer.status_code == (200 if may else 403), address
            if not may:
                assert "You may not open this page" in answer.text
            if address != "/account":
                assert (f'href="{address}"' in menu) == may


def test_settings_are_read_only_for_those_who_only_audit(plant: Running) -> None:
    with person(plant, "p-auditor") as client:
        said = client.get("/settings").text
    assert 'id="read-only"' in said
    assert 'type="number"' not in said
    with person(plant, "root.person") as client:
        said = client.get("/settings").text
    assert 'name="password_length"' in said and 'min="12"' in said and 'max="128"' in said


def test_no_secret_is_on_the_settings_page(plant: Running) -> None:
    key = (plant.service.archive.folder / "signing.key").read_text().splitlines()[1]
    with person(plant, "p-quality") as client:
        said = client.get("/settings").text
    assert plant.service.key.fingerprint in said
    assert key not in said and "PRIVATE KEY" not in said


def test_every_rule_of_accounts_has_its_range() -> None:
    rules = {rule.name: rule for rule in list_rules(Policy())}
    assert set(rules) == set(Policy.model_fields)
    assert (rules["failures"].least, rules["failures"].most) == (1, 20)
    assert rules["single_session"].most is None


def test_a_time_that_is_none_is_said_in_a_sentence(plant: Running) -> None:
    with person(plant, "p-auditor") as client:
        answer = client.get("/audit", params={"since": "yesterday"})
        assert answer.status_code == 422
        assert "“yesterday” is no time" in html.unescape(answer.text)
        assert client.get("/audit", params={"before": "x@y/z"}).status_code == 200


def test_the_trail_pages_through_everything_once(plant: Running) -> None:
    archive = plant.service.archive
    whole = [event.record for event in find_audit(archive, AuditQuery())]
    paged, before = [], ""
    while page := list(find_audit(archive, AuditQuery(), 7, before)):
        paged += [event.record for event in page]
        before = page[-1].key
    assert len(whole) > 20 and paged == whole


def test_a_time_with_its_z_leaves_no_part_of_its_second_out(plant: Running) -> None:
    event = next(find_audit(plant.service.archive, AuditQuery(what="line_started")))
    with person(plant, "p-auditor") as client:
        found = client.get("/api/audit", params={"what": "line_started", "since": event.at[:19] + "Z"}).json()
    assert [one["record"] for one in found] == [event.record]


def test_the_review_of_the_trail_is_quality_s_and_reaches_to_what_was_seen(plant: Running) -> None:
    archive = plant.service.archive
    seen = next(find_audit(archive, AuditQuery(station="audit")))
    body = {"record": seen.record, "name": "p-quality", "password": PASSWORD, "why": "monthly review"}
    with person(plant, "p-auditor") as client:
        refused = client.post("/api/audit/review", json=body | {"name": "p-auditor"})
        assert (refused.status_code, refused.json()["code"]) == (422, "signature_refused")
    with person(plant, "p-quality") as client:
        assert client.post("/api/audit/review", json=body | {"password": "wrong"}).status_code == 401
        assert client.post("/api/audit/review", json=body | {"name": "p-auditor"}).status_code == 403
        assert client.post("/api/audit/review", json=body | {"record": "station-1/1"}).status_code == 422
        assert client.post("/api/audit/review", json=body | {"why": "x"}).status_code == 422
        done = client.post("/api/audit/review", json=body)
        assert done.status_code == 201, done.text
        said = client.get("/audit").text
        assert "Reviewed until" in said and seen.at in said
        again = client.post("/api/audit/review", json=body)
        assert "already" in again.json()["detail"]
    [event] = find_audit(archive, AuditQuery(what="signed", by="p-quality"))
    assert (event.more["signs"], event.more["meaning"], event.why) == (seen.record, "reviewed", "monthly review")


def test_a_machine_s_token_has_no_account_page(plant: Running) -> None:
    answer = plant.client.get("/account", headers={"Accept": "text/html"})
    assert answer.status_code == 403


def test_an_unknown_batch_is_said_to_be_one(plant: Running) -> None:
    with person(plant, "p-operator") as client:
        answer = client.get("/batches/none")
        assert answer.status_code == 404
        assert "no unit of batch" in html.unescape(answer.text)
