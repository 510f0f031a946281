"""A uniform sample of rows from a stream, in memory that is set beforehand."""

import numpy as np
from numpy.typing import NDArray


class Reservoir:
    """Keeps at most `capacity` of all rows ever added, each with the same probability (Vitter's algorithm R)."""

    def __init__(self, capacity: int, dimensions: int, seed: int) -> None:
        self._rows = np.empty((capacity, dimensions), dtype=np.float32)
        self._random = np.random.default_rng(seed)
        self.seen = 0

    @property
    def rows(self) -> NDArray[np.float32]:
        """The rows kept so far `[n, D]` float32: a view, in the order they came while there was room."""
        return self._rows[: min(self.seen, len(self._rows))]

    def add(self, rows: NDArray[np.float32]) -> None:
        """Offer rows `[n, D]`."""
        room = max(0, min(len(self._rows) - self.seen, len(rows)))
        self._rows[self.seen : self.seen + room] = rows[:room]
        late = rows[room:]
        if len(late):
            place = self._random.integers(0, np.arange(self.seen + room, self.seen + len(rows)) + 1)
            kept = place < len(self._rows)
            self._rows[place[kept]] = late[kept]
        self.seen += len(rows)
