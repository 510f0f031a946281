"""The live page of a line with several cameras: each has its picture, its own sign and score, and all its frames."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.looking import TABLET, both_sizes, looking
from tests.people import people
from tests.serve.serving import Running, running, wait_for, write_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(180)
RATE_HZ = 2
CAMERA = {"kind": "simulator", "rate_hz": RATE_HZ, "defect_rate": 0.4, "seed": 5, "after_ms": -100, "within_ms": 380}
NAMES = ("top", "side", "bottom")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, vial_package: Path) -> Iterator[Running]:
    """Three cameras, one of them with two frames of each unit, and a timer."""
    folder = tmp_path_factory.mktemp("cameras")
    cameras = [CAMERA | {"name": name, "frames": 2 if name == "top" else 1} for name in NAMES]
    recipe = write_recipe(
        folder, vial_package, cameras=cameras,
        trigger={"kind": "timer", "rate_hz": RATE_HZ}, deadline_ms=8000, batch="B-2026-118",
    )  # fmt: skip
    people(folder / "archive", otto="operator")
    with running(recipe, folder / "archive") as station:
        wait_for(lambda: station.service.tally.snapshot()["outcomes"]["PASS"] >= 1, 60)
        yield station


def test_each_camera_has_its_picture_its_sign_and_its_score(
    line: Running, browser: "Browser", screenshots: Path
) -> None:
    with looking(browser, line, "otto") as look:
        page = look.page
        page.locator("#verdict[data-outcome=PASS]").wait_for(timeout=60_000)
        assert page.locator(".camera .name").all_inner_texts() == list(NAMES)
        assert page.locator(".cameras").get_attribute("data-view") == "heatmap"
        for name in NAMES:
            tile = page.locator(f"[data-camera={name}]")
            tile.locator(".heatmap img").wait_for()
            assert name in (tile.locator(".heatmap img").get_attribute("alt") or "")
        assert page.locator("[data-camera=top] .frames button").count() == 2
        assert page.locator("[data-camera=side] .frames button").count() == 0
        assert "top (2 frames): works" in look.text("#camera-states")
        both_sizes(look, screenshots, "live-cameras", settled=False)


def test_a_frame_and_a_kind_of_picture_that_are_chosen_stay_shown(
    line: Running, browser: "Browser", screenshots: Path
) -> None:
    with looking(browser, line, "otto", theme="dark") as look:
        page = look.page
        page.locator("[data-camera=top] .heatmap img").wait_for()
        first = page.locator("[data-camera=top] .frames button").first
        first.click()
        unit = look.text("#unit")
        page.locator("#unit").filter(has_not_text=unit).wait_for(timeout=30_000)
        page.locator("[data-camera=top] .frames button[aria-pressed=true][data-shown]").first.wait_for()
        assert first.get_attribute("data-shown") is not None
        look.press("v")
        assert "view=both" in page.url
        page.locator("[data-camera=side] .frame img").wait_for()
        page.locator("[data-camera=side] .heatmap img").wait_for()
        both_sizes(look, screenshots, "live-cameras-dark", settled=False)
        page.reload()
        assert page.locator(".cameras").get_attribute("data-view") == "both"


def test_on_the_wall_the_verdict_is_large_and_nothing_is_to_press(
    line: Running, browser: "Browser", screenshots: Path
) -> None:
    with looking(browser, line, "otto", "/?wall=1&view=frame") as look:
        page = look.page
        page.locator("#verdict:not([data-outcome=''])").wait_for(timeout=60_000)
        page.locator("[data-camera=bottom] .frame img").wait_for()
        assert not page.locator(".bar nav").is_visible()
        assert page.locator("button:visible, input:visible").count() == page.locator(".frames button:visible").count()
        box = page.locator("#verdict .outcome").bounding_box()
        assert box
        assert box["height"] >= 140
        look.accessible()
        page.screenshot(path=screenshots / "live-wall.png")
        page.set_viewport_size({"width": TABLET[0], "height": TABLET[1]})
        page.screenshot(path=screenshots / "live-wall-800.png")
        look.press("w")
        page.locator(".bar nav").wait_for()
