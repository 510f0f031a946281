"""A recipe at work: cameras, trigger, outputs and records together, with the real processes; and each thing that fails
in it is told, rejects what it must, and is recovered from."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from inspection.config import ConfigInvalid, validate
from inspection.recipe import Recipe
from inspection.records import Entry, from_row
from inspection.verify import verify_archive
from serve.cameras import CameraOptions, camera_options
from serve.line import unit_timing
from serve.outputs import make_output
from serve.triggers import TRIGGERS
from tests.conftest import ROOT
from tests.serve.output_examples import config_of
from tests.serve.serving import Running, running, wait_for, write_recipe

pytestmark = pytest.mark.timeout(120)
RATE_HZ = 4
# Simulated cameras and the timer go by the same clock: frames come a little before or after their trigger.
CAMERA = {"kind": "simulator", "rate_hz": RATE_HZ, "defect_rate": 0, "after_ms": -60, "within_ms": 180}


def recorded(station: Running) -> tuple[list[Entry], list[Entry]]:
    """Units and events of a station's archive, which must verify."""
    entries = [from_row(row) for row in station.service.archive.rows("station-1")]
    return [entry for entry in entries if entry.kind == "unit"], [entry for entry in entries if entry.kind == "event"]


def assert_accounted(station: Running) -> list[Entry]:
    """After the stop: as many records as dispositions, and the chain verifies."""
    units, _ = recorded(station)
    assert len(units) == station.units()
    assert len({unit.unit for unit in units}) == len(units)
    return units


@pytest.fixture
def triggered(tmp_path: Path, vial_package: Path) -> Iterator[Running]:
    """Two cameras, three frames of each unit, a timer, and a gate."""
    (tmp_path / "gate").mkdir()
    recipe = write_recipe(
        tmp_path, vial_package, cameras=[CAMERA | {"name": "top", "frames": 2}, CAMERA | {"name": "side"}],
        trigger={"kind": "timer", "rate_hz": RATE_HZ}, deadline_ms=5000, lanes=2, threads=1,
        outputs=[{"kind": "gpio", "name": "gate", "path": "gate"}],
    )  # fmt: skip
    with running(recipe, tmp_path / "archive") as station:
        yield station


def test_frames_of_two_cameras_are_one_unit_and_open_the_gate(triggered: Running, tmp_path: Path) -> None:
    wait_for(lambda: triggered.service.tally.snapshot()["outcomes"]["PASS"] >= 3)
    triggered.stop()
    units = assert_accounted(triggered)
    passed = [unit for unit in units if unit.outcome == "PASS"]
    for unit in passed:
        assert sorted(frame.camera for frame in unit.frames) == ["side", "top", "top"]
        assert all(frame.image for frame in unit.frames)
    assert (tmp_path / "gate" / "pass").read_text() == "0"
    assert verify_archive(tmp_path / "archive").intact


def test_killed_camera_and_inspector_are_alarms_and_come_back(triggered: Running) -> None:
    passes = lambda: triggered.service.tally.snapshot()["outcomes"]["PASS"]  # noqa: E731
    wait_for(lambda: passes() >= 1)
    line = triggered.service.line
    for pid in (line.cameras["top"].pid, line.inspector.pid):
        assert pid
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: triggered.service.alarm)
        assert triggered.client.get("/ready").status_code == 503
        before = passes()
        wait_for(lambda before=before: passes() > before, 40)
        wait_for(lambda: not triggered.service.alarm)
    triggered.stop()
    units = assert_accounted(triggered)
    assert {unit.reason for unit in units if unit.outcome == "REJECT"} >= {"frame_lost"}
    _, events = recorded(triggered)
    raised = {entry.details["code"] for entry in events if entry.reason == "alarm_raised"}
    assert raised >= {"camera_down", "inspector_down"}


def test_a_gate_that_does_not_acknowledge_passes_nobody(tmp_path: Path, vial_package: Path, plc: Any) -> None:
    recipe = write_recipe(
        tmp_path, vial_package, camera=CAMERA,
        outputs=[config_of("modbus", **plc.options, timeout_ms=300).model_dump()],
    )  # fmt: skip
    with running(recipe, tmp_path / "archive") as station:
        outcomes = lambda: station.service.tally.snapshot()["outcomes"]  # noqa: E731
        wait_for(lambda: outcomes()["PASS"] >= 1)
        plc.muted = True
        wait_for(lambda: outcomes()["REJECT"] >= 2)
        assert "did not acknowledge" in station.service.alarm
        passed = outcomes()["PASS"]
        plc.muted = False
        wait_for(lambda: outcomes()["PASS"] > passed)
        wait_for(lambda: not station.service.alarm)
        station.stop()
        units = assert_accounted(station)
        _, events = recorded(station)
        corrected = {entry.unit for entry in events if entry.reason == "not_delivered"}
        assert corrected
        assert len([unit for unit in units if unit.outcome == "PASS"]) == outcomes()["PASS"] + len(corrected)
        assert station.service.tally.snapshot()["reasons"]["not_delivered"] == len(corrected)


@pytest.mark.parametrize(("keys", "timing"), [
    ({"deadline_ms": 1000}, (0.9, 0.9, 1.0)), ({"deadline_ms": 4000}, (3.9, 3.9, 4.0)),
    ({"deadline_ms": 1000, "trigger": {"kind": "timer"}, "outputs": ({"kind": "gpio"},)}, (0.1, 0.85, 0.95)),
])  # fmt: skip
def test_of_the_deadline_some_is_kept_for_record_and_gate(
    recipe: Recipe, keys: dict[str, Any], timing: tuple[float, float, float]
) -> None:
    changed = Recipe.model_validate(recipe.model_dump(exclude_defaults=True) | keys)
    found = unit_timing(changed, {"cam": CameraOptions()}, "recipe.yaml")
    assert (found.frames_s, found.decide_s, found.tell_s) == pytest.approx(timing)


def test_frames_that_may_come_after_the_decision_are_refused(recipe: Recipe) -> None:
    keys = recipe.model_dump(exclude_defaults=True) | {"trigger": {"kind": "timer"}, "deadline_ms": 100}
    with pytest.raises(ConfigInvalid, match="within_ms must be less, or the deadline later"):
        unit_timing(Recipe.model_validate(keys), {"cam": CameraOptions()}, "recipe.yaml")


def test_the_line_that_the_page_shows_can_be_configured(tmp_path: Path) -> None:
    alone, line, *_ = re.findall(r"```yaml\n(.*?)```", (ROOT / "serve" / "README.md").read_text(), re.DOTALL)
    keys = yaml.safe_load(alone) | yaml.safe_load(line)
    recipe = Recipe.model_validate({key: keys[key] for key in keys.keys() - {"camera", "deadline_ms"}})
    where = tmp_path / "recipe.yaml"
    options = {config.name: camera_options(config, where)[1] for config in recipe.cameras}
    assert unit_timing(recipe, options, "the page").tell_s < recipe.deadline_ms / 1000 == 0.246
    for output in recipe.outputs:
        make_output(output, where)
    assert recipe.trigger
    validate(recipe.trigger.options, TRIGGERS[recipe.trigger.kind].Options, "the page")
