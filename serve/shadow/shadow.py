"""A candidate package beside the active one: it looks at units that were told already, where the line has time for it.

Nothing comes back from here to the line. Units are offered and never wait; whatever the candidate does, or its process,
is counted, said and put on record.
"""

import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspection.archive import Archive
from inspection.equivalence.results_table import DECIDED
from inspection.frames import Frame
from inspection.recipe import Recipe
from inspection.records import Entry
from inspection.shadow.candidate import Candidate, read_candidate
from inspection.shadow.events import FAULT, STARTED, Decided, ShadowFinding, Trial
from inspection.station import Disposition, Station, fault_text
from inspection.verdict import Reason
from serve.pipeline.worker import Backoff, Worker, WorkerFailed
from serve.shadow.counts import ShadowCounts
from serve.shadow.process import Loaded, Look, Looked, look_at_units
from serve.shadow.recorder import ShadowRecorder
from serve.shadow.share import Share
from serve.shadow.trial import draft_of, trial_of

MOST_WAITING = 4  # units with their frames
_HUNG_S = 60.0  # of the lowest priority, a process may have to wait for long until it gets a core
_LOOK_S = 0.02  # how often it is seen whether the line has time, while a unit waits for that
_START_S = 600.0
_STOP_S = 1.0
_BACKOFF = Backoff(first_s=1.0, longest_s=60.0, calm_s=600.0, most=5)


@dataclass(frozen=True)
class _Offered:
    entry: Entry
    frames: tuple[tuple[str, Any], ...]


class Shadow:
    """Runs the candidate of a recipe's `shadow`. `busy` says whether the line has frames to look at, `quiet` whether no
    unit of it is on its way to its record; `changed(message)` is told why the candidate does not run, and "" once it
    does. Neither may wait."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        station: Station,
        archive: Archive,
        runtime: str | None = None,
        *,
        busy: Callable[[], bool],
        quiet: Callable[[], bool] = lambda: True,
        changed: Callable[[str], None] = lambda _: None,
        hung_s: float = _HUNG_S,
        backoff: Backoff = _BACKOFF,
        main: Callable[..., None] = look_at_units,
    ) -> None:
        assert recipe.shadow
        self._recipe, self._folder, self._station, self._archive = recipe, folder, station, archive
        self._runtime, self._busy, self._changed = runtime, busy, changed
        self._hung_s, self._backoff, self._main = hung_s, backoff, main
        self._share, self.counts = Share(recipe.shadow.share), ShadowCounts()
        self._recorder = ShadowRecorder(archive, recipe.station, self._draft, self.counts, quiet)
        self._scratch = tempfile.TemporaryDirectory(prefix="inspection-shadow-")
        self._gate = threading.Condition()
        self._queue: deque[_Offered] = deque()
        self._begun: tuple[int, _Offered, float] | None = None
        self._token = 0
        self._up = self._stopping = self._was_hung = False
        self._fault = ""
        self._candidate: Candidate | None = None
        self._worker: Worker | None = None
        self._trial: Trial | None = None
        self._loaded = Loaded("", {})
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)

    def start(self) -> None:
        """Begin: the candidate is read, loaded and proved beside the line, which does not wait for it. One that has
        begun goes on."""
        if self._thread.ident is not None:
            return
        self._recorder.start()
        self._thread.start()

    def stop(self) -> None:
        """End the process; what waits is counted as not looked at, what was found is put on record."""
        with self._gate:
            self._stopping = True
            left, self._begun = len(self._queue) + (self._begun is not None), None
            self._queue.clear()
            self._gate.notify_all()
        if left:
            self.counts.shed("stopped", left)
        if self._worker:
            self._worker.stop(_STOP_S)
        if self._thread.is_alive():
            self._thread.join(_STOP_S)
        self._recorder.stop()
        self._scratch.cleanup()

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return self._worker.pid if self._worker else None

    @property
    def up(self) -> bool:
        """Whether the candidate is at work."""
        return self._up

    def status(self) -> dict[str, Any]:
        """Plain values: which candidate, how it is (starting, running, fault), why, and the counts since the start."""
        named = self._recipe.shadow.package.label if self._recipe.shadow else ""
        trial = self._trial
        return {
            "label": trial.label if trial else named, "sha256": trial.candidate["sha256"] if trial else None,
            "trial": trial.id if trial else None, "share": self._recipe.shadow.share if self._recipe.shadow else None,
            "state": "running" if self._up else "fault" if self._fault else "starting", "message": self._fault,
        } | self.counts.snapshot()  # fmt: skip

    def offer(self, disposition: Disposition, frames: Sequence[Frame]) -> None:
        """A unit was told: the candidate may look at its frames. Comes back at once and never raises."""
        try:
            if comparable(disposition) and frames and disposition.entry:
                self._take(_Offered(disposition.entry, tuple((one.camera, one.pixels) for one in frames)))
        except Exception:  # whatever it is, the line goes on, and the unit is counted
            self.counts.shed("error")

    def _take(self, offered: _Offered) -> None:
        with self._gate:
            if self._stopping:
                why = "stopped"
            elif not self._up:
                why = "fault" if self._fault else "starting"
            elif len(self._queue) >= MOST_WAITING:
                why = "busy" if self._busy() else "queue_full" if self._share.left else "share"
            else:
                self._queue.append(offered)
                self._gate.notify_all()
                return
        self.counts.shed(why)

    # In the shadow's own thread

    def _work(self) -> None:
        try:
            self._load()
        except Exception as error:  # a candidate that is none stops nothing
            self._is_down(fault_text(error), FAULT)
            return
        while True:
            with self._gate:
                while not (self._stopping or self._may_begin()):
                    self._gate.wait(_LOOK_S if self._queue else None)
                if self._stopping:
                    return
                self._token += 1
                offered = self._queue.popleft()
                self._begun = self._token, offered, time.monotonic()
                look = Look(self._token, offered.frames)
            assert self._worker
            if not self._worker.send(look):
                self._not_sent(look.token)

    def _not_sent(self, token: int) -> None:
        """The process was down already; whoever sees that it is may have counted the unit."""
        with self._gate:
            lost = self._begun is not None and self._begun[0] == token
            self._begun = None if lost else self._begun
        if lost:
            self.counts.shed("fault")

    def _load(self) -> None:
        candidate = read_candidate(self._recipe, self._folder, self._archive, Path(self._scratch.name))
        arguments = (candidate.recipe, self._folder)
        self._candidate = candidate
        worker = Worker(
            "candidate", self._main, (*arguments, self._runtime), message=self._looked, up=self._came_up,
            down=self._went_down, gave_up=self._gave_up, hung=self._hung, start_s=_START_S, backoff=self._backoff,
        )  # fmt: skip
        with self._gate:
            if self._stopping:
                return
            self._worker = worker
        try:
            loaded: Loaded = worker.start()
        except WorkerFailed as error:
            raise WorkerFailed(error.refused.message if error.refused else str(error)) from error
        worker.arguments = (*arguments, loaded.runtime)  # started again, it is proved in the same one

    def _may_begin(self) -> bool:
        return bool(self._up and self._queue and not self._begun and not self._busy() and self._share.left)

    # From the worker's threads

    def _came_up(self, loaded: Loaded) -> None:
        assert self._candidate
        self._loaded = loaded
        trial = self._trial = trial_of(self._candidate, loaded.limits, self._station)
        more = {"share": self._recipe.shadow.share if self._recipe.shadow else None, "runtime": loaded.runtime}
        self._recorder.event(self._station.event(STARTED, **trial.plain(), **more))
        with self._gate:
            self._up, self._fault = True, ""
            self._gate.notify_all()
        self._changed("")

    def _looked(self, looked: Looked) -> None:
        with self._gate:
            begun = self._begun
            if begun is None or begun[0] != looked.token:
                return
            self._begun = None
            self._share.used(looked.cpu_s)
            self._gate.notify_all()
        new = Decided(looked.outcome, looked.reason, looked.score)
        if looked.message:  # on the line it would be a REJECT for this reason, and counts as one
            self.counts.failed("raised")
        self._found(begun[1].entry, new, looked)

    def _found(self, entry: Entry, new: Decided, looked: Looked) -> None:
        old = Decided(str(entry.outcome), str(entry.reason), entry.score)
        cameras = tuple(dict.fromkeys(one.camera for one in entry.frames))
        finding = ShadowFinding(entry.name, entry.hash, str(entry.unit), entry.batch, cameras, old, new,
                                looked.scores, looked.took_s * 1000, looked.message)  # fmt: skip
        self.counts.inspected(differs=finding.differs)
        self._recorder.add(finding)

    def _went_down(self, why: str) -> None:
        with self._gate:
            begun, self._begun = self._begun, None
            self._up = False  # at once, so that no other unit is begun
            if begun:
                self._share.used(time.monotonic() - begun[2])
            failed, self._was_hung = "hung" if self._was_hung else "died", False
        if begun and not self._stopping:  # no finding: it says nothing of the unit, least of all that it is defective
            self.counts.failed(failed)
        self._is_down(why, FAULT)

    def _gave_up(self, why: str) -> None:
        self._is_down(why, FAULT)

    def _is_down(self, why: str, event: str) -> None:
        with self._gate:
            self._up, self._fault = False, why
            left = len(self._queue)
            self._queue.clear()
            stopping = self._stopping
        if left:
            self.counts.shed("fault", left)
        if not stopping:
            self._recorder.event(self._station.event(event, message=why))
            self._changed(why)

    def _hung(self) -> bool:
        with self._gate:
            begun = self._begun
            self._was_hung = bool(begun) and time.monotonic() - begun[2] > self._hung_s if begun else False
            return self._was_hung

    def _draft(self, findings: Sequence[ShadowFinding], shed: dict[str, int], failed: dict[str, int]) -> Any:
        trial = self._trial
        return draft_of(self._station, trial, self._loaded.runtime, findings, shed, failed)


def comparable(disposition: Disposition) -> bool:
    """Whether a unit's record says what the package decided, and no fault of the line."""
    entry = disposition.entry
    if entry is None or disposition.reason == Reason.MODEL_FAULT:  # the active package has no finding to compare with
        return False
    return disposition.reason in DECIDED and entry.reason == disposition.reason
