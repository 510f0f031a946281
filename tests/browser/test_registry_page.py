"""Packages and recipes in a real browser: a signed story from an engineer's draft to an active version, and what other
limits and another region would change."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inspection.accounts.sign_in import SignIn
from inspection.archive import Archive
from inspection.detector import Detector
from inspection.frames import read_frame
from inspection.package import Package
from inspection.recipe import read_recipe
from inspection.registry.items import State, find_version, read_versions
from inspection.registry.kept import kept_recipe
from inspection.registry.steps import Registry
from inspection.signatures import Signer
from inspection.signing import signing_key
from inspection.station import Station
from inspection.verdict import Limits
from inspection.verify import verify_archive
from inspection.what_if import Chosen, what_if
from tests.browser.conftest import EVERYBODY
from tests.browser.looking import TABLET, Look, both_sizes, looking
from tests.people import PASSWORD, people
from tests.serve.serving import Running, running, write_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(400)
Images = dict[str, list[Path]]
SECONDS = 1000


def report_of(package: Package, detector: Detector, images: Images) -> bytes:
    """What `inspection evaluate --json` writes, as far as pages show it."""
    scores = [{"file": path.name, "defect": None if name == "good" else name,
               "score": detector.find(read_frame(path).pixels).score}
              for name, paths in images.items() for path in paths[:8]]  # fmt: skip
    rate = {"count": 14, "total": 16, "rate": 0.875, "low": 0.617, "high": 0.984, "confidence": 0.95}
    return json.dumps({
        "package": package.identity, "precision": "fp32", "runtime": "onnxruntime",
        "test_data": {"images": len(scores), "good": 8, "defective": len(scores) - 8}, "image_auroc": 0.987,
        "image_auroc_interval": [0.93, 0.998], "pixel_auroc": 0.97, "aupro_30": 0.93, "detection_rate": rate,
        "false_reject_rate": rate | {"count": 1, "rate": 0.05, "low": 0.01, "high": 0.2},
        "per_defect": {"crack": {"images": 8, "image_auroc": 0.99, "detection_rate": rate}},
        "limits": package.manifest.limits.model_dump(), "latency_ms": {"p50": 21.4, "p99": 33.0}, "scores": scores,
    }).encode()  # fmt: skip


@pytest.fixture(scope="module")
def plant(
    tmp_path_factory: pytest.TempPathFactory, vial_package: Path, package: Package, detector: Detector,
    vial_images: Images,
) -> Iterator[Running]:  # fmt: skip
    """A station whose recipe is registered by an engineer and evaluated, with units on record."""
    folder = tmp_path_factory.mktemp("plant")
    people(folder / "archive", **EVERYBODY)
    recipe_file = write_recipe(folder, vial_package)
    with Archive(folder / "archive") as archive:
        enno = Registry(archive, signing_key(archive), Signer(SignIn(archive), "enno", PASSWORD))
        enno.register_package(vial_package, "first package")
        enno.evaluate("package", package.manifest.name, package.manifest.version, "good figures",
                      report_of(package, detector, vial_images))  # fmt: skip
        enno.register_recipe(recipe_file, "first recipe")
        recipe = read_recipe(recipe_file).model_copy(update={"batch": "B-1"})
        station = Station(recipe, detector, archive)
        bad = [path for name, of in vial_images.items() if name != "good" for path in of[:4]]
        for number, path in enumerate([*vial_images["good"][:14], *bad]):
            station.inspect(read_frame(path), unit=f"unit-{number:03d}")
    with running(recipe_file, folder / "archive") as started:
        yield started


def sign(look: Look, dialog: str, name: str, why: str, password: str = PASSWORD) -> None:
    form = look.page.locator(f"#{dialog}")
    form.locator("[name=why]").fill(why)
    form.locator("[name=name]").fill(name)
    form.locator("[name=password]").fill(password)
    form.get_by_role("button", name="Sign").click()


def test_a_limits_draft_is_made_by_an_engineer_and_approved_by_quality(
    plant: Running, package: Package, browser: "Browser", screenshots: Path
) -> None:
    archive = plant.service.archive
    name, version = package.manifest.name, package.manifest.version
    with looking(browser, plant, "enno", "/registry") as look:
        both_sizes(look, screenshots, "registry")
        look.page.get_by_role("link", name="Limit editor").click()
        look.page.locator("#summary", has_text="judged units").wait_for(timeout=20 * SECONDS)
        assert look.text("#summary").startswith("None of")
        own = package.manifest.limits
        highest = max(entry.score or 0 for entry in archive.latest(100, kind="unit"))
        look.page.locator("#review_limit").fill(str(own.review_limit * 0.5))
        look.page.locator("#summary", has_text=re.compile("^[1-9]")).wait_for(timeout=20 * SECONDS)
        wanted = what_if(archive, Chosen(package.digest),
                         Limits(review_limit=own.review_limit * 0.5, reject_limit=own.reject_limit))  # fmt: skip
        assert f"{wanted.as_json()['changed']} of {wanted.judged} judged" in look.text("#summary")
        assert look.page.locator("#examples img").count() == len(wanted.examples)
        handle = look.page.get_by_role("slider", name="Reject limit")
        handle.focus()
        before = float(look.page.locator("#reject_limit").input_value())
        look.press("ArrowRight PageUp")
        assert float(look.page.locator("#reject_limit").input_value()) > before
        box = handle.bounding_box()
        assert box
        look.page.mouse.move(box["x"] + 13, box["y"] + 45)
        look.page.mouse.down()
        look.page.mouse.move(box["x"] + 100, box["y"] + 45, steps=4)
        look.page.mouse.up()
        moved = float(look.page.locator("#reject_limit").input_value())
        assert before < moved < 4 * highest + own.reject_limit
        look.page.locator("#summary", has_text=re.compile("^[1-9]")).wait_for()
        both_sizes(look, screenshots, "limits")
        look.page.reload()
        assert float(look.page.locator("#reject_limit").input_value()) == pytest.approx(moved, rel=1e-4)
        look.page.get_by_role("button", name="Keep as a draft").click()
        look.accessible()
        sign(look, "save", "enno", "fewer false rejects", "not-the-password")
        look.page.locator("#save .fault", has_text="do not fit").wait_for(timeout=20 * SECONDS)
        assert len([one for one in read_versions(archive).values() if one.kind == "recipe"]) == 1
        sign(look, "save", "enno", "fewer false rejects")
        look.page.wait_for_url("**/registry/recipe/vials/1.0.1", timeout=20 * SECONDS)
        draft = find_version(read_versions(archive), "recipe", "vials", "1.0.1")
        assert (draft.state, draft.steps[0].by) == (State.DRAFT, "enno")
        assert kept_recipe(archive, draft)["limits"]["reject_limit"] == pytest.approx(moved, rel=1e-4)
        look.page.get_by_role("button", name="Note as evaluated").click()
        sign(look, "do-evaluated", "enno", "tried on the archive")
        look.page.locator(".way [aria-current=step]", has_text="evaluated").wait_for(timeout=20 * SECONDS)
        assert "nobody approves their own work" in look.text(".actions")
        assert not look.page.get_by_role("button", name="Approve").count()
        refused = look.page.context.request.post(
            plant.address + "api/registry/recipe/vials/1.0.1/approve",
            data={"name": "enno", "password": PASSWORD, "why": "my own"},
        )
        assert refused.status == 403  # an engineer may approve nothing at all; quality's own work: test_registry
        both_sizes(look, screenshots, "recipe")
        look.errors.clear()  # the wrong password above is an answer of 401, which the browser notes

    with looking(browser, plant, "quinn", "/registry/recipe/vials/1.0.1") as look:
        assert f"It runs the package {name} {version}, which is evaluated" in look.text(".actions")
        look.go(f"/registry/package/{name}/{version}")
        look.page.locator("#roc canvas").wait_for()
        look.page.locator("#runs-title ~ div", has_text="vials 1.0.0").or_(
            look.page.locator("#runs-title ~ div", has_text="never ran")).wait_for(timeout=20 * SECONDS)  # fmt: skip
        assert "93.0–99.8 %" in look.text(".evaluation").replace("\u202f", " ")
        both_sizes(look, screenshots, "package")
        look.page.get_by_role("button", name="Approve").click()
        sign(look, "do-approved", "quinn", "figures reviewed", "wrong-password")
        look.page.locator("#do-approved .fault", has_text="do not fit").wait_for(timeout=20 * SECONDS)
        assert find_version(read_versions(archive), "package", name, version).state == State.EVALUATED
        sign(look, "do-approved", "quinn", "figures reviewed")
        look.page.locator(".way [aria-current=step]", has_text="approved").wait_for(timeout=20 * SECONDS)
        look.go("/registry/recipe/vials/1.0.1")
        for step, state in (("approved", "approved"), ("activated", "active")):
            look.page.locator(f"[data-opens=do-{step}]").click()
            sign(look, f"do-{step}", "quinn", "counts reviewed")
            look.page.locator(".way [aria-current=step]", has_text=state).wait_for(timeout=20 * SECONDS)
        look.page.get_by_role("link", name="Packages and recipes").first.click()
        assert "vials 1.0.1" in look.text("section[aria-labelledby=active-title]")
        look.go("/registry/compare?kind=recipe&name=vials&a=1.0.0&b=1.0.1")
        assert "limits" in look.text("section[aria-labelledby=differs-title]")
        both_sizes(look, screenshots, "compare")
        look.errors.clear()
    assert verify_archive(archive.folder).problems == []


def test_quality_cannot_approve_what_they_brought_themselves(plant: Running, browser: "Browser") -> None:
    archive = plant.service.archive
    people(archive.folder, berta="engineer,quality")
    berta = Registry(archive, plant.service.key, Signer(SignIn(archive), "berta", PASSWORD))
    berta.draft_recipe("vials", "1.0.0", "1.5.0", "own idea", {"limits": {"review_limit": 1.0, "reject_limit": 2.0}})
    berta.evaluate("recipe", "vials", "1.5.0", "tried")
    with looking(browser, plant, "berta", "/registry/recipe/vials/1.5.0") as look:
        assert "You, berta, took the step evaluated with it: nobody approves their own work." in look.text(".actions")
        answer = look.page.context.request.post(
            plant.address + "api/registry/recipe/vials/1.5.0/approve",
            data={"name": "berta", "password": PASSWORD, "why": "it is mine"},
        )
        assert (answer.status, answer.json()["code"]) == (409, "step_refused")


def test_a_region_is_drawn_with_mouse_and_keyboard_and_kept_as_a_draft(
    plant: Running, browser: "Browser", screenshots: Path
) -> None:
    archive = plant.service.archive
    with looking(browser, plant, "enno", "/registry/region?recipe=vials+1.0.0") as look:
        look.page.locator("#summary", has_text="None of").wait_for(timeout=30 * SECONDS)
        look.page.get_by_role("button", name="Add a rectangle").click()
        corner = look.page.locator("#drawn .corner").first
        assert "Corner 1 of 4: 10 % from the left" in str(corner.get_attribute("aria-label"))
        look.press("ArrowRight Shift+ArrowRight")
        assert "15.5 % from the left" in str(corner.get_attribute("aria-label"))
        look.press("Insert Delete Control+z")
        assert look.page.locator("#drawn .corner").count() == 5
        look.press("Control+z")
        look.page.get_by_role("button", name="Delete shape").click()
        assert look.text("#drawing") == "The whole frame counts."
        box = look.page.locator("#drawn").bounding_box()
        assert box
        look.page.get_by_role("button", name="Draw a polygon").click()
        for x, y in ((0.4, 0.02), (0.6, 0.02), (0.6, 0.25), (0.4, 0.25)):
            look.page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        look.press("Enter")
        corner = look.page.locator("#drawn .corner").nth(2)
        place = corner.bounding_box()
        assert place
        look.page.mouse.move(place["x"] + 5, place["y"] + 5)
        look.page.mouse.down()
        look.page.mouse.move(place["x"] + 30, place["y"] + 25, steps=3)
        look.page.mouse.up()
        look.page.locator("#summary", has_text=re.compile("^[1-9]")).wait_for(timeout=30 * SECONDS)
        both_sizes(look, screenshots, "region")
        look.page.get_by_role("button", name="Keep as a draft").click()
        look.page.locator("#save [name=new_version]").fill("2.0.0")
        sign(look, "save", "enno", "only the neck counts")
        look.page.wait_for_url("**/registry/recipe/vials/2.0.0", timeout=20 * SECONDS)
        kept = kept_recipe(archive, find_version(read_versions(archive), "recipe", "vials", "2.0.0"))
        assert len(kept["region"]["everywhere"][0]["polygon"]) == 4
        look.accessible()
    with looking(browser, plant, "aida", "/registry/limits", size=TABLET, theme="dark") as look:
        look.page.locator("#summary", has_text="judged units").wait_for(timeout=20 * SECONDS)
        assert not look.page.get_by_role("button", name="Keep as a draft").count()
        look.accessible()
        look.page.screenshot(path=screenshots / "limits-dark-800.png", full_page=True)
        look.go("/registry/region?recipe=vials+2.0.0")
        look.page.locator("#summary", has_text="sampled").wait_for(timeout=20 * SECONDS)
        look.accessible()
        look.page.screenshot(path=screenshots / "region-dark-800.png", full_page=True)
