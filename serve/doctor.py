"""Looks at an installation part by part, and says of each how it is and what to do. Nothing is put on record."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

from inspection.archive import Archive, ArchiveMissing
from inspection.detector import Detector, available_cores
from inspection.frames import Frame
from inspection.image_finding import find_in_frame
from inspection.recipe import CameraConfig, Recipe, read_recipe, recipe_detector
from inspection.station import fault_text
from serve.cameras import Shot, camera_options
from serve.cameras.hosts import camera_host
from serve.line import unit_timing
from serve.outputs import StationState, open_output
from serve.triggers import open_trigger

Status = Literal["OK", "WARN", "FAIL"]
_FRAME_S = 5.0
_GIB = 2**30
_FSYNCS = 10


@dataclass(frozen=True)
class Found:
    """How one part is; `advice` says what to do where it is not OK."""

    part: str
    status: Status
    message: str
    advice: str = ""


@dataclass
class Installation:
    """What is looked at."""

    recipe_file: Path
    archive: Path
    recipe: Recipe
    detector: Detector | None = None


def examine(recipe_file: Path, archive: Path) -> Iterator[Found]:
    """Look at one part after the other. Never raises: whatever goes wrong is a finding."""
    try:
        recipe = read_recipe(recipe_file)
        options = {config.name: camera_options(config, recipe_file)[1] for config in recipe.cameras}
        unit_timing(recipe, options, str(recipe_file))
    except Exception as error:
        yield Found("recipe", "FAIL", fault_text(error), "mend the recipe; nothing else was looked at")
        return
    yield Found("recipe", "OK", f"{recipe.label} for {recipe.product}, on {recipe.station}")
    installation = Installation(recipe_file, archive, recipe)
    for part, check in CHECKS.items():
        try:
            yield from check(installation)
        except Exception as error:
            yield Found(part, "FAIL", fault_text(error), ADVICE[part])


def _package(here: Installation) -> Iterator[Found]:
    recipe = here.recipe
    here.detector = detector = recipe_detector(recipe, here.recipe_file.parent, parallel=recipe.lanes)
    yield Found("package", "OK", f"{detector.label} gives its golden scores in {detector.runtime}")
    aspect = detector.manifest.input.aspect
    pixels = np.zeros((640, round(640 * aspect), 3), np.uint8)  # how long it takes does not depend on what is seen
    taken = []
    for _ in range(6):
        began = time.monotonic()
        detector.find(pixels)
        taken.append(time.monotonic() - began)
    frames = sum(camera_options(config, here.recipe_file)[1].frames for config in recipe.cameras) or 1
    needs_ms = 1000 * float(np.median(taken[1:])) * frames / recipe.lanes
    message = (
        f"a unit of {frames} frames takes {needs_ms:.0f} ms, and {recipe.deadline_ms} ms are left after its trigger"
    )
    if needs_ms < 0.6 * recipe.deadline_ms:
        yield Found("time", "OK", message)
    else:
        advice = "use a faster machine, more lanes, a smaller or quantized package, or a later deadline"
        yield Found("time", "WARN" if needs_ms < recipe.deadline_ms else "FAIL", message, advice)


def _cameras(here: Installation) -> Iterator[Found]:
    for config in here.recipe.cameras:
        yield _camera(here, config)


def _camera(here: Installation, config: CameraConfig) -> Found:
    part, shots, came = f"camera {config.name}", list[Shot](), threading.Event()

    def take(_: str, shot: Shot, __: float) -> None:
        shots.append(shot)
        came.set()

    host = camera_host(config, here.recipe_file, shot=take)
    try:
        host.start()
        host.go()
        came.wait(_FRAME_S)
    except Exception as error:
        return Found(part, "FAIL", fault_text(error), "see that it is connected, and that nobody else uses it")
    finally:
        host.stop()
    if not shots:
        return Found(
            part,
            "WARN",
            f"no frame within {_FRAME_S:g} s",
            "if it waits for the line's trigger or for frames to be pushed, let one unit pass",
        )
    first = shots[0]
    if not isinstance(first, Frame):
        return Found(part, "FAIL", first.message, "see to the camera")
    height, width = first.pixels.shape[:2]
    if here.detector and (failure := find_in_frame(here.detector, first.name, first.pixels).failure):
        return Found(part, "FAIL", failure.message, "use the camera, lens and crop that the package was trained with")
    return Found(part, "OK", f"a frame of {width} x {height} pixels, which the package takes")


def _trigger(here: Installation) -> Iterator[Found]:
    if here.recipe.trigger:
        open_trigger(here.recipe.trigger, here.recipe_file).close()
        yield Found("trigger", "OK", f"{here.recipe.trigger.kind} answers")


def _outputs(here: Installation) -> Iterator[Found]:
    recipe = here.recipe
    state = StationState(recipe.station, recipe.label, recipe.product, recipe.batch, "", "ready", (), {"units": 0})
    for config in recipe.outputs:
        part = f"output {config.name}"
        try:
            open_output(config, here.recipe_file, state).close()
        except Exception as error:
            yield Found(
                part, "FAIL", fault_text(error), "see that the receiver runs, and that no service has its place"
            )
        else:
            yield Found(part, "OK", f"{config.kind} takes the station's state")


def _archive(here: Installation) -> Iterator[Found]:
    folder = here.archive
    while not folder.exists():
        folder = folder.parent
    with tempfile.TemporaryFile(dir=folder) as probe:
        began = time.monotonic()
        for _ in range(_FSYNCS):
            probe.write(bytes(4096))
            probe.flush()
            os.fsync(probe.fileno())
    fsync_ms = 1000 * (time.monotonic() - began) / _FSYNCS
    slow = fsync_ms > 0.1 * here.recipe.deadline_ms
    advice = "use a disk that syncs faster, or a later deadline" if slow else ""
    yield Found("disk", "WARN" if slow else "OK", f"{folder} syncs in {fsync_ms:.1f} ms", advice)
    free = shutil.disk_usage(folder).free / _GIB
    status: Status = "OK" if free > 20 else "WARN" if free > 2 else "FAIL"
    yield Found(
        "space", status, f"{free:.0f} GiB are free", "" if free > 20 else "make room: a full disk rejects every unit"
    )


def _clock(here: Installation) -> Iterator[Found]:
    now = datetime.now(UTC)
    try:
        with Archive(here.archive, read_only=True) as archive:
            newest = max((entry.recorded_at for entry in archive.latest(1)), default="")
    except ArchiveMissing:
        newest = ""
    if newest and datetime.fromisoformat(newest) > now:
        said = f"the clock says {now:%Y-%m-%d %H:%M:%S} UTC, and the newest record is of {newest}"
        yield Found("clock", "FAIL", said, "set the clock: records would be older than those before them")
        return
    synchronised = _synchronised()
    if synchronised is None:
        yield Found("clock", "WARN", "nobody here can say whether it is synchronised", "see that NTP or PTP sets it")
    elif synchronised:
        yield Found("clock", "OK", "synchronised")
    else:
        yield Found("clock", "WARN", "it is not synchronised", "let NTP or PTP set it")


def _synchronised() -> bool | None:
    if shutil.which("timedatectl") is None:
        return None
    words = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=10)
    return {"yes": True, "no": False}.get(done.stdout.strip())


def _machine(here: Installation) -> Iterator[Found]:
    cores = available_cores()
    wanted = here.recipe.lanes * (here.recipe.threads or 1)
    advice = "" if cores >= wanted else f"lanes x threads ask for {wanted}"
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GIB
    yield Found("machine", "OK" if not advice else "WARN", f"{cores} cores, {pages:.0f} GiB of memory", advice)


CHECKS: dict[str, Callable[[Installation], Iterator[Found]]] = {
    "package": _package,
    "machine": _machine,
    "archive": _archive,
    "clock": _clock,
    "cameras": _cameras,
    "trigger": _trigger,
    "outputs": _outputs,
}
ADVICE = {
    "package": "put the approved package there, or use a runtime that gives its golden scores",
    "machine": "see the message",
    "archive": "name a folder that this user may write to, on a disk that is there",
    "clock": "see that the archive is whole: `inspection verify`",
    "cameras": "see the message",
    "trigger": "see that it is connected, and that its address is right",
    "outputs": "see the message",
}
