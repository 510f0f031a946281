"""Counts of what a station decided since it started."""

import math
import threading
from collections import Counter, deque
from typing import Any

from inspection.record_findings import unit_severity
from inspection.station import Disposition
from inspection.verdict import Outcome

_KEPT_LATENCIES = 1000


class Tally:
    """Counts of dispositions, and the latest latencies in ms. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._severities: Counter[str] = Counter()
        self._latencies: deque[float] = deque(maxlen=_KEPT_LATENCIES)

    def add(self, disposition: Disposition) -> None:
        """Count one. Its latency counts if it was inspected: a reject without a look is quick and says nothing."""
        entry = disposition.entry
        with self._lock:
            self._counts[(disposition.outcome, disposition.reason)] += 1
            if entry and disposition.outcome is not Outcome.PASS:
                self._severities[unit_severity(entry.details)] += 1
            if entry and entry.score is not None and entry.latency_ms is not None:
                self._latencies.append(entry.latency_ms)

    def snapshot(self) -> dict[str, Any]:
        """Units, counts by outcome, by reason and by the severity of what was stopped; of the last thousand latencies
        the median, and the one that 99 in 100 do not exceed, in ms."""
        with self._lock:
            counts, latencies, severities = dict(self._counts), sorted(self._latencies), dict(self._severities)
        outcomes: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for (outcome, reason), number in counts.items():
            outcomes[str(outcome)] += number
            reasons[str(reason)] += number
        return {
            "units": sum(counts.values()),
            "outcomes": {name: outcomes[name] for name in ("PASS", "REVIEW", "REJECT")},
            "reasons": dict(reasons.most_common()),
            "severities": severities,
            "latency_ms_p50": latencies[len(latencies) // 2] if latencies else None,
            "latency_ms_p99": latencies[math.ceil(0.99 * len(latencies)) - 1] if latencies else None,  # nearest rank
        }
