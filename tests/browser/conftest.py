"""A real browser. Where there is none, its tests fail in CI and are skipped, with the reason, elsewhere."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inspection.archive import Archive
from inspection.detector import Detector
from inspection.frames import read_frame
from inspection.recipe import PackageRef, Recipe
from inspection.station import Station
from tests.people import people
from tests.serve.serving import Running, running, write_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = Path("/usr/bin/chromium")


def absent(reason: str) -> None:
    if os.environ.get("CI") or os.environ.get("INSPECTION_REQUIRE_TEST_DATA"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Chromium without a window."""
    if not CHROMIUM.exists():
        absent(f"{CHROMIUM} is not there: install the package chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("playwright is not installed: install the extra dev")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Where pictures of pages go."""
    folder = Path(os.environ.get("INSPECTION_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# One of each role, for tests of what each of them sees.
EVERYBODY = {"rita": "reviewer", "ruth": "reviewer", "quinn": "quality", "otto": "operator", "enno": "engineer",
             "aida": "auditor"}  # fmt: skip


def fill(folder: Path, package_file: Path, detector: Detector, images: dict[str, list[Path]], units: int) -> None:
    """An archive of two batches, B-1 and B-2, with that many units each, about a quarter of them defective."""
    good = images["good"]
    bad = [
        path for group in zip(*(of for name, of in images.items() if name != "good"), strict=False) for path in group
    ]
    with Archive(folder) as archive:
        for batch in ("B-1", "B-2"):
            recipe = Recipe(name="vials", version="1.0.0", product="vial", package=PackageRef(path=package_file),
                            deadline_ms=60_000, batch=batch)  # fmt: skip
            station = Station(recipe, detector, archive)
            for number in range(units):
                path = bad[number // 4 % len(bad)] if number % 4 == 3 else good[number % len(good)]
                station.inspect(read_frame(path), unit=f"{batch}-{number:04d}")


@pytest.fixture(scope="session")
def station(
    tmp_path_factory: pytest.TempPathFactory, vial_package: Path, detector: Detector, vial_images: dict[str, list[Path]]
) -> Iterator[Running]:
    """A station without a camera over an archive of 120 units, with an account of each role. Tests of one worker share
    it: what a test changes must not be what another one looks at."""
    folder = tmp_path_factory.mktemp("pages")
    fill(folder / "archive", vial_package, detector, vial_images, 60)
    people(folder / "archive", **EVERYBODY)
    with running(write_recipe(folder, vial_package), folder / "archive") as started:
        yield started
