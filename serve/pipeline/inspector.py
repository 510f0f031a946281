"""The detector in a process of its own: what it dies of takes nothing else with it.

Frames wait here, not there, so that a dead process loses only those it had begun. Several are looked at side by side,
each alone (a batch could change the last bits of a score), on as many threads as there are lanes.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2

from inspection.detector import FrameDetector, identity_of, label_of
from inspection.errors import InspectionError
from inspection.finding import Finding, GoldenMismatch, OutputReader
from inspection.frames import Pixels
from inspection.image_finding import Failure, ImageFinding, InspectionFailed, find_in_frame
from inspection.image_quality import QualityDetector
from inspection.package import Package
from inspection.recipe import Recipe, recipe_detector
from inspection.verdict import Reason
from serve.pipeline.worker import Backoff, Ready, Worker, WorkerFailed

_AHEAD = 1  # frames sent before they can be begun, so that no lane waits for the next one to be copied
_A_FRAME = "the frame"  # its name where whoever asks knows it better
_SLOW_S = 10.0  # no frame takes so long: the process hangs


@dataclass(frozen=True)
class Asked:
    """A frame for the process to inspect."""

    token: int
    name: str
    pixels: Pixels


@dataclass(frozen=True)
class Answer:
    """What the process says of one frame."""

    token: int
    finding: Finding | None
    failure: Failure | None
    took_s: float


@dataclass
class _Waiting:
    asked: Asked
    decide_by: float
    answer: Callable[[ImageFinding], None]
    wanted: Callable[[], bool]
    came: float
    begun: float = 0.0


class Inspector:
    """Inspects frames in a watched process, in the order in which they are asked for.

    A frame whose time would be over before it is done is not begun: the ones behind it still have time. `answer` is
    called for each from the process' watch thread or from `ask`'s, exactly once, unless `wanted` says no before.
    `timed` is told how long each frame waited (`wait`) and was looked at (`inspect`), in seconds.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        runtime: str | None = None,
        threads: int | None = None,
        lanes: int = 1,
        *,
        alarm: Callable[[str], None] = lambda _: None,
        timed: Callable[[str, float], None] = lambda _stage, _seconds: None,
        slow_s: float = _SLOW_S,
        backoff: Backoff | None = None,
        main: Callable[..., None] | None = None,
    ) -> None:
        self._recipe, self._folder, self._threads = recipe, folder, threads
        self._lanes, self._slow_s, self._alarm, self._timed = lanes, slow_s, alarm, timed
        self._waiting: deque[_Waiting] = deque()
        self._begun: dict[int, _Waiting] = {}
        self._gate = threading.Lock()
        self._next = 0
        self._took_s = 0.0
        self._up = False
        self._given_up, self._given_up_for = "", Reason.MODEL_FAULT
        self._worker = Worker(
            "inspector", main or _inspect_all, (recipe, folder, runtime, threads, lanes), message=self._answered,
            up=self._came_up, down=self._went_down, gave_up=self._gone, hung=self._hung, backoff=backoff,
        )  # fmt: skip

    def start(self) -> str:
        """Load and prove the packages there; returns the runtime's name. A process that is started again must prove
        them in the same one. Raises InspectorRefused."""
        try:
            runtime = str(self._worker.start())
        except WorkerFailed as error:
            raise InspectorRefused(error) from error
        self._worker.arguments = (self._recipe, self._folder, runtime, self._threads, self._lanes)
        return runtime

    def stop(self) -> None:
        """End the process; what still waits is answered with a failure."""
        self._alarm = lambda _: None  # as wanted
        self._gone("the inspector was stopped")
        self._worker.stop()

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return self._worker.pid

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return self._worker.restarts

    @property
    def waiting(self) -> int:
        """How many frames wait or are looked at."""
        return len(self._waiting) + len(self._begun)

    def busy_s(self, more: int) -> float:
        """How long it takes for what waits and `more` frames, as far as the last ones tell; 0 where nothing waits, for
        then nobody is held up by trying, and only by trying is it known that the process is quick again."""
        return math.ceil((self.waiting + more) / self._lanes) * self._took_s if self.waiting else 0.0

    def ask(
        self,
        name: str,
        pixels: Pixels,
        answer: Callable[[ImageFinding], None],
        decide_by: float = math.inf,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Have one frame `[H, W, 3]` uint8 RGB inspected by `decide_by`, on the monotonic clock."""
        with self._gate:
            while self._waiting and not self._waiting[0].wanted():  # memory stays bounded while the process is down
                self._waiting.popleft()
            self._next += 1
            asked = Asked(self._next, name, pixels)
            self._waiting.append(_Waiting(asked, decide_by, answer, wanted, time.monotonic()))
        self._feed()

    def _feed(self) -> None:
        """Send what can be begun."""
        refused: list[tuple[_Waiting, Failure]] = []
        with self._gate:
            while self._waiting and (self._given_up or (self._up and len(self._begun) < self._lanes + _AHEAD)):
                first, now = self._waiting.popleft(), time.monotonic()
                if not first.wanted():
                    continue
                if self._given_up:
                    refused.append((first, _failure(self._given_up_for, self._given_up)))
                elif now + self._took_s > first.decide_by and (self._begun or now > first.decide_by):
                    message = f"{first.asked.name} was not inspected: it would not have been decided in time"
                    refused.append((first, _failure(Reason.LATE, message)))
                else:
                    first.begun = now
                    self._begun[first.asked.token] = first
                    self._worker.send(first.asked)
        for one, failure in refused:
            one.answer(ImageFinding(failure=failure))

    def _answered(self, answer: Answer) -> None:
        with self._gate:
            asked = self._begun.pop(answer.token, None)
            weight = (0.1 if answer.took_s > self._took_s else 0.3) if self._took_s else 1.0
            self._took_s += weight * (answer.took_s - self._took_s)
        self._feed()
        if asked:
            self._timed("wait", max(0.0, time.monotonic() - asked.came - answer.took_s))
            self._timed("inspect", answer.took_s)
            asked.answer(ImageFinding(answer.finding, failure=answer.failure))

    def _came_up(self, _: Any) -> None:
        with self._gate:
            self._up = True
        self._alarm("")
        self._feed()

    def _went_down(self, why: str) -> None:
        with self._gate:
            self._up = False
            lost, self._begun = list(self._begun.values()), {}
        self._alarm(why)
        for one in lost:
            one.answer(ImageFinding(failure=_failure(Reason.MODEL_FAULT, why)))

    def _gone(self, why: str) -> None:
        with self._gate:
            self._given_up = self._given_up or why
            refused = self._worker.refused
            if refused and refused.code == GoldenMismatch.code:
                self._given_up_for = Reason.RUNTIME_NOT_QUALIFIED
        self._went_down(why)
        self._feed()

    def _hung(self) -> bool:
        with self._gate:
            began = [one.begun for one in self._begun.values()]
        return bool(began) and time.monotonic() - min(began) > self._slow_s


class InspectorRefused(InspectionError):
    """The process cannot do its work; the code is that of what it says itself, where it said something."""

    def __init__(self, failed: WorkerFailed) -> None:
        said = failed.refused
        super().__init__(said.message if said else str(failed))
        self.code = said.code if said else failed.code


class ProcessDetector:
    """Stands where a detector does, for whoever wants one finding and waits for it. What it knows of the packages was
    read here; what finds is the inspector's process."""

    def __init__(self, package: Package, classifier: Package | None, inspector: Inspector, runtime: str) -> None:
        self.package, self.manifest = package, package.manifest
        self.classifier = OutputReader(classifier) if classifier else None
        self.identity, self.label = identity_of(package, self.classifier), label_of(package, self.classifier)
        self.inspector, self.runtime = inspector, runtime

    def find(self, pixels: Pixels) -> Finding:
        """As `Detector.find`. Raises InspectionFailed with what went wrong there."""
        done = threading.Event()
        answers: list[ImageFinding] = []

        def answer(found: ImageFinding) -> None:
            answers.append(found)
            done.set()

        self.inspector.ask(_A_FRAME, pixels, answer)
        done.wait()
        found = answers[0]
        if found.finding is None:
            assert found.failure
            raise InspectionFailed(found.failure, _A_FRAME)
        return found.finding


def _failure(reason: Reason, message: str) -> Failure:
    return Failure(str(reason), message, reason)


def _inspect_all(
    connection: Connection, recipe: Recipe, folder: Path, runtime: str | None, threads: int | None, lanes: int
) -> None:
    """In the process: load, prove, and answer until asked to end."""
    cv2.setNumThreads(1)  # a frame's preparation is short, and the other cores have frames of their own
    detector: FrameDetector = recipe_detector(recipe, folder, runtime, threads, lanes)
    if recipe.image_quality:
        detector = QualityDetector(detector, recipe.image_quality)
    inspect_with(connection, detector, lanes)


def inspect_with(connection: Connection, detector: FrameDetector, lanes: int) -> None:
    """Answer frames with a detector until asked to end."""
    sending = threading.Lock()

    def inspect(asked: Asked) -> None:
        began = time.monotonic()
        found = find_in_frame(detector, asked.name, asked.pixels)
        answer = Answer(asked.token, found.finding, found.failure, time.monotonic() - began)
        with sending:
            connection.send(answer)

    connection.send(Ready(detector.runtime))
    with ThreadPoolExecutor(lanes, thread_name_prefix="inspect") as pool:
        while (asked := connection.recv()) is not None:
            pool.submit(inspect, asked)
