"""Parts of a line that do as they are told: a camera that plays a list, a detector that follows frames' names."""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from inspection.archive import Archive, ArchiveFault
from inspection.finding import Finding
from inspection.frames import Frame, Pixels
from inspection.package import Package
from inspection.records import Draft, Entry
from inspection.station import Disposition
from serve.cameras import Camera, Shot
from serve.cameras.camera import CameraOptions
from tests.serve.serving import wait_for

PIXELS = np.zeros((8, 6, 3), np.uint8)


def frame(name: str, number: int = 0) -> Frame:
    """A small frame; `FollowingDetector` does what its name says. Each number gives another picture."""
    pixels = PIXELS.copy()
    pixels[0, 0] = (number % 256, number // 256, 0)
    return Frame(pixels, name, "cam", number)


class PlayingCamera(Camera):
    """Gives its shots as fast as they are taken, and raises an exception among them; then may wait for stop."""

    def __init__(self, shots: Iterable[Shot | Exception], then_wait: bool = False) -> None:
        self._shots, self._then_wait = list(shots), then_wait

    def shots(self, stop: threading.Event) -> Iterator[Shot]:
        for shot in self._shots:
            if isinstance(shot, Exception):
                raise shot
            yield shot
        if self._then_wait:
            stop.wait()


class DeafCamera(Camera):
    """One that hangs in its driver, whatever it is told, until `released` is set; then it still has shots."""

    def __init__(self, name: str = "cam", options: CameraOptions | None = None, folder: Path = Path()) -> None:  # noqa: ARG002
        self.released = threading.Event()

    def shots(self, stop: threading.Event) -> Iterator[Shot]:  # noqa: ARG002
        yield frame("good", 1)
        self.released.wait(60)
        yield from (frame("good", number) for number in range(2, 30))


class FollowingDetector:
    """Stands where a Detector does: the frame that is looked at next decides what is found. `gate` holds it back."""

    runtime = "none"
    label = "following"
    classifier = None

    def __init__(self, package: Package) -> None:
        self.package, self.manifest = package, package.manifest
        limits = self.manifest.limits
        self._scores = {
            "good": limits.review_limit / 2, "review": limits.review_limit, "reject": limits.reject_limit * 2,
            "nan": float("nan"), "infinite": float("inf"),
        }  # fmt: skip
        self.gate = threading.Event()
        self.gate.set()
        self.looked_at = 0
        self.frames: dict[bytes, str] = {}

    def learn(self, *shots: object) -> None:
        """Remember what to find in which pixels."""
        self.frames |= {shot.pixels.tobytes(): shot.name for shot in shots if isinstance(shot, Frame)}

    def find(self, pixels: Pixels) -> Finding:
        """What the frame's name says; `broken` raises."""
        self.looked_at += 1
        assert self.gate.wait(30)
        name = self.frames.get(pixels.tobytes(), "good")
        if name == "broken":
            raise RuntimeError("the graph fell over")
        return Finding(self._scores[name], np.zeros((2, 2), np.float32))


class FailingArchive(Archive):
    """An archive that refuses the units whose turn is in `refused`, counted from 0."""

    refused: frozenset[int] = frozenset()
    turn = 0

    def append(self, draft: Draft, station: str) -> Entry:
        if draft.kind == "unit":
            self.turn += 1
            if self.turn - 1 in self.refused:
                raise ArchiveFault("the disk is full")
        return super().append(draft, station)


class Told(list[Disposition]):
    """What a line told, in order."""

    def wait(self, count: int) -> None:
        """Wait until that many were told."""
        wait_for(lambda: len(self) >= count)
