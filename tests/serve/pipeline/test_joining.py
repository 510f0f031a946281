"""No frame is ever taken for another unit's, whatever a camera loses, delays or shoots once too often."""

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.pipeline.joining import CameraJoiner, Placed

PITCH_S = 0.1


@dataclass(frozen=True)
class Happened:
    """To one unit's frames: they come `late_s` after its trigger, get lost, were never shot, or one was shot twice."""

    what: Literal["comes", "lost", "missed", "twice"]
    late_s: float


def played(events: list[Happened], frames: int, after_s: float = 0.0, seen_s: float = 0.0) -> list[Placed[int]]:
    """The placements of a line on which these things happened; a frame's token is its true unit."""
    joiner: CameraJoiner[int] = CameraJoiner(after_s, 0.08 + after_s, frames)
    happening: list[tuple[float, int, int | None, int]] = []
    sequence, last = 0, 0.0
    for number, event in enumerate(events):
        trigger = number * PITCH_S
        happening.append((trigger + seen_s, 0, None, number))
        for _ in range(frames + (event.what == "twice")):
            if event.what == "missed":
                break
            arrives = last = max(last, trigger + event.late_s)  # one cable: no frame overtakes another
            if event.what != "lost":
                happening.append((arrives, 1, sequence, number))
            sequence += 1
    placed: list[Placed[int]] = []
    for at, _, counted, number in sorted(happening, key=lambda one: one[:2]):
        placed += joiner.passed(at)
        placed += joiner.opened(number, at) if counted is None else joiner.shot(number, counted, at)
    return placed


happened = st.builds(
    Happened,
    st.sampled_from(["comes", "comes", "comes", "lost", "missed", "twice"]),
    st.one_of(st.floats(0.0, 0.079), st.floats(0.0, 0.25)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(happened, min_size=1, max_size=12), st.integers(1, 3))
def test_no_frame_is_given_to_another_unit(events: list[Happened], frames: int) -> None:
    late_twice = any(event.what == "twice" and event.late_s > 0.09 for event in events)
    if not late_twice:  # two faults at once that look like none: a frame too many, a whole unit late
        assert [one for one in played(events, frames) if one.unit not in (None, one.token)] == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.0, 0.05), min_size=1, max_size=12), st.integers(1, 3), st.floats(0.0, 0.02))
def test_a_line_that_runs_well_places_every_frame(delays: list[float], frames: int, seen_s: float) -> None:
    placed = played([Happened("comes", delay) for delay in delays], frames, after_s=-0.021, seen_s=seen_s)
    assert [(one.token, one.unit) for one in placed if one.token != one.unit or one.doubtful] == []
    assert len(placed) == len(delays) * frames


def test_what_was_lost_on_its_way_leaves_the_others_where_they_belong() -> None:
    fine = Happened("comes", 0.01)
    placed = played([fine, Happened("lost", 0.01), fine, fine], frames=2)
    assert [one.unit for one in placed] == [0, 0, 2, 2, 3, 3]


def test_a_missed_trigger_makes_its_unit_and_the_next_doubtful_and_stops_until_the_restart() -> None:
    joiner: CameraJoiner[str] = CameraJoiner(0.0, 0.08)
    for number in (1, 2, 3):
        joiner.opened(number, number * 0.1)
        if number != 2:
            placed = joiner.shot("frame", number if number == 1 else 2, number * 0.1 + 0.01)
    assert placed == [Placed("frame", None, (2, 3))]
    assert joiner.in_doubt
    joiner.opened(4, 0.4)
    assert joiner.shot("frame", 3, 0.41) == [Placed("frame", None)]
    joiner.restarted()
    joiner.opened(5, 0.5)
    assert joiner.shot("frame", 0, 0.51) == [Placed("frame", 5)]
    assert not joiner.in_doubt


def test_a_frame_without_any_unit_is_nobody_s_and_a_doubt() -> None:
    joiner: CameraJoiner[str] = CameraJoiner(-0.02, 0.08)
    joiner.opened(1, 0.5)
    assert joiner.shot("frame", 0, 1.0) == []
    assert joiner.passed(1.01) == []
    assert joiner.passed(1.03) == [Placed("frame", None)]
    assert joiner.in_doubt


def test_frames_before_the_first_unit_are_nobody_s_and_no_doubt() -> None:
    joiner: CameraJoiner[str] = CameraJoiner(0.0, 0.08)
    assert [joiner.shot("frame", number, number * 0.1) for number in range(3)] == [[Placed("frame", None)]] * 3
    assert not joiner.in_doubt
    joiner.opened(1, 0.3)
    assert joiner.shot("frame", 3, 0.31) == [Placed("frame", 1)]


def test_times_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="time to come"):
        CameraJoiner(0.1, 0.1)
