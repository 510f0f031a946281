"""A batch in the browser: begun, ended and reconciled by an operator, reported, and signed by quality."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inspection.records import Draft
from tests.browser.admin import fault, fill, own_station, refused, send
from tests.browser.looking import both_sizes, looking
from tests.people import PASSWORD
from tests.serve.serving import Running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(300)
Images = dict[str, list[Path]]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, vial_package: Path) -> Iterator[Running]:
    with own_station(tmp_path_factory.mktemp("batches"), vial_package) as started:
        yield started


def begun_and_ended(line: Running, batch: str, triggered: int, units: int) -> None:
    """A batch as another day left it: so many came by, so many are on record."""
    archive = line.service.archive
    told = {"batch": batch, "product": "vial", "recipe": "vials 1.0.0"}
    archive.append(Draft("event", **told, reason="batch_started", details={"by": "otto", "why": "order"}), "station-1")
    archive.append_all([Draft("unit", unit=f"{batch}-{n}", **told, package="ab" * 32, outcome="PASS", score=0.1,
                              reason="within_limits", review_limit=1.0, reject_limit=2.0) for n in range(units)],
                       "station-1")  # fmt: skip
    counts = {"triggered": triggered, "passed": units, "rejected": 0, "undecided": 0}
    ended = {"by": "otto", "why": "done", "counts": counts, "reconciled": triggered == units}
    archive.append(Draft("event", **told, reason="batch_stopped", details=ended), "station-1")


def test_a_batch_from_its_begin_to_its_release(
    line: Running, browser: "Browser", vial_images: Images, screenshots: Path
) -> None:
    with looking(browser, line, "otto", "/batches") as look:
        look.page.get_by_role("button", name="Begin a batch").click()
        fill(look, "begin", batch="a/b", why="order 7")
        send(look, "begin")
        assert look.page.locator("#begin [name=batch]").evaluate("field => field.validity.patternMismatch")
        fill(look, "begin", batch="B 2026-118")
        send(look, "begin")
        look.page.get_by_role("heading", name="B 2026-118").wait_for()
        for kind in ("good",) * 5 + ("crack", "crack"):
            line.upload(vial_images[kind][0].read_bytes())
        look.go("/batches/B%202026-118")
        assert "It can be signed when it has been ended." in look.text("#unsignable")
        assert "not ended" in look.text(".decide .against")
        look.go("/batches")
        both_sizes(look, screenshots, "batches-running")
        look.page.get_by_role("button", name="End the batch").click()
        fill(look, "stop", why="order done")
        send(look, "stop")
        look.page.locator(".equation").wait_for()
        assert "7 came by = 5 passed" in look.text(".equation")
        assert "✓ fits" in look.text(".equation")
        assert "None of the roles of otto" in look.text("#unsignable")
        look.go("/batches")
        look.page.get_by_role("button", name="Begin a batch").click()
        fill(look, "begin", batch="B 2026-118", why="once more")
        send(look, "begin")
        assert "a batch's name is used once" in fault(look, "begin")
        refused(look)

    with looking(browser, line, "quinn", "/batches/B%202026-118") as look:
        look.page.locator(".worst img").first.wait_for()
        both_sizes(look, screenshots, "batch")
        stopped = line.service.archive.latest(1, outcome="REJECT")
        assert look.page.locator(".worst a").first.get_attribute("href").startswith("/records/station-1/")
        assert stopped and f"{len(look.page.locator('.worst li').all())} units did not pass" in look.text(
            ".decide .against"
        )
        look.page.get_by_role("button", name="Sign", exact=True).click()
        look.accessible()
        look.page.screenshot(path=screenshots / "batch-sign.png")
        look.page.locator("#sign [name=meaning]").select_option("released")
        fill(look, "sign", why="counts reviewed", name="quinn", password="wrong-one-here")
        send(look, "sign")
        assert "do not fit" in fault(look, "sign")
        refused(look)
        fill(look, "sign", password=PASSWORD)
        send(look, "sign")
        look.page.locator(".signatures li").wait_for()
        assert "released by Quinn Person-5" in look.text(".signatures")
        look.page.get_by_role("button", name="Sign", exact=True).click()
        assert "released" not in look.page.locator("#sign [name=meaning]").inner_text()
        look.press("Escape")
        with look.page.expect_download() as downloaded:
            look.page.get_by_role("link", name="Data as JSON").click()
        report = json.loads(Path(downloaded.value.path()).read_text())
        assert (report["triggered"], report["signatures"][0]["meaning"]) == (7, "released")
        with look.page.expect_download() as downloaded:
            look.page.get_by_role("link", name="Report as PDF").click()
        assert Path(downloaded.value.path()).read_bytes().startswith(b"%PDF-")
    with looking(browser, line, "ruth", "/batches/B%202026-118", theme="dark") as look:
        look.accessible()
        look.page.screenshot(path=screenshots / "batch-dark.png", full_page=True)
        look.page.get_by_role("button", name="Sign", exact=True).click()
        assert look.page.locator("#sign [name=meaning] option").all_inner_texts() == ["reviewed"]


def test_the_list_finds_pages_and_says_what_does_not_fit(line: Running, browser: "Browser", screenshots: Path) -> None:
    for number in range(30):
        begun_and_ended(line, f"L-{number:02d}", 3 if number == 29 else 2, 2)
    line.service.archive.append(Draft("unit", unit="u", batch="X-named", outcome="PASS", reason="within_limits"),
                                "station-1")  # fmt: skip
    with looking(browser, line, "quinn", "/batches") as look:
        first = look.page.locator("#rows tr").first
        assert "L-29" in first.inner_text()
        assert "▲ 3 came by, 2 on record" in first.inner_text()
        assert "✓ 2 came by, all on record" in look.page.locator("#rows tr").nth(1).inner_text()
        assert look.page.locator(".names").inner_text().split() == ["X-named"]
        both_sizes(look, screenshots, "batches")
        assert look.page.locator("#rows th").count() == 25
        look.page.get_by_role("link", name="Show more").click()
        look.page.locator("#rows a", has_text="L-00").wait_for()
        names = look.page.locator("#rows th a").all_inner_texts()
        assert len(names) == len(set(names)) >= 30
        look.page.locator("#text").fill("l-1")
        look.page.wait_for_url("**/batches?text=l-1")
        look.page.locator("#rows", has_not_text="L-29").wait_for()
        assert look.page.locator("#rows th").count() == 10
        look.page.locator("#rows a", has_text="L-13").click()
        look.page.wait_for_url("**/batches/L-13")
        look.page.go_back()
        look.page.locator("#rows a", has_text="L-13").wait_for()
        assert look.page.locator("#text").input_value() == "l-1"
        assert look.page.locator("#rows th").count() == 10
        look.go("/batches/L-29")
        assert "3 units came by and 2 are on record; 1 are missing" in look.text(".decide .against")
        look.go("/batches/X-named")
        assert "nobody ended it" in look.text("#unsignable")
    with looking(browser, line, "aida", "/batches", theme="dark") as look:
        look.accessible()
        look.page.screenshot(path=screenshots / "batches-dark.png", full_page=True)
        assert look.page.get_by_role("button", name="Begin a batch").count() == 0
