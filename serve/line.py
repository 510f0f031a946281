"""The line: a recipe at work, from what opens units and the cameras to the disposition of each unit."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from inspection.archive import Archive, ArchiveFault
from inspection.config import ConfigInvalid
from inspection.frames import Frame
from inspection.recipe import Recipe, pinned, recipe_packages
from inspection.runtimes.names import RuntimeName
from inspection.station import Disposition, Station, fault_text
from serve.alarms import Alarms
from serve.cameras import CameraOptions, Shot, camera_options
from serve.cameras.health import CameraState
from serve.cameras.host import CameraHost
from serve.cameras.hosts import camera_host
from serve.metrics import LineMetrics
from serve.pipeline.book import Timing
from serve.pipeline.conveyor import CameraTiming, Challenged, Conveyor
from serve.pipeline.inspector import Inspector, ProcessDetector
from serve.shadow.shadow import Shadow
from serve.triggers import Trigger, open_trigger

State = Literal["no camera", "ready", "running", "finished", "stopped", "failed"]

_PATIENCE_S = 5.0  # a trigger that does not end is left behind
_AGAIN_S = 1.0  # after which a trigger that failed is asked again
_MOST_MISSED = 100  # units that a gap in a trigger's count may stand for; a longer one is a count that began anew
_RECORD_S, _DELIVER_S = 0.1, 0.05  # kept of the deadline for the record and the outputs, at most
_RECORD_SHARE, _DELIVER_SHARE = 0.1, 0.05


class Line:
    """Runs a recipe: its inspector from the beginning to `close`; its cameras, trigger and conveyor from `open` and
    `start` to `stop`, after which it may be opened again.

    `tell` is given each disposition, with the unit's deadline on the monotonic clock; `changed` is called when `state`
    is another; `told_all` is waited for between the last disposition and the end of the record; `shadow_is` is told why
    the recipe's candidate does not run, and "" once it does. They come from the line's threads.
    """

    def __init__(
        self,
        recipe: Recipe,
        recipe_file: Path,
        alarms: Alarms,
        tell: Callable[[Disposition, float], None],
        changed: Callable[[], None],
        told_all: Callable[[], None] = lambda: None,
        runtime: RuntimeName | None = None,
        threads: int | None = None,
        metrics: LineMetrics | None = None,
        challenged: Challenged | None = None,
        shadow_is: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Load and prove the packages, and read the options of cameras and timing.

        Raises what reading packages and options raises, and InspectorRefused.
        """
        self.recipe, self.recipe_file = recipe, recipe_file
        self._alarms, self._tell, self._changed, self._told_all = alarms, tell, changed, told_all
        self._metrics, self._challenged, self._shadow_is = metrics or LineMetrics(), challenged, shadow_is
        options = {config.name: camera_options(config, recipe_file)[1] for config in recipe.cameras}
        self.timing = unit_timing(recipe, options, str(recipe_file))
        self._cameras_timing = {
            name: CameraTiming(one.frames, one.after_ms / 1000, one.within_ms / 1000) for name, one in options.items()
        }
        packages = recipe_packages(recipe, recipe_file.parent)
        self.runtime = runtime or recipe.runtime
        alarm = partial(alarms.set, "inspector_down")
        self.pinned = pinned(recipe, *packages)
        self.inspector = Inspector(  # which reads the files again, now and whenever it is started anew
            self.pinned,
            recipe_file.parent,
            self.runtime,
            threads or recipe.threads,
            recipe.lanes,
            alarm=alarm,
            timed=self._metrics.stage,
        )
        self.detector = ProcessDetector(*packages, self.inspector, self.inspector.start())
        self.state: State = "ready" if recipe.cameras else "no camera"
        self.cameras: dict[str, CameraHost] = {}
        self.trigger: Trigger | None = None
        self._stop = threading.Event()
        self._listener: threading.Thread | None = None
        self._ending = threading.Lock()
        self._restarts: dict[str, int] = {}
        self._station: Station | None = None
        self._takes_uploads = False
        self.admission: dict[str, Any] = {}
        self._conveyor: Conveyor | None = None
        self.shadow: Shadow | None = None

    @property
    def station(self) -> Station:
        """The station, from `attach` on."""
        assert self._station
        return self._station

    @property
    def conveyor(self) -> Conveyor:
        """The conveyor, from `start` on."""
        assert self._conveyor
        return self._conveyor

    def open(self) -> None:
        """Open the cameras and the trigger; nothing flows yet.

        Raises ConfigInvalid, CameraUnavailable or TriggerUnavailable, and leaves nothing open then.
        """
        self._stop = threading.Event()
        try:
            for config in self.recipe.cameras:
                camera = camera_host(config, self.recipe_file, shot=self._shot, state=self._camera_is)
                self.cameras[config.name] = camera
                camera.start()
            if self.recipe.trigger:
                self.trigger = open_trigger(self.recipe.trigger, self.recipe_file)
        except BaseException:
            self.shut()
            raise

    @property
    def on_the_way(self) -> int:
        """How many units came by and are not told or not on record yet."""
        return self._conveyor.untold + self._conveyor.waiting_records if self._conveyor else 0

    @property
    def queues(self) -> dict[str, int]:
        """How much waits, by where."""
        conveyor = self._conveyor
        on_the_way = {"units": conveyor.untold, "records": conveyor.waiting_records} if conveyor else {}
        return on_the_way | {"frames": self.inspector.waiting}

    @property
    def shadow_status(self) -> dict[str, Any] | None:
        """See `Shadow.status`; None without a shadow."""
        return self.shadow.status() if self.shadow else None

    @property
    def camera_states(self) -> list[dict[str, Any]]:
        """Of each camera of the recipe its name, how many frames of a unit it gives, and how it is."""
        open_now = dict(self.cameras)
        return [
            {
                "name": name,
                "frames": timing.frames,
                "state": open_now[name].state.state if name in open_now else "closed",
            }
            for name, timing in self._cameras_timing.items()
        ]

    def shut(self) -> None:
        """Close cameras and trigger."""
        self._stop.set()
        self._stop_cameras()
        if self.trigger:
            self.trigger.close()
        self.cameras, self.trigger, self._listener = {}, None, None
        self._alarms.clear("camera ")
        self._alarms.clear("trigger")

    def attach(self, archive: Archive) -> None:
        """Make the station, where it is not there yet."""
        self._station = self._station or Station(self.recipe, self.detector, archive, time.monotonic)
        self._station.provenance = self.admission

    def start(self, archive: Archive) -> None:
        """Let units come. Raises ArchiveFault where the start cannot be recorded."""
        self.attach(archive)
        assert self._station
        self._beside(lambda: self._make_shadow(archive))
        if not self.recipe.cameras:
            self._station.note("line_started", **self.admission)
            self._takes_uploads = True
            self._start_shadow()
            return
        self._restarts = dict.fromkeys(self.cameras, 0)
        conveyor = Conveyor(
            self._station, self.inspector, self._cameras_timing, self.timing, self._told,
            triggered=self.trigger is not None, doubt=lambda name, why: self.cameras[name].restart(why),
            alarm=self._alarms.set, timed=self._metrics.stage, consecutive_rejects=self.recipe.consecutive_rejects,
            most_waiting=self.recipe.queue, challenged=self._challenged, shadow=self.shadow,
        )  # fmt: skip
        conveyor.start()
        self._start_shadow()
        self._conveyor = conveyor
        self._be("running")
        for camera in self.cameras.values():
            camera.go()
        if self.trigger:
            self._listener = threading.Thread(
                target=self._listen, args=(self.trigger, self._stop), name="trigger", daemon=True
            )
            self._listener.start()

    def stop(self, state: State = "stopped", **details: object) -> None:
        """Take no more units, let those on their way come to their end, record the stop. Nothing to do if not running.

        The state is told first, so that no output permits anything from then on but the units on their way.
        """
        with self._ending:
            if self.state != "running":
                return
            self._be(state)
            self._stop.set()
            if self._listener:  # units that were announced still want their frames
                self._listener.join(_PATIENCE_S)
            else:
                self._stop_cameras()
            self.conveyor.drain()
            self._told_all()
            self.conveyor.close(f"line_{state}", **details)
            self.shut()

    def close(self) -> None:
        """Stop, and end the inspector."""
        self.stop()
        if self._takes_uploads and self._station:
            self._takes_uploads = False
            with suppress(ArchiveFault):  # which is an alarm since the first record that was refused
                self._station.note("line_stopped")
        if self.shadow:
            self._beside(self.shadow.stop)
        self.shut()
        self.inspector.stop()

    def _make_shadow(self, archive: Archive) -> None:
        """Who looks at units after they were told, where the recipe names a candidate."""
        if self.recipe.shadow and not self.shadow:
            self.shadow = Shadow(
                self.recipe, self.recipe_file.parent, self.station, archive, self.runtime,
                busy=lambda: self.inspector.waiting > 0, quiet=lambda: not (self.on_the_way or self.inspector.waiting),
                changed=self._shadow_is,
            )  # fmt: skip

    def _start_shadow(self) -> None:
        if self.shadow:
            self._beside(self.shadow.start)

    def _beside(self, do: Callable[[], object]) -> None:
        """Do something with the shadow, whose faults are none of the line's."""
        try:
            do()
        except Exception as error:
            self._shadow_is(fault_text(error))

    def _stop_cameras(self) -> None:
        for camera in self.cameras.values():
            camera.stop()

    def _be(self, state: State) -> None:
        self.state = state
        self._changed()

    def _shot(self, name: str, shot: Shot, at: float) -> None:
        self._metrics.frame(name, "" if isinstance(shot, Frame) else shot.reason)
        self.conveyor.shot(name, shot, at)

    def _told(self, disposition: Disposition) -> None:
        self._tell(disposition, disposition.opened + self.recipe.deadline_ms / 1000)

    def _camera_is(self, state: CameraState) -> None:
        wrong = state.state not in ("up", "finished")
        self._metrics.camera_is(state.name, not wrong, state.restarts, state.lost)
        if self.state != "running":
            return
        if state.state == "up" and state.restarts != self._restarts.get(state.name, 0):
            self._restarts[state.name] = state.restarts
            self.conveyor.restarted(state.name)
        self._alarms.set(f"camera_{state.state}", state.message if wrong else "", f"camera {state.name}")
        if state.state == "finished" and all(one.state.state == "finished" for one in self.cameras.values()):
            threading.Thread(target=self.stop, args=("finished",), name="finish", daemon=True).start()

    def _listen(self, trigger: Trigger, stop: threading.Event) -> None:
        """Have units opened until told to stop. What was not announced in time went by without a look."""
        count: int | None = None
        while not stop.is_set():
            try:
                for one in trigger.units(stop):
                    self._alarms.set("trigger_lost", "", "trigger")
                    missed = one.count - count - 1 if one.count is not None and count is not None else 0
                    for _ in range(missed if 0 < missed <= _MOST_MISSED else 0):
                        self.conveyor.missed(f"the trigger's count went from {count} to {one.count}", one.at)
                    count = one.count
                    self.conveyor.trigger(one.unit, one.at)
                if not stop.is_set():
                    threading.Thread(target=self.stop, args=("finished",), name="finish", daemon=True).start()
                return
            except Exception as error:  # whatever it is, units may go by unseen until it is back
                self._alarms.set("trigger_lost", fault_text(error), "trigger")
                stop.wait(_AGAIN_S)


def unit_timing(recipe: Recipe, cameras: dict[str, CameraOptions], source: str) -> Timing:
    """Until when a unit's frames must have come, it must be decided, and be told. Of the deadline some is kept for the
    record, and some for the gates' acknowledgements. Raises ConfigInvalid where frames may come too late."""
    deadline_s = recipe.deadline_ms / 1000
    gates = any(output.gate for output in recipe.outputs)
    tell_s = deadline_s - (min(_DELIVER_SHARE * deadline_s, _DELIVER_S) if gates else 0.0)
    decide_s = tell_s - min(_RECORD_SHARE * deadline_s, _RECORD_S)
    frames_s = max((one.within_ms for one in cameras.values()), default=0.0) / 1000
    if not recipe.trigger:
        return Timing(decide_s, decide_s, tell_s)
    if frames_s >= decide_s:
        raise ConfigInvalid(
            f"{source}: frames may come until {frames_s * 1000:.0f} ms after the trigger, and a unit must be decided "
            f"after {decide_s * 1000:.0f} ms; within_ms must be less, or the deadline later"
        )
    return Timing(frames_s, decide_s, tell_s)
