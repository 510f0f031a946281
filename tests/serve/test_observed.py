"""What whoever keeps a station running sees of it: metrics as Prometheus reads them, and the log."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serve.serving import Running, running, serve_command, wait_for, write_recipe

pytestmark = pytest.mark.timeout(90)
Sample = tuple[str, tuple[tuple[str, str], ...]]


@pytest.fixture
def line(tmp_path: Path, vial_package: Path) -> Iterator[Running]:
    (tmp_path / "gate").mkdir()
    recipe = write_recipe(
        tmp_path, vial_package, camera={"kind": "simulator", "name": "top", "rate_hz": 10, "defect_rate": 0},
        outputs=[{"kind": "gpio", "name": "gate", "path": "gate"}],
    )  # fmt: skip
    with running(recipe, tmp_path / "archive") as station:
        wait_for(lambda: station.units() >= 3)
        yield station


def samples(station: Running) -> dict[Sample, float]:
    """Every sample of `/metrics`, by name and labels."""
    answer = station.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def test_prometheus_reads_units_stages_and_parts(line: Running) -> None:
    found = samples(line)
    labels = (("outcome", "PASS"), ("reason", "within_limits"))
    wait_for(lambda: samples(line)[("inspection_units_total", labels)] >= 5)
    for stage in ("wait", "inspect", "record", "total"):
        assert found[("inspection_stage_seconds_count", (("stage", stage),))] >= 3
    assert found[("inspection_output_seconds_count", (("output", "gate"),))] >= 3
    assert found[("inspection_frames_total", (("camera", "top"),))] >= 3
    for up in (("inspection_camera_up", (("camera", "top"),)), ("inspection_output_up", (("output", "gate"),))):
        assert found[up] == 1
    assert found[("inspection_line_running", ())] == 1
    [what] = [dict(labels) for (name, labels) in found if name == "inspection_info"]
    assert (what["station"], what["recipe"]) == ("station-1", "vials 1.0.0")


def test_a_restart_is_counted_and_an_alarm_shown(line: Running) -> None:
    pid = line.service.line.cameras["top"].pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: ("inspection_alarms", (("code", "camera_down"),)) in samples(line))
    wait_for(lambda: samples(line)[("inspection_worker_restarts", (("worker", "camera top"),))] == 1)
    wait_for(lambda: ("inspection_alarms", (("code", "camera_down"),)) not in samples(line))


def test_the_log_tells_of_start_alarm_stopped_units_and_stop(tmp_path: Path, vial_package: Path) -> None:
    recipe = write_recipe(tmp_path, vial_package, camera={"kind": "folder", "path": ".", "rate_hz": 5})
    (tmp_path / "no-image.png").write_text("none")
    with serve_command(recipe, tmp_path / "archive") as command:
        wait_for(lambda: command.client.get("/api/status").json()["line"] == "finished")
        code, _, err = command.end(signal.SIGTERM, within_s=15)
    lines = [json.loads(line) for line in err.splitlines()]
    assert code == 0
    assert [line["event"] for line in lines] == ["service started", "unit stopped", "service stopped"]
    assert (lines[1]["reason"], lines[1]["record"], lines[1]["level"]) == ("frame_unreadable", "station-1/2", "info")
    assert lines[0]["address"] == command.address
    assert all(line["time"].endswith("Z") for line in lines)


def test_the_log_can_be_read_by_people(tmp_path: Path, vial_package: Path) -> None:
    recipe = write_recipe(tmp_path, vial_package)
    with serve_command(recipe, tmp_path / "archive", "--log-format", "text") as command:
        wait_for(lambda: httpx.get(command.address + "ready").status_code == 200)
        _, _, err = command.end(signal.SIGTERM, within_s=15)
    assert "service started" in err
    assert "{" not in err.splitlines()[0]
