"""The live page of a line with several cameras: each has its picture, its own sign and score, and all its frames."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inspection.frame_verdicts import frame_verdicts
from inspection.records import Entry
from tests.browser.looking import TABLET, both_sizes, looking
from tests.people import people
from tests.serve.serving import Running, running, wait_for, write_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(180)
Images = dict[str, list[Path]]
WITHIN_MS = 4000
FRAMES = {"top": 2, "side": 1, "bottom": 1}


def inspect(station: Running, unit: str, frames: list[tuple[str, Path]]) -> Entry:
    """Announce a unit and push its frames, each as (camera, file); the unit's record. Afterwards the next one may come
    by: no camera may give a frame of this one any more."""
    came = time.monotonic()
    assert station.client.post("/api/trigger", json={"unit": unit}).status_code == 202
    for camera, path in frames:
        files = {"image": ("image.png", path.read_bytes())}
        assert station.client.post(f"/api/cameras/{camera}/frames", files=files).is_success
    latest = lambda: station.service.archive.latest(1, kind="unit")  # noqa: E731
    wait_for(lambda: [entry.unit for entry in latest()] == [unit], 60)
    wait_for(lambda: time.monotonic() - came > 1.1 * WITHIN_MS / 1000)
    return latest()[0]


def recipe_of(folder: Path, package: Path, cameras: dict[str, int]) -> Path:
    """A recipe with cameras that frames are pushed to, so many of each unit, and a trigger that tests fire."""
    each = [{"kind": "http", "name": name, "frames": frames, "within_ms": WITHIN_MS, "frozen_after": 0}
            for name, frames in cameras.items()]  # fmt: skip
    return write_recipe(folder, package, cameras=each, trigger={"kind": "software"}, batch="B-2026-118")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, vial_package: Path, vial_images: Images) -> Iterator[Running]:
    """Three cameras, one of them with two frames of each unit, of which the second is the worse one."""
    folder = tmp_path_factory.mktemp("cameras")
    people(folder / "archive", otto="operator")
    with running(recipe_of(folder, vial_package, FRAMES), folder / "archive") as station:
        inspect(station, "vial 1", shots(vial_images))
        yield station


def shots(images: Images) -> list[tuple[str, Path]]:
    good = images["good"]
    return [("top", good[0]), ("top", images["crack"][0]), ("side", good[1]), ("bottom", good[2])]


def test_each_camera_has_its_picture_its_sign_and_its_score(
    line: Running, browser: "Browser", screenshots: Path
) -> None:
    with looking(browser, line, "otto") as look:
        page = look.page
        page.locator("[data-camera=bottom] .heatmap img").wait_for()
        assert page.locator(".camera .name").all_inner_texts() == list(FRAMES)
        assert page.locator(".cameras").get_attribute("data-view") == "heatmap"
        [entry] = line.service.archive.latest(1, kind="unit")
        worst = {frame.camera: said for frame, said in zip(entry.frames, frame_verdicts(entry), strict=True)}
        for name, said in worst.items():
            tile = page.locator(f"[data-camera={name}]")
            assert tile.get_attribute("data-outcome") == said.outcome
            assert tile.locator(".score").inner_text() == f"{said.score:.2f}"
            assert name in (tile.locator(".heatmap img").get_attribute("alt") or "")
        assert worst["top"].outcome != "PASS"
        assert worst["side"].outcome == "PASS"
        assert page.locator("[data-camera=top] .frames button").count() == 2
        assert page.locator("[data-camera=side] .frames button").count() == 0
        assert (
            page.locator("#stopped img").first.get_attribute("src")
            == f"/api/records/{entry.name}/image?frame=1&width=130"
        )
        assert "top (2 frames): works" in look.text("#camera-states")
        both_sizes(look, screenshots, "live-cameras")


def test_a_frame_and_a_kind_of_picture_that_are_chosen_stay_shown(
    line: Running, browser: "Browser", vial_images: Images, screenshots: Path
) -> None:
    with looking(browser, line, "otto", theme="dark") as look:
        page = look.page
        page.locator("[data-camera=top] .heatmap img").wait_for()
        first, second = page.locator("[data-camera=top] .frames button").all()
        assert second.get_attribute("data-shown") is not None, "the worse frame is not the one that is shown"
        first.click()
        page.locator("[data-camera=top] .frames button[aria-pressed=true][data-shown]").wait_for()
        inspect(line, "vial 2", shots(vial_images))
        page.locator("#unit", has_text="vial 2").wait_for()
        assert first.get_attribute("data-shown") is not None
        assert "Heatmap of frame 1 of 2" in look.text("[data-camera=top]")
        said = page.locator("[data-camera=top]").get_attribute("data-outcome")
        assert said != "PASS", "a good frame that is looked at makes the camera say that all is well"
        look.press("v")
        assert "view=both" in page.url
        page.locator("[data-camera=bottom] .frame img").wait_for()
        page.locator("[data-camera=bottom] .heatmap img").wait_for()
        both_sizes(look, screenshots, "live-cameras-dark")
        page.reload()
        assert page.locator(".cameras").get_attribute("data-view") == "both"


def test_on_the_wall_the_verdict_is_large_and_nothing_is_to_press(
    line: Running, browser: "Browser", screenshots: Path
) -> None:
    with looking(browser, line, "otto", "/?wall=1&view=frame") as look:
        page = look.page
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


def test_eight_cameras_are_told_apart(
    tmp_path: Path, vial_package: Path, vial_images: Images, browser: "Browser", screenshots: Path
) -> None:
    names = [f"view-{number}" for number in range(1, 9)]
    people(tmp_path / "archive", rita="reviewer")
    with (
        running(recipe_of(tmp_path, vial_package, dict.fromkeys(names, 1)), tmp_path / "archive") as station,
        looking(browser, station, "rita") as look,
    ):
        page = look.page
        assert page.locator(".camera .name").all_inner_texts() == names
        good = vial_images["good"]
        frames = [(name, good[number % len(good)]) for number, name in enumerate(names)]
        frames[5] = (names[5], vial_images["crack"][0])
        inspect(station, "vial 8", frames)
        page.locator("#unit", has_text="vial 8").wait_for(timeout=30_000)
        outcomes = [page.locator(f"[data-camera={name}]").get_attribute("data-outcome") for name in names]
        assert [name for name, outcome in zip(names, outcomes, strict=True) if outcome != "PASS"] == ["view-6"]
        assert page.locator(".camera .heatmap img").count() == 8
        both_sizes(look, screenshots, "live-eight")
