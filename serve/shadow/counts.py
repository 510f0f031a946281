"""What became of the units that the shadow was offered, since the line started."""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

# Why the candidate did not look at a unit: its turn did not come, or there is nobody to look.
SHED = ("busy", "share", "queue_full", "starting", "fault", "stopped", "error")
# Why it has no finding, in a unit at which it began to look.
FAILED = ("raised", "died", "hung")


class ShadowCounts:
    """Counts of units. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inspected = self._differ = self._unrecorded = 0
        self._shed, self._failed = Counter[str](), Counter[str]()
        self._untold_shed, self._untold_failed = Counter[str](), Counter[str]()

    def inspected(self, *, differs: bool) -> None:
        """The candidate decided on a unit."""
        with self._lock:
            self._inspected += 1
            self._differ += differs

    def failed(self, reason: str) -> None:
        """It began to look at a unit and has no finding."""
        with self._lock:
            self._failed[reason] += 1
            self._untold_failed[reason] += 1

    def shed(self, reason: str, units: int = 1) -> None:
        """It did not look at so many units."""
        with self._lock:
            self._shed[reason] += units
            self._untold_shed[reason] += units

    def unrecorded(self, units: int) -> None:
        """The archive did not accept the findings of so many units, and they are given up."""
        with self._lock:
            self._unrecorded += units

    @property
    def untold(self) -> bool:
        """Whether some were shed or failed that are not on record."""
        with self._lock:
            return bool(self._untold_shed or self._untold_failed)

    def tell(self) -> tuple[dict[str, int], dict[str, int]]:
        """Shed and failed ones by reason since the last call, to be put on record."""
        with self._lock:
            told = dict(self._untold_shed), dict(self._untold_failed)
            self._untold_shed.clear()
            self._untold_failed.clear()
        return told

    def untell(self, shed: Mapping[str, int], failed: Mapping[str, int]) -> None:
        """What was told could not be put on record."""
        with self._lock:
            self._untold_shed.update(shed)
            self._untold_failed.update(failed)

    def snapshot(self) -> dict[str, Any]:
        """Plain values: how many were inspected, decided differently, shed, failed and not recorded, in all and by
        reason, the most frequent first."""
        with self._lock:
            return {
                "inspected": self._inspected, "differ": self._differ, "unrecorded": self._unrecorded,
                "shed": self._shed.total(), "failed": self._failed.total(),
                "shed_by_reason": dict(self._shed.most_common()), "failed_by_reason": dict(self._failed.most_common()),
            }  # fmt: skip
