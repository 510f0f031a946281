"""Users, settings and one's own account in the browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inspection.accounts.users import find_user
from inspection.audit import AuditQuery, find_audit
from tests.browser.admin import fault, fill, own_station, refused, send
from tests.browser.looking import both_sizes, looking
from tests.people import PASSWORD
from tests.serve.serving import Running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(300)
NEXT = "Green-Bottle-Shelf-61"


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory, vial_package: Path) -> Iterator[Running]:
    with own_station(tmp_path_factory.mktemp("accounts"), vial_package) as started:
        yield started


def test_an_operator_is_not_shown_users(plant: Running, browser: "Browser", screenshots: Path) -> None:
    with looking(browser, plant, "otto", "/account") as look:
        assert look.page.locator(".bar nav a", has_text="Users").count() == 0
        look.go("/users")
        refused(look)
        assert "You may not open this page" in look.text("h1")
        look.accessible()
        look.page.screenshot(path=screenshots / "users-refused.png")


def test_an_administrator_makes_changes_locks_and_unlocks(
    plant: Running, browser: "Browser", screenshots: Path
) -> None:
    for _ in range(5):
        plant.client.post("/api/session", json={"name": "enno", "password": "wrong"}, headers={"Authorization": ""})
    with looking(browser, plant, "root.person", "/users") as look:
        both_sizes(look, screenshots, "users")
        enno = look.page.locator("[data-user=enno]")
        assert "▲ locked" in enno.inner_text()
        enno.get_by_role("button", name="Unlock").click()
        fill(look, "unlock", why="forgot it on holiday")
        send(look, "unlock")
        look.page.locator("[data-user=enno][data-state=active]").wait_for()

        look.page.get_by_role("button", name="Make an account").click()
        look.accessible()
        fill(look, "make", name="operator", full_name="Nils Neu", why="new colleague")
        look.page.locator("#make [value=operator]").check()
        look.page.locator("#make [data-generates]").click()
        send(look, "make")
        assert "names a function and no person" in fault(look, "make")
        refused(look)
        fill(look, "make", name="nils")
        send(look, "make")
        nils = look.page.locator("[data-user=nils]")
        nils.wait_for()
        assert "must be changed" in nils.inner_text()

        nils.get_by_role("button", name="Change").click()
        look.page.locator("#change [value=administrator]").check()
        fill(look, "change", why="more to do")
        send(look, "change")
        assert "no other role but auditor" in fault(look, "change")
        refused(look)
        look.page.locator("#change [value=administrator]").uncheck()
        look.page.locator("#change [value=engineer]").check()
        send(look, "change")
        nils.locator(".tag", has_text="engineer").wait_for()
        nils.get_by_role("button", name="Reset password").click()
        fill(look, "reset", password="short", why="lost it")
        look.page.locator("#reset [data-generates]").click()
        send(look, "reset")
        look.page.locator("#reset:not([open])").wait_for(state="attached")
        nils.get_by_role("button", name="Disable").click()
        fill(look, "disable", why="left the plant")
        send(look, "disable")
        look.page.locator("[data-user=nils][data-state=disabled]").wait_for()
    told = [event.what for event in find_audit(plant.service.archive, AuditQuery(by="root.person"), 4)]
    assert told == ["user_changed", "password_reset", "user_changed", "user_created"]
    made = find_user(plant.service.archive, "nils")
    assert made and made.roles == ("engineer", "operator") and not made.active


def test_a_token_is_shown_once(plant: Running, browser: "Browser", screenshots: Path) -> None:
    with looking(browser, plant, "root.person", "/users", theme="dark") as look:
        look.accessible()
        look.page.get_by_role("button", name="Make a token").first.click()
        fill(look, "token", name="plc-7", why="for the line's PLC")
        send(look, "token")
        assert "at least one scope" in fault(look, "token")
        refused(look)
        look.page.locator("#token [value=inspect]").check()
        send(look, "token")
        shown = look.page.locator("#token-text")
        shown.wait_for()
        text = shown.input_value()
        assert text.startswith("insp_")
        look.accessible()
        look.page.screenshot(path=screenshots / "token.png")
        look.page.locator("#copy").click()
        look.page.locator("#copied", has_text=".").wait_for()
        asked = plant.client.post("/api/units", json={}, headers={"Authorization": f"Bearer {text}"})
        assert asked.status_code not in (401, 403)
        look.page.get_by_role("button", name="I have it").click()
        look.page.locator("[data-token=plc-7][data-state=active]").wait_for()
        assert text not in look.page.content()
        look.page.locator("[data-token=plc-7]").get_by_role("button", name="Revoke").click()
        fill(look, "revoke", why="the PLC is gone")
        send(look, "revoke")
        look.page.locator("[data-token=plc-7][data-state=revoked]").wait_for()


def test_rules_are_changed_with_a_reason_and_read_by_auditors(
    plant: Running, browser: "Browser", screenshots: Path
) -> None:
    with looking(browser, plant, "aida", "/settings", theme="dark") as look:
        look.accessible()
        assert look.page.locator("#rules input").count() == 0
        assert plant.service.key.fingerprint in look.text("main")
    with looking(browser, plant, "root.person", "/settings") as look:
        both_sizes(look, screenshots, "settings")
        save = look.page.get_by_role("button", name="Save the rules")
        assert save.is_disabled()
        look.page.locator("#rule-lock_minutes").fill("20")
        look.page.locator("#rules [name=why]").fill("decided in CAPA 12")
        save.click()
        look.page.locator("#rule-lock_minutes[data-now='20']").wait_for()
        assert "Time locked 15 → 20 (decided in CAPA 12)" in look.text("main")
        look.page.locator("#rule-failures").fill("99")
        look.page.locator("#rules [name=why]").fill("bad input")
        look.page.locator("#rules").evaluate("form => { form.noValidate = true; }")
        save.click()
        look.page.locator("#rules .fault", has_text="failures").wait_for()
        refused(look)


def test_one_s_own_account(plant: Running, browser: "Browser", screenshots: Path) -> None:
    with looking(browser, plant, "ruth", "/account") as look:
        both_sizes(look, screenshots, "account")
        assert "signed in" in look.text(".events")
        for old, new, again, told in (
            (PASSWORD, NEXT, NEXT + "x", "differ"),
            ("wrong-old-password", NEXT, NEXT, "do not fit"),
            (PASSWORD, "ruth-is-my-name-1", "ruth-is-my-name-1", "does not contain the user's name"),
        ):
            for name, value in (("old", old), ("new", new), ("again", again)):
                look.page.locator(f"#password [name={name}]").fill(value)
            look.page.locator("#password button").click()
            look.page.locator("#password .fault", has_text=told).wait_for()
        refused(look)
        for name, value in (("old", PASSWORD), ("new", NEXT), ("again", NEXT)):
            look.page.locator(f"#password [name={name}]").fill(value)
        look.page.locator("#password button").click()
        look.page.locator("#changed", has_text="is changed").wait_for()
        look.page.reload()
        assert "sign-in refused" in look.text(".events") and "password changed" in look.text(".events")
        look.page.locator("#times [value=UTC]").check()
        assert look.text("#zone").startswith("Times: UTC")
        look.page.locator("#theme [value=dark]").check()
        assert look.page.evaluate("document.documentElement.style.colorScheme") == "dark"
        look.page.reload()
        assert look.page.locator("#theme [value=dark]").is_checked()
        look.accessible()
        look.page.locator("main").get_by_role("button", name="Sign out").click()
        look.page.wait_for_url("**/sign-in")
