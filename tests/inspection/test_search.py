"""Searching finds what a look at every record would, page by page, by indexes, and says how far it has looked."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from inspection.archive import Archive
from inspection.database import sqlite_engine, upgrade_to
from inspection.records import GENESIS, Draft, Entry, to_row
from inspection.reviews import add_review
from inspection.schema import entries
from inspection.search import Budget, count, matching, records_named, search
from inspection.search_choices import choices
from inspection.search_query import Order, RecordQuery, SearchInvalid, utc_moment
from inspection.verify import verify_archive
from tests.databases import archive_in

A, B, CLASSIFIER = "a" * 64, "b" * 64, "c" * 64
UNITS = 400


def draft(number: int) -> Draft:
    """Units of two stations, three batches and two packages; a fifth did not pass."""
    outcome, reason, details = "PASS", "within_limits", {}
    if number % 5 == 1:
        outcome, reason = "REJECT", "class_found"
        sure = ["crack"] if number % 10 == 1 else ['a]"b', "stain"]
        details = {"sure": sure, "classes": dict.fromkeys(sure, 0.9), "frames": [{"sure": sure}]}
    if number % 25 == 7:
        outcome, reason, details = "REVIEW", "above_review_limit", {"message": '"sure":["crack"]'}
    if number == 200:
        outcome, reason = "REJECT", "clock_step"
        details = {"classifier": {"package": CLASSIFIER, "sure": []}}
    score = None if number == 200 else float(number * 37 % 101)
    package = A if number < 150 else B
    return Draft("unit", f"u-{number}", f"B-{number // 150}", "vial", f"vials {package[0]}", package, outcome, reason,
                 score, 15.0, 17.0, 64.0, (), details)  # fmt: skip


def fill(archive: Archive) -> None:
    """Several records share a time; months differ."""
    rows, ends = [], {"left": (0, GENESIS), "right": (0, GENESIS)}
    for number in range(UNITS):
        station = "left" if number % 3 else "right"
        sequence, previous = ends[station]
        at = f"2026-{3 + number // 100:02d}-{1 + number // 8 % 20:02d}T00:00:{number // 2 % 60:02d}.000000Z"
        rows.append(to_row(draft(number), station, sequence + 1, previous, at))
        ends[station] = sequence + 1, rows[-1]["hash"]
    archive.take(rows)


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    server = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    folder = archive_in(tmp_path_factory.mktemp("search") / "a", server.new_database() if server else None)
    with Archive(folder) as opened:
        fill(opened)
        for record, labels in (("left/1", ("crack",)), ("left/2", ()), ("left/1", ()), ("right/5", ("stain", "crack"))):
            add_review(opened, record, labels, "rita")
        yield opened


def every(archive: Archive) -> list[Entry]:
    return archive.latest(2 * UNITS, kind="unit")


def fits(entry: Entry, query: RecordQuery) -> bool:
    """What a person would say."""
    sure = entry.details.get("sure", []) if entry.outcome != "PASS" else []
    reviewed = {"left/1": ("good",), "left/2": ("good",), "right/5": ("crack", "stain")}.get(entry.name, ())
    packages = {entry.package, entry.details.get("classifier", {}).get("package")}
    asked = [
        query.since is None or entry.recorded_at >= query.since,
        query.until is None or entry.recorded_at < query.until,
        query.outcome in (None, entry.outcome) or (query.outcome == "not_passed" and entry.outcome != "PASS"),
        query.min_score is None or (entry.score is not None and entry.score >= query.min_score),
        query.max_score is None or (entry.score is not None and entry.score <= query.max_score),
        query.defect is None or query.defect in sure,
        not query.packages or bool(packages & set(query.packages)),
        query.reviewed is None or query.reviewed in reviewed or (query.reviewed == "any" and bool(reviewed))
        or (query.reviewed == "none" and not reviewed),
        *(getattr(query, name) in (None, getattr(entry, name))
          for name in ("batch", "reason", "recipe", "product", "station", "unit")),
    ]  # fmt: skip
    return all(asked)


def paged(archive: Archive, query: RecordQuery, size: int) -> list[Entry]:
    """All pages."""
    found, after = [], None
    while True:
        page = search(archive, query, size, after)
        assert len(page.found) <= size
        found += page.found
        if page.after is None:
            return found
        after = page.after


maybe = st.none()
times = st.sampled_from(["2026-03-05", "2026-04-02T00:00:31Z", "2026-05-01T02:00+02:00", "2026-06-30"]).map(utc_moment)
queries = st.builds(
    RecordQuery,
    batch=maybe | st.sampled_from(["B-0", "B-1", "B-9"]),
    since=maybe | times,
    until=maybe | times,
    outcome=maybe | st.sampled_from(["PASS", "REVIEW", "REJECT", "not_passed"]),
    reason=maybe | st.sampled_from(["within_limits", "class_found", "clock_step"]),
    min_score=maybe | st.floats(0, 60),
    max_score=maybe | st.floats(40, 101),
    defect=maybe | st.sampled_from(["crack", "stain", 'a]"b', "rack", "%"]),
    packages=st.sampled_from([(), (), (A,), (B, A), (CLASSIFIER,), ("d" * 64,)]),
    recipe=maybe | st.just("vials a"),
    station=maybe | st.sampled_from(["left", "nowhere"]),
    unit=maybe | st.just("u-31"),
    reviewed=maybe | st.sampled_from(["any", "none", "good", "crack"]),
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=queries, size=st.sampled_from([1, 7, 60]), order=st.sampled_from(["newest", "oldest"]))
def test_pages_hold_each_record_that_fits_once_and_in_order(
    archive: Archive, query: RecordQuery, size: int, order: Order
) -> None:
    if size == 1:
        query = replace(query, outcome="REVIEW")  # or there are too many pages
    wanted = [entry for entry in every(archive) if fits(entry, query)]
    wanted.sort(key=lambda one: (one.recorded_at, one.station, one.sequence), reverse=order == "newest")
    found = paged(archive, replace(query, order=order), size)
    assert [entry.name for entry in found] == [entry.name for entry in wanted]
    assert count(archive, query).units == len(wanted)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=queries.filter(lambda query: query.reviewed in (None, "none")))
def test_the_worst_first_begins_with_units_without_a_score(archive: Archive, query: RecordQuery) -> None:
    wanted = [entry for entry in every(archive) if fits(entry, query)]
    found = paged(archive, replace(query, order="worst"), 50)
    assert {entry.name for entry in found} == {entry.name for entry in wanted}
    scores = [float("inf") if entry.score is None else entry.score for entry in found]
    assert scores == sorted(scores, reverse=True)


def test_what_no_index_serves_is_looked_for_in_steps(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspection.search._STEP", 50)
    query, hurried = RecordQuery(min_score=1000.0), Budget(0.0)
    page, seen = search(archive, query, budget=hurried), []
    while page.after:
        assert page.found == [] and page.looked_to is not None
        seen.append(page.looked_to)
        page = search(archive, query, after=page.after, budget=hurried)
    assert len(seen) in (UNITS // 50 - 1, UNITS // 50)
    assert seen == sorted(seen, reverse=True)
    told = count(archive, RecordQuery(product="vial"), budget=hurried)
    assert 0 < told.units < UNITS and told.looked_to is not None
    assert count(archive, RecordQuery(product="vial")).units == UNITS
    told = count(archive, RecordQuery(), most=100)
    assert (told.units, told.more) == (100, True)
    assert len(list(matching(archive, RecordQuery(order="worst"), 130))) == 130


def test_choices_are_what_stands_in_records(archive: Archive) -> None:
    found = choices(archive)
    assert found.batches == ["B-2", "B-1", "B-0"]
    assert found.packages == [B, A]
    assert found.reasons == ["within_limits", "above_review_limit", "class_found", "clock_step"]
    assert found.defects == ['a]"b', "crack", "stain"]
    assert (found.recipes, found.products, found.stations) == (["vials a", "vials b"], ["vial"], ["left", "right"])


def test_every_search_goes_by_an_index(archive: Archive) -> None:
    """PostgreSQL reads a table of a few pages as a whole, whatever indexes there are, unless it is told not to."""
    said: list[tuple[str, object]] = []
    searches = [RecordQuery(**one) for one in (  # type: ignore[arg-type]
        {}, {"batch": "B-1"}, {"outcome": "REJECT"}, {"outcome": "not_passed"}, {"reason": "clock_step"},
        {"defect": "crack"}, {"packages": (A,)}, {"unit": "u-3"}, {"station": "left"}, {"reviewed": "crack"},
        {"reviewed": "none", "outcome": "REJECT"}, {"since": utc_moment("2026-04-01")},
    )]  # fmt: skip

    def keep(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        said.append((statement, parameters))

    with archive.reader() as connection:
        event.listen(connection.engine, "before_cursor_execute", keep)
        for query in searches:
            search(archive, query)
            count(archive, query)
        choices(archive)
        event.remove(connection.engine, "before_cursor_execute", keep)
        if archive.postgresql:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN " if archive.postgresql else "EXPLAIN QUERY PLAN "
        for statement, parameters in said:
            if "FROM entries" in statement:
                plan = [str(row[-1]) for row in connection.exec_driver_sql(explain + statement, parameters)]  # type: ignore[call-overload]
                read = [line for line in plan if "Seq Scan" in line or line.startswith("SCAN entries")]
                whole = [line for line in read if "INDEX" not in line]
                assert not whole, (statement, parameters, plan)
                if "outcome <> 'PASS'" in statement:  # literally: for these there are partial indexes
                    assert any("stopped_by_" in line for line in plan) or archive.postgresql, (statement, plan)


@pytest.mark.parametrize("after", ["x", "2026-01-01~s", "2026-01-01~s~-1", "2026-01-01~s~9999999999999999999", "~~"])
def test_a_place_that_is_none_is_refused(after: str, archive: Archive) -> None:
    for order in ("newest", "worst"):
        with pytest.raises(SearchInvalid, match=r"no place to go on from|is no time"):
            search(archive, RecordQuery(order=order), after=after)  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [["left/1", "left/999"], ["left"], ["left/x"], ["/1"]])
def test_a_record_that_is_none_is_not_left_out_in_silence(names: list[str], archive: Archive) -> None:
    with pytest.raises(SearchInvalid):
        records_named(archive, names)


def test_times_are_understood_as_people_write_them() -> None:
    assert utc_moment("2026-11-28") == "2026-11-28T00:00:00.000000Z"
    assert utc_moment("2026-11-28T06:30+01:00") == "2026-11-28T05:30:00.000000Z"
    for unfit in ("yesterday", "2026-13-01", "0001-01-01T00:00+14:00", ""):
        with pytest.raises(SearchInvalid):
            utc_moment(unfit)


def test_an_archive_without_the_indexes_gets_them_and_keeps_every_record(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "archive.sqlite", read_only=False)
    upgrade_to(engine, "0002")
    previous, rows = GENESIS, []
    for number in range(1, 31):
        rows.append(to_row(draft(number), "s", number, previous, f"2026-01-02T03:04:{number:02d}.000006Z"))
        previous = rows[-1]["hash"]
    with engine.begin() as connection:
        connection.execute(entries.insert(), rows)
    engine.dispose()
    with Archive(tmp_path) as archive, archive.reader() as connection:
        names = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'index'")).scalars())
        assert {"entries_by_package", "stopped_by_time", "stopped_by_reason"} <= names
        assert archive.missing_guards() == []
        assert [row["hash"] for row in archive.rows("s")] == [row["hash"] for row in rows]
        archive.append(draft(31), "s")
    assert verify_archive(tmp_path).problems == []
