"""Units from what a PLC shows, whatever it shows."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.triggers import TriggerFault
from serve.triggers.counting import EdgeCounter, PitchCounter

MOST = 5


def pitches(*readings: int, pitch: int = 100, offset: int = 0, bits: int = 16) -> list[int]:
    """The units that these readings open, by how many readings had been made."""
    counter = PitchCounter(pitch, offset, bits, MOST)
    counter.resume(readings[0])
    return [number for number, reading in enumerate(readings[1:], 1) for _ in counter.read(reading)]


@given(
    bits=st.sampled_from([16, 32]),
    pitch=st.integers(1, 6000),
    offset=st.integers(-(2**31), 2**31 - 1),
    start=st.integers(0, 2**32 - 1),
    moves=st.lists(st.floats(-0.4, MOST) | st.floats(-0.1, 0.1), max_size=60),
)
def test_units_are_the_pitches_first_reached(
    bits: int, pitch: int, offset: int, start: int, moves: list[float]
) -> None:
    counter, position = PitchCounter(pitch, offset, bits, MOST), start % 2**bits
    counter.resume(position)
    reached = position
    opened: list[int] = []
    for move in moves:
        before, position = position, position + int(move * pitch)
        if reached - position > MOST * pitch:
            break  # that far back is a fault
        edges = [edge for edge in range(reached + 1, position + 1) if (edge - offset) % pitch == 0]
        units = counter.read(position % 2**bits)
        assert [before + unit.share * (position - before) for unit in units] == pytest.approx(edges)
        assert all(0 < unit.share <= 1 for unit in units)
        opened += [unit.number for unit in units]
        reached = max(reached, position)
    assert opened == list(range(1, len(opened) + 1))


@given(bits=st.sampled_from([16, 32]), pitch=st.integers(1, 6000), readings=st.lists(st.integers(0, 2**32 - 1)))
def test_anything_read_is_units_in_order_or_a_fault(bits: int, pitch: int, readings: list[int]) -> None:
    counter, numbers, seen = PitchCounter(pitch, 7, bits, MOST), [0], False
    for reading in readings:
        raw = reading % 2**bits
        if not seen:
            counter.resume(raw)
            seen = True
            continue
        try:
            numbers += [unit.number for unit in counter.read(raw)]
        except TriggerFault:
            seen = False
    assert all(before < after for before, after in pairwise(numbers))
    assert counter.count == len(numbers) - 1


@pytest.mark.parametrize(
    ("readings", "units"),
    [
        ((0, 99, 100, 101, 199, 200), [2, 5]),
        ((0, 100, 99, 100, 99, 101), [1]),  # it trembles at the edge
        ((0, 250, 201, 151, 101, 60, 160, 250, 299, 300), [1, 1, 9]),  # back, and the same units again
        ((0, 350), [1, 1, 1]),
        ((65_500, 63, 64, 164), [2, 3]),  # the count goes round at 65 536: pitches at 65 500, 65 600, 65 700
    ],
)
def test_movements(readings: tuple[int, ...], units: list[int]) -> None:
    assert pitches(*readings) == units


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([1000], 1501, "from 1000 to 1501"),  # too far
        ([80], 0, "from 80 to 0"),  # set back to zero: no unit must be missed until it is at 80 again
        ([100, *range(50, -1, -50), *range(65_500, 65_100, -50)], 65_100, "turn its direction round"),
    ],
)
def test_what_no_belt_does_is_a_fault_and_counts_anew(before: list[int], after: int, said: str) -> None:
    counter = PitchCounter(100, 0, 16, MOST)
    counter.resume(before[0])
    for reading in before[1:]:
        assert counter.read(reading) == []
    with pytest.raises(TriggerFault, match=said):
        counter.read(after)
    counter.resume(after)
    assert len(counter.read((after + 100) % 65_536)) == 1


def test_pitches_passed_while_nobody_looked_are_counted_and_not_opened() -> None:
    counter = PitchCounter(100, 0, 16, MOST)
    counter.resume(50)
    [first] = counter.read(100)
    counter.resume(1250)
    [next_seen] = counter.read(1300)
    assert (first.number, next_seen.number) == (1, 13)
    counter.resume(0)  # the PLC was restarted meanwhile
    assert [unit.number for unit in counter.read(100)] == [14]


def looks(*seen: tuple[bool, int | None], bits: int = 16) -> list[tuple[bool, int | None]]:
    counter = EdgeCounter(bits, 100)
    counter.resume(*seen[0])
    return [counter.look(*one) for one in seen[1:]]


def test_without_a_counter_each_rising_edge_is_a_unit() -> None:
    bits = [True, True, False, True, True, False, False, True]
    assert [came for came, _ in looks(*((bit, None) for bit in bits))] == [
        False, False, True, False, False, False, True
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "units"),
    [
        ([(False, 7), (True, 8), (True, 8), (False, 8), (True, 9)], [8, 9]),
        ([(False, 7), (False, 8), (True, 8), (False, 8)], [8]),  # it rose after the bit was read, before the counter
        ([(False, 7), (True, 7), (True, 8), (False, 8)], [8]),  # the PLC counts a little later
        ([(False, 7), (True, 8), (True, 9), (False, 9)], [8, 9]),  # down and up again between two looks
        ([(False, 7), (False, 9)], [9]),  # two that nobody saw: a gap tells of the first
        ([(False, 65_535), (True, 0)], [65_536]),  # the counter goes round
    ],
)
def test_with_a_counter_each_advance_is_a_unit(seen: list[tuple[bool, int]], units: list[int]) -> None:
    assert [count for came, count in looks(*seen) if came] == units


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ([(False, 7), (False, 6)], "from 7 to 6"),
        ([(False, 7), (False, 108)], "from 7 to 108"),
        ([(False, 7), (False, 7), (True, 7), (False, 7)], "stayed at 7"),
    ],
)
def test_a_counter_that_does_not_count_units_is_a_fault(seen: list[tuple[bool, int]], said: str) -> None:
    with pytest.raises(TriggerFault, match=said):
        looks(*seen)


def test_units_counted_while_nobody_looked_are_a_gap() -> None:
    counter = EdgeCounter(16, 100)
    counter.resume(False, 7)
    assert counter.look(True, 8) == (True, 8)
    counter.resume(True, 300)
    assert counter.look(True, 301) == (True, 301)
