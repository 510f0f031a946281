"""Pixel metrics of a whole category, exact and image by image: pixel AUROC, average precision, F1-max and AUPRO.

None of these curves bends anywhere but at the value of a defect pixel. So it is enough to know, for each distinct value
that defect pixels have, how many normal pixels lie above it and how many are level with it; the many normal pixels need
not be kept, nor ranked one by one.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.floating]
Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]
_CHUNK = 2**23  # normal pixels sorted at once


@dataclass(frozen=True)
class PixelCounts:
    """What all the pixel metrics follow from, at each distinct value `[m]` that defect pixels have, highest first."""

    normal_above: Counts  # how many normal pixels have a higher value
    normal_level: Counts  # how many have this very value
    defect_level: Counts  # how many defect pixels have it: at least one
    overlap: NDArray[np.float64]  # the part of it in the per-region overlap: these add up to 1
    normal: int  # normal pixels in all

    def auroc(self) -> float:
        """Area under the ROC curve over all pixels: the chance that a defect pixel has a higher value than a normal
        one, ties counting half (Mann and Whitney, 1947)."""
        defects = int(self.defect_level.sum())
        doubled = int(self.defect_level @ (2 * self.normal_above + self.normal_level))
        return 1 - doubled / (2 * defects * self.normal)

    def average_precision(self) -> float:
        """Precision at each defect pixel's value, averaged over the defect pixels (no interpolation, as scikit-learn
        has it)."""
        precision, _ = self._precision_recall()
        return float(precision @ self.defect_level / self.defect_level.sum())

    def f1_max(self) -> float:
        """The highest F1 score that any threshold gives (Zou et al., 2022)."""
        precision, recall = self._precision_recall()
        return float((2 * precision * recall / (precision + recall)).max())

    def aupro(self, max_fpr: float) -> float:
        """Area under the per-region overlap curve for false-positive rates from 0 to `max_fpr`, divided by `max_fpr`
        (Bergmann et al., 2021, section 5.2): straight lines between the points of successive thresholds, cut at
        `max_fpr` itself. Raises ValueError for a limit outside 0 to 1."""
        if not 0 < max_fpr <= 1:
            msg = f"the highest false-positive rate is above 0 and at most 1, got {max_fpr}"
            raise ValueError(msg)
        # Two points per value: as the threshold reaches it from above, and with all that is level with it.
        fpr, pro = np.zeros(2 * len(self.overlap) + 2), np.zeros(2 * len(self.overlap) + 2)
        fpr[1:-1:2] = self.normal_above / self.normal
        fpr[2:-1:2] = (self.normal_above + self.normal_level) / self.normal
        pro[2:-1:2] = np.cumsum(self.overlap)
        pro[3:-1:2] = pro[2:-2:2]
        fpr[-1] = pro[-1] = 1
        inside = int(np.searchsorted(fpr, max_fpr, side="right"))
        x = np.append(fpr[:inside], max_fpr)
        y = np.append(pro[:inside], np.interp(max_fpr, fpr, pro))
        return float(np.trapezoid(y, x) / max_fpr)

    def _precision_recall(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        found = np.cumsum(self.defect_level)
        return found / (found + self.normal_above + self.normal_level), found / found[-1]


def count_pixels(
    marked: Callable[[], Iterable[tuple[Map, Mask]]], good: Iterable[Map] = (), *, chunk: int = _CHUNK
) -> PixelCounts | None:
    """Count the pixels of one category: images with a mask and images all of whose pixels are normal.

    `marked` is called twice and each time gives the same pairs of a map and its mask, both `[h, w]`, True where there
    is a defect; `good` gives maps `[h, w]`. Images may differ in size; regions are the 8-connected components of a
    mask. The maps are compared as they are, float32 as float32, and no value is rounded or binned: -0.0 is level with
    0.0, and infinities are values like others.

    Held at any time, besides one image: at most about 60 bytes per defect pixel and, in float32, 12 bytes for each of
    `chunk` normal pixels (100 MB), however many images there are. None where there is no defect pixel or no normal
    one. Raises ValueError for a map with NaN, for a mask of another shape than its map, and where the second call gave
    another number of defect pixels than the first.
    """
    values, defect_level, overlap = _defect_values(marked())
    below, not_above = np.zeros(len(values), np.int64), np.zeros(len(values), np.int64)
    normal = defects = 0

    def normal_pixels() -> Iterator[Map]:
        nonlocal defects
        for heatmap, mask in marked():
            kept = _checked(heatmap, mask)[~mask]
            defects += mask.size - kept.size
            yield kept
        for heatmap in good:
            yield _checked(heatmap).ravel()

    for some in _gathered(normal_pixels(), chunk):
        some.sort()
        normal += some.size
        below += some.searchsorted(values, side="left")
        not_above += some.searchsorted(values, side="right")
    if defects != defect_level.sum():
        msg = f"the masks had {defect_level.sum()} defect pixels on the first walk and {defects} on the second"
        raise ValueError(msg)
    if not defects or not normal:
        return None
    return PixelCounts(
        normal_above=(normal - not_above)[::-1],
        normal_level=(not_above - below)[::-1],
        defect_level=defect_level[::-1],
        overlap=overlap[::-1],
        normal=normal,
    )


def _defect_values(images: Iterable[tuple[Map, Mask]]) -> tuple[Map, Counts, NDArray[np.float64]]:
    """The distinct values of defect pixels, ascending; how many pixels have each; their part in the overlap."""
    values: list[Map] = [np.zeros(0, np.float32)]
    shares = [np.zeros(0)]
    regions = 0
    for heatmap, mask in images:
        values.append(_checked(heatmap, mask)[mask])
        count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        own = labels[mask]
        shares.append(1 / np.bincount(own)[own])
        regions += count - 1
    together = np.concatenate(values)
    order = np.argsort(together)
    together = together[order]
    starts = np.flatnonzero(np.append(True, together[1:] != together[:-1])[: len(together)])
    level = np.diff(starts, append=len(together)).astype(np.int64)
    overlap = np.add.reduceat(np.concatenate(shares)[order], starts) if regions else np.zeros(0)
    return together[starts], level, overlap / max(regions, 1)


def _gathered(pieces: Iterable[Map], size: int) -> Iterator[Map]:
    """The pieces put together into arrays of `size` values or a little more: sorting few large ones saves searches."""
    waiting: list[Map] = []
    held = 0
    for piece in pieces:
        waiting.append(piece)
        held += piece.size
        if held >= size:
            together = np.concatenate(waiting)
            waiting.clear()
            held = 0
            yield together
    if waiting:
        yield np.concatenate(waiting)


def _checked(heatmap: Map, mask: Mask | None = None) -> Map:
    if mask is not None and mask.shape != heatmap.shape:
        msg = f"a mask has the shape of its map, got a mask {mask.shape} for a map {heatmap.shape}"
        raise ValueError(msg)
    if np.isnan(heatmap).any():
        msg = f"a map with NaN cannot be ranked, got {int(np.isnan(heatmap).sum())} in a map {heatmap.shape}"
        raise ValueError(msg)
    return heatmap
