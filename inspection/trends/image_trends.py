"""Brightness and sharpness of each camera's images over time, from what records keep of each frame. Of many units an even
part is read: each camera's light does not change from one unit to the next."""

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, select

from inspection.schema import entries
from inspection.trends.query import Bounds
from inspection.trends.subgroups import Subgroup, decode_details
from inspection.unit_record import IMAGE_QUALITY

MEASURES = ("brightness", "sharpness")
_MOST = 3000


@dataclass(frozen=True)
class CameraPoint:
    """Of one camera in one subgroup (its place): the median of a measure, and between what nine tenths of it lie."""

    at: int
    frames: int
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class ImageTrends:
    """By measure and camera; `every` says that one unit in so many was read, `without` how many of them tell nothing
    (made before images were measured)."""

    points: dict[str, dict[str, tuple[CameraPoint, ...]]]
    every: int
    read: int
    without: int


def image_trends(
    connection: Connection, bounds: Bounds, subgroups: list[Subgroup], camera: str | None = None, most: int = _MOST
) -> ImageTrends:
    """Of all cameras, or of one."""
    every = max(1, -(-bounds.entries // most))
    table = entries.c
    query = select(table.recorded_at, table.frames, table.details).where(*bounds.selection.conditions())
    query = query.where(table.sequence % every == 0) if every > 1 else query
    begins = [one.since for one in subgroups]
    values: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    read = without = 0
    for at, frames, details in connection.execute(query):
        read += 1
        measured = decode_details('{"frames":' + frames + "}").get("frames"), decode_details(details).get(IMAGE_QUALITY)
        if not all(isinstance(one, list) for one in measured):
            without += 1
            continue
        place = bisect_right(begins, at) - 1
        for frame, quality in zip(*measured, strict=False):  # type: ignore[arg-type]
            if camera in (None, frame["camera"]):
                for measure in MEASURES:
                    if isinstance(value := quality.get(measure), int | float):
                        values[measure, frame["camera"], place].append(value)
    points: dict[str, dict[str, tuple[CameraPoint, ...]]] = {measure: {} for measure in MEASURES}
    for (measure, name, place), found in sorted(values.items()):
        low, middle, high = (float(value) for value in np.percentile(found, [5, 50, 95]))
        point = CameraPoint(place, len(found), middle, low, high)
        points[measure][name] = (*points[measure].get(name, ()), point)
    return ImageTrends(points, every, read, without)
