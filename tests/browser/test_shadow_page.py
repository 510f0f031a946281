"""A candidate in the shadow, in a real browser: how it is beside the line, what it found so far, and its promotion with
the report attached, against which it speaks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inspection.accounts.sign_in import SignIn
from inspection.archive import Archive
from inspection.package import Package, read_package
from inspection.registry.items import SHADOW_REPORT, State, find_version, read_versions
from inspection.registry.steps import Registry
from inspection.signatures import Signer
from inspection.signing import signing_key
from inspection.verify import verify_archive
from serve import templating
from tests.browser.conftest import EVERYBODY
from tests.browser.looking import both_sizes, looking
from tests.browser.test_languages import _NAMES, _READ, pseudo, unmarked, words
from tests.browser.test_registry_page import sign
from tests.inspection.reinspection import with_limits
from tests.people import PASSWORD, people
from tests.serve.serving import Running, running, wait_for, write_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(400)
SECONDS = 1000


@pytest.fixture(scope="module")
def candidate(vial_package: Path, package: Package, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The active detector, which rejects whatever is not quite like a good one."""
    own = package.manifest.limits
    limits = own.model_copy(update={"review_limit": own.review_limit * 0.3, "reject_limit": own.review_limit * 0.4})
    path = tmp_path_factory.mktemp("candidate") / "candidate.onnx"
    path.write_bytes(with_limits(vial_package, limits))
    return read_package(path)


@pytest.fixture(scope="module")
def plant(
    tmp_path_factory: pytest.TempPathFactory, vial_package: Path, candidate: Package, vial_images: dict[str, list[Path]]
) -> Iterator[Running]:
    """A station with a candidate from the registry beside it, after some units."""
    folder = tmp_path_factory.mktemp("plant")
    people(folder / "archive", **EVERYBODY)
    name, version = candidate.manifest.name, candidate.manifest.version
    report = json.dumps({"package": {"sha256": candidate.digest}, "image_auroc": 0.9}).encode()
    with Archive(folder / "archive") as archive:
        enno = Registry(archive, signing_key(archive), Signer(SignIn(archive), "enno", PASSWORD))
        enno.keep_package(candidate, "a stricter one")
        enno.evaluate("package", name, version, "good figures", report)
    shadow = {"package": {"name": name, "version": version}, "share": 0.5}
    with running(write_recipe(folder, vial_package, shadow=shadow), folder / "archive") as started:
        status = lambda: started.service.status()["shadow"]  # noqa: E731
        wait_for(lambda: status()["state"] == "running", 180)
        units = [*vial_images["good"][:5], *(of[0] for kind, of in vial_images.items() if kind != "good")]
        for number, path in enumerate(units):
            started.upload(path.read_bytes(), unit=f"vial-{number:02d}", batch="B-1").raise_for_status()
            wait_for(lambda number=number: status()["inspected"] == number + 1, 180)
        answer = started.service.shadow_report.answer
        wait_for(lambda: (answer() or {"figures": {"units": 0}})["figures"]["units"] == len(units), 180)
        yield started


def test_the_live_page_says_how_the_shadow_is(plant: Running, browser: "Browser", screenshots: Path) -> None:
    shadow = plant.service.status()["shadow"]
    with looking(browser, plant, "otto", "/") as look:
        look.page.locator("#shadow", has_text=" seen, ").wait_for(timeout=20 * SECONDS)
        said = f"{shadow['label']}: {shadow['inspected']} seen, {shadow['differ']} differ, {shadow['shed']} shed"
        assert look.text("#shadow") == said
        assert look.page.locator("#alarms li").count() == 0
        both_sizes(look, screenshots, "live-shadow", settled=False)


def test_the_page_shows_what_it_found_and_refreshes(plant: Running, browser: "Browser", screenshots: Path) -> None:
    shadow = plant.service.status()["shadow"]
    with looking(browser, plant, "aida", "/shadow") as look:
        assert look.text(".answer .word") == "differs"
        cells = look.page.locator(".matrix td.num").all_inner_texts()
        assert sum(map(int, cells)) == shadow["inspected"]
        assert look.page.locator("#differing-title ~ .scrolls tbody tr").count() == shadow["differ"]
        both_sizes(look, screenshots, "shadow", settled=False)
        with look.page.expect_response("**/shadow/state?candidate=", timeout=20 * SECONDS):
            pass
        assert look.text(".answer .word") == "differs"
    with looking(browser, plant, "aida", "/shadow?candidate=0000", theme="dark") as look:
        look.accessible()
        assert look.page.locator(".answer").count() == 0


def test_every_word_of_it_is_a_text_or_data(
    plant: Running, browser: "Browser", monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = pseudo()
    monkeypatch.setattr(templating, "read_texts", lambda _language="en": texts)
    with looking(browser, plant, "root.person", "/shadow") as look:
        read: list[str] = look.page.evaluate(_READ)
        asked = look.page.context.request
        data = words([asked.get(plant.address + path).json() for path in ("api/status", "api/shadow", "api/users")])
    left = {text: sorted(words(unmarked(text)) - data - _NAMES) for text in read}
    assert not {text: unknown for text, unknown in left.items() if unknown}


def test_promotion_has_the_report_attached_and_wants_a_word_where_it_speaks_against_it(
    plant: Running, candidate: Package, browser: "Browser", screenshots: Path
) -> None:
    archive, name, version = plant.service.archive, candidate.manifest.name, candidate.manifest.version
    with looking(browser, plant, "quinn", f"/registry/package/{name}/{version}") as look:
        look.page.locator("[data-opens=do-approved]").click()
        look.page.screenshot(path=screenshots / "shadow-approve.png")
        look.accessible()
        sign(look, "do-approved", "quinn", "the good ones are too clean")
        look.page.locator("#do-approved .fault", has_text="speaks against").wait_for(timeout=120 * SECONDS)
        look.errors.clear()  # the browser notes every answer of 409
        assert find_version(read_versions(archive), "package", name, version).state == State.EVALUATED
        look.page.locator("#do-approved [name=despite]").check()
        look.page.locator("#do-approved [name=password]").fill(PASSWORD)
        look.page.locator("#do-approved").get_by_role("button", name="Sign").click()
        look.page.locator(".history .attached").wait_for(timeout=120 * SECONDS)
        assert "differs" in look.text(".history .attached")
        assert "although it speaks against" in look.text(".history .attached")
        both_sizes(look, screenshots, "shadow-attached")
        address = look.page.locator(".history .attached a").get_attribute("href")
        page = look.page.context.request.get(plant.address.rstrip("/") + str(address))
        assert b"on the live line, trial" in page.body()
    step = find_version(read_versions(archive), "package", name, version).steps[-1]
    said = step.details[SHADOW_REPORT]
    assert (said["word"], said["despite"], step.statement["attached"]) == ("differs", True, said["sha256"])
    kept = json.loads(archive.images.get(said["file"]))
    assert kept["figures"]["units"] == plant.service.status()["shadow"]["inspected"]
    assert verify_archive(archive.folder).intact
