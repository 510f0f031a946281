"""The page to sign in on: the first account, a wrong password, a password that must be changed, and the way on."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inspection.accounts.users import create_user
from tests.browser.looking import Look
from tests.people import PASSWORD
from tests.serve.serving import running, write_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FIRST, OWN = "First-Given-Key-31", "My-Own-Secret-55"


@pytest.mark.parametrize("width", [1440, 800])
def test_from_the_first_account_to_the_live_page(
    width: int, tmp_path: Path, vial_package: Path, browser: "Browser", screenshots: Path
) -> None:
    with running(write_recipe(tmp_path, vial_package), tmp_path / "archive", accounts=False) as station:
        page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
        addresses: list[str] = []
        page.on("request", lambda request: addresses.append(request.url))
        page.goto(station.address)
        assert page.url.endswith("/sign-in?next=%2F")
        Look(page, station).accessible()
        page.screenshot(path=screenshots / f"setup-{width}.png")
        for name, value in (("code", "wrong"), ("name", "vera"), ("full_name", "Vera Winter"), ("password", PASSWORD)):
            page.locator(f"#setup [name={name}]").fill(value)
        page.get_by_role("button", name="Make the account").click()
        page.locator("#setup .fault", has_text="not the code").wait_for()
        page.locator("#setup [name=code]").fill(station.first_start.code)
        page.get_by_role("button", name="Make the account").click()
        page.locator("#sign-in [name=password]").fill("wrong")
        page.locator("#sign-in button").click()
        page.locator("#sign-in .fault", has_text="do not fit").wait_for()
        Look(page, station).accessible()
        page.screenshot(path=screenshots / f"sign-in-{width}.png")
        page.locator("#sign-in [name=password]").fill(PASSWORD)
        page.locator("#sign-in button").click()
        page.locator("#bar-line").wait_for()
        assert page.url == station.address

        create_user(station.service.archive, "otto", "Otto Meier", ["operator"], FIRST, "vera", "test")
        page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
        page.goto(station.address + "sign-in?next=//evil.example/")
        page.locator("#sign-in [name=name]").fill("otto")
        page.locator("#sign-in [name=password]").fill(FIRST)
        page.locator("#sign-in button").click()
        page.locator("#change [name=new]").fill(OWN)
        page.locator("#change [name=again]").fill(OWN + "x")
        page.locator("#change button").click()
        page.locator("#change .fault", has_text="differ").wait_for()
        page.emulate_media(color_scheme="dark")
        Look(page, station).accessible()
        page.screenshot(path=screenshots / f"change-{width}.png")
        page.locator("#change [name=again]").fill(OWN)
        page.locator("#change button").click()
        page.locator("#bar-line").wait_for()
        assert page.url == station.address  # and not where the link wanted to lead
        assert all(address.startswith((station.address, "data:")) for address in addresses)
