"""What the service is made of, put together from a recipe."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspection.archive import Archive
from inspection.recipe import Recipe, read_recipe, recipe_detector
from inspection.record_findings import named_defects
from inspection.records import Entry
from inspection.runtimes.names import RuntimeName
from inspection.station import Disposition, Station
from inspection.verdict import Reason
from serve.cameras import open_camera
from serve.line import Line
from serve.live import LiveEvent, LiveEvents
from serve.tally import Tally

# What is wrong with the station and not with the unit. It is an alarm until a unit is decided otherwise.
_STATION_FAULTS = frozenset({Reason.ARCHIVE_FAULT, Reason.MODEL_FAULT, Reason.FRAME_LOST})


@dataclass
class Service:
    """A station, its line if it has a camera, and what pages are told."""

    station: Station
    archive: Archive
    line: Line | None = None
    tally: Tally = field(default_factory=Tally)
    live: LiveEvents = field(default_factory=LiveEvents)
    fault: str = ""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the line, if there is one; live events are for listeners on `loop`. Raises ArchiveFault."""
        self.live.attach(loop)
        if self.line:
            self.line.start()

    def stop(self) -> None:
        """Let the line finish the units it has, and record its end."""
        if self.line:
            self.line.stop()

    def account(self, disposition: Disposition) -> None:
        """Count a disposition and show it. Called exactly once for each unit, from whichever thread decided it."""
        self.tally.add(disposition)
        self.fault = disposition.message if disposition.reason in _STATION_FAULTS else ""
        self.live.publish(LiveEvent("unit", {"unit": describe(disposition), "status": self.status()}))

    def changed(self) -> None:
        """Show that the line's state or alarm is another."""
        self.live.publish(LiveEvent("status", self.status()))

    def status(self) -> dict[str, Any]:
        """What an operator sees at a glance."""
        recipe = self.station.recipe
        return {
            "station": recipe.station,
            "recipe": recipe.label,
            "product": recipe.product,
            "batch": recipe.batch,
            **self.station.detector.identity,
            "runtime": self.station.detector.runtime,
            "limits": self.station.limits.model_dump(),
            "deadline_ms": recipe.deadline_ms,
            "line": self.line.state if self.line else "no camera",
            "alarm": self.alarm,
            "tally": self.tally.snapshot(),
        }

    @property
    def alarm(self) -> str:
        """Why the station does not work as it should, or an empty text."""
        return (self.line.alarm if self.line else "") or self.fault


def build_service(
    recipe_file: Path,
    archive_folder: Path,
    stack: ExitStack,
    threads: int | None = None,
    runtime: RuntimeName | None = None,
) -> Service:
    """Everything the recipe names, opened and proved; what was opened is closed with `stack`. `runtime` replaces the
    recipe's.

    Raises what reading the recipe, the package and the archive raises, GoldenMismatch, and CameraUnavailable.
    """
    recipe: Recipe = read_recipe(recipe_file)
    detector = recipe_detector(recipe, recipe_file.parent, runtime, threads)
    camera = open_camera(recipe.camera, recipe_file) if recipe.camera else None
    archive = stack.enter_context(Archive(archive_folder))
    service = Service(Station(recipe, detector, archive), archive)
    service.line = Line(service.station, camera, service.account, service.changed) if camera else None
    return service


def describe(disposition: Disposition) -> dict[str, Any]:
    """A disposition as JSON for pages and machines."""
    return {
        "unit": disposition.unit,
        "outcome": disposition.outcome,
        "reason": disposition.reason,
        "message": disposition.message,
        "record": describe_entry(disposition.entry) if disposition.entry else None,
    }


def describe_entry(entry: Entry) -> dict[str, Any]:
    """A record as JSON, with the addresses of its pictures."""
    base = f"/api/records/{entry.station}/{entry.sequence}"
    first = entry.frames[0] if entry.frames else None
    links = {
        "self": base,
        "image": f"{base}/image" if first and first.image else None,
        "heatmap": f"{base}/heatmap" if first and first.heatmap else None,
    }
    names = (
        "station", "sequence", "kind", "recorded_at", "unit", "batch", "product", "recipe", "package", "outcome",
        "reason", "score", "review_limit", "reject_limit", "latency_ms", "previous", "hash",
    )  # fmt: skip
    frames = [{"camera": f.camera, "sequence": f.sequence, "captured_at": f.captured_at, "image": f.image,
               "heatmap": f.heatmap, "score": f.score} for f in entry.frames]  # fmt: skip
    return {name: getattr(entry, name) for name in names} | {
        "frames": frames, "details": dict(entry.details), "named": named_defects(entry), "links": links,
    }  # fmt: skip
