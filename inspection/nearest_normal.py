"""What a unit should look like: of good units' pictures the one most like it, where it is not suspicious.

Method: both pictures are shrunk to 64 x 64 grey values; the cells that the heatmap marks, and their neighbours, are
left out, so that the defect does not choose; each picture's own mean brightness outside of them is taken off; the
smallest root mean square difference of what is left, in grey values, is the nearest. It compares what stands where in
the frame: it does not turn or move pictures, so the nearest of units that lie anyhow is like this one only by chance.
It is an example for a person, and decides nothing.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from inspection.archive import Archive
from inspection.heatmap import Heatmap
from inspection.jpegxl import decode_jpegxl, is_jpegxl
from inspection.records import Entry, correction, from_row
from inspection.reviews import REVIEW, Decision, counting, read_review
from inspection.schema import entries
from inspection.verdict import Outcome

Small = NDArray[np.uint8]
SIDE = 64
_LEAST_LEFT = 0.2  # of the frame: what is left of a picture that is marked nearly everywhere says nothing
_CANDIDATES = 300
_LOOKED_AT = 2000
_MARKED_FROM = 0.8  # of the review limit


@dataclass(frozen=True)
class Normal:
    """A frame of a unit that passed, as a candidate. `image` is a name in the store."""

    station: str
    sequence: int
    frame: int
    image: str
    unit: str | None = None
    same_batch: bool = False


def nearest(picture: Small, marked: NDArray[np.bool_], candidates: Sequence[Small]) -> tuple[int, float] | None:
    """Place and difference (grey values, 0 to 255) of the candidate most like `picture`, all `[S, S]` uint8, outside of
    `marked` `[S, S]`; the first of equals. None without candidates. Where less than a fifth of the frame is left, all
    of it is compared."""
    if not len(candidates):
        return None
    left = ~marked if (~marked).mean() >= _LEAST_LEFT else np.ones_like(marked)
    own = picture[left].astype(np.float32)
    others = np.stack([candidate[left] for candidate in candidates]).astype(np.float32)
    off = (others - others.mean(axis=1, keepdims=True)) - (own - own.mean())
    differences = np.sqrt(np.mean(off**2, axis=1))
    place = int(np.argmin(differences))
    return place, float(differences[place])


def marked_cells(heatmap: Heatmap | None, review_limit: float) -> NDArray[np.bool_]:
    """The cells `[SIDE, SIDE]` in which the map comes near the review limit, and their neighbours; none without one."""
    if heatmap is None:
        return np.zeros((SIDE, SIDE), dtype=bool)
    inside = (heatmap >= _MARKED_FROM * review_limit).astype(np.uint8)
    small = cv2.resize(inside, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.dilate(small, np.ones((5, 5), np.uint8)) > 0)


def small_grey(data: bytes) -> Small | None:
    """An encoded picture as `[SIDE, SIDE]` grey values; None for one that cannot be read."""
    try:
        if is_jpegxl(data):
            pixels = decode_jpegxl(data)
            grey = np.asarray(pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        else:
            grey = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
        return shrunk(grey)
    except (cv2.error, ValueError, TypeError):  # TypeError: OpenCV gives None for what is no picture
        return None


def shrunk(grey: NDArray[np.uint8]) -> Small:
    """Grey values `[H, W]` uint8 as `[SIDE, SIDE]`."""
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.uint8)


class SmallPictures:
    """The small pictures of images by name, the last used ones kept: 4 kB each. May be asked from several threads."""

    def __init__(self, most: int = 4000) -> None:
        self._most, self._lock = most, threading.Lock()
        self._kept: OrderedDict[str, Small | None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, names: Iterable[str], read: Callable[[str], bytes | None], go_on: Callable[[], bool]) -> list[str]:
        """Of the names, in their order, those whose pictures are at hand. What is not at hand is read while `go_on()`
        says so, so that nobody waits for hundreds of images: who asks again is answered from more of them."""
        at_hand = []
        for name in names:
            if not self._has(name):
                if not go_on():
                    continue
                data = read(name)
                self._put(name, None if data is None else small_grey(data))
            if self.picture(name) is not None:
                at_hand.append(name)
        return at_hand

    def picture(self, name: str) -> Small | None:
        """The small picture of an image, if it is at hand and can be read."""
        with self._lock:
            return self._kept.get(name)

    def _has(self, name: str) -> bool:
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
            return name in self._kept

    def _put(self, name: str, small: Small | None) -> None:
        with self._lock:
            self._kept[name] = small
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


def normal_frames(archive: Archive, entry: Entry, frame: int) -> list[Normal]:
    """Frames of good units to compare a unit's frame with: of the newest that passed, of its product, by the same
    camera, at the same place among that camera's frames; of its own batch first. The unit itself is none, nor are units
    that a person found defective or doubtful, or whose PASS was corrected. Reads by the indexes of batches,
    outcomes and units."""
    table = entries.c
    passed = select(entries).where(table.kind == "unit", table.outcome == Outcome.PASS)
    found: dict[str, Entry] = {}
    with archive.reader() as connection:
        if entry.batch is not None:
            own = passed.where(table.batch == entry.batch).order_by(table.recorded_at.desc()).limit(_CANDIDATES)
            found |= {one.name: one for one in map(from_row, connection.execute(own).mappings())}
        if len(found) < _CANDIDATES:
            newest = passed.order_by(table.recorded_at.desc()).limit(_LOOKED_AT)
            found = {one.name: one for one in map(from_row, connection.execute(newest).mappings())} | found
            found = dict(sorted(found.items(), key=lambda item: item[1].batch != entry.batch))
    at = _place(entry, frame)
    others = (one for one in found.values() if one.product == entry.product and one.name != entry.name)
    fitting = [(one, place) for one in others
               for place in range(len(one.frames)) if _place(one, place) == at][:_CANDIDATES]  # fmt: skip
    doubtful = _doubtful(archive, [one for one, _ in fitting])
    chosen = []
    for one, place in fitting:
        image = one.frames[place].thumbnail or one.frames[place].image
        if image and one.name not in doubtful:
            same = one.batch is not None and one.batch == entry.batch
            chosen.append(Normal(one.station, one.sequence, place, image, one.unit, same))
    return chosen


def _place(entry: Entry, frame: int) -> tuple[str, int] | None:
    """The camera, and the how manyth of its frames this is."""
    if not 0 <= frame < len(entry.frames):
        return None
    camera = entry.frames[frame].camera
    return camera, sum(one.camera == camera for one in entry.frames[:frame])


def _doubtful(archive: Archive, units: Sequence[Entry]) -> set[str]:
    names = sorted({one.unit for one in units if one.unit is not None})
    if not names:
        return set()
    query = select(entries).where(entries.c.unit.in_(names)).order_by(entries.c.recorded_at, entries.c.sequence)
    with archive.reader() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings() if row["kind"] == "event"]
    doubtful = {name for row in rows for name in correction(row)}
    reviews = counting(read_review(from_row(row)) for row in rows if row["reason"] == REVIEW)
    return doubtful | {name for name, one in reviews.items() if one.decision is not Decision.FALSE_REJECT}
