"""The live page in a real browser: what an operator sees, and that it keeps up with the line."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import onnx
import pytest

from inspection.archive import Archive, ArchiveFault
from inspection.detector import Detector
from inspection.frames import read_frame
from inspection.package import read_package, seal
from inspection.verdict import Limits, Outcome
from tests.browser.looking import Look
from tests.people import PASSWORD
from tests.serve.serving import Running, running, write_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

pytestmark = pytest.mark.timeout(180)
Images = dict[str, list[Path]]
DESKTOP, TABLET = (1440, 900), (800, 1100)
SECONDS = 1000


@dataclass
class Opened:
    """The page, and what its browser did: addresses asked for, what went wrong, pictures asked for at one time."""

    page: "Page"
    addresses: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    pictures_under_way: int = 0
    most_pictures: int = 0

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def wait(self, selector: str, text: str) -> None:
        """Wait until the element shows that text."""
        self.page.locator(selector).filter(has_text=text).wait_for(timeout=30 * SECONDS)

    def wait_outcome(self, outcome: str) -> None:
        self.page.locator(f"#verdict[data-outcome={outcome}]").wait_for(timeout=60 * SECONDS)

    def unit_shown(self, outcome: str) -> dict[str, str]:
        """What the page says of one unit with that outcome, read in one step: the line does not wait for a test."""
        read = """page => Object.fromEntries(["#verdict .outcome", "#reason", "#score"].map(
            selector => [selector, page.querySelector(selector).innerText]))"""
        for _ in range(50):
            self.wait_outcome(outcome)
            shown: dict[str, str] = self.page.locator("html").evaluate(read)
            if shown["#verdict .outcome"] == outcome:
                return shown
        raise AssertionError(f"no unit shown as {outcome} for long enough to be read")

    def requested(self, request: "Request") -> None:
        self.addresses.append(request.url)
        if request.resource_type == "image" and not request.url.startswith("data:"):
            self.pictures_under_way += 1
            self.most_pictures = max(self.most_pictures, self.pictures_under_way)

    def ended(self, request: "Request") -> None:
        if request.resource_type == "image" and not request.url.startswith("data:"):
            self.pictures_under_way -= 1


def sign_in(page: "Page") -> None:
    """As a person does who was sent to the page to sign in on."""
    page.locator("#sign-in [name=name]").fill("root.person")
    page.locator("#sign-in [name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator("body[data-listening=yes]").wait_for()


@contextmanager
def opened(browser: "Browser", address: str, size: tuple[int, int] = DESKTOP) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    seen = Opened(page)
    page.on("request", seen.requested)
    page.on("requestfinished", seen.ended)
    page.on("requestfailed", seen.ended)
    page.on("console", lambda message: seen.errors.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.goto(address)
    sign_in(page)
    try:
        yield seen
    finally:
        context.close()


def test_operator_sees_units_go_by(tmp_path: Path, vial_package: Path, browser: "Browser", screenshots: Path) -> None:
    camera = {"kind": "simulator", "rate_hz": 4, "defect_rate": 0.3, "seed": 2}
    recipe = write_recipe(tmp_path, vial_package, camera=camera, batch="B-2026-118")
    with running(recipe, tmp_path / "archive") as station, opened(browser, station.address) as seen:
        for fact in ("station-1", "vials 1.0.0", "B-2026-118", station.service.station.detector.package.digest[:8]):
            assert fact in seen.text("body")
        assert seen.text("#bar-line") == "running"
        seen.wait_outcome("REJECT")
        seen.wait_outcome("PASS")
        first = int(seen.text("#units"))
        assert first > 0
        for name in ("frame", "heatmap"):
            box = seen.page.locator(f".camera .{name} .picture").bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) > 200
            assert seen.page.locator(f".camera .{name} img").evaluate("image => image.naturalWidth") == 400
        passed = seen.unit_shown("PASS")
        assert passed["#reason"] == "within limits"
        assert passed["#score"].startswith("Score ")
        stopped = seen.page.locator("#stopped a").first
        assert stopped.locator("strong").inner_text() in ("REJECT", "REVIEW")
        stopped.locator("img").wait_for()
        seen.page.locator("#units").filter(has_not_text=str(first)).wait_for()
        for width, height in (DESKTOP, TABLET):
            seen.page.set_viewport_size({"width": width, "height": height})
            seen.wait_outcome("REJECT")
            wide = int(seen.page.locator("html").evaluate("page => page.scrollWidth"))
            assert wide <= width, "the page scrolls sideways"
            seen.page.screenshot(path=screenshots / f"live-{width}x{height}.png")
        assert seen.errors == []
    assert {urlsplit(address).hostname for address in seen.addresses if not address.startswith("data:")} == {
        "127.0.0.1"
    }


@pytest.fixture
def reviewing(tmp_path: Path, vial_package: Path, detector: Detector, vial_images: Images) -> Iterator[Running]:
    """A station without a camera whose limits send one defective image to review."""
    score = detector.find(read_frame(vial_images["crack"][0]).pixels).score
    limits = {"review_limit": score * 0.95, "reject_limit": score * 1.05}
    with running(write_recipe(tmp_path, vial_package, limits=limits), tmp_path / "archive") as station:
        yield station


def test_review_asks_for_a_person(
    reviewing: Running, browser: "Browser", vial_images: Images, screenshots: Path
) -> None:
    with opened(browser, reviewing.address) as seen:
        assert seen.text("#verdict .outcome") == "Waiting"
        reviewing.upload(vial_images["crack"][0].read_bytes(), unit="vial 12")
        seen.wait_outcome("REVIEW")
        assert seen.text("#verdict .outcome") == "REVIEW"
        assert sign(seen, "#verdict .sign") == '"?"'
        assert seen.text("#unit") == "vial 12"
        assert seen.text("#count-REVIEW") == "1"
        box = seen.page.locator("#verdict .outcome").bounding_box()
        assert box is not None
        assert box["height"] >= 60, "not readable from two metres"
        seen.page.screenshot(path=screenshots / "live-review.png")
        assert seen.errors == []


def sign(seen: Opened, selector: str) -> str:
    """The sign that stands beside a colour."""
    return str(seen.page.locator(selector).evaluate("element => getComputedStyle(element, '::before').content"))


def test_a_defect_that_a_classifier_names_is_shown_with_its_severity(
    tmp_path: Path,
    vial_package: Path,
    classifier_package: Path,
    browser: "Browser",
    vial_images: Images,
    screenshots: Path,
) -> None:
    given = read_package(classifier_package)
    manifest = given.manifest
    first, *others = manifest.classes
    sure = first.model_copy(update={"confidence_limit": 1e-9, "severity": "critical"})
    unsure = [one.model_copy(update={"confidence_limit": 1.0}) for one in others]
    changed = manifest.model_copy(
        update={
            "classes": [sure, *unsure],
            "limits": Limits(review_limit=0.01, reject_limit=0.02),
            "golden": [golden.model_copy(update={"outcome": Outcome.REJECT}) for golden in manifest.golden],
        }
    )
    (tmp_path / "sure.onnx").write_bytes(seal(onnx.ModelProto.FromString(given.model), changed, given.golden))
    more = {"classifier": {"path": "sure.onnx"}, "limits": {"review_limit": 1e6, "reject_limit": 1e6}}
    recipe = write_recipe(tmp_path, vial_package, **more)
    with running(recipe, tmp_path / "archive") as station, opened(browser, station.address) as seen:
        for _ in range(2):  # told by an event, then read from the archive
            station.upload(vial_images["crack"][0].read_bytes(), unit="vial 12")
            seen.wait_outcome("REJECT")
            seen.wait("#reason", f"defect named · {first.name}")
            assert "reject from 0.02" in seen.text("#limits")
            seen.wait("#severities", "critical")
            assert first.name in seen.text("#stopped li:first-child")
            seen.page.screenshot(path=screenshots / "live-class.png")
            seen.page.reload()
        assert seen.errors == []


def test_unit_without_a_frame_shows_no_old_picture(reviewing: Running, browser: "Browser", vial_images: Images) -> None:
    with opened(browser, reviewing.address) as seen:
        reviewing.upload(vial_images["crack"][0].read_bytes())
        seen.page.locator(".camera .frame img").wait_for()
        reviewing.upload(b"no image", "note.png")
        seen.wait_outcome("REJECT")
        assert sign(seen, "#verdict .sign") == '"✕"'
        assert seen.page.locator(".camera .frame img").count() == 0
        assert seen.page.locator(".camera .heatmap img").count() == 0
        assert seen.text("#reason") == "image unreadable"
        assert "note.png is not an image" in seen.text("#message")
        assert seen.text("#score") == "No score"


def test_alarm_shows_and_goes(
    reviewing: Running, browser: "Browser", vial_images: Images, screenshots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise ArchiveFault("the disk is full")

    with opened(browser, reviewing.address) as seen:
        assert not seen.page.locator("#alarm").is_visible()
        with monkeypatch.context() as patch:
            patch.setattr(Archive, "append", refuse)
            reviewing.upload(vial_images["good"][0].read_bytes())
        seen.wait("#alarm", "the disk is full")
        assert sign(seen, "#alarm strong") == '"▲ "'
        assert seen.page.title().startswith("▲ ")
        seen.wait_outcome("REJECT")
        assert seen.text("#limits") == "not on record"
        seen.page.screenshot(path=screenshots / "live-alarm.png")
        reviewing.upload(vial_images["good"][0].read_bytes())
        seen.page.locator("#alarm").wait_for(state="hidden", timeout=10 * SECONDS)
        assert not seen.page.title().startswith("▲ ")


def test_page_says_that_the_station_is_gone(
    tmp_path: Path, vial_package: Path, browser: "Browser", screenshots: Path
) -> None:
    with (
        running(write_recipe(tmp_path, vial_package), tmp_path / "archive") as station,
        opened(browser, station.address) as seen,
    ):
        seen.wait("#bar-line", "no camera")
        station.stop()
        seen.wait("#alarm", "No connection to the station")
        assert seen.text("#bar-line") == seen.text("#line-state") == "unknown"
        assert "Unknown" in seen.text("#no-alarms"), "nobody knows whether there is an alarm"
        faded = "element => Number(getComputedStyle(element).opacity)"
        assert seen.page.locator(".verdict .sign").evaluate(faded) < 0.5, "what is old looks new"
        Look(seen.page, station).accessible()
        seen.page.screenshot(path=screenshots / "live-lost.png")


def test_page_shows_what_was_before_it_was_opened(reviewing: Running, browser: "Browser", vial_images: Images) -> None:
    for number, path in enumerate((vial_images["crack"][0], vial_images["good"][0])):
        reviewing.upload(path.read_bytes(), unit=f"unit-{number}")
    with opened(browser, reviewing.address) as seen:
        seen.wait("#unit", "unit-1")
        assert seen.page.locator("#trail li").count() == 2
        assert seen.page.locator("#stopped li").count() == 1
        assert seen.text("#units") == "2"


def test_page_keeps_up_with_ten_units_a_second(tmp_path: Path, vial_package: Path, browser: "Browser") -> None:
    camera = {"kind": "simulator", "rate_hz": 10, "defect_rate": 0.3, "seed": 3, "count": 60}
    with (
        running(write_recipe(tmp_path, vial_package, camera=camera, queue=60), tmp_path / "archive") as station,
        opened(browser, station.address) as seen,
    ):
        seen.wait("#bar-line", "finished")
        seen.page.locator("#units", has_text="60").wait_for(timeout=30 * SECONDS)
        [last] = station.service.archive.latest(1, kind="unit")
        assert last.unit is not None
        seen.page.locator("#unit", has_text=last.unit).wait_for(timeout=3 * SECONDS)
        outcomes = station.service.tally.snapshot()["outcomes"]
        assert {name: int(seen.text(f"#count-{name}")) for name in outcomes} == outcomes
        assert seen.most_pictures <= 2
        assert seen.errors == []
