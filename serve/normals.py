"""Examples of good units beside what people review: found in the archive, or else in the package."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inspection.errors import InspectionError
from inspection.frames import Pixels
from inspection.heatmap import Heatmap, decode_heatmap
from inspection.nearest_normal import Normal, SmallPictures, marked_cells, nearest, normal_frames, small_grey
from inspection.record_findings import deciding_limits
from inspection.records import Entry
from inspection.verdict import Outcome

if TYPE_CHECKING:
    from serve.service import Service

_READ_S = 0.25  # for pictures that are not at hand, by one call: the line works in this process as well
_KEPT_S = 30.0
_MOST_KEPT = 64


@dataclass(frozen=True)
class Example:
    """What a frame should look like: `kind` passed, golden or none. `difference` in grey values, root mean square."""

    kind: str
    image: str | None = None
    page: str | None = None
    unit: str | None = None
    same_batch: bool | None = None
    compared: int | None = None
    difference: float | None = None


class Normals:
    """Finds examples, and keeps small pictures of what it compared."""

    def __init__(self) -> None:
        self._small = SmallPictures()
        self._lists: dict[tuple[object, ...], tuple[float, list[Normal]]] = {}

    def find(self, service: "Service", entry: Entry, frame: int) -> Example:
        """The example for a unit's frame. Raises ArchiveFault."""
        candidates = self._candidates(service, entry, frame)
        compared, best = self._nearest(service, entry, frame, candidates)
        if best is not None:
            chosen, difference = best
            base = f"{chosen.station}/{chosen.sequence}"
            return Example("passed", f"/api/records/{base}/image?frame={chosen.frame}", f"/records/{base}", chosen.unit,
                           chosen.same_batch, compared, round(difference, 1))  # fmt: skip
        if golden_frame(service, entry) is not None:
            return Example("golden", f"/api/records/{entry.station}/{entry.sequence}/golden")
        return Example("none")

    def _candidates(self, service: "Service", entry: Entry, frame: int) -> list[Normal]:
        """Those of units alike, remembered for a while: the next unit of the batch asks for the same."""
        places = tuple(one.camera for one in entry.frames[: frame + 1])
        key = (id(service.archive), entry.batch, entry.product, places)
        now = time.monotonic()
        at, found = self._lists.get(key, (-_KEPT_S, []))
        if now - at >= _KEPT_S:
            found = normal_frames(service.archive, entry, frame)
            if len(self._lists) >= _MOST_KEPT:
                self._lists.clear()
            self._lists[key] = now, found
        return [one for one in found if (one.station, one.sequence) != (entry.station, entry.sequence)]

    def _nearest(
        self, service: "Service", entry: Entry, frame: int, candidates: list[Normal]
    ) -> tuple[int, tuple[Normal, float] | None]:
        own = entry.frames[frame] if frame < len(entry.frames) else None
        data = _read(service, own.image or own.thumbnail) if own else None
        picture = small_grey(data) if data else None
        if own is None or picture is None or not candidates:
            return 0, None
        until = time.monotonic() + _READ_S
        names = [one.image for one in candidates]
        at_hand = set(self._small.get(names, lambda name: _read(service, name), lambda: time.monotonic() < until))
        fitting = [(one, small) for one in candidates
                   if one.image in at_hand and (small := self._small.picture(one.image)) is not None]  # fmt: skip
        found = nearest(picture, self._marked(service, entry, own.heatmap), [small for _, small in fitting])
        return len(fitting), None if found is None else (fitting[found[0]][0], found[1])

    @staticmethod
    def _marked(service: "Service", entry: Entry, name: str | None) -> np.ndarray:
        limits, data = deciding_limits(entry), _read(service, name)
        if limits is None or data is None or name is None:
            return marked_cells(None, 0.0)
        try:
            heatmap: Heatmap = decode_heatmap(data, name)
        except InspectionError:
            return marked_cells(None, 0.0)
        return marked_cells(heatmap, limits.review_limit)


def golden_frame(service: "Service", entry: Entry) -> Pixels | None:
    """A good frame that the package of a record carries, where that package runs here; else None."""
    package = service.station.detector.package
    if package.digest != entry.package:
        return None
    good = [one.name for one in package.manifest.golden if one.outcome is Outcome.PASS]
    return package.golden[good[0]] if good else None


def _read(service: "Service", name: str | None) -> bytes | None:
    try:
        return service.archive.images.get(name) if name else None
    except InspectionError:  # an example that cannot be read is none
        return None
