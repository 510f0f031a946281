"""The coreset is the textbook's k-centre greedy one, whatever blocks it is computed in.

Whole numbers keep float32 arithmetic exact, so that "farthest" has no rounding to hide behind.
"""

import tracemalloc
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from models import coreset
from models.coreset import k_centre_greedy

Rows = NDArray[np.float32]
WHOLE = st.integers(-9, 9).map(float)
SMALL = npst.arrays(np.float32, st.tuples(st.integers(1, 30), st.just(3)), elements=WHOLE)


def distances(rows: Rows, centres: Rows) -> NDArray[np.float64]:
    """Squared distance of each row to its nearest centre `[n]`."""
    apart = rows[:, None].astype(np.float64) - centres[None].astype(np.float64)
    return np.asarray((apart**2).sum(axis=2).min(axis=1))


def textbook(rows: Rows, count: int, seed: int) -> tuple[Rows, bool]:
    """The greedy picks one by one, and whether ever two rows were equally far."""
    picked = [int(np.random.default_rng(seed).integers(len(rows)))]
    nearest = distances(rows, rows[picked])
    tied = False
    while len(picked) < count and nearest.max() > 0:
        best = int(nearest.argmax())
        tied |= bool((nearest == nearest[best]).sum() > 1)
        picked.append(best)
        nearest = np.minimum(nearest, distances(rows, rows[best : best + 1]))
    return rows[picked], tied


def noise(count: int, dimensions: int, seed: int = 0) -> Rows:
    """Far from the origin, as features are: there the rounding of the distances is largest."""
    return (np.random.default_rng(seed).normal(size=(count, dimensions)) * 10 + 20).astype(np.float32)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_picks_are_the_textbooks(seed: int) -> None:
    rows = np.random.default_rng(seed).integers(-600, 601, (2500, 8)).astype(np.float32)
    wanted, tied = textbook(rows, 120, seed)
    assert not tied

    found = k_centre_greedy(np.array_split(rows, [3, 700, 2400]), 120, seed)

    assert np.array_equal(found, wanted)


@given(rows=SMALL, cuts=st.lists(st.integers(0, 30), max_size=4), count=st.integers(1, 40), seed=st.integers(0, 5))
@settings(max_examples=300, deadline=None)
def test_every_pick_is_a_farthest_row(rows: Rows, cuts: list[int], count: int, seed: int) -> None:
    segments = np.split(rows, sorted(cuts))
    with patch.multiple(coreset, _CANDIDATES=4, _CHUNK=5):
        found = k_centre_greedy(segments, count, seed)

    assert np.array_equal(found[0], rows[np.random.default_rng(seed).integers(len(rows))])
    assert len(found) == min(count, len(np.unique(rows, axis=0)))
    for number in range(1, len(found)):
        before = found[:number]
        assert distances(found[number : number + 1], before)[0] == distances(rows, before).max()


@pytest.mark.parametrize("count", [5, 80])
def test_no_row_is_farther_from_the_coreset_than_its_rows_are_from_each_other(count: int) -> None:
    rows = noise(4000, 16)

    found = k_centre_greedy([rows[:1000], rows[1000:]], count, 7)

    radius = np.sqrt(distances(rows, found).max())
    others = [np.delete(found, index, axis=0) for index in range(count)]
    apart = min(np.sqrt(distances(row[None], rest)[0]) for row, rest in zip(found, others, strict=True))
    assert apart >= radius * (1 - 1e-4)
    assert {row.tobytes() for row in found} <= {row.tobytes() for row in rows}


@pytest.mark.parametrize("dimensions", [1, 40, 152])
def test_twins_are_taken_once(dimensions: int) -> None:
    rows = noise(50, dimensions)

    found = k_centre_greedy([rows, rows, rows[::-1]], 200, 0)

    assert len(found) == 50
    assert {row.tobytes() for row in found} == {row.tobytes() for row in rows}


def test_the_seed_alone_decides() -> None:
    rows = noise(900, 12)
    runs = [k_centre_greedy([rows], 30, seed).tobytes() for seed in (4, 4, 5)]

    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_the_rows_are_neither_changed_nor_copied() -> None:
    rows = noise(60_000, 64)
    before = rows.copy()
    rows.setflags(write=False)
    tracemalloc.start()
    try:
        k_centre_greedy([rows[:20_000], rows[20_000:]], 8, 0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert np.array_equal(rows, before)
    assert peak < rows.nbytes / 2


def test_progress_adds_up_to_the_rows_picked() -> None:
    told: list[int] = []

    found = k_centre_greedy([noise(700, 4), noise(700, 4)], 900, 0, told.append)

    assert sum(told) == len(found) == 700


@pytest.mark.parametrize(
    ("segments", "count"), [([], 3), ([np.empty((0, 4), np.float32)], 3), ([noise(5, 4)], 0), ([noise(5, 4)], -1)]
)
def test_nothing_to_pick_is_refused(segments: list[Rows], count: int) -> None:
    with pytest.raises(ValueError, match=f"count of {count}"):
        k_centre_greedy(segments, count, 0)
