"""Fewer values to a feature: the directions along which good features vary most (principal component analysis)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def principal_directions(segments: Sequence[NDArray[np.float32]], count: int) -> NDArray[np.float32]:
    """`[D, count]`, orthonormal columns: the strongest directions of the rows of all `segments`, each `[n, D]`.

    Distances between projected rows are those of the rows, less what lies across the directions kept.
    """
    total = sum(len(rows) for rows in segments)
    mean = sum(rows.sum(axis=0, dtype=np.float64) for rows in segments) / total
    scatter = np.zeros((len(mean), len(mean)))
    for rows in segments:
        for start in range(0, len(rows), 65_536):
            centred = rows[start : start + 65_536] - mean
            scatter += centred.T @ centred
    _, directions = np.linalg.eigh(scatter)
    strongest = directions[:, ::-1][:, :count]
    signs = np.sign(strongest[np.abs(strongest).argmax(axis=0), np.arange(strongest.shape[1])])
    return np.ascontiguousarray(strongest * signs, dtype=np.float32)
