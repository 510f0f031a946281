"""Which units are decided differently, the worst first."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from inspection.equivalence.figures import Codes
from inspection.equivalence.pairs import OUTCOMES, Pairs
from inspection.equivalence.scores import largest_differences

# First what would newly pass, then what would newly be stopped, then what changes only how it is stopped.
DIRECTIONS = (
    ("REJECT", "PASS"), ("REVIEW", "PASS"), ("PASS", "REJECT"), ("PASS", "REVIEW"), ("REJECT", "REVIEW"),
    ("REVIEW", "REJECT"),
)  # fmt: skip

Place = dict[str, Any]


@dataclass(frozen=True)
class Direction:
    """The units that changed from `old` to `new`, by truth; `units` names the first, `unnamed` counts the others."""

    old: str
    new: str
    count: int
    defective: int
    good: int
    unknown: int
    units: tuple[Place, ...]
    unnamed: int


@dataclass(frozen=True)
class Changes:
    """`escapes`: every defective unit that the old package stopped and the new one passes, however many; rejected ones
    first, the highest old score first. `directions`: all six. `score_differences`: those whose scores differ most."""

    escapes: tuple[Place, ...]
    directions: tuple[Direction, ...]
    score_differences: tuple[Place, ...]


def changes(pairs: Pairs, units: Codes, most: int = 100) -> Changes:
    """At most `most` units are named in each direction and by score; the escapes are all named.

    In each direction the worst come first: of what passes now the defective, then those of unknown truth, by the old
    score; of what is stopped now the good, then the unknown, by the new score. Without a score comes before any score.
    """
    directions = []
    escapes: list[int] = []
    for old, new in DIRECTIONS:
        found = np.flatnonzero((units.old == OUTCOMES.index(old)) & (units.new == OUTCOMES.index(new)))
        ordered = found[_worst_first(units.of(found), passes=new == OUTCOMES[0])]
        if new == OUTCOMES[0]:
            escapes += [int(at) for at in ordered if units.defective[at]]
        defective, good = int(units.defective[found].sum()), int(units.good[found].sum())
        named = tuple(_places(pairs, ordered[:most]))
        directions.append(
            Direction(
                old, new, len(found), defective, good, len(found) - defective - good, named, len(found) - len(named)
            )
        )
    apart = largest_differences(units.old_score, units.new_score, most)
    return Changes(tuple(_places(pairs, escapes)), tuple(directions), tuple(_places(pairs, apart)))


def _worst_first(units: Codes, *, passes: bool) -> np.ndarray:
    score = units.old_score if passes else units.new_score
    first, last = (units.defective, units.good) if passes else (units.good, units.defective)
    rank = np.where(first, 0, np.where(last, 2, 1))
    return np.lexsort((-np.where(np.isnan(score), np.inf, score), rank))


def _places(pairs: Pairs, indices: Any) -> Iterator[Place]:
    return (pairs.place(int(at)) for at in indices)
