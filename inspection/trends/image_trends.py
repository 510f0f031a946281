"""Brightness and sharpness of each camera's images over time, from what records keep of each frame. Of a large subgroup
its first units are read: a camera's light does not change from one unit to the next."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, bindparam, select

from inspection.schema import entries
from inspection.trends.details import decode_list, decode_object
from inspection.trends.query import Selection
from inspection.trends.tally import Tally
from inspection.unit_record import IMAGE_QUALITY

MEASURES = ("brightness", "sharpness")
_MOST = 1500  # units that are read for all subgroups together


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
    """By measure and camera. Of each subgroup at most `most` units were read, `read` of all; `without` of them tell
    nothing (made before images were measured, or without one)."""

    points: dict[str, dict[str, tuple[CameraPoint, ...]]]
    most: int
    read: int
    without: int


def image_trends(
    connection: Connection, selection: Selection, groups: list[Tally], camera: str | None = None
) -> ImageTrends:
    """Of all cameras, or of one."""
    table, most = entries.c, max(10, _MOST // len(groups))
    query = (
        select(table.frames, table.details)
        .where(*selection.conditions(), table.recorded_at >= bindparam("lo"), table.recorded_at <= bindparam("hi"))
        .order_by(table.recorded_at).limit(most)
    )  # fmt: skip
    points: dict[str, dict[str, tuple[CameraPoint, ...]]] = {measure: {} for measure in MEASURES}
    read = without = 0
    for place, group in enumerate(groups):
        values: dict[tuple[str, str], list[float]] = defaultdict(list)
        for frames, details in connection.execute(query, {"lo": group.first, "hi": group.last}):
            qualities = decode_object(details).get(IMAGE_QUALITY)
            read, without = read + 1, without + (not qualities)
            for frame, quality in zip(decode_list(frames), qualities or (), strict=False):
                if camera in (None, frame["camera"]):
                    for measure in MEASURES:
                        if measure in quality:
                            values[measure, frame["camera"]].append(float(quality[measure]))
        for (measure, name), found in sorted(values.items()):
            low, middle, high = (float(value) for value in np.percentile(found, [5, 50, 95]))
            point = CameraPoint(place, len(found), middle, low, high)
            points[measure][name] = (*points[measure].get(name, ()), point)
    return ImageTrends(points, most, read, without)
