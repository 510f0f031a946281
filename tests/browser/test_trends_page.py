"""The page of trends in a real browser: charts that say what they show, filters in the address, data to take along."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from benchmarks.trends import fill
from inspection.archive import Archive
from tests.browser.looking import both_sizes, looking
from tests.serve.serving import Running, running, write_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(300)
DRAWN = "figure.chart[data-chart=batches] canvas"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, vial_package: Path) -> Iterator[Running]:
    """A station over a day of 6 000 units in batch B-2, the last tenth of them worse, and B-1 before it."""
    folder = tmp_path_factory.mktemp("trends")
    with Archive(folder / "archive") as archive:
        fill(archive, 6000)
    quality = {"min_brightness": 118.0, "max_brightness": 160.0, "min_sharpness": 20.0}
    recipe = write_recipe(folder, vial_package, deadline_ms=150, image_quality=quality)
    with running(recipe, folder / "archive") as started:
        yield started


def test_charts_of_a_batch_say_what_they_show(filled: Running, browser: "Browser", screenshots: Path) -> None:
    with looking(browser, filled, "root.person", "/trends?batch=B-2") as look:
        look.page.locator(DRAWN).wait_for()
        assert "out of control" in look.text("section[aria-labelledby=rate] .verdict")
        assert "computed from batch B-1" in look.text("section[aria-labelledby=rate]")
        assert "brightness" in look.text("section[aria-labelledby=brightness] h2").lower()
        assert "outside the recipe's limits" in look.text("section[aria-labelledby=brightness]")
        assert "Deadline of recipe vials 1.0.0: 150 ms" in look.text("section[aria-labelledby=latency]")
        both_sizes(look, screenshots, "trends")
    with looking(browser, filled, "root.person", "/trends?batch=B-2", theme="dark") as look:
        look.page.locator(DRAWN).wait_for()
        both_sizes(look, screenshots, "trends-dark")


def test_a_point_leads_to_the_records_behind_it(filled: Running, browser: "Browser") -> None:
    with looking(browser, filled, "root.person", "/trends?batch=B-2&counted=stopped") as look:
        look.page.locator(DRAWN).wait_for()
        plot = look.page.locator("figure[data-chart=rate] .plot")
        plot.focus()
        look.press("ArrowRight ArrowRight")
        said = look.text("figure[data-chart=rate] .readout")
        assert "%" in said and "upper limit" in said
        with look.page.expect_navigation(url="**/records?**"):
            look.press("Enter")
        asked = parse_qs(urlsplit(look.page.url).query)
        assert asked["outcome"] == ["REJECT", "REVIEW"] and asked["batch"] == ["B-2"]
        assert asked["since"] < asked["until"]
        look.page.go_back()
        look.page.locator(DRAWN).wait_for()


def test_filters_stand_in_the_address(filled: Running, browser: "Browser") -> None:
    with looking(browser, filled, "root.person", "/trends") as look:
        look.page.locator(DRAWN).or_(
            look.page.locator("#batches .verdict, section[aria-labelledby=batches] .verdict")
        ).first.wait_for()
        look.press("f")
        look.page.keyboard.type("B-1")
        look.page.locator("[name=subgroup]").select_option("50")
        look.page.get_by_role("button", name="Show").click()
        look.page.wait_for_url("**/trends?batch=B-1&subgroup=50")
        look.page.locator("section[aria-labelledby=rate] canvas").wait_for()
        assert "subgroups of about 50 units" in look.text(".range")
        look.go("/trends?batch=B-2&subgroup=1min")
        look.page.locator("#charts .fault").wait_for()
        assert "choose larger subgroups" in look.text("#charts .fault")
        look.go("/trends?batch=nowhere")
        look.page.get_by_text("No unit was recorded that fits").wait_for()


def test_charts_can_be_taken_along(filled: Running, browser: "Browser", tmp_path: Path) -> None:
    with looking(browser, filled, "root.person", "/trends?batch=B-2&batch=B-1") as look:
        look.page.locator(DRAWN).wait_for()
        for name in ("rate", "scores", "batches"):
            with look.page.expect_download() as download:
                look.page.locator(f"[data-png={name}]").click()
            download.value.save_as(tmp_path / f"{name}.png")
            assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        with look.page.expect_download() as download:
            look.page.locator("section[aria-labelledby=batches] a[download]").click()
        rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
        assert [row["batch"] for row in rows] == ["B-2", "B-1"]
        assert rows[1]["p_value"] and not rows[0]["p_value"]
