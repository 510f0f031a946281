"""Units as they come down the line, one after the other."""

from collections.abc import Iterator
from itertools import count as endless

import numpy as np

from data.simulator.products import check_seed, product_named, render
from data.simulator.unit import BadCount, BadDefectRate, Unit

SEEDS_PER_RUN = 10**9
_LINE_OFFSET = SEEDS_PER_RUN // 2


def dataset_seed(seed: int, index: int) -> int:
    """The seed of unit `index` of the dataset with this seed. No line and no other dataset ever draws it."""
    return seed * SEEDS_PER_RUN + index


def line_seed(seed: int, index: int) -> int:
    """The seed of unit `index` on the line with this seed; apart from every dataset's, so nothing leaks."""
    return seed * SEEDS_PER_RUN + _LINE_OFFSET + index


def line(product: str, seed: int, defect_rate: float, count: int | None = None) -> Iterator[Unit]:
    """Units in order, endless or `count` of them, each defective with probability `defect_rate` (0..1).

    Defect kinds are drawn evenly. Unit k depends on seed, k and defect_rate alone: a longer run starts alike.
    Raises UnknownProduct, BadSeed, BadDefectRate or BadCount at once, before the first unit is asked for.
    """
    kinds = product_named(product).defect_names
    check_seed(seed)
    if not 0 <= defect_rate <= 1:
        msg = f"The defect rate is {defect_rate}; it must lie between 0 (all good) and 1 (all defective)."
        raise BadDefectRate(msg)
    if count is not None and count < 0:
        msg = f"The count is {count}; it must be 0 or more, or None for an endless line."
        raise BadCount(msg)
    indices = endless() if count is None else range(count)
    return (_unit(product, kinds, seed, defect_rate, index) for index in indices)


def _unit(product: str, kinds: tuple[str, ...], seed: int, defect_rate: float, index: int) -> Unit:
    rng = np.random.default_rng([seed, index])
    defective = rng.random() < defect_rate
    kind = kinds[rng.integers(len(kinds))]
    return render(product, line_seed(seed, index), kind if defective else None)
