"""How far two reviewers agree beyond chance: Cohen's kappa with its interval.

J. Cohen, "A coefficient of agreement for nominal scales", Educ. Psychol. Meas. 20 (1960); the large-sample variance by
J. L. Fleiss, J. Cohen, B. S. Everitt, "Large sample standard errors of kappa and weighted kappa", Psychol. Bull. 72
(1969), eq. 13, as in Fleiss, Levin, Paik, Statistical Methods for Rates and Proportions, 3rd ed., eq. 18.15.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

_Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Agreement:
    """`table[i][j]` counts units that the first reviewer called `categories[i]` and the second `categories[j]`.

    `kappa` lies between -1 and 1; None where there is nothing to compare, or where both always said the same one thing,
    so that chance alone explains all. `low` and `high` bound its 95 % interval, which is of large samples: with fewer
    than some dozens of units, or where they agree in all, it is too narrow.
    """

    categories: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    kappa: float | None
    low: float | None
    high: float | None

    @property
    def units(self) -> int:
        """How many units both judged."""
        return sum(map(sum, self.table))

    @property
    def same(self) -> int:
        """Of how many they said the same."""
        return sum(row[at] for at, row in enumerate(self.table))

    @property
    def share(self) -> float | None:
        """Of all units, the share that they said the same of."""
        return self.same / self.units if self.units else None


def agreement(pairs: Sequence[tuple[Hashable, Hashable]], categories: Sequence[str]) -> Agreement:
    """What pairs of (first, second) decisions say, each one of `categories`. Raises KeyError for another one."""
    place = {category: at for at, category in enumerate(categories)}
    table = np.zeros((len(categories), len(categories)), dtype=np.int64)
    for first, second in pairs:
        table[place[str(first)], place[str(second)]] += 1
    return agreement_of(table, categories)


def agreement_of(table: np.ndarray, categories: Sequence[str]) -> Agreement:
    """The same from the counts `[C, C]` themselves: first decisions in rows, second ones in columns."""
    kappa, error = cohens_kappa(table)
    low, high = (None, None) if kappa is None or error is None else _interval(kappa, error)
    return Agreement(tuple(categories), tuple(tuple(row) for row in table.tolist()), kappa, low, high)


def cohens_kappa(table: np.ndarray) -> tuple[float | None, float | None]:
    """Kappa of a square table of counts `[C, C]` and its standard error; (None, None) where it has no value."""
    total = int(table.sum())
    if total == 0:
        return None, None
    shares = table / total
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    observed, chance = float(np.trace(shares)), float(rows @ columns)
    if math.isclose(chance, 1.0):
        return None, None
    kappa = (observed - chance) / (1 - chance)
    same = float(np.sum(np.diag(shares) * (1 - (rows + columns) * (1 - kappa)) ** 2))
    off = shares * (columns[:, None] + rows[None, :]) ** 2
    other = float(off.sum() - np.trace(off)) * (1 - kappa) ** 2
    variance = (same + other - (kappa - chance * (1 - kappa)) ** 2) / (total * (1 - chance) ** 2)
    return kappa, math.sqrt(max(0.0, variance))


def _interval(kappa: float, error: float) -> tuple[float, float]:
    return max(-1.0, kappa - _Z_95 * error), min(1.0, kappa + _Z_95 * error)
