"""What would have become of archived units with another region: their scores taken again from the heatmaps on record.

That is exact, as what the station does (`recipe_region.region_score`), and reads a file for each frame: so it is done
for a sample, the newest units that passed and the newest that did not.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from inspection.archive import Archive
from inspection.errors import InspectionError
from inspection.heatmap import decode_heatmap
from inspection.image_store import ImagesUnreachable
from inspection.recipe_region import RecipeRegion, RegionCount, region_score, touched_cells
from inspection.record_findings import CLASSIFIER
from inspection.records import Entry, from_row
from inspection.schema import entries
from inspection.verdict import SHOWN, Limits, Outcome, combine, decide
from inspection.what_if import Change, Chosen, Example

SAMPLE = 150  # units of each of both kinds
_KEPT = 2000  # heatmaps, of some ten kilobytes
_heatmaps: "OrderedDict[str, NDArray[np.float32]]" = OrderedDict()
_lock = threading.Lock()


@dataclass
class RegionWhatIf:
    """Of the sampled units, `stopped` ones (that did not pass) and `passed` ones, how many have which outcome on record
    and would have which. Of the `untold` a heatmap is not on record, or is another package's."""

    stopped: int = 0
    passed: int = 0
    untold: int = 0
    changes: Counter[Change] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        changes = [{"old": old, "new": new, "units": count} for (old, new), count in sorted(self.changes.items())]
        return {
            "stopped": self.stopped, "passed": self.passed, "untold": self.untold, "changes": changes,
            "changed": sum(count for (old, new), count in self.changes.items() if old != new), "sample": SAMPLE,
            "examples": [vars(one) for one in self.examples],
        }  # fmt: skip


def replay_region(
    archive: Archive, chosen: Chosen, count: RegionCount, region: RecipeRegion | None, limits: Limits,
    sample: int = SAMPLE, examples: int = 24,
) -> RegionWhatIf:  # fmt: skip
    """How verdicts of a sample of the chosen units would change with this region (None: the whole frame) at these
    limits. Raises ArchiveFault and ImagesUnreachable."""
    found = RegionWhatIf()
    for entry in _sampled(archive, chosen, sample):
        stopped = entry.outcome != Outcome.PASS
        found.stopped, found.passed = found.stopped + stopped, found.passed + (not stopped)
        scores = _scores(archive, entry, count, region)
        if not scores:
            found.untold += 1
            continue
        new = str(combine([decide(score, limits) for score in scores]).outcome)
        found.changes[(str(entry.outcome), new)] += 1
        if new != entry.outcome and len(found.examples) < examples:
            found.examples.append(Example(entry.station, entry.sequence, str(entry.unit), max(scores),
                                          str(entry.outcome), new))  # fmt: skip
    return found


def _sampled(archive: Archive, chosen: Chosen, sample: int) -> list[Entry]:
    query = select(entries).where(chosen.where(), entries.c.reason.in_(sorted(SHOWN)))
    query = query.order_by(entries.c.recorded_at.desc()).limit(sample)
    found: list[Entry] = []
    with archive.reader() as connection:
        for outcomes in ((Outcome.REJECT, Outcome.REVIEW), (Outcome.PASS,)):
            rows = connection.execute(query.where(entries.c.outcome.in_([str(one) for one in outcomes]))).mappings()
            found += [from_row(row) for row in rows]
    return found


def _scores(archive: Archive, entry: Entry, count: RegionCount, region: RecipeRegion | None) -> Sequence[float]:
    """The score of each frame over the region; none where one cannot be told."""
    if CLASSIFIER in entry.details or not entry.frames:
        return []
    scores = []
    for frame in entry.frames:
        heatmap = _heatmap(archive, frame.heatmap) if frame.heatmap else None
        if heatmap is None or heatmap.shape != count.inside.shape:
            return []
        shapes = region.of(frame.camera) if region else None
        counted = touched_cells(shapes, *count.inside.shape) if shapes else count.inside
        scores.append(region_score(heatmap, counted, count.inside))
    return scores


def _heatmap(archive: Archive, name: str) -> NDArray[np.float32] | None:
    with _lock:
        found = _heatmaps.get(name)
    if found is None:
        try:
            found = decode_heatmap(archive.images.get(name), name)
        except ImagesUnreachable:
            raise
        except InspectionError:  # removed by the retention rule, or not as it was: `inspection verify` tells
            return None
        with _lock:
            _heatmaps[name] = found
            while len(_heatmaps) > _KEPT:
                _heatmaps.popitem(last=False)
    return found
