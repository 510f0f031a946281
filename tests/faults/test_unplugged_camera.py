"""A triggered station whose camera is unplugged and plugged in again: units without a frame are rejected."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from inspection.frames import Pixels, read_frame
from inspection.records import from_row
from inspection.verify import verify_archive
from serve.cameras.camera import paced
from serve.cameras.frame_protocol import TAKEN, FrameHeader
from tests.serve.serving import Running, running, wait_for, write_recipe

pytestmark = pytest.mark.timeout(180)
RATE_HZ = 5


class Grabber:
    """A program that pushes a frame for each unit while it is plugged in; its count begins anew each time."""

    def __init__(self, path: Path, images: list[Pixels]) -> None:
        self._path, self._images = path, images
        self._stop = threading.Event()
        self._thread = threading.Thread()

    def plug(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._push, args=(self._stop,))
        self._thread.start()

    def unplug(self) -> None:
        self._stop.set()
        if self._thread.ident:
            self._thread.join()

    def _push(self, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            with suppress(OSError), socket.socket(socket.AF_UNIX) as out:  # the camera may be opened again meanwhile
                out.connect(str(self._path))
                self._push_to(out, stop)

    def _push_to(self, out: socket.socket, stop: threading.Event) -> None:
        for number, image in zip(paced(RATE_HZ, stop), cycle(self._images), strict=False):
            pixels = np.ascontiguousarray(image)
            pixels[0, 0] = number % 256  # no two frames are the same
            header = FrameHeader(pixels.shape[1], pixels.shape[0], 3, number, number + 1)
            out.sendall(header.pack() + pixels.tobytes())
            if out.recv(1) != TAKEN:
                return


@pytest.fixture
def grabber(tmp_path: Path, vial_images: dict[str, list[Path]]) -> Iterator[Grabber]:
    made = Grabber(tmp_path / "cam.sock", [read_frame(path).pixels.copy() for path in vial_images["good"][:4]])
    yield made
    made.unplug()


@pytest.fixture
def station(tmp_path: Path, vial_package: Path, grabber: Grabber) -> Iterator[Running]:
    """A timer, and the grabber's frames around its ticks; it has passed units."""
    recipe = write_recipe(
        tmp_path, vial_package, trigger={"kind": "timer", "rate_hz": RATE_HZ}, deadline_ms=3000,
        camera={
            "kind": "socket", "name": "top", "path": "cam.sock", "silence_s": 0.8, "after_ms": -50, "within_ms": 150,
        },
    )  # fmt: skip
    with running(recipe, tmp_path / "archive") as served:
        grabber.plug()
        wait_for(lambda: passed(served) >= 2, 40)
        yield served


def passed(station: Running) -> int:
    return int(station.service.tally.snapshot()["outcomes"]["PASS"])


def test_unplugged_nobody_passes_and_plugged_in_again_they_do(
    station: Running, grabber: Grabber, tmp_path: Path
) -> None:
    lost = lambda: station.service.tally.snapshot()["reasons"].get("frame_lost", 0)  # noqa: E731
    grabber.unplug()
    wait_for(lambda: "camera_silent" in {alarm.code for alarm in station.service.alarms.all})
    before, lost_before = passed(station), lost()
    wait_for(lambda: lost() >= lost_before + 3)
    assert passed(station) == before
    grabber.plug()
    wait_for(lambda: passed(station) >= before + 2, 40)
    wait_for(lambda: not station.service.alarm)
    station.stop()
    units = [from_row(row) for row in station.service.archive.rows("station-1") if row["kind"] == "unit"]
    assert station.service.line.conveyor.opened == station.units() == len(units)
    assert all(len(unit.frames) == 1 for unit in units if unit.outcome == "PASS")
    assert {unit.outcome for unit in units if not unit.frames} == {"REJECT"}
    found = verify_archive(tmp_path / "archive")
    assert found.intact, found.problems
