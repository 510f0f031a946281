"""What shadows found so far, for pages: read as it grows, and told from counts."""

import threading
import time
from collections.abc import Callable
from typing import Any

from inspection.archive import Archive
from inspection.shadow.evidence import Evidence
from inspection.shadow.live_answer import live_answer

_OLD_S = 2.0  # within so long, nobody reads the archive again


class LiveReport:
    """The evidence of an archive, kept up to date when somebody asks. May be used from several threads."""

    def __init__(self, archive: Callable[[], Archive]) -> None:
        self._archive = archive
        self._lock = threading.Lock()
        self._evidence: Evidence | None = None
        self._at = 0.0

    def answer(self, candidate: str = "") -> dict[str, Any] | None:
        """See `live_answer`: of the trial that was added to last, of those whose candidate's SHA-256 or own id begins
        so; None where there is none. Raises ArchiveFault, ShadowUnreadable and ReviewInvalid."""
        with self._lock:
            newest = self._read().newest(candidate)
            return live_answer(newest) if newest else None

    def of_package(self, digest: str) -> list[dict[str, Any]]:
        """The answers of all trials of the candidate with this SHA-256."""
        with self._lock:
            return [live_answer(one) for one in self._read().of(digest)]

    def trials(self) -> list[dict[str, Any]]:
        """All trials, the last one first: id, candidate, active package, how many units, from when to when (UTC)."""
        with self._lock:
            found = sorted(self._read().trials.values(), key=lambda one: one.until, reverse=True)
            return [
                {"trial": one.trial.id, "candidate": dict(one.trial.candidate), "active": dict(one.trial.active),
                 "units": one.units, "since": one.since, "until": one.until}
                for one in found
            ]  # fmt: skip

    def _read(self) -> Evidence:
        now = time.monotonic()
        if self._evidence is None or now - self._at > _OLD_S:
            evidence = self._evidence or Evidence(self._archive())
            evidence.update()
            self._evidence, self._at = evidence, time.monotonic()
        return self._evidence
