"""Near-duplicates: images that show the same picture, saved again, resized or brightened.

Two of them, one in training and one in test, make a classifier look better than it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from inspection.frames import Pixels

MOST_BITS = 16
LEAST_CORRELATION = 0.99
_SIDE = 16
_THUMBNAIL = 64
_DETAIL = 2.0  # pixels of the thumbnail (sigma): what is coarser is left out
_BLOCK = 1024


@dataclass(frozen=True)
class Fingerprint:
    """What near-duplicates are known by: 256 `bits` `[4]` uint64, which of an image's 256 lowest frequencies lie above
    their median (pHash: Zauner, 2010), and a grey `thumbnail` `[64, 64]` uint8."""

    bits: NDArray[np.uint64]
    thumbnail: NDArray[np.uint8]


def fingerprint(pixels: Pixels) -> Fingerprint:
    """Of an image `[H, W, 3]` uint8."""
    bits = imagehash.phash(Image.fromarray(pixels), hash_size=_SIDE).hash
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    thumbnail = cv2.resize(grey, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    return Fingerprint(np.packbits(bits.ravel()).view(np.uint64), np.asarray(thumbnail, dtype=np.uint8))


def near_duplicate_groups(images: Sequence[Fingerprint]) -> NDArray[np.int32]:
    """A group's number for each image `[n]`: two images are in one group where at most `MOST_BITS` differ and the
    details of their thumbnails correlate by `LEAST_CORRELATION` or more, and where others between them join them.

    The bits alone would not do: units of one product, photographed in one fixture, may differ in fewer than a copy and
    its original. Every pair is compared, in bounded memory.
    """
    count = len(images)
    groups = np.arange(count, dtype=np.int32)
    bits = np.array([image.bits for image in images])
    for one, two in combinations_with_replacement(range(0, count, _BLOCK), 2):
        apart = np.bitwise_count(bits[one : one + _BLOCK, None] ^ bits[None, two : two + _BLOCK]).sum(axis=2)
        near = np.add(np.argwhere(apart <= MOST_BITS), (one, two))
        pairs = _alike(images, near[groups[near[:, 0]] != groups[near[:, 1]]])
        if len(pairs):
            links = coo_array((np.ones(len(pairs), dtype=bool), groups[pairs.T]), shape=(count, count))
            groups = connected_components(links, directed=False)[1][groups]
    return groups


def _alike(images: Sequence[Fingerprint], pairs: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those of the pairs `[n, 2]` whose details correlate."""
    if not len(pairs):
        return pairs
    (rows, row), (columns, column) = (np.unique(side, return_inverse=True) for side in pairs.T)
    left, right = (np.stack([_detail(images[index].thumbnail) for index in side]) for side in (rows, columns))
    return pairs[(left @ right.T)[row, column] >= LEAST_CORRELATION]


def _detail(thumbnail: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What of a thumbnail is fine, `[4096]`, with norm 1."""
    values = thumbnail.astype(np.float32)
    fine = (values - cv2.GaussianBlur(values, (0, 0), _DETAIL)).ravel()
    return np.asarray(fine / max(float(np.linalg.norm(fine)), 1e-6), dtype=np.float32)
