"""Events are few among units: whatever looks for some of them does so by their indexes, and walks no chain."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from inspection.archive import Archive
from inspection.records import Draft
from inspection.recovery import recover
from inspection.registry.items import State, Version
from inspection.registry.runs import STARTED, runs_of
from serve.batches import _last

RECIPE = Version("recipe", "vials", "1.0.0", "d" * 64, "c", State.ACTIVE)


def _fill(archive: Archive) -> None:
    units = [Draft("unit", f"u{number}", outcome="PASS") for number in range(3)]
    for end in ("line_stopped", "line_failed"):
        archive.append(Draft("event", recipe="vials 1.0.0", package="p", reason=STARTED), "s")
        archive.append_all([*units, Draft("event", reason="alarm_raised"), units[0]], "s")
        archive.append(Draft("event", reason=end), "s")
    archive.append(Draft("event", recipe="vials 1.0.0", package="p", reason=STARTED), "s")


@pytest.mark.parametrize(
    "look", [lambda archive: _last(archive, "s"), lambda archive: recover(archive, "s"),
             lambda archive: runs_of(archive, RECIPE)], ids=["batch", "end of the line", "runs"],
)  # fmt: skip
def test_events_are_found_by_their_own_indexes(look: Callable[[Archive], Any], tmp_path: Path) -> None:
    asked: list[tuple[str, Any]] = []
    with Archive(tmp_path / "archive") as archive:
        _fill(archive)

        @event.listens_for(archive._engine, "before_cursor_execute")
        def _(_: Any, __: Any, statement: str, values: Any, ___: Any, ____: bool) -> None:
            if "entries.reason IN" in statement or "count(" in statement:
                asked.append((statement, values))

        look(archive)
    assert asked
    database = sqlite3.connect(tmp_path / "archive" / "archive.sqlite")
    for statement, values in asked:
        plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
        assert "INDEX events_by_" in plan[0], (plan, statement)


def test_a_run_counts_its_units_and_not_the_events_between(tmp_path: Path) -> None:
    with Archive(tmp_path / "archive") as archive:
        _fill(archive)
        runs = [(run.units, run.first, run.last, run.ended_at is not None) for run in runs_of(archive, RECIPE)]
    assert runs == [(4, "s/2", "s/6", True), (4, "s/9", "s/13", True), (0, None, None, False)]
