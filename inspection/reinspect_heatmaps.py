"""Heatmaps of what a re-inspection changes: exact (.npy) and as a picture (.png), as many as a run may keep."""

import re
from collections.abc import Sequence
from pathlib import Path

from inspection.files import make_folder, write_durably
from inspection.heatmap import drawn_alone, encode_heatmap
from inspection.unit_result import Inspected, UnitResults

FOLDER = "heatmaps"
EXACT, PICTURE = SUFFIXES = (".npy", ".png")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 60
_WIDTH = 320


class HeatmapFolder:
    """`OUT/heatmaps`. The first `most` maps of changed units, in the order of the work list, are kept; of `kept` it is
    known that they are there. A name is the unit's number in the work list, what the unit is called, and the beginning
    of the package's digest, so that a run which is taken up writes the same files again."""

    def __init__(self, out: Path, digests: Sequence[str], most: int, kept: int) -> None:
        self._out, self._digests = out, digests
        self._left = most - kept

    def keep(self, number: int, inspected: Inspected) -> UnitResults:
        """Write what is to be kept of the work list's `number`th item, before its result is written; the results, which
        name the files. Raises OutputNotWritable."""
        names: list[str | None] = []
        for digest, one, found in zip(self._digests, inspected.results.each, inspected.maps, strict=True):
            if found is None or self._left <= 0:
                names.append(None)
                continue
            finding, limits = found
            slug = _UNFIT.sub("_", one.unit)[:_LONGEST]
            name = f"{FOLDER}/{number:08d}-{slug}-{digest[:12]}"
            make_folder(self._out / FOLDER)
            write_durably(self._out / f"{name}{EXACT}", encode_heatmap(finding.heatmap))
            write_durably(self._out / f"{name}{PICTURE}", drawn_alone(finding.heatmap, limits, _WIDTH))
            names.append(name)
            self._left -= 1
        return inspected.results.with_heatmaps(names)


def count_kept(results: UnitResults) -> int:
    """How many heatmaps were kept of a unit."""
    return sum(one.heatmap is not None for one in results.each)
