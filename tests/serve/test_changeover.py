"""Another recipe without a restart: both on record, and one that does not hold never runs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from inspection.records import Entry, from_row
from inspection.verify import verify_archive
from tests.serve.serving import Running, running, wait_for, write_recipe

pytestmark = pytest.mark.timeout(120)
CAMERA = {"kind": "simulator", "rate_hz": 10, "defect_rate": 0}


def ask(station: Running, recipe: str, **more: str) -> httpx.Response:
    return station.client.post("/api/changeover", json={"recipe": recipe, "why": "the next batch", **more}, timeout=60)


def entries(station: Running) -> list[Entry]:
    return [from_row(row) for row in station.service.archive.rows("station-1")]


def events(station: Running) -> list[tuple[str | None, dict[str, Any]]]:
    return [(entry.reason, dict(entry.details)) for entry in entries(station) if entry.kind == "event"]


@pytest.fixture
def other(tmp_path: Path, vial_package: Path) -> Callable[..., None]:
    """Writes another recipe beside the one that runs."""

    def write(**more: Any) -> None:
        folder = tmp_path / "written"
        folder.mkdir()
        keys = {"name": "vials-strict", "version": "2.0.0", "camera": CAMERA, **more}
        write_recipe(folder, vial_package, **keys).rename(tmp_path / "strict.yaml")

    return write


@pytest.fixture
def station(tmp_path: Path, vial_package: Path) -> Iterator[Running]:
    recipe = write_recipe(tmp_path, vial_package, camera=CAMERA)
    with running(recipe, tmp_path / "archive") as served:
        wait_for(lambda: served.units() >= 2)
        yield served


def test_the_new_recipe_decides_from_then_on_and_both_are_on_record(
    station: Running, other: Callable[..., None], tmp_path: Path
) -> None:
    other(limits={"review_limit": 0.001, "reject_limit": 0.002})
    assert station.client.get("/api/recipes").json() == ["recipe.yaml", "strict.yaml"]
    status = ask(station, "strict.yaml", batch="B-8").json()
    assert (status["recipe"], status["line"], status["batch"]) == ("vials-strict 2.0.0", "running", "B-8")
    assert status["limits"]["reject_limit"] == 0.002
    before = station.units()
    wait_for(lambda: station.units() >= before + 2)
    station.stop()
    told = [one for one in events(station) if one[0] != "head_signed"]
    assert [what for what, _ in told] == [
        "line_started",
        "line_stopped",
        "line_started",
        "recipe_changed",
        "line_stopped",
    ]
    changed = dict(told)["recipe_changed"]
    assert (changed["before"]["recipe"], changed["after"]["recipe"]) == ("vials 1.0.0", "vials-strict 2.0.0")
    assert changed["why"] == "the next batch"
    assert changed["took_ms"] < 30_000
    units = [(entry.recipe, entry.outcome, entry.batch) for entry in entries(station) if entry.kind == "unit"]
    assert set(units) == {("vials 1.0.0", "PASS", None), ("vials-strict 2.0.0", "REJECT", "B-8")}
    assert len(units) == station.units()
    assert verify_archive(tmp_path / "archive").intact


def test_a_batch_that_runs_is_ended_by_a_person_and_no_unit_comes_to_one_that_was(
    station: Running, other: Callable[..., None]
) -> None:
    other()
    assert station.client.post("/api/batches", json={"batch": "B-7", "why": "order 7"}).status_code == 201
    assert "batch B-7 runs; stop it" in ask(station, "strict.yaml", batch="B-8").json()["detail"]
    assert station.client.post("/api/batches/stop", json={"why": "order done"}).status_code == 200
    assert "batch B-7 was ended" in ask(station, "strict.yaml", batch="B-7").json()["detail"]
    assert ask(station, "strict.yaml", batch="B-8").json()["batch"] == "B-8"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"quue": 5}, "did you mean 'queue'?"),
    "another package": ({"package": {"path": "nowhere.onnx"}}, "nowhere.onnx"),
    "another station": ({"station": "station-2"}, "is for station 'station-2', and this is 'station-1'"),
    "a camera that is not there": ({"camera": {"kind": "folder", "path": "nowhere"}}, "nowhere is not a folder"),
    "wrong output": ({"outputs": [{"kind": "gpio", "pth": "x"}]}, "did you mean 'path'?"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_recipe_that_does_not_hold_never_runs(station: Running, other: Callable[..., None], what: str) -> None:
    keys, sentence = REFUSED[what]
    other(**keys)
    answer = ask(station, "strict.yaml")
    assert (answer.status_code, answer.json()["code"]) == (409, "changeover_refused")
    assert sentence in answer.json()["detail"]
    assert answer.json()["detail"].endswith("The station goes on with vials 1.0.0.")
    before = station.units()
    wait_for(lambda: station.units() >= before + 2)
    assert station.client.get("/ready").status_code == 200
    told = dict(events(station))
    assert told["changeover_refused"]["recipe"] == "strict.yaml"
    assert "recipe_changed" not in told


@pytest.mark.parametrize("name", ["../secret.yaml", "nowhere.yaml", "", "/etc/passwd", "archive"])
def test_only_files_beside_the_recipe_can_be_named(station: Running, name: str) -> None:
    answer = ask(station, name)
    assert answer.status_code == 409
    assert "choose one of recipe.yaml" in answer.json()["detail"]
