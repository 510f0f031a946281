"""Batches as a plant's archive has them: several stations, one that runs, reviews, names that nobody began."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.archive import Archive
from inspection.batch_list import find_batches, open_batches, unbegun_batches
from inspection.batch_totals import batch_totals
from inspection.records import Draft, Entry
from inspection.reviews import add_review


def begin(archive: Archive, batch: str, station: str = "s") -> Entry:
    return archive.append(Draft("event", batch=batch, reason="batch_started", details={"by": "otto"}), station)


def unit(archive: Archive, batch: str, outcome: str = "PASS", station: str = "s") -> Entry:
    return archive.append(Draft("unit", unit="u", batch=batch, outcome=outcome, reason="r"), station)


def end(archive: Archive, batch: str, triggered: int, passed: int, rejected: int = 0, station: str = "s") -> None:
    counts = {"triggered": triggered, "passed": passed, "rejected": rejected, "undecided": 0}
    details = {"by": "otto", "counts": counts, "reconciled": triggered == passed + rejected}
    archive.append(Draft("event", batch=batch, reason="batch_stopped", details=details), station)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Two stations: one runs B-3 since before the other's B-4 was begun and ended; A-1 was never begun."""
    with Archive(tmp_path / "archive") as opened:
        unit(opened, "A-1")
        begin(opened, "B-1")
        unit(opened, "B-1")
        end(opened, "B-1", 2, 1)
        begin(opened, "B-2")
        bad = [unit(opened, "B-2", "REJECT") for _ in range(3)]
        seen = unit(opened, "B-2")
        end(opened, "B-2", 4, 1, 3)
        for entry in (bad[0], seen):
            add_review(opened, entry.name, (), "ruth")
        begin(opened, "B-3", "t")
        unit(opened, "B-3", "REVIEW", "t")
        begin(opened, "B-4")
        end(opened, "B-4", 0, 0)
        yield opened


def test_the_newest_come_first_with_what_is_known_of_them(archive: Archive) -> None:
    found = {one.batch: one for one in find_batches(archive)}
    assert list(found) == ["B-4", "B-3", "B-2", "B-1"]
    assert (found["B-1"].counts["triggered"], found["B-1"].units, found["B-1"].reconciled) == (2, 1, False)
    assert (found["B-2"].looked_at, found["B-2"].open_reviews) == (1, 2)  # the one that passed is no open question
    assert (found["B-3"].stopped, found["B-3"].counts["triggered"], found["B-3"].open_reviews) == (None, None, 1)


def test_the_one_that_runs_is_found_on_whichever_station(archive: Archive) -> None:
    assert [(one.batch, one.station) for one in open_batches(archive)] == [("B-3", "t")]


def test_names_that_nobody_began_are_found_from_one_to_the_next(archive: Archive) -> None:
    unit(archive, "Z-9")
    assert unbegun_batches(archive, limit=1) == (["A-1"], "A-1")
    assert unbegun_batches(archive, after="A-1") == (["Z-9"], "")
    assert unbegun_batches(archive, text="z-") == (["Z-9"], "")


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_have_each_batch_once(archive: Archive, limit: int) -> None:
    names, before = [], ""
    while page := find_batches(archive, "b-", before, limit):
        names += [one.batch for one in page]
        before = page[-1].key
    assert names == ["B-4", "B-3", "B-2", "B-1"]


_OUTCOMES = st.sampled_from(["PASS", "REJECT", "REVIEW"])


@settings(max_examples=15, deadline=None)
@given(
    units=st.lists(_OUTCOMES, min_size=1, max_size=12),
    corrections=st.lists(st.tuples(st.integers(0, 11), _OUTCOMES), max_size=6),
    looked=st.sets(st.integers(0, 11)),
)
def test_the_database_counts_as_one_would_by_hand(
    tmp_path_factory: pytest.TempPathFactory, units: list[str], corrections: list[tuple[int, str]], looked: set[int]
) -> None:
    with Archive(tmp_path_factory.mktemp("counted")) as archive:
        made = [unit(archive, "B", outcome) for outcome in units]
        now = list(units)
        reasons = ["r"] * len(units)
        for number, outcome in corrections:
            if number < len(made):
                details = {"corrects": made[number].name, "outcome": outcome}
                archive.append(Draft("event", reason="late_record", details=details), "s")
                now[number], reasons[number] = outcome, "late_record"
        for number in looked & set(range(len(made))):
            add_review(archive, made[number].name, (), "ruth")
        totals = batch_totals(archive, "B")
    assert totals.outcomes == {"PASS": 0, "REJECT": 0, "REVIEW": 0} | Counter(now)
    assert totals.reasons == Counter(reasons)
    assert totals.severities["unnamed"] == sum(outcome != "PASS" for outcome in now)
    seen = [now[number] for number in looked if number < len(made)]
    assert (totals.sampled, totals.looked_at) == (seen.count("PASS"), len(seen) - seen.count("PASS"))
