"""A station on a triggered line while something under it fails: a camera's process, the inference's, the broker, the
archive, the clock. Whatever fails, units that came by are units told are units on record; what the fault touched does
not pass; and the station goes on once it is over."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inspection.records import Entry, from_row
from inspection.verify import verify_archive
from serve.wall_clock import ClockWatch
from tests.serve.output_broker import Broker
from tests.serve.serving import Running, running, wait_for, write_recipe

pytestmark = pytest.mark.timeout(180)
RATE_HZ = 5
CAMERA = {"kind": "simulator", "rate_hz": RATE_HZ, "defect_rate": 0, "after_ms": -50, "within_ms": 150}


class Clock(ClockWatch):
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.set_s = 0.0
        super().__init__(wall=lambda: time.time() + self.set_s)


class Station:
    """A running one, and the faults that a test does to it."""

    def __init__(self, running: Running, archive: Path, broker: Broker, clock: Clock) -> None:
        self.running, self.archive, self.broker, self.clock = running, archive, broker, clock

    @property
    def passed(self) -> int:
        return int(self.running.service.tally.snapshot()["outcomes"]["PASS"])

    @property
    def reasons(self) -> dict[str, int]:
        return dict(self.running.service.tally.snapshot()["reasons"])

    @property
    def alarms(self) -> set[str]:
        return {alarm.code for alarm in self.running.service.alarms.all}

    def passes_again(self) -> None:
        passed = self.passed
        wait_for(lambda: self.passed >= passed + 2, 40)

    def assert_accounted(self) -> list[Entry]:
        """After the stop: as many units came by as were told and recorded; each PASS that counts has its images."""
        self.running.stop()
        opened = self.running.service.line.conveyor.opened
        units = [from_row(row) for row in self.running.service.archive.rows("station-1") if row["kind"] == "unit"]
        assert opened == self.running.units() == len(units)
        found = verify_archive(self.archive)
        assert found.intact, found.problems
        return units


@pytest.fixture
def station(tmp_path: Path, vial_package: Path, free_port: Callable[[], int]) -> Iterator[Station]:
    """Two cameras, a timer, and a broker as gate; it has passed units."""
    broker, clock = Broker(tmp_path, free_port(), watched=False), Clock()
    broker.start()
    recipe = write_recipe(
        tmp_path, vial_package, cameras=[CAMERA | {"name": "top"}, CAMERA | {"name": "side"}], deadline_ms=3000,
        trigger={"kind": "timer", "rate_hz": RATE_HZ}, lanes=2, threads=1,
        outputs=[{"kind": "mqtt", "name": "gate", "timeout_ms": 500, **broker.options}],
    )  # fmt: skip
    with running(recipe, tmp_path / "archive", clock) as served:
        made = Station(served, tmp_path / "archive", broker, clock)
        wait_for(lambda: made.passed >= 2, 40)
        yield made
    broker.stop()


def test_hung_camera_is_noticed_and_started_again(station: Station) -> None:
    pid = station.running.service.line.cameras["side"].pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: station.reasons.get("frame_lost"))
    wait_for(lambda: "camera_down" in station.alarms)
    station.passes_again()
    assert all(len(unit.frames) == 2 for unit in station.assert_accounted() if unit.outcome == "PASS")


def test_killed_inference_costs_the_units_it_had_begun(station: Station) -> None:
    pid = station.running.service.line.inspector.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: "inspector_down" in station.alarms)
    station.passes_again()
    wait_for(lambda: "inspector_down" not in station.alarms)
    units = station.assert_accounted()
    assert all(unit.score is not None for unit in units if unit.outcome == "PASS")


def test_killed_broker_lets_nobody_through(station: Station) -> None:
    station.broker.stop()
    wait_for(lambda: station.reasons.get("not_delivered", 0) >= 2)
    passed = station.passed
    wait_for(lambda: station.reasons["not_delivered"] >= 4)
    assert station.passed == passed
    assert "output_lost" in station.alarms
    station.broker.start()
    station.passes_again()
    assert "output_lost" not in station.alarms
    told, undelivered = station.passed, station.reasons["not_delivered"]
    units = station.assert_accounted()
    assert sum(unit.outcome == "PASS" for unit in units) >= told + undelivered


def test_locked_archive_passes_nobody_and_all_are_on_record_later(station: Station) -> None:
    locker = sqlite3.connect(station.archive / "archive.sqlite", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    passed = station.passed
    rejected = sum(count for reason, count in station.reasons.items() if reason != "within_limits")
    wait_for(lambda: sum(n for reason, n in station.reasons.items() if reason != "within_limits") >= rejected + 3, 40)
    assert station.passed <= passed + 1  # the one that was being recorded
    locker.execute("ROLLBACK")
    locker.close()
    station.passes_again()
    station.assert_accounted()


def test_clock_that_is_set_back_rejects_what_is_on_its_way_and_is_an_alarm(station: Station) -> None:
    station.clock.set_s = -3600.0
    wait_for(lambda: "clock_step" in station.alarms)
    [alarm] = [alarm for alarm in station.running.service.alarms.all if alarm.code == "clock_step"]
    assert "clock by -3600.0 s" in alarm.message
    station.passes_again()
    station.assert_accounted()
