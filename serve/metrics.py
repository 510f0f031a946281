"""What Prometheus is told: how long each stage takes, what became of units, and how each part is."""

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from inspection import __version__

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0)


class LineMetrics:
    """The metrics of one service. May be used from several threads.

    Stages: a frame's `wait` for the inference and its `inspect`, a unit's `record` from the decision to the durable
    record, the `signal` until every gate acknowledged it, and the `total` from the trigger.
    """

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()
        self._stages = Histogram(
            "inspection_stage_seconds", "Time in a stage.", ["stage"], buckets=_SECONDS, registry=own
        )
        self._outputs = Histogram(
            "inspection_output_seconds", "Until an output acknowledged.", ["output"], buckets=_SECONDS, registry=own
        )
        self._units = Counter("inspection_units", "Units told.", ["outcome", "reason"], registry=own)
        self._frames = Counter("inspection_frames", "Frames that came.", ["camera"], registry=own)
        self._faulty = Counter(
            "inspection_frames_faulty", "Frames that could not be had.", ["camera", "reason"], registry=own
        )
        self._cameras = Gauge("inspection_camera_up", "Whether a camera gives frames.", ["camera"], registry=own)
        self._lost = Gauge("inspection_camera_lost_frames", "Gaps in the camera's own count.", ["camera"], registry=own)
        self._outputs_up = Gauge("inspection_output_up", "Whether an output acknowledges.", ["output"], registry=own)
        self._restarts = Gauge(
            "inspection_worker_restarts", "Starts of a process after its first.", ["worker"], registry=own
        )
        self._queues = Gauge("inspection_queue_depth", "What waits.", ["queue"], registry=own)
        self._alarms = Gauge("inspection_alarms", "Alarms that are raised.", ["code"], registry=own)
        self._running = Gauge("inspection_line_running", "Whether units may pass.", registry=own)
        self._shadow_up = Gauge("inspection_shadow_up", "Whether the candidate looks at units.", registry=own)
        self._shadow = Gauge(
            "inspection_shadow_units", "Units offered to the candidate since the line started.", ["what", "reason"],
            registry=own,
        )  # fmt: skip
        self._what = Gauge(
            "inspection_info", "What runs.", ["version", "station", "recipe", "package", "runtime"], registry=own
        )

    def stage(self, stage: str, seconds: float) -> None:
        """A stage took so long."""
        self._stages.labels(stage).observe(seconds)

    def output(self, name: str, seconds: float) -> None:
        """An output acknowledged after so long."""
        self._outputs.labels(name).observe(seconds)

    def output_is(self, name: str, up: bool) -> None:
        """An output was lost, or is there."""
        self._outputs_up.labels(name).set(up)

    def unit(self, outcome: str, reason: str) -> None:
        """A unit was told."""
        self._units.labels(outcome, reason).inc()

    def frame(self, camera: str, fault: str = "") -> None:
        """A camera gave a frame, or a fault for this reason."""
        if fault:
            self._faulty.labels(camera, fault).inc()
        else:
            self._frames.labels(camera).inc()

    def camera_is(self, camera: str, up: bool, restarts: int, lost: int) -> None:
        """How a camera is."""
        self._cameras.labels(camera).set(up)
        self._lost.labels(camera).set(lost)
        self._restarts.labels(f"camera {camera}").set(restarts)

    def text(
        self,
        running: bool,
        queues: Mapping[str, int],
        inference_restarts: int,
        alarms: list[str],
        what: tuple[str, ...],
        shadow: Mapping[str, Any] | None = None,
    ) -> bytes:
        """All of it in Prometheus' text format, with what can only be asked for now: `queues` by name, the alarms'
        codes, what runs (station, recipe, package, runtime), and how its shadow is, where it has one."""
        self._running.set(running)
        for name, depth in queues.items():
            self._queues.labels(name).set(depth)
        self._restarts.labels("inspector").set(inference_restarts)
        self._alarms.clear()
        for code in alarms:
            self._alarms.labels(code).inc()
        self._tell_shadow(shadow)
        self._what.clear()
        self._what.labels(__version__, *what).set(1)
        return generate_latest(self.registry)

    def _tell_shadow(self, shadow: Mapping[str, Any] | None) -> None:
        self._shadow.clear()
        self._shadow_up.set(shadow is not None and shadow["state"] == "running")
        if shadow is None:
            return
        for what in ("inspected", "differ", "unrecorded"):
            self._shadow.labels(what, "").set(shadow[what])
        for what in ("shed", "failed"):
            for reason, units in shadow[f"{what}_by_reason"].items():
                self._shadow.labels(what, reason).set(units)
