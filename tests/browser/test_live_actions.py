"""What an operator does on the live page, and that nobody else is offered it: batches, going on after a stop,
changeover. And what is told of alarms and of the reject rate."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml

from inspection.archive import Archive
from inspection.records import Draft, utc_text
from tests.browser.looking import both_sizes, looking
from tests.people import people
from tests.serve.serving import Running, running, wait_for, write_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(180)
Images = dict[str, list[Path]]
PEOPLE = {"otto": "operator", "rita": "reviewer"}


@pytest.fixture
def quiet(tmp_path: Path, vial_package: Path) -> Iterator[Running]:
    """A station without a camera, with another recipe and a broken one beside its own."""
    recipe = write_recipe(tmp_path, vial_package)
    other = yaml.safe_load(recipe.read_text()) | {"name": "ampoules", "version": "2.0.0"}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other))
    (tmp_path / "broken.yaml").write_text("name: no\n")
    people(tmp_path / "archive", **PEOPLE)
    with running(recipe, tmp_path / "archive") as station:
        yield station


def test_an_operator_begins_and_ends_a_batch_and_sees_whether_it_reconciles(
    quiet: Running, browser: "Browser", vial_images: Images, screenshots: Path
) -> None:
    with looking(browser, quiet, "otto") as look:
        page = look.page
        look.accessible()
        page.get_by_role("button", name="Start a batch").click()
        page.locator("#start-batch [name=batch]").fill("B-7")
        page.locator("#start-batch [name=why]").fill("order 4711")
        look.accessible()
        page.get_by_role("button", name="Start it").click()
        page.locator("#done", has_text="Batch B-7 has begun.").wait_for()
        page.locator("#batch", has_text="B-7").wait_for()
        assert not page.locator("#does-start").is_visible()
        for path in (*vial_images["good"][:2], vial_images["crack"][0]):
            quiet.upload(path.read_bytes())
        page.locator("#batch-units", has_text="3 came by").wait_for()
        page.get_by_role("button", name="Stop the batch").click()
        page.locator("#stop-counts dd").nth(4).wait_for()
        counts = dict(zip(page.locator("#stop-counts dt").all_inner_texts(),
                          page.locator("#stop-counts dd").all_inner_texts(), strict=True))  # fmt: skip
        assert counts["Came by"] == "3"
        assert counts["On their way, or not on record"] == "0"
        assert sum(int(counts[name]) for name in ("Passed", "Rejected", "For review")) == 3
        page.locator("#stop-batch [name=why]").fill("order done")
        both_sizes(look, screenshots, "live-stop-batch")
        page.get_by_role("button", name="Stop it").click()
        page.locator("#ended-fits", has_text="Reconciled").wait_for()
        look.accessible()
        page.screenshot(path=screenshots / "live-batch-ended.png")
        assert page.locator("#ended-link").get_attribute("href") == "/batches/B-7"
        page.locator("#batch-ended").get_by_role("button", name="Close").click()

        page.get_by_role("button", name="Start a batch").click()
        page.locator("#start-batch [name=batch]").fill("B-7")
        page.locator("#start-batch [name=why]").fill("again")
        look.errors.clear()
        page.get_by_role("button", name="Start it").click()
        page.locator("#start-batch .fault", has_text="a batch's name is used once").wait_for()
        look.errors.clear()  # the browser notes the answer 409
        assert quiet.service.batches.current is None


def test_whoever_may_not_operate_sees_no_button(quiet: Running, browser: "Browser") -> None:
    with looking(browser, quiet, "rita") as look:
        look.page.locator("#line-state", has_text="no camera").wait_for()
        assert look.page.locator("main button").count() == 0
        assert look.page.locator("dialog").count() == 1  # of the keys
        look.press("?")
        look.page.locator("#keys[open]", has_text="Frame, heatmap, or both").wait_for()


def test_a_changeover_runs_another_recipe_or_says_in_a_sentence_why_not(
    quiet: Running, browser: "Browser", screenshots: Path
) -> None:
    with looking(browser, quiet, "otto") as look:
        page = look.page
        page.get_by_role("button", name="Change the recipe").click()
        select = page.locator("#changeover [name=recipe]")
        select.locator("option", has_text="broken.yaml").wait_for(state="attached")
        select.select_option("broken.yaml")
        page.locator("#changeover [name=why]").fill("batch B-8")
        page.get_by_role("button", name="Change over").click()
        page.locator("#changeover .fault", has_text="The station goes on with vials 1.0.0.").wait_for()
        look.errors.clear()  # the browser notes the answer 409
        page.screenshot(path=screenshots / "live-changeover.png")
        look.accessible()
        select.select_option("other.yaml")
        page.get_by_role("button", name="Change over").click()
        page.locator("#done", has_text="ampoules 2.0.0 runs.").wait_for(timeout=30_000)
        page.locator("#recipe", has_text="ampoules 2.0.0").wait_for()
        assert quiet.service.line.recipe.name == "ampoules"


def test_alarms_stand_newest_first_with_what_to_do_and_the_station_is_let_go_on(
    tmp_path: Path, vial_package: Path, browser: "Browser", vial_images: Images, screenshots: Path
) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, path in enumerate([*vial_images["crack"][:1] * 3, *vial_images["good"][:3]]):
        shutil.copy(path, frames / f"{number}.png")
    camera = {"kind": "folder", "path": "frames", "rate_hz": 4, "loop": True, "frozen_after": 0}
    recipe = write_recipe(tmp_path, vial_package, camera=camera, consecutive_rejects=2)
    people(tmp_path / "archive", **PEOPLE)
    with running(recipe, tmp_path / "archive") as station, looking(browser, station, "otto", theme="dark") as look:
        page = look.page
        page.locator("#alarms", has_text="Station stopped").wait_for(timeout=30_000)
        assert "units in a row did not pass" in look.text("#alarm")
        station.service.alarms.set("output_lost", "gate plc does not answer", "output plc")
        page.locator("#alarms li").nth(1).wait_for()
        first, second = page.locator("#alarms li").all_inner_texts()
        assert "Receiver lost since" in first
        assert "gate plc does not answer" in first
        assert "if it is a gate, nothing passes" in first
        assert "mend the cause, then let the station go on" in second
        assert look.text("#alarms-count") == "2"
        both_sizes(look, screenshots, "live-alarms", settled=False)
        page.get_by_role("button", name="Let the station go on").click()
        page.locator("#resume [name=why]").fill("light was off")
        page.get_by_role("button", name="Let it go on").click()
        page.locator("#done", has_text="The station goes on.").wait_for()
        wait_for(
            lambda: any(event.reason == "station_resumed" for event in station.service.archive.latest(20, kind="event"))
        )
        station.service.alarms.set("output_lost", "", "output plc")
        page.locator("#alarms", has_not_text="Receiver lost").wait_for()


def test_the_reject_rate_outlives_a_restart_and_says_where_it_leaves_its_limits(
    tmp_path: Path, vial_package: Path, browser: "Browser", screenshots: Path
) -> None:
    people(tmp_path / "archive", **PEOPLE)
    fill_trend(tmp_path / "archive")
    with running(write_recipe(tmp_path, vial_package), tmp_path / "archive") as station:
        with looking(browser, station, "otto") as look:
            page = look.page
            page.locator("#trend canvas").wait_for()
            page.locator("#trend-said", has_text="above its upper limit since").wait_for()
            assert "limits" in look.text("#trend-now")
            assert "above its upper limit" in (page.locator("#trend").get_attribute("aria-label") or "")
            page.locator("#trail a").nth(30).wait_for()
            strip = page.locator("#trail a").first
            newest = station.service.archive.latest(1, kind="unit")[0]
            assert strip.get_attribute("href") == f"/records/station-1/{newest.sequence}"
            strip.focus()
            look.press("ArrowRight ArrowRight")
            third = f"/records/station-1/{newest.sequence - 2}"
            assert page.evaluate("document.activeElement.getAttribute('href')") == third
            page.locator("#trend").hover(position={"x": 400, "y": 60})
            page.locator("#trend-at", has_text="did not pass").wait_for()
            both_sizes(look, screenshots, "live-trend")
        with looking(browser, station, "otto", theme="dark") as look:
            look.page.locator("#trend canvas").wait_for()
            both_sizes(look, screenshots, "live-trend-dark")


def fill_trend(folder: Path) -> None:
    """Forty minutes of units on record, of which in the last three more do not pass."""
    random = np.random.default_rng(4)
    now = datetime.now(UTC)
    stopped, passed = ("REJECT", "above_reject_limit", 9.0), ("PASS", "within_limits", 1.0)
    with Archive(folder) as archive, pytest.MonkeyPatch.context() as patch:
        for minute in range(40, 0, -1):
            at = utc_text(now - timedelta(minutes=minute))
            patch.setattr("inspection.archive.utc_text", partial(str, at))
            drafts = []
            for number in range(60):
                outcome, reason, score = stopped if random.random() < (0.03 if minute > 3 else 0.25) else passed
                drafts.append(
                    Draft("unit", unit=f"u-{minute}-{number}", batch="B-1", product="vial", recipe="vials 1.0.0",
                          outcome=outcome, reason=reason, score=score, review_limit=5.0, reject_limit=7.0,
                          latency_ms=20.0)
                )  # fmt: skip
            archive.append_all(drafts, "station-1")
