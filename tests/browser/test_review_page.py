"""The review queue and the page of one record in a real browser: fast, by keyboard, and no decision lost."""

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from inspection.archive import Archive
from inspection.detector import Detector
from inspection.frames import list_images, read_frame
from inspection.heatmap import encode_heatmap
from inspection.recipe import PackageRef, Recipe
from inspection.records import Draft, FrameRecord
from inspection.reviews import Decision, add_review
from inspection.second_review import change_share
from inspection.station import Station
from tests.browser.looking import BUSY_MS, Look, both_sizes, looking
from tests.people import PASSWORD, people
from tests.serve.serving import Running, running, wait_for, write_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Locator, Route

pytestmark = pytest.mark.timeout(400)
UNITS = 52
CAMERAS = (("file", 73.0), ("side", 72.0), ("top", 71.0))  # the vials that passed are the camera `file`'s
NOW = "2026-11-28T04:00:00.000000Z"
# Notes how long it is from each key to the picture of the next unit, painted.
STOPWATCH = """() => {
  window.took = []; let pressed = null;
  addEventListener("keydown", () => { pressed = performance.now(); }, true);
  new MutationObserver(() => {
    const at = pressed;
    requestAnimationFrame(() => setTimeout(() => { if (at !== null) took.push(performance.now() - at); }, 0));
  }).observe(document.body, { attributes: true, attributeFilter: ["data-unit"] });
}"""


def bottles(archive: Archive, folder: Path) -> None:
    """A batch of bottles as a line would have rejected them; their heatmaps are made up, with one spot each."""
    names = [archive.images.put(path.read_bytes(), path.suffix) for path in list_images(folder)]
    for number in range(UNITS):
        heatmap = np.full((28, 28), 3.0, np.float32)
        heatmap[number % 20 : number % 20 + 4, 10:15] = 30.0
        frame = FrameRecord("top", number, NOW, names[number % len(names)],
                            archive.images.put(encode_heatmap(heatmap), ".npy"), 30.0)  # fmt: skip
        archive.append(bottle(number, 20.0 + number, (frame,)), "station-1")


def bottle(number: int, score: float | None, frames: tuple[FrameRecord, ...], **details: object) -> Draft:
    outcome = ("REJECT", "above_reject_limit") if score else ("REJECT", "late")
    return Draft("unit", f"bottle {number:03d}", "bottles", "bottle", "bottles 1.0.0", "c" * 64, *outcome, score, 10.0,
                 20.0, 44.0, frames, details)  # fmt: skip


@pytest.fixture(scope="module")
def reviewing(
    tmp_path_factory: pytest.TempPathFactory, vial_package: Path, detector: Detector, vial_images: dict[str, list[Path]]
) -> Iterator[Running]:
    """A station whose batch has more than 50 units to decide on, and one of two cameras with everything in it."""
    folder = tmp_path_factory.mktemp("review")
    recipe = Recipe(name="vials", version="1.0.0", product="vial", package=PackageRef(path=vial_package),
                    deadline_ms=60_000, batch="vials")  # fmt: skip
    bad = [path for name, of in vial_images.items() if name != "good" for path in of]
    with Archive(folder / "archive") as archive:
        station = Station(recipe, detector, archive)
        for number in range(4 * UNITS):
            if sum(entry.outcome != "PASS" for entry in archive.latest(500, kind="unit")) >= UNITS:
                break
            path = vial_images["good"][number % 6] if number < 12 else bad[number % len(bad)]
            station.inspect(read_frame(path), unit=f"vial {number:03d}")
        frames = [entry.frames[0] for entry in archive.latest(3, outcome="REJECT")]
        classes = {"classes": {"crack": 0.91, "stain": 0.3}, "severity": {"crack": "critical", "stain": "minor"},
                   "sure": ["crack"], "runtime": "onnxruntime", "message": "seen by two cameras"}  # fmt: skip
        pair = tuple(FrameRecord(camera, 7, NOW, one.image, one.heatmap, score)
                     for one, (camera, score) in zip(frames, CAMERAS, strict=True))  # fmt: skip
        archive.append_all([
            Draft("unit", "two sides", "small", "vial", "vials 1.0.0", detector.package.digest, "REJECT", "class_found",
                  72.0, 42.0, 58.0, 81.0, pair, classes),
            Draft("unit", "too late", "small", "vial", "vials 1.0.0", detector.package.digest, "REJECT", "late",
                  review_limit=42.0, reject_limit=58.0, details={"message": "not decided within 250 ms"}),
        ], "station-1")  # fmt: skip
        change_share(archive, 0.0, "quinn", "none twice, for this test")
    people(folder / "archive", rita="reviewer", ruth="reviewer", quinn="quality", otto="operator")
    with running(write_recipe(folder, vial_package), folder / "archive") as started:
        yield started


def shown(look: Look) -> str:
    return str(look.page.evaluate("document.body.dataset.unit || ''"))


def ready(look: Look, ahead: int = 1) -> None:
    """A person looks at a picture for a while; meanwhile the next ones are fetched."""
    body(look, ", ".join(f"[data-ahead='{count}']" for count in range(ahead, 4)))


def body(look: Look, state: str) -> None:
    """Wait until the page says so of itself."""
    look.page.locator(f"body:is({state})").wait_for(state="attached")


def all_recorded(look: Look) -> None:
    body(look, "[data-waiting='0']")


def moved(pane: "Locator") -> list[float]:
    """Scale and place of a pane."""
    read = "pane => { const at = new DOMMatrix(getComputedStyle(pane).transform); return [at.a, at.e, at.f]; }"
    return [float(value) for value in pane.evaluate(read)]


def review_fifty(look: Look, what: str) -> None:
    """Decide on 50 units, each as soon as a person can have looked at it, and say how long the next picture took."""
    left = int(look.text("#done").split(" of ")[1].split()[0])
    assert left >= 50
    look.page.evaluate(STOPWATCH)
    for number in range(50):
        before = shown(look)
        look.page.wait_for_timeout(150)
        body(look, f"[data-ahead='{min(3, left - number - 1)}']")
        look.press(("f", "r", "t")[number % 3])
        if number < left - 1:
            body(look, f":not([data-unit='{before}'])")
    all_recorded(look)
    look.page.wait_for_timeout(200)
    took = sorted(look.page.evaluate("window.took"))
    assert len(took) >= 49
    median, high = statistics.median(took), took[int(0.95 * len(took))]
    print(f"{what}: key to next picture over {len(took)} units: median {median:.0f} ms, 95th percentile {high:.0f} ms")
    assert look.text("#done").startswith("50 of")
    assert median < BUSY_MS


def test_fifty_vials_by_keyboard(reviewing: Running, browser: "Browser") -> None:
    archive = reviewing.service.archive
    before = archive.count_entries()
    with looking(browser, reviewing, "rita", "/review?batch=vials") as look:
        ready(look, 3)
        review_fifty(look, "vials, 400 x 560")
    decided = [entry for entry in archive.latest(60, kind="event") if entry.reason == "review"]
    assert len(decided) == 50 and archive.count_entries() >= before + 50
    assert {entry.details["reviewer"] for entry in decided} == {"rita"}
    with looking(browser, reviewing, "rita", "/review?batch=vials") as look:
        look.page.locator("#done", has_text="50 of").wait_for()  # what was decided is not shown again


def test_fifty_bottles_by_keyboard(reviewing: Running, browser: "Browser", real_data: Path, screenshots: Path) -> None:
    bottles(reviewing.service.archive, real_data / "mvtec_ad" / "bottle" / "test" / "broken_large")
    with looking(browser, reviewing, "rita", "/review?batch=bottles") as look:
        ready(look, 3)
        look.page.screenshot(path=screenshots / "review-bottle.png")
        review_fifty(look, "bottles, 640 x 640")


def test_a_unit_is_looked_at_closely(reviewing: Running, browser: "Browser", screenshots: Path) -> None:
    with looking(browser, reviewing, "rita", "/review?batch=small") as look:
        page = look.page
        ready(look)
        own, normal = (page.locator(f"[data-stage={of}] .pane") for of in ("own", "normal"))
        assert page.locator(".panel h2").inner_text() == "two sides"
        for words in ("defect named", "seen by two cameras", "72.00", "crack", "critical", "91 %", "side"):
            assert words in look.text("#panel"), words
        normal.locator("img").wait_for()
        assert "most similar of" in look.text("[data-says=normal]")
        assert page.locator("[data-stage=own] polygon.reject").count() > 0
        both_sizes(look, screenshots, "review")
        # zoom: both pictures as one, and the whole resolution
        look.press("+ + +")
        page.locator("[data-stage=own] img[data-full]").wait_for()
        wait_for(lambda: moved(own)[0] > 1.5 and moved(own) == pytest.approx(moved(normal)))
        before = moved(own)
        page.mouse.move(500, 400)
        page.mouse.down()
        page.mouse.move(540, 430)
        page.mouse.up()
        wait_for(lambda: moved(own) != before and moved(own) == pytest.approx(moved(normal), abs=1))
        page.screenshot(path=screenshots / "review-zoomed.png")
        look.press("0")
        page.locator("[data-says=zoom]", has_text="1.0").wait_for()
        # heatmap and outlines
        opacity = "over => Number(getComputedStyle(over).opacity)"
        assert page.locator(".over").evaluate(opacity) == 0.6
        look.press("h o")
        assert page.locator(".over").evaluate(opacity) == 0
        assert not page.locator("[data-stage=own] svg").is_visible()
        look.press("h o")
        # frames: the worst first
        assert page.locator(".thumbs button[aria-pressed=true]").get_attribute("aria-label") == "Frame 1, file"
        look.press("]")
        page.locator("[data-says=own]", has_text="side").wait_for()
        # a number names a defect, c goes to the comment, and what is typed there is no command
        look.press("1")
        assert page.locator("[data-number='1']").is_checked()
        look.press("c")
        page.keyboard.type("from the left")
        look.press("Enter r")
        page.locator("#place", has_text="Unit 2").wait_for()
        assert "too late" in look.text("#panel") and "Score –" in look.text("#panel")
        all_recorded(look)
        # back to it, and decided anew: both stay, the later one counts
        look.press("p")
        page.locator("#panel .reviews .counts", has_text="crack").wait_for()
        assert page.locator("[name=comment]").input_value() == "from the left"
        look.press("1 f")
        all_recorded(look)
        assert "unit=station-1" in page.url
        page.reload()
        page.locator("#done", has_text="1 of 2").wait_for()
        look.press("? ")
        assert "Confirm reject" in look.text("#keys")
    reviews = [entry for entry in reviewing.service.archive.latest(300, kind="event") if entry.unit == "two sides"]
    assert [entry.details["decision"] for entry in reviews] == ["false_reject", "confirm_reject"]
    assert reviews[1].details["labels"] == ["crack"] and reviews[1].details["comment"] == "from the left"
    with looking(browser, reviewing, "otto", "/review?batch=small", theme="dark") as look:
        look.page.locator("#panel .panel").wait_for()
        assert look.page.locator("#decide").count() == 0
        look.accessible()
        look.page.screenshot(path=screenshots / "review-dark.png")


def test_a_decision_that_cannot_be_recorded_is_not_lost(reviewing: Running, browser: "Browser") -> None:
    archive = reviewing.service.archive
    for number in range(3):
        archive.append(Draft("unit", f"lost {number}", "lost", "vial", "vials 1.0.0", "c" * 64, "REJECT", "late"),
                       "station-1")  # fmt: skip
    asked: list[str] = []

    def leaving(dialog: "Dialog") -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    with looking(browser, reviewing, "rita", "/review?batch=lost") as look:
        page = look.page
        page.on("dialog", leaving)
        ready(look, 2)
        first = shown(look)

        def cut(route: "Route") -> None:
            route.abort()

        page.route("**/review", cut)
        look.press("r")
        page.locator("#unsaved", has_text="No connection to the station").wait_for()
        wait_for(lambda: page.evaluate("document.body.dataset.unit") == first)
        look.press("n")
        page.wait_for_timeout(300)
        assert shown(look) == first, "nobody goes on before it is recorded"
        page.evaluate("setTimeout(() => location.assign('/'), 0)")
        wait_for(lambda: page.evaluate("1") and asked == ["beforeunload"])
        page.unroute("**/review", cut)
        page.locator("#again").click()
        all_recorded(look)
        assert page.locator("#unsaved").is_hidden()
        look.press("n")
        body(look, f":not([data-unit='{first}'])")
        look.errors.clear()  # of the connection that was cut
    [made] = [entry for entry in archive.latest(20, kind="event") if entry.batch == "lost"]
    assert (made.unit, made.details["decision"]) == ("lost 0", "confirm_reject")


def test_two_who_disagree_and_one_who_settles(reviewing: Running, browser: "Browser", screenshots: Path) -> None:
    archive = reviewing.service.archive
    names = [archive.append(Draft("unit", f"twice {number}", "twice", "vial", "vials 1.0.0", "c" * 64, "REJECT",
                                  "above_reject_limit", 60.0 + number, 42.0, 58.0), "station-1").name
             for number in range(6)]  # fmt: skip
    for number, name in enumerate(names):
        add_review(archive, name, (), "rita", "", Decision.CONFIRM_REJECT if number else Decision.FALSE_REJECT)
        if number:
            add_review(archive, name, (), "ruth", "", list(Decision)[number // 3], blind=True)
    change_share(archive, 1.0, "quinn", "all twice, for this test")
    try:
        with looking(browser, reviewing, "ruth", "/review?batch=twice") as look:
            look.page.locator("#place", has_text="Unit 1").wait_for()
            assert shown(look) == names[0]
            assert "rita" not in look.text("#panel") and "Nobody has decided" in look.text("#panel")
            look.press("r")
            all_recorded(look)
            look.page.locator("#empty", has_text="all 6 are done").wait_for()
        with looking(browser, reviewing, "quinn", "/review?batch=twice") as look:
            look.page.locator("#agreement details[open]").wait_for()
            assert "4 to settle" in look.text("#agreement summary")
            assert "same in 2 of 6" in look.text("#agreement")
            both_sizes(look, screenshots, "agreement")
            look.page.locator("#agreement tbody a", has_text="twice 0").click()
            look.page.locator(".needs", has_text="Your decision settles it").wait_for()
            body(look, "[data-ready]")
            look.press("f")
            look.page.locator(".reviews .counts", has_text="settles").wait_for()
    finally:
        change_share(archive, 0.0, "quinn", "none twice, for this test")


def test_the_page_of_one_record(reviewing: Running, browser: "Browser", screenshots: Path) -> None:
    archive = reviewing.service.archive
    entry = next(entry for entry in archive.latest(500, outcome="REJECT") if entry.unit == "two sides")
    with looking(browser, reviewing, "rita", f"/records/{entry.name}") as look:
        page = look.page
        page.locator("[data-stage=own] img").first.wait_for()
        page.locator("[data-stage=normal] img").wait_for()
        for words in (entry.hash, entry.previous, "two sides", "vial-patchcore"):
            assert words in look.text("main"), words
        both_sizes(look, screenshots, "unit")
        page.get_by_role("button", name="Sign this record").click()
        look.accessible()
        page.locator("#signing [name=why]").fill("looked at twice")
        page.locator("#signing [name=name]").fill("rita")
        page.locator("#signing [name=password]").fill(PASSWORD)
        page.locator("#signing button", has_text="Sign").click()
        page.locator(".signatures li", has_text="looked at twice").wait_for()
        body(look, "[data-ready]")
        page.locator("[name=comment]").fill("seen here")
        look.press("Enter t")
        page.locator(".reviews .counts", has_text="Cannot tell").wait_for()
        assert "seen here" in look.text(".reviews")
        body(look, "[data-ready]")
        look.press("n")
        page.wait_for_url(f"**/records/station-1/{entry.sequence + 1}")
        page.go_back()
        page.wait_for_url(f"**/records/{entry.name}")
        address = page.locator("a", has_text="JSON").get_attribute("href")
        assert page.evaluate("address => fetch(address).then((answer) => answer.json())", address)["hash"] == entry.hash
    event = next(entry for entry in archive.latest(20, kind="event") if entry.reason == "review")
    with looking(browser, reviewing, "rita", f"/records/{event.name}", theme="dark") as look:
        assert look.text("h1") == "Review decision"
        assert event.hash in look.text("main")
        both_sizes(look, screenshots, "event")
