"""Search and gallery in a real browser: filters, thousands of tiles, ticks, keys, export."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from inspection.archive import Archive
from inspection.audit import AuditQuery, find_audit
from inspection.records import Draft, FrameRecord, utc_text
from inspection.reviews import add_review
from tests.browser.conftest import EVERYBODY
from tests.browser.looking import BUSY_MS, both_sizes, looking
from tests.people import people
from tests.serve.serving import Running, running, wait_for, write_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.timeout(300)
UNITS = 2400
PACKAGE = "a" * 64


def unit(number: int, image: str, bad: str | None) -> Draft:
    """A record of a classifier that names what it is sure of; a tenth of the units did not pass."""
    outcome, reason, score = "PASS", "within_limits", 9.0 + number % 40 / 10
    details: dict[str, object] = {}
    if bad:
        outcome, reason, score = "REJECT", "class_found", 18.0 + number % 90 / 10
        details = {"classes": {bad: 0.97}, "sure": [bad], "severity": {bad: "major"}}
        if number % 100 == 19:
            outcome, reason, score, details = "REVIEW", "above_review_limit", 16.0, {}
    frames = (FrameRecord("top", number, utc_text(), image, None, score),)
    return Draft("unit", f"u-{number:05d}", f"B-{number // 1000 + 1}", "vial", "vials 1.0.0", PACKAGE, outcome, reason,
                 score, 15.0, 17.0, 64.0, frames, details)  # fmt: skip


@pytest.fixture(scope="module")
def plant(
    tmp_path_factory: pytest.TempPathFactory, vial_package: Path, vial_images: dict[str, list[Path]]
) -> Iterator[Running]:
    """An archive of 2,400 units with pictures, three of them reviewed."""
    folder = tmp_path_factory.mktemp("records")
    people(folder / "archive", **EVERYBODY)
    with Archive(folder / "archive") as archive:
        stored = {name: [archive.images.put(path.read_bytes(), ".png") for path in paths] for name, paths in
                  vial_images.items()}  # fmt: skip
        bad = sorted(name for name in stored if name != "good")
        drafts = []
        for number in range(UNITS):
            name = bad[number // 10 % len(bad)] if number % 10 == 9 else None
            images = stored[name or "good"]
            drafts.append(unit(number, images[number // 10 % len(images)], name))
        for first in range(0, UNITS, 400):
            archive.append_all(drafts[first : first + 400], "station-1")
        last = UNITS  # sequence of the last unit
        add_review(archive, f"station-1/{last}", (), "rita")
        add_review(archive, f"station-1/{last - 10}", ("crack",), "rita")
        add_review(archive, f"station-1/{last - 20}", ("crack",), "rita")
    with running(write_recipe(folder, vial_package), folder / "archive") as served:
        yield served


def count_of(page: "Page") -> str:
    """How many units fit, once they are counted."""
    page.locator("#count", has_not_text="counting").wait_for()
    page.locator("#list-batch").wait_for(state="attached")
    return page.locator("#count").inner_text().strip()


def query_of(page: "Page") -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_filters_stand_in_the_address_and_the_browser_s_back_works(
    plant: Running, browser: "Browser", screenshots: Path
) -> None:
    with looking(browser, plant, "rita", "/records") as look:
        page = look.page
        assert count_of(page) == "2 400 units"
        page.locator("#units .picture img").first.wait_for()
        both_sizes(look, screenshots, "records")
        page.locator("#list-batch option").first.wait_for(state="attached")
        offered = page.locator("#list-batch option").evaluate_all("all => all.map(one => one.value)")
        assert offered == ["B-3", "B-2", "B-1"]
        page.locator("[name=outcome]").select_option("not_passed")
        page.locator(".chip", has_text="Verdict").wait_for()
        assert query_of(page) == {"outcome": ["not_passed"]}
        assert count_of(page) == "240 units"
        page.locator("[name=batch]").fill("B-2")
        page.keyboard.press("Enter")
        page.locator(".chip", has_text="Batch").wait_for()
        assert count_of(page) == "100 units"
        assert query_of(page) == {"outcome": ["not_passed"], "batch": ["B-2"]}
        page.locator("[name=order]").select_option("worst")
        page.locator("#found[data-search*='order=worst']").wait_for()
        assert query_of(page)["order"] == ["worst"]
        scores = page.locator("#units .line .num").all_text_contents()
        assert [float(one) for one in scores] == sorted((float(one) for one in scores), reverse=True)
        page.go_back()
        page.locator(".chip", has_text="Batch").wait_for()
        assert count_of(page) == "100 units"
        page.go_back()
        page.locator(".chip", has_text="Batch").wait_for(state="detached")
        assert count_of(page) == "240 units"
        page.locator(".chip", has_text="Verdict").click()
        page.wait_for_url("**/records")
        assert count_of(page) == "2 400 units"


def test_a_deep_link_shows_what_it_says_as_a_table_too(plant: Running, browser: "Browser", screenshots: Path) -> None:
    with looking(browser, plant, "aida", "/records?defect=crack&view=table&since=2026-01-01T10:00Z") as look:
        page = look.page
        assert page.locator("[name=defect]").input_value() == "crack"
        assert page.locator("[data-utc=since]").input_value() == "2026-01-01T11:00"  # Berlin
        assert int(count_of(page).split()[0]) == page.locator("#units tr.unit").count() > 0
        assert "crack 97 %" in look.text("#units tr.unit >> nth=0")
        page.locator("#units .picture img").first.wait_for()
        both_sizes(look, screenshots, "records-table")
        assert page.locator("#units input.tick").first.is_hidden()  # an auditor exports nothing
        page.locator("[data-utc=until]").fill("2026-01-02T00:00:00")
        page.locator("[data-utc=until]").blur()
        page.locator(".nothing").wait_for()
        assert query_of(page)["until"] == ["2026-01-01T23:00:00Z"]
        look.accessible()
        page.screenshot(path=screenshots / "records-empty.png")
        look.go("/records?reviewed=crack")
        assert count_of(page) == "2 units"
        assert "reviewed: crack" in look.text("#units .unit >> nth=0")
        look.go("/records?min_score=high")
        assert "min_score is a number" in look.text("#found .fault")
        look.accessible()
    with looking(browser, plant, "aida", "/records?outcome=not_passed", theme="dark") as look:
        count_of(look.page)
        look.page.locator("#units .picture img").nth(8).wait_for()
        look.accessible()
        look.page.screenshot(path=screenshots / "records-dark.png")


WATCH = """() => {
  window.tasks = []; window.frames = []; let last = performance.now();
  const long = list => list.getEntries().forEach(one => tasks.push(one.duration));
  new PerformanceObserver(long).observe({type: "longtask"});
  const each = now => { frames.push(now - last); last = now; requestAnimationFrame(each); };
  requestAnimationFrame(each);
}"""


def test_thousands_of_tiles_scroll_smoothly_and_few_pictures_are_asked_for_at_once(
    plant: Running, browser: "Browser", screenshots: Path
) -> None:
    under_way, most = set[object](), 0
    with looking(browser, plant, "rita", "/records") as look:
        page = look.page

        def asked(request: object) -> None:
            nonlocal most
            if "/image?" in request.url:  # type: ignore[attr-defined]
                under_way.add(request)
                most = max(most, len(under_way))

        page.on("request", asked)
        page.on("requestfinished", lambda request: under_way.discard(request))
        page.on("requestfailed", lambda request: under_way.discard(request))
        page.evaluate(WATCH)
        for _ in range(2000):  # the test's own time limit ends it
            page.mouse.wheel(0, 1400)
            page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            if page.locator(".further", has_text="End of what fits").count():
                break
        assert page.locator("#units .unit").count() == UNITS
        page.mouse.wheel(0, 10_000_000)
        empty = """() => [...document.querySelectorAll("#units .unit")].filter(unit => {
            const box = unit.getBoundingClientRect(), image = unit.querySelector("img");
            return box.bottom > 0 && box.top < innerHeight && !(image && image.complete && image.naturalWidth);
        }).length"""
        wait_for(lambda: page.evaluate(empty) == 0)
        page.screenshot(path=screenshots / "records-end.png")
        told = page.evaluate("() => ({tasks, frames: frames.slice(5)})")
        frames = sorted(told["frames"])
        middle, slow = frames[len(frames) // 2], frames[len(frames) * 99 // 100]
        print(
            f"{len(frames)} frames, p50 {middle:.0f} ms, p99 {slow:.0f} ms, {sum(one > 100 for one in frames)} over 100"
        )
        print(
            f"{len(told['tasks'])} long tasks, longest {max(told['tasks'], default=0):.0f} ms; {most} pictures at once"
        )
        assert most <= 6
        assert middle < BUSY_MS, "frames come in time"
        page.evaluate("scrollTo(0, 0)")
        wait_for(lambda: page.evaluate(empty) == 0)


def test_a_selection_is_ticked_by_keys_and_mouse_and_exported(
    plant: Running, browser: "Browser", screenshots: Path, tmp_path: Path
) -> None:
    with looking(browser, plant, "rita", "/records") as look:
        page = look.page
        count_of(page)
        look.press("ArrowRight Space ArrowRight ArrowDown Space")
        assert look.text("#selection strong") == "2 ticked"
        page.locator("#units .unit input.tick").nth(3).click()
        page.locator("#units .unit input.tick").nth(12).click(modifiers=["Shift"])
        ticked = page.locator("#units .unit:has(input.tick:checked)")
        names = set(ticked.evaluate_all("all => all.map(one => one.dataset.record)"))
        assert look.text("#selection strong") == f"{len(names)} ticked"
        assert len(names) >= 11
        look.press("x")
        page.locator("#export .plan strong").wait_for()
        look.accessible()
        page.screenshot(path=screenshots / "records-export.png")
        with page.expect_download() as downloading:
            page.locator("#export button", has_text="Download").click()
        downloading.value.save_as(tmp_path / "set.zip")
        page.locator("#export").wait_for(state="hidden")
        with zipfile.ZipFile(tmp_path / "set.zip") as packed:
            assert packed.testzip() is None
            manifest = json.loads(packed.read("selection.json"))
            listed = [json.loads(line) for line in packed.read("images.jsonl").splitlines()]
        assert {line["record"] for line in listed} == names
        assert manifest["exported_by"] == "rita"
        [event] = find_audit(plant.service.archive, AuditQuery(what="selection_exported"))
        assert (event.by, event.record) == ("rita", manifest["audit"])

        look.go("/records?batch=B-1&outcome=REJECT")
        page.locator("[data-ticks=all]").click()
        assert look.text("#selection strong") == "All that fit are ticked"
        page.locator("[data-exports]").click()
        page.locator("#export .plan strong").wait_for()
        assert "90 units" in look.text("#export .plan strong")
        assert "no good unit among them" in look.text("#export .plan")
        page.keyboard.press("Escape")
        page.locator("[data-ticks=none]").click()
        assert page.locator("#selection").is_hidden()
        page.locator("#units .opens").first.focus()
        look.press("ArrowRight")
        record = page.evaluate("document.activeElement.closest('.unit').dataset.record")
        page.route("**/records/station-1/*", lambda route: route.fulfill(body="opened"))
        look.press("Enter")
        page.wait_for_url(f"**/records/{record}")
