"""Trends count what is on record, corrections too, on both databases; and what is read is bounded and said."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.trends import BATCH, BEFORE, fill
from inspection.archive import Archive
from inspection.batch_totals import batch_totals
from inspection.errors import BadUsage
from inspection.trends.known import Known
from inspection.trends.query import Selection, Subgroups, bounded, read_subgroups
from inspection.trends.report import CHARTS, Asked, NothingToShow, Trends
from tests.databases import PostgreSql, archive_in

UNITS = 3000


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def archive(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSql
) -> Iterator[Archive]:
    address = postgresql.new_database() if request.param == "postgresql" else None
    with Archive(archive_in(tmp_path_factory.mktemp("trends") / "archive", address)) as made:
        fill(made, UNITS)
        yield made


def trends(archive: Archive, asked: Asked) -> dict[str, list[dict[str, object]]]:
    with archive.reader() as connection:
        made = Trends(connection, asked)
        return {name: made.chart(name).records() for name in CHARTS}


@pytest.mark.parametrize("subgroups", [Subgroups(), Subgroups(units=70), Subgroups(minutes=30)])
def test_every_unit_is_counted_once_as_the_batch_report_counts_it(archive: Archive, subgroups: Subgroups) -> None:
    shown, totals = trends(archive, Asked(Selection((BATCH,)), subgroups)), batch_totals(archive, BATCH)
    for key, outcome in (("pass", "PASS"), ("reject", "REJECT"), ("review", "REVIEW")):
        assert sum(row[key] for row in shown["reject-rate"]) == totals.outcomes[outcome]  # type: ignore[misc]
    reasons = {row["name"]: row["count"] for row in shown["reasons"]}
    assert reasons == {key: count for key, count in totals.reasons.items() if key != "within_limits"}
    assert sum(row["units"] for row in shown["scores"]) <= UNITS  # type: ignore[misc]
    sizes = [row["units"] for row in shown["reject-rate"]]
    if subgroups.units:
        assert set(sizes[:-1]) == {70}


def test_figures_are_those_of_the_records(archive: Archive) -> None:
    shown = trends(archive, Asked(Selection((BATCH,)), Subgroups(units=100)))
    rows = [row for row in archive.rows("station-1") if row["kind"] == "unit" and row["batch"] == BATCH]
    for at, told in enumerate(shown["latency"]):
        own = sorted(row["latency_ms"] for row in rows[100 * at : 100 * at + 100])
        assert told["p50_ms"] == pytest.approx(own[49], abs=0.51)
        assert told["p99_ms"] == pytest.approx(own[98], abs=0.51)
        assert told["worst_ms"] == own[-1]
    scores = [row["score"] for row in rows]
    bars = {(row["from"], row["to"]): row["units"] for row in shown["scores"]}
    counted = Counter(bar for score in scores for bar in bars if bar[0] <= score < bar[1])  # type: ignore[operator]
    assert sum(abs(counted[bar] - units) for bar, units in bars.items()) <= 2  # type: ignore[operator, misc]
    beside = {row["batch"]: row for row in shown["batches"]}
    assert list(beside) == [BEFORE, BATCH]
    assert beside[BATCH]["score_p50"] == pytest.approx(np.median(scores), abs=0.1)
    assert beside[BATCH]["units"] == UNITS and beside[BEFORE]["units"] == UNITS // 10


def test_brightness_of_each_camera(archive: Archive) -> None:
    shown = trends(archive, Asked(Selection((BATCH,)), camera="camera-2"))["images"]
    assert {row["camera"] for row in shown} == {"camera-2"}
    light = [row["median"] for row in shown if row["measure"] == "brightness"]
    assert max(light) > 124 and min(light) < 116  # type: ignore[type-var]


def test_limits_do_not_come_from_the_points_they_judge_unless_that_is_said(archive: Archive) -> None:
    kinds = {}
    for baseline in ("auto", "before", "first:10", "shown", f"batch:{BEFORE}"):
        with archive.reader() as connection:
            table = Trends(connection, Asked(Selection((BATCH,)), baseline=baseline)).reject_rate()
        kinds[baseline] = table.facts["baseline"]
        judged = [row for row in table.records() if not row["in_baseline"]]
        own = sum(row["units"] for row in judged)
        assert (kinds[baseline]["units"] + own > UNITS) == (baseline != "first:10")
        assert all(row["rules"] == "" and row["ewma"] is None for row in table.records() if row["in_baseline"])
    assert kinds["auto"]["batch"] == kinds["before"]["batch"] == BEFORE
    assert kinds["first:10"]["kind"] == "first" and kinds["shown"]["kind"] == "shown"
    for wrong in ("first:999", "batch:none", "yesterday"):
        with archive.reader() as connection, pytest.raises(BadUsage):
            Trends(connection, Asked(Selection((BATCH,)), baseline=wrong)).reject_rate()


def test_by_time_without_a_batch(archive: Archive) -> None:
    asked = Asked(Selection((), "2026-11-20T06:00:00.000000Z", "2026-11-20T12:00:00.000000Z"), Subgroups(minutes=60))
    shown = trends(archive, asked)
    assert len(shown["reject-rate"]) == 6 and not shown["batches"]
    assert sum(row["units"] for row in shown["reject-rate"]) == UNITS // 4  # type: ignore[misc]


def test_what_is_read_is_bounded(archive: Archive) -> None:
    with archive.reader() as connection:
        bounds = bounded(connection, Selection((BATCH,)), most=500)
        assert bounds and bounds.cut and 500 <= bounds.entries <= 502
        with pytest.raises(NothingToShow):
            Trends(connection, Asked(Selection(("none",))))
        with pytest.raises(BadUsage, match="choose larger subgroups"):
            Trends(connection, Asked(Selection((BATCH,)), Subgroups(units=2)))


@pytest.mark.parametrize("wrong", ["x", "-5", "0", "7min", "1e3", "12345678"])
def test_sizes_that_make_no_sense(wrong: str) -> None:
    with pytest.raises(BadUsage):
        read_subgroups(wrong)


def test_what_nobody_knows_is_not_drawn() -> None:
    known = Known(
        report=lambda _: {"scores": [{"defect": None, "score": "much"}]}, content=lambda _: {"image_quality": 5}
    )
    assert known.good_scores("d") == [] and known.deadline_ms("r") is None
    assert known.image_limits("r") is None and known.held_out("d") is None
    known = Known(report=lambda _: {"scores": [{"defect": None, "score": 1}, {"defect": "crack", "score": 9}]})
    assert known.good_scores("d") == [1.0]


def test_an_empty_archive_says_so(tmp_path: Path) -> None:
    with Archive(tmp_path / "empty") as empty, empty.reader() as connection, pytest.raises(NothingToShow):
        Trends(connection, Asked(Selection()))
