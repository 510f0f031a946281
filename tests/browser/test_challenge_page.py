"""The page of the challenge kit: what is due, a run from the page with its pictures, and the signed override."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inspection.archive import Archive
from tests.browser.looking import both_sizes, looking
from tests.kits import CHALLENGE, Images, approved, desk, vial_kit
from tests.people import PASSWORD, people
from tests.serve.serving import Running, running, write_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def challenged(tmp_path: Path, vial_package: Path, vial_images: Images) -> Iterator[Running]:
    """A station that has to be challenged before each batch, with an approved kit and a newer draft."""
    folder = tmp_path / "archive"
    approved(folder, vial_kit(tmp_path, vial_images))
    people(folder, both="operator,quality")
    with Archive(folder) as archive:
        desk(archive, "eva").register_kit(vial_kit(tmp_path, vial_images, "1.1.0"), "newer vials")
    with running(write_recipe(tmp_path, vial_package, challenge=CHALLENGE), folder) as station:
        yield station


def test_a_run_from_the_page_shows_each_unit_with_its_picture(
    challenged: Running, browser: "Browser", screenshots: Path
) -> None:
    with looking(browser, challenged, "both", "/challenge") as look:
        page = look.page
        assert page.get_by_text("No kit was run yet.").is_visible()
        assert "challenge kit vial-kit was not run yet" in look.text("section:has(#state-title)")
        both_sizes(look, screenshots, "challenge-due")
        page.get_by_role("button", name="Run the kit’s images").click()
        page.locator("#images [name=why]").fill("before batch 7")
        page.get_by_role("button", name="Run the images").click()
        page.get_by_role("heading", name="The last run").wait_for()
        assert page.locator("table.kit tbody tr").count() == 2
        assert page.locator("table.kit td:last-child").all_inner_texts() == ["✓ as registered"] * 2
        page.wait_for_load_state("networkidle")
        assert page.eval_on_selector_all(
            "table.kit img", "all => all.length == 2 && all.every(one => one.naturalWidth)"
        )
        both_sizes(look, screenshots, "challenge-passed")
        page.get_by_role("button", name="Approve").click()
        assert page.get_by_role("heading", name="Approve kit vial-kit 1.1.0").is_visible()
        look.accessible()
    with looking(browser, challenged, "both", "/challenge", theme="dark") as look:
        look.accessible()


def test_the_override_is_signed_on_the_page_and_shown_there_and_in_the_batch(
    challenged: Running, browser: "Browser", screenshots: Path
) -> None:
    with looking(browser, challenged, "both", "/challenge") as look:
        page = look.page
        page.get_by_role("button", name="Go on without").click()
        page.locator("#override [name=batch]").fill("B-7")
        page.locator("#override [name=why]").fill("the kit is at the repair")
        page.locator("#override [name=name]").fill("both")
        page.locator("#override [name=password]").fill(PASSWORD)
        page.locator("#override button:not([type])").click()
        page.get_by_role("cell", name="the kit is at the repair").wait_for()
        challenged.client.post("/api/batches", json={"batch": "B-7", "why": "order 7"}).raise_for_status()
        page.reload()
        assert page.locator("section .bad").first.inner_text().startswith("▲ both has overridden")
        look.go("/batches/B-7")
        assert page.get_by_text("The challenge kit was not passed before this batch; both overrode it").is_visible()
        both_sizes(look, screenshots, "challenge-batch")
