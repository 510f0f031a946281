"""What the service is made of: a line, its outputs, its archive, and what pages are told."""

import logging
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from inspection.archive import Archive
from inspection.errors import InspectionError
from inspection.recipe import Recipe, read_recipe
from inspection.records import AUDIT
from inspection.recovery import Recovery, recover
from inspection.registry.admission import admit
from inspection.runtimes.names import RuntimeName
from inspection.signing import SigningKey, signing_key
from inspection.station import Disposition, Station
from inspection.verdict import Outcome, Reason
from serve.alarms import PASSING, Alarms
from serve.batches import Batches
from serve.challenges import DUE, Challenges
from serve.descriptions import describe
from serve.head_signer import HeadSigner
from serve.line import Line
from serve.live import LiveEvent, LiveEvents
from serve.logs import log
from serve.metrics import LineMetrics
from serve.normals import Normals
from serve.outputs.delivery import Deliveries
from serve.outputs.output import Alarm, StationState
from serve.shadow.live_report import LiveReport
from serve.tally import Tally
from serve.trend import LiveTrend
from serve.wall_clock import ClockWatch

# What is wrong with the station and not with the unit. It is an alarm until a unit is decided otherwise.
_STATION_FAULTS = frozenset({Reason.ARCHIVE_FAULT, Reason.MODEL_FAULT, Reason.RUNTIME_NOT_QUALIFIED, Reason.FRAME_LOST})
_LOOK_S = 0.2  # how often the wall clock is looked at, and whether pages are to be told the trend
_STEP_ALARM_S = 60.0  # how long a step of the clock stays an alarm
# What receivers know of a line's states.
_TOLD_STATES = {"no camera": "ready", "finished": "stopped"}


class Service:
    """Runs a recipe on an archive, and tells pages and outputs. A `Changeover` gives it another recipe.

    A line's packages are proved and its cameras open when the service is made; units come from `start` on.
    """

    def __init__(
        self,
        recipe_file: Path,
        runtime: RuntimeName | None = None,
        threads: int | None = None,
        clock: ClockWatch | None = None,
        *,
        unapproved: bool = False,
        accept_damage: str = "",
    ) -> None:
        """`unapproved` lets a recipe run that is not under change control, in an archive without any.

        Raises what reading recipe and packages raises, InspectorRefused, CameraUnavailable, TriggerUnavailable."""
        self._unapproved, self._accept_damage = unapproved, accept_damage
        self.recovery = Recovery()
        self._runtime, self._threads, self._clock = runtime, threads, clock or ClockWatch()
        self._archive: Archive | None = None
        self._key: SigningKey | None = None
        self._signer: HeadSigner | None = None
        self._ended = threading.Event()
        self.tally, self.live, self.alarms = Tally(), LiveEvents(), Alarms(self._alarm_changed)
        self.metrics, self.batches, self.trend = LineMetrics(), Batches(self), LiveTrend()
        self.normals, self.challenges = Normals(), Challenges(self)
        self.shadow_report = LiveReport(lambda: self.archive)
        self.changing = False
        self.line = self.prepare(recipe_file, read_recipe(recipe_file))
        try:
            self.deliveries = self.make_deliveries(self.line)
            self.line.open()
        except BaseException:
            self.line.close()
            raise

    @property
    def archive(self) -> Archive:
        """Where records go, from `start` on."""
        assert self._archive
        return self._archive

    @property
    def started(self) -> bool:
        """Whether there is an archive."""
        return self._archive is not None

    @property
    def key(self) -> SigningKey:
        """What this station signs with, from `start` on."""
        assert self._key
        return self._key

    def sign_heads(self) -> None:
        """Sign the chains as they are now."""
        if self._signer:
            self._signer.sign()

    @property
    def station(self) -> Station:
        """The station of the recipe that runs."""
        return self.line.station

    def prepare(self, recipe_file: Path, recipe: Recipe) -> Line:
        """A line for a recipe, its packages proved. Raises what `Line` raises."""
        return Line(
            recipe, recipe_file, self.alarms, self._deliver, self.changed, lambda: self.deliveries.flush(),
            self._runtime, self._threads, self.metrics, self.challenges, self._shadow_is,
        )  # fmt: skip

    def make_deliveries(self, line: Line) -> Deliveries:
        """A recipe's outputs, not connected yet. Raises ConfigInvalid."""
        return Deliveries(
            line.recipe.outputs, line.recipe_file, self.station_state, self._delivered,
            alarm=self._output_is, timed=self.metrics.output,
        )  # fmt: skip

    def start(self, archive: Archive) -> None:
        """Connect the outputs and let units come. Raises NotApproved, and ArchiveFault where the start cannot be
        recorded."""
        self.recovery = recover(archive, self.line.recipe.station, self._accept_damage)
        for said in self.recovery.sentences:
            log("recovered", logging.WARNING, message=said)
        self.admit(self.line, archive)
        self._archive = archive
        self._key = signing_key(archive)
        self.line.attach(archive)
        self.batches.resume()
        self.challenges.refresh()
        self.trend.fill(archive, self.line.recipe.station)
        self.line.start(archive)
        self._signer = HeadSigner(archive, self._key, [self.line.recipe.station, AUDIT], self._signing_is)
        self._signer.start()
        self.deliveries.start()
        threading.Thread(target=self._watch_clock, name="clock", daemon=True).start()
        threading.Thread(target=self._tell_trend, name="trend", daemon=True).start()

    def admit(self, line: Line, archive: Archive | None = None) -> None:
        """See that a line's recipe may run. Raises NotApproved and ArchiveFault."""
        line.admission = admit(archive or self.archive, line.pinned, unapproved=self._unapproved)

    def change_to(self, line: Line, deliveries: Deliveries | None) -> None:
        """Stop the line that runs, and run another, with other outputs if there are any. Where that one cannot be
        opened, the old one runs again, and this raises what opening it raised."""
        old, self.changing = self.line, True
        self.changed()
        try:
            old.stop("stopped", changeover=line.recipe.label)
            old.shut()
            self.challenges.abandon(f"the line was changed over to {line.recipe.label}")
            try:
                line.open()
            except BaseException:
                self._again(old)
                raise
            line.attach(self.archive)
            if old.station.batch != old.recipe.batch and old.station.batch and not line.recipe.batch:
                line.station.open_batch(old.station.batch, old.station.came_by(old.station.batch))
            self.line = line
            self.challenges.refresh()
            if deliveries:
                self.deliveries.stop()
                self.deliveries = deliveries
                deliveries.start()
            line.start(self.archive)
            log("recipe changed", before=old.recipe.label, after=line.recipe.label)
            old.close()
        finally:
            self.changing = False
            self.changed()

    def _again(self, line: Line) -> None:
        try:
            line.open()
            line.start(self.archive)
        except InspectionError as error:
            why = f"{line.recipe.label} stopped for a changeover that failed, and cannot go on: {error}"
            self.alarms.set("line_failed", why)

    def close(self) -> None:
        """Let the line finish the units it has, record its end, tell the outputs. May be called twice."""
        if self._ended.is_set():
            return
        self._ended.set()
        self.line.close()
        self.deliveries.stop()
        if self._signer:
            self._signer.stop()

    def account(self, disposition: Disposition) -> None:
        """Count a disposition and show it. Called exactly once for each unit, from whichever thread decided it."""
        self.tally.add(disposition)
        if disposition.reason is not Reason.CHALLENGE:
            self.trend.add(disposition, self._batch)
        self.metrics.unit(disposition.outcome, disposition.reason)
        if disposition.outcome is not Outcome.PASS:
            record = disposition.entry.name if disposition.entry else None
            log("unit stopped", unit=disposition.unit, outcome=disposition.outcome.value,
                reason=disposition.reason.value, record=record, message=disposition.message)  # fmt: skip
        self.alarms.set("unit_fault", disposition.message if disposition.reason in _STATION_FAULTS else "")
        self.live.publish(LiveEvent("unit", {"unit": describe(disposition), "status": self._status()}))

    def changed(self) -> None:
        """Show that the line's state, or an alarm, is another."""
        self.live.publish(LiveEvent("status", self.status()))
        self.deliveries.changed()

    def status(self) -> dict[str, Any]:
        """What an operator sees at a glance."""
        return self._status() | {"trend": self.trend.snapshot()}

    def _status(self) -> dict[str, Any]:
        recipe, detector = self.line.recipe, self.line.detector
        return {
            "station": recipe.station,
            "recipe": recipe.label,
            "product": recipe.product,
            "batch": self._batch,
            "batch_came_by": self.station.came_by(self._batch) if self._archive and self._batch else None,
            "batch_of_recipe": recipe.batch is not None and self._batch == recipe.batch,
            "cameras": self.line.camera_states,
            **detector.identity,
            "runtime": detector.runtime,
            "limits": (recipe.limits or detector.manifest.limits).model_dump(),
            "deadline_ms": recipe.deadline_ms,
            "change_control": self.line.admission.get("change_control"),
            "line": "changeover" if self.changing else self.line.state,
            "challenge": self.challenges.state() if self._archive else None,
            "shadow": self.line.shadow_status,
            "alarm": self.alarm,
            "alarms": [vars(alarm) for alarm in self.alarms.all],
            "tally": self.tally.snapshot(),
        }

    @property
    def _batch(self) -> str | None:
        return self.station.batch if self._archive else self.line.recipe.batch

    @property
    def alarm(self) -> str:
        """Why the station does not work as it should, or an empty text."""
        return next((alarm.message for alarm in self.alarms.all), "")

    def metrics_text(self) -> bytes:
        """What Prometheus reads."""
        recipe, detector = self.line.recipe, self.line.detector
        return self.metrics.text(
            self.line.state == "running", self.line.queues, self.line.inspector.restarts,
            [alarm.code for alarm in self.alarms.all],
            (recipe.station, recipe.label, detector.package.digest, detector.runtime),
            self.line.shadow_status,
        )  # fmt: skip

    def station_state(self) -> StationState:
        """What outputs show of the station."""
        recipe, line = self.line.recipe, self.line
        state = "changeover" if self.changing else _TOLD_STATES.get(line.state, line.state)
        if any(alarm.code in ("station_stopped", DUE) for alarm in self.alarms.all):
            state = "stopped"
        counts = self.tally.snapshot()
        return StationState(
            recipe.station, recipe.label, recipe.product, self._batch, line.detector.package.digest, state,
            self.alarms.all, {"units": counts["units"], **counts["outcomes"]},
        )  # fmt: skip

    def _deliver(self, disposition: Disposition, due: float) -> None:
        self.deliveries.send(disposition, due)

    def _delivered(self, disposition: Disposition) -> None:
        if disposition.reason is Reason.NOT_DELIVERED and disposition.entry:
            self.line.conveyor.undelivered(disposition.entry, disposition.message)
        if disposition.entry and disposition.entry.score is not None:
            self.metrics.stage("total", time.monotonic() - disposition.opened)
        self.account(disposition)

    def _output_is(self, name: str, why: str) -> None:
        self.metrics.output_is(name, not why)
        self.alarms.set("output_lost", why, f"output {name}")

    def _signing_is(self, why: str) -> None:
        self.alarms.set("heads_unsigned", why)

    def _shadow_is(self, why: str) -> None:
        """A candidate that does not run is no fault of the station: no alarm, and no output hears of it."""
        if why:
            log("shadow fault", logging.ERROR, message=why)
        else:
            log("shadow runs")
        self.live.publish(LiveEvent("status", self.status()))

    def _alarm_changed(self, about: str, alarm: Alarm | None) -> None:
        if about not in PASSING:
            self._log_alarm(about, alarm)
        if self.line.state == "running" and about not in PASSING:
            said = {"code": alarm.code, "message": alarm.message} if alarm else {}
            self.line.conveyor.note("alarm_raised" if alarm else "alarm_cleared", about=about, **said)
        self.changed()

    def _log_alarm(self, about: str, alarm: Alarm | None) -> None:
        if alarm:
            log("alarm raised", logging.ERROR, about=about, code=alarm.code, message=alarm.message)
        else:
            log("alarm cleared", about=about)

    def _tell_trend(self) -> None:
        while not self._ended.wait(_LOOK_S):
            if self.trend.due():
                self.live.publish(LiveEvent("trend", self.trend.snapshot()))

    def _watch_clock(self) -> None:
        stepped = -_STEP_ALARM_S
        while not self._ended.wait(_LOOK_S):
            self.challenges.look()
            if step_s := self._clock.step_s():
                stepped = time.monotonic()
                why = f"somebody or something set this machine's clock by {step_s:+.1f} s; see that it is right"
                self.alarms.set("clock_step", why)
                if self.line.state == "running":
                    self.line.conveyor.reject_all(Reason.CLOCK_STEP, why)
            elif time.monotonic() - stepped > _STEP_ALARM_S:
                self.alarms.set("clock_step", "")


def build_service(
    recipe_file: Path,
    archive_folder: Path,
    stack: ExitStack,
    threads: int | None = None,
    runtime: RuntimeName | None = None,
    clock: ClockWatch | None = None,
    *,
    unapproved: bool = False,
    accept_damage: str = "",
) -> Service:
    """Everything the recipe names, opened and proved; it is closed with `stack`. `runtime` and `threads` replace the
    recipe's. Nothing is written where anything cannot be opened.

    Raises what `Service` and opening the archive raise, and ArchiveFault where the start cannot be recorded.
    """
    service = Service(recipe_file, runtime, threads, clock, unapproved=unapproved, accept_damage=accept_damage)
    stack.callback(service.close)
    archive = stack.enter_context(Archive(archive_folder))
    stack.callback(service.close)  # before the archive is
    service.start(archive)
    return service
