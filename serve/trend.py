"""The reject-rate trend of a station, for pages: kept in memory, read from the archive at the start."""

import threading
import time
from typing import Any

from inspection.archive import Archive
from inspection.recent_units import recent_outcomes, seconds
from inspection.reject_trend import BLOCK_UNITS, KEPT_S, RejectTrend, UnitAt
from inspection.station import Disposition
from inspection.verdict import Outcome

_TOLD_EVERY_S = 1.0


class LiveTrend:
    """A `RejectTrend` that may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trend = RejectTrend()
        self._changed, self._told_at = False, 0.0

    def fill(self, archive: Archive, station: str) -> None:
        """Begin with the station's last units on record. Raises ArchiveFault."""
        units = recent_outcomes(archive, station, time.time() - KEPT_S)
        with self._lock:
            self._trend = RejectTrend(units)

    def add(self, disposition: Disposition, batch: str | None) -> None:
        """Count a unit; one without a record is of `batch`."""
        entry, passed = disposition.entry, disposition.outcome is Outcome.PASS
        unit = UnitAt(seconds(entry.recorded_at), entry.batch, passed) if entry else UnitAt(time.time(), batch, passed)
        with self._lock:
            self._trend.add(unit)
            self._changed = True

    def due(self) -> bool:
        """Whether pages are to be told again: it is another, and they were not told within the last second."""
        with self._lock:
            due = self._changed and time.monotonic() - self._told_at >= _TOLD_EVERY_S
            if due:
                self._changed, self._told_at = False, time.monotonic()
            return due

    def snapshot(self) -> dict[str, Any]:
        """Of each block, in columns: its end (seconds since 1970), units, how many did not pass, its batch's mean and
        its limits as shares from 0 to 1; and what the newest ones say (`signal`) since when."""
        with self._lock:
            drawn, (signal, since) = self._trend.drawn(), self._trend.signal()
            blocks = [one.block for one in drawn]
            return {
                "at": [round(block.ended) for block in blocks],
                "units": [block.units for block in blocks],
                "stopped": [block.stopped for block in blocks],
                "mean": [_rounded(one.mean) for one in drawn],
                "lower": [_rounded(one.lower) for one in drawn],
                "upper": [_rounded(one.upper) for one in drawn],
                "outside": [bool(one.signal) for one in drawn],
                "block_units": BLOCK_UNITS,
                "signal": signal,
                "since": round(since),
            }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 5)
