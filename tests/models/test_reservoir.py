"""A reservoir keeps a fair sample of a stream in the memory it was given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from models.reservoir import Reservoir


def numbered(count: int, dimensions: int = 2) -> NDArray[np.float32]:
    """Rows that hold their own number."""
    return np.repeat(np.arange(count, dtype=np.float32)[:, None], dimensions, axis=1)


def filled(rows: NDArray[np.float32], capacity: int, seed: int, cuts: list[int]) -> NDArray[np.float32]:
    reservoir = Reservoir(capacity, rows.shape[1], seed)
    for part in np.split(rows, cuts):
        reservoir.add(part)
    assert reservoir.seen == len(rows)
    return reservoir.rows


def test_every_row_has_the_same_chance() -> None:
    capacity, stream, runs = 40, 200, 500
    rows = numbered(stream, 1)
    kept = np.zeros(stream)
    for seed in range(runs):
        kept[filled(rows, capacity, seed, [25, 33, 110])[:, 0].astype(int)] += 1

    expected = runs * capacity / stream
    spread = expected * (1 - capacity / stream)
    statistic = ((kept - expected) ** 2 / spread).sum()
    assert kept.sum() == runs * capacity
    assert 0.001 < stats.chi2.sf(statistic, stream - 1) < 0.999


@given(
    count=st.integers(0, 60),
    capacity=st.integers(1, 20),
    cuts=st.lists(st.integers(0, 60), max_size=6).map(sorted),
    seed=st.integers(0, 3),
)
def test_how_the_stream_is_cut_does_not_matter(count: int, capacity: int, cuts: list[int], seed: int) -> None:
    rows = numbered(count)

    together = filled(rows, capacity, seed, [])
    apart = filled(rows, capacity, seed, cuts)
    one_by_one = filled(rows, capacity, seed, list(range(1, count)))

    assert np.array_equal(together, apart)
    assert np.array_equal(together, one_by_one)
    assert len(np.unique(together[:, 0])) == len(together) == min(count, capacity)


def test_rows_keep_their_order_while_there_is_room() -> None:
    rows = numbered(12)

    assert np.array_equal(filled(rows, 12, 0, [5]), rows)
    assert np.array_equal(filled(rows, 100, 0, [5]), rows)


@pytest.mark.parametrize("stream", [10, 1000, 100_000])
def test_memory_is_what_was_given(stream: int) -> None:
    reservoir = Reservoir(64, 8, 0)
    for _ in range(stream // 10):
        reservoir.add(numbered(10, 8))

    base = reservoir.rows if reservoir.rows.base is None else reservoir.rows.base
    assert base.nbytes == 64 * 8 * 4
    assert reservoir.rows.dtype == np.float32
    assert len(reservoir.rows) == min(64, stream)


def test_another_seed_keeps_other_rows() -> None:
    rows = numbered(500)

    assert np.array_equal(filled(rows, 20, 1, []), filled(rows, 20, 1, []))
    assert not np.array_equal(filled(rows, 20, 1, []), filled(rows, 20, 2, []))
