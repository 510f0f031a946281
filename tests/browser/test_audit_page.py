"""The audit trail in the browser: filtered, gone back, exported, and reviewed by signature."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.admin import fault, fill, own_station, refused, send
from tests.browser.looking import both_sizes, looking
from tests.people import PASSWORD
from tests.serve.serving import Running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory, vial_package: Path) -> Iterator[Running]:
    with own_station(tmp_path_factory.mktemp("trail"), vial_package) as started:
        for number in range(60):
            started.client.post("/api/batches", json={"batch": f"T-{number}", "why": f"order {number}"})
            started.client.post("/api/batches/stop", json={"why": "done"})
        yield started


def test_filters_are_in_the_address_and_the_export_has_what_is_shown(
    trail: Running, browser: "Browser", screenshots: Path
) -> None:
    with looking(browser, trail, "aida", "/audit") as look:
        both_sizes(look, screenshots, "audit")
        assert look.page.locator("#lines th").count() == 50
        look.page.get_by_role("link", name="Show more").click()
        look.page.locator("#lines th").nth(60).wait_for()
        look.page.locator("#lines summary").first.click()
        look.page.locator("#lines details[open] dl").wait_for()
        look.page.locator("[name=what]").select_option(label="batch ended")
        look.page.wait_for_url("**/audit?what=batch_stopped")
        look.page.locator("#lines", has_not_text="batch begun").wait_for()
        look.page.locator("[name=by]").select_option("*")
        look.page.wait_for_url("**/audit?by=*&what=batch_stopped")
        look.press("Escape")
        look.page.locator("body").click(position={"x": 3, "y": 400})
        look.press("/")
        look.page.locator("#text:focus").fill("T-7")
        look.page.wait_for_url("**text=T-7**")
        look.page.locator("#lines th").first.wait_for()
        assert look.page.locator("#lines th").count() == 1
        with look.page.expect_download() as downloaded:
            look.page.get_by_role("link", name="JSON", exact=True).click()
        said = json.loads(Path(downloaded.value.path()).read_text())
        assert said["query"] == {"by": "*", "what": "batch_stopped", "text": "T-7"}
        assert [event["subject"] for event in said["events"]] == ["T-7"]
        with look.page.expect_download() as downloaded:
            look.page.get_by_role("link", name="CSV", exact=True).click()
        assert Path(downloaded.value.path()).read_text("utf-8-sig").count("batch_stopped") == 1
        look.page.go_back()
        look.page.wait_for_url("**/audit?by=*&what=batch_stopped")
        look.page.locator("#lines th").nth(49).wait_for()
        assert look.page.locator("[name=what]").input_value() == "batch_stopped"
        assert look.page.locator("#text").input_value() == ""
        look.go("/audit?what=audit_exported")
        assert look.page.locator("#lines th").count() == 2  # the exports are on the trail
        assert "json" in look.page.locator("#lines details").nth(1).inner_text() + look.page.content()
        look.go("/audit?text=nothing-like-this")
        assert "Nothing on the trail fits." in look.text("#lines")
        look.go("/audit?since=2026-13-45x")
        refused(look)
        assert "is no time" in look.text("#trail")
        assert look.page.get_by_role("button", name="Sign a review").count() == 0


def test_quality_signs_that_the_trail_was_reviewed(trail: Running, browser: "Browser", screenshots: Path) -> None:
    with looking(browser, trail, "quinn", "/audit", theme="dark") as look:
        assert "never reviewed" in look.text("main")
        look.page.get_by_role("button", name="Sign a review").click()
        look.accessible()
        fill(look, "review", why="monthly review", name="ruth", password=PASSWORD)
        send(look, "review")
        assert "quinn is signed in and cannot sign for 'ruth'" in fault(look, "review")
        refused(look)
        fill(look, "review", name="quinn")
        send(look, "review")
        look.page.locator("strong", has_text="Reviewed until").wait_for()
        assert "by Quinn Person-5 (quinn)" in look.text("main")
        look.accessible()
        look.page.screenshot(path=screenshots / "audit-dark.png", full_page=False)
