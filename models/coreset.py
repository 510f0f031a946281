"""K-centre greedy coreset (Roth et al., PatchCore, 2022, section 3.2), exact, in blocks.

The textbook loop updates all distances after every pick: one pass over memory for one row. Here a round takes the
rows that are farthest now and picks among them for as long as the best of them is farther than every row outside can
be (distances only ever shrink), so the picks are the same and the update is one matrix product per block.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
_CANDIDATES = 512
_CHUNK = 32_768


def k_centre_greedy(
    segments: Sequence[Rows], count: int, seed: int, progress: Callable[[int], object] = lambda _: None
) -> Rows:
    """Up to `count` rows `[M, D]` that cover the rows of all `segments` (each `[n, D]` float32, none copied).

    Each pick is a row farthest (Euclidean) from those picked before; the first is random. Fewer rows come back where
    there are fewer distinct ones. `progress` is told how many were picked. Raises ValueError for no rows.
    """
    segments = [rows for rows in segments if len(rows)]
    total = sum(len(rows) for rows in segments)
    if total == 0 or count < 1:
        msg = f"a coreset needs rows and a count of at least one, got {total} rows and a count of {count}"
        raise ValueError(msg)
    starts = np.cumsum([0, *(len(rows) for rows in segments)])
    squares = np.concatenate([np.einsum("nd,nd->n", rows, rows) for rows in segments])
    nearest = np.full(total, np.inf, dtype=np.float32)
    block = np.array([np.random.default_rng(seed).integers(total)])
    new = _take(segments, starts, block)
    centres: list[Rows] = []
    known: set[bytes] = set()
    while True:
        new = _unknown(new, known)
        if len(new):
            centres.append(new)
            _shrink(nearest, segments, starts, squares, new)
            progress(len(new))
        nearest[block] = 0
        if len(known) >= count:
            break
        candidates = _farthest(nearest, min(_CANDIDATES, total))
        rows = _take(segments, starts, candidates)
        chosen = _pick(rows, nearest[candidates], count - len(known))
        if not chosen:
            break
        block, new = candidates[chosen], rows[chosen]
    return np.concatenate(centres)


def _farthest(nearest: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    return np.sort(np.argpartition(nearest, len(nearest) - count)[len(nearest) - count :])


def _pick(rows: Rows, nearest: NDArray[np.float32], count: int) -> list[int]:
    """Greedy picks among the candidates, for as long as no row outside them could be farther."""
    bound = nearest.min()
    squares = np.einsum("nd,nd->n", rows, rows)
    between = np.maximum(squares[:, None] + squares[None] - 2 * rows @ rows.T, 0)
    distance = nearest.copy()
    chosen: list[int] = []
    while len(chosen) < count:
        best = int(np.argmax(distance))
        if distance[best] <= 0 or (chosen and distance[best] < bound):
            break
        chosen.append(best)
        distance = np.minimum(distance, between[best])
        distance[best] = 0
    return chosen


def _unknown(rows: Rows, known: set[bytes]) -> Rows:
    """The rows that are not yet `known`, to which they are added: rounding puts a row's twin a little way off it."""
    fresh = []
    for index, row in enumerate(rows):
        if (content := row.tobytes()) not in known:
            known.add(content)
            fresh.append(index)
    return rows[fresh]


def _take(segments: Sequence[Rows], starts: NDArray[np.int_], indices: NDArray[np.intp]) -> Rows:
    which = np.searchsorted(starts, indices, side="right") - 1
    return np.stack([segments[s][i - starts[s]] for s, i in zip(which, indices, strict=True)])


def _shrink(
    nearest: NDArray[np.float32],
    segments: Sequence[Rows],
    starts: NDArray[np.int_],
    squares: NDArray[np.float32],
    centres: Rows,
) -> None:
    """Lower `nearest` (squared distances) in place to the nearest of the new `centres`."""
    centre_squares = np.einsum("nd,nd->n", centres, centres)
    for rows, start in zip(segments, starts[:-1], strict=True):
        for at in range(0, len(rows), _CHUNK):
            part = rows[at : at + _CHUNK]
            where = slice(start + at, start + at + len(part))
            product = part @ (-2 * centres.T)
            product += centre_squares
            distance = np.maximum(product.min(axis=1) + squares[where], 0)
            np.minimum(nearest[where], distance, out=nearest[where])
