"""What machines and operators tell a station over HTTP: a unit comes by, go on."""

from pathlib import Path

import pytest

from tests.serve.serving import Running, running, wait_for, write_recipe

pytestmark = pytest.mark.timeout(60)


def codes(station: Running) -> list[str]:
    """Of the alarms there are now."""
    return [alarm["code"] for alarm in station.client.get("/api/status").json()["alarms"]]


def test_announced_units_are_opened_and_without_a_frame_rejected(tmp_path: Path, vial_package: Path) -> None:
    camera = {"kind": "simulator", "rate_hz": 0.01}
    recipe = write_recipe(
        tmp_path, vial_package, camera=camera, trigger={"kind": "software"}, deadline_ms=600, consecutive_rejects=2
    )
    with running(recipe, tmp_path / "archive") as station:
        for number in (1, 2, 5):
            answer = station.client.post("/api/trigger", json={"unit": f"vial-{number}", "count": number})
            assert answer.status_code == 202
        wait_for(lambda: station.units() == 5)
        assert station.service.tally.snapshot()["reasons"] == {"frame_lost": 3, "trigger_lost": 2}
        assert "station_stopped" in codes(station)
        station.client.post("/api/trigger", json={"unit": "vial-6", "count": 6})
        wait_for(lambda: station.units() == 6)
        assert station.service.tally.snapshot()["reasons"]["station_stopped"] == 1
        assert station.client.post("/api/resume", json={"why": "a camera was covered"}).status_code == 200
        wait_for(lambda: "station_stopped" not in codes(station))
        assert station.client.post("/api/resume", json={"why": "once more"}).json()["code"] == "not_stopped"
        for wrong in ({"unit": ""}, {"unit": "a\nb"}, {"cuont": 1}, {"count": -1}):
            assert station.client.post("/api/trigger", json=wrong).status_code in (409, 422)


def test_where_nobody_may_announce_the_answer_says_so(shared_station: Running) -> None:
    answer = shared_station.client.post("/api/trigger", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_software_trigger")
    answer = shared_station.client.post("/api/resume", json={"why": "just so"})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_stopped")
    assert shared_station.client.post("/api/resume", json={"why": ""}).status_code == 422
