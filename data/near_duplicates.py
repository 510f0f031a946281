"""Near-duplicates: images that show the same picture, saved again, resized, brightened or cropped a little.

Two of them, one in training and one in test, make a classifier look better than it is.
"""

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from inspection.frames import Pixels

_SIDE = 16
_WORDS = _SIDE * _SIDE // 64
MOST_BITS = 8
_BLOCK_BYTES = 2**26

Hashes = NDArray[np.uint64]


def perceptual_hash(pixels: Pixels) -> Hashes:
    """256 bits `[4]` of an image `[H, W, 3]` uint8: which of its 256 lowest frequencies lie above their median
    (pHash: Zauner, 2010). The usual 64 bits are too few: units of one product, photographed alike, differ in their
    details only."""
    bits = imagehash.phash(Image.fromarray(pixels), hash_size=_SIDE).hash
    return np.packbits(bits.ravel()).view(np.uint64)


def near_duplicate_groups(hashes: Hashes, most_bits: int = MOST_BITS) -> NDArray[np.int32]:
    """A group's number for each image `[n]` from the hashes `[n, 4]`: two images that differ in at most `most_bits`
    are in one group, and so are those that others between them join. Every pair is compared, in bounded memory."""
    count = len(hashes)
    groups = np.arange(count, dtype=np.int32)
    block = max(1, _BLOCK_BYTES // max(1, count * hashes.itemsize * _WORDS))
    for start in range(0, count, block):
        apart = np.bitwise_count(hashes[start : start + block, None] ^ hashes[None, start:]).sum(axis=2)
        rows, columns = (groups[which + start] for which in np.nonzero(apart <= most_bits))
        different = rows != columns
        if different.any():
            pairs = rows[different], columns[different]
            links = coo_array((np.ones(len(pairs[0]), dtype=bool), pairs), shape=(count, count))
            groups = connected_components(links, directed=False)[1][groups]
    return groups
