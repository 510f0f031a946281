"""What a re-inspection keeps and counts: exact counts, bounded lists, the time left."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection import reinspect_tally
from inspection.record_filter import RecordFilter
from inspection.recorded_items import Said, has_work, recorded_item
from inspection.records import Draft, FrameRecord, to_row
from inspection.reinspect_comparison import MOST_COMPARED, comparison_with_records
from inspection.reinspect_progress import ProgressClock
from inspection.reinspect_tally import Foremost, Tally
from inspection.unit_result import FrameResult, UnitResult, UnitResults
from inspection.work_list import Recorded

SCORES = st.one_of(st.none(), st.integers(0, 20).map(float))


def result(number: int, old: str | None, new: str, score: float | None) -> UnitResult:
    frames = (FrameResult(f"image-{number}", score, None if score is not None else "frame_unreadable", "damaged"),)
    recorded = Recorded(hash="0" * 64, batch="B", cameras=("top",), defects=("crack",), truth="defective")
    return UnitResult(f"unit-{number}", "s", number, old, "why", 1.0, new, "why", score, frames, recorded=recorded)


@given(st.lists(SCORES, max_size=60), st.integers(1, 7))
def test_the_foremost_are_those_that_sorting_all_would_give(scores: list[float | None], most: int) -> None:
    def rank(item: dict[str, Any]) -> tuple[bool, float]:
        return item["score"] is None, -(item["score"] or 0.0)

    items = [{"score": score, "number": number} for number, score in enumerate(scores)]
    foremost = Foremost(most, rank)
    for item in items:
        foremost.add(item)
    assert foremost.items == sorted(items, key=rank)[:most]
    assert foremost.total == len(items)


def test_counts_are_exact_where_lists_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reinspect_tally, "MOST_LISTED", 5)
    monkeypatch.setattr(reinspect_tally, "MOST_SHOWN", 2)
    tally = Tally()
    for number in range(40):
        tally.add(
            result(number, "PASS", "REJECT" if number % 2 else "PASS", None if number % 4 == 1 else float(number))
        )
    said = tally.summary()
    assert (said["changed"], len(said["changed_verdicts"])) == (20, 5)
    assert (said["unreadable_count"], len(said["unreadable"])) == (10, 5)
    assert said["agreement"] == {"PASS": {"PASS": 20, "REJECT": 20, "REVIEW": 0}}
    foremost = tally.foremost["PASS", "REJECT"]
    assert ([item["sequence"] for item in foremost.items], foremost.total) == ([39, 35], 20)


@given(
    st.lists(st.tuples(st.sampled_from(["PASS", "REVIEW", "REJECT"]), SCORES, st.booleans()), min_size=1, max_size=4)
)
def test_a_line_holds_all_of_a_units_results(parts: list[tuple[str, float | None, bool]]) -> None:
    each = tuple(result(7, "PASS", new, score) for new, score, _ in parts)
    results = UnitResults(each).with_heatmaps(["heatmaps/x" if kept else None for _, _, kept in parts])
    assert UnitResults.from_line(json.loads(json.dumps(results.line()))) == results


@pytest.mark.parametrize(
    "broken", [{}, {"unit": "u"}, {"new": "MAYBE"}, {"further": 3}, {"recorded": None}, {"more": 1}]
)
def test_a_line_that_is_something_else_is_known_as_such(broken: dict[str, Any]) -> None:
    whole = UnitResults((result(1, "PASS", "PASS", 1.0),)).line()
    line = {**whole, **broken} if broken else {}
    if broken == {"unit": "u"}:
        line = broken
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        UnitResults.from_line(line)


def test_the_time_left_is_that_of_this_sessions_rate() -> None:
    now = [100.0]
    clock = ProgressClock(lambda: now[0])
    first = clock.at(50, 100)  # taken up: the first fifty say nothing of the rate
    assert (first.rate, first.seconds_left, clock.due(first)) == (None, None, True)
    now[0] += 0.5
    second = clock.at(51, 100)
    assert (second.rate, second.seconds_left, clock.due(second)) == (2.0, 24.5, False)
    now[0] += 4.5
    third = clock.at(60, 100)
    assert (third.rate, third.seconds_left, clock.due(third)) == (2.0, 20.0, True)
    last = clock.at(100, 100)
    assert (last.seconds_left, clock.due(last)) == (0.0, True)
    assert json.loads(last.line())["total"] == 100


def test_images_that_the_retention_rule_removed_are_no_missing_images() -> None:
    frames = (FrameRecord("top", 1, "2026-01-01T00:00:00.000000Z", image="a" * 64 + ".png", score=1.0),)
    draft = Draft("unit", unit="u", outcome="PASS", reason="within_limits", score=1.0, frames=frames)
    row = to_row(draft, "s", 1, "0" * 64, "2026-01-01T00:00:00.000000Z")
    assert recorded_item(row, Said()).images == ("a" * 64 + ".png",)
    gone = recorded_item(row, Said(), lambda _row, image: image.startswith("a"))
    assert (gone.images, has_work(gone), gone.fault) == ((), False, None)


def test_more_units_than_can_be_compared_in_memory_are_left_to_the_command(tmp_path: Any) -> None:
    said = comparison_with_records(tmp_path / "result.parquet", "0" * 64, MOST_COMPARED + 1)
    assert said is not None and "inspection compare" in said["not_compared"]
    assert comparison_with_records(tmp_path / "result.parquet", "0" * 64, 0) is None


def test_a_filter_says_what_it_was_given() -> None:
    wanted = RecordFilter.of(batch="B", since="2026-11-28", verdicts=("REJECT", "PASS", "PASS"))
    assert wanted.plain() == {"batch": "B", "since": "2026-11-28T00:00:00.000000Z", "verdicts": ["PASS", "REJECT"]}
    assert RecordFilter().plain() == {}
