"""The shadow's findings on record: many in one event, from a thread of its own, where no unit waits to be recorded."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from inspection.archive import Archive
from inspection.records import Draft
from inspection.shadow.events import ShadowFinding
from serve.shadow.counts import ShadowCounts

GROUP = 64  # findings in one event, at most
_MOST = 16 * GROUP  # findings that may wait while the archive refuses
_EVERY_S = 5.0  # a finding is on record after so long, if nothing keeps it
_COUNTS_EVERY_S = 60.0  # the same of counts alone
_QUIET_S = 5.0  # how long a moment is waited for in which no unit is on its way
_LOOK_S = 0.05
_AGAIN_S = 1.0  # how often it is seen whether counts are due, and a refusing archive is asked again


class ShadowRecorder:
    """Appends findings and events to a station's chain. `draft(findings, shed, failed)` makes the event of some;
    `quiet` says whether no unit is on its way to its record. What the archive refuses waits, and what there is no room
    for is given up and counted. Never raises, never keeps a caller waiting."""

    def __init__(
        self,
        archive: Archive,
        station: str,
        draft: Callable[[Sequence[ShadowFinding], dict[str, int], dict[str, int]], Draft],
        counts: ShadowCounts,
        quiet: Callable[[], bool] = lambda: True,
        every_s: float = _EVERY_S,
    ) -> None:
        self._archive, self._station, self._draft, self._counts = archive, station, draft, counts
        self._quiet, self._every_s = quiet, every_s
        self._waiting: deque[ShadowFinding] = deque()
        self._events: deque[Draft] = deque()
        self._since = self._counted = time.monotonic()
        self._wanted = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._work, name="shadow record", daemon=True)

    def start(self) -> None:
        """Begin to record."""
        self._thread.start()

    def stop(self) -> None:
        """Record what waits; what the archive refuses now is given up."""
        with self._wanted:
            self._ending = True
            self._wanted.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def add(self, finding: ShadowFinding) -> None:
        """Put a finding on record, soon."""
        with self._wanted:
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append(finding)
            if len(self._waiting) > _MOST:
                self._waiting.popleft()
                self._counts.unrecorded(1)
            self._wanted.notify_all()

    def event(self, draft: Draft) -> None:
        """Put an event on record, after the findings before it."""
        with self._wanted:
            self._events.append(draft)
            self._wanted.notify_all()

    def _work(self) -> None:
        while True:
            with self._wanted:
                while not (self._due or self._ending):
                    self._wanted.wait(_AGAIN_S)
                ending = self._ending
            if not ending:
                self._await_quiet()
            written = self._write()
            if ending and not (written and self._waiting):
                break
            if not written:
                with self._wanted:
                    self._since = time.monotonic()  # asked again after a while
                    self._wanted.wait_for(lambda: self._ending, _AGAIN_S)
        self._counts.unrecorded(len(self._waiting))

    @property
    def _due(self) -> bool:
        now = time.monotonic()
        late = bool(self._waiting) and now - self._since >= self._every_s
        counts = self._counts.untold and now - self._counted >= _COUNTS_EVERY_S
        return late or counts or len(self._waiting) >= GROUP or bool(self._events)

    def _await_quiet(self) -> None:
        until = time.monotonic() + _QUIET_S
        while not self._quiet() and not self._ending and time.monotonic() < until:
            time.sleep(_LOOK_S)

    def _write(self) -> bool:
        """Write one group; False where the archive refused it."""
        with self._wanted:
            group = [self._waiting[at] for at in range(min(GROUP, len(self._waiting)))]
            events = list(self._events)
        shed, failed = self._counts.tell()
        self._counted = time.monotonic()
        drafts = [*([self._draft(group, shed, failed)] if group or shed or failed else []), *events]
        try:
            self._archive.append_all(drafts, self._station)
        except Exception:  # whatever it is, it is asked again, and counted in the end
            self._counts.untell(shed, failed)
            return False
        with self._wanted:
            gone = {id(one) for one in group}
            while self._waiting and id(self._waiting[0]) in gone:
                self._waiting.popleft()
            for _ in events:
                self._events.popleft()
            self._since = time.monotonic()
        return True
