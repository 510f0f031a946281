"""Acceptance sampling by attributes: how many units of a lot to look at, and how many defective ones it may have among
them (ISO 2859-1:1999, tables 1 and 2-A: single sampling, normal inspection)."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Literal

from inspection.errors import BadUsage

Level = Literal["I", "II", "III"]
LEVELS: tuple[Level, ...] = ("I", "II", "III")
LETTERS = "ABCDEFGHJKLMNPQR"
SIZES = (2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500, 800, 1250, 2000)
AQLS = (0.010, 0.015, 0.025, 0.040, 0.065, 0.10, 0.15, 0.25, 0.40, 0.65, 1.0, 1.5, 2.5, 4.0, 6.5, 10.0)
_LOTS = (8, 15, 25, 50, 90, 150, 280, 500, 1200, 3200, 10_000, 35_000, 150_000, 500_000)
_CODES = {"I": "AABCCDEFGHJKLMN", "II": "ABCDEFGHJKLMNPQ", "III": "BCDEFGHJKLMNPQR"}
# The table's diagonals: letter and AQL each a step further allow as many defective units as one step less of both.
_FIRST = 14  # letter's and AQL's number together, where none is allowed
_ACCEPT = (0, None, None, 1, 2, 3, 5, 7, 10, 14, 21)


@dataclass(frozen=True)
class SamplingPlan:
    """Look at `sample` units; accept the lot where at most `accept` are defective. `letter` is the plan's code."""

    letter: str
    sample: int
    accept: int

    @property
    def reject(self) -> int:
        """From as many defective units on the lot is not accepted."""
        return self.accept + 1


def sampling_plan(lot: int, aql: float, level: Level = "II") -> SamplingPlan:
    """The plan for a lot of so many units at an acceptance quality limit in percent. Where the table points to another
    row, that row's sample is taken; where a sample would be the lot or more, every unit is looked at.

    Raises BadUsage for a lot of less than two units and for an AQL that is not one of `AQLS`.
    """
    if lot < 2:
        raise BadUsage(f"a lot needs at least 2 units to draw a sample from, this has {lot}")
    if aql not in AQLS:
        raise BadUsage(f"{aql:g} is no AQL of ISO 2859-1; choose one of {', '.join(f'{value:g}' for value in AQLS)}")
    letter = LETTERS.index(_CODES[level][bisect_left(_LOTS, lot)])
    letter, accept = _row(letter, AQLS.index(aql))
    return SamplingPlan(LETTERS[letter], min(SIZES[letter], lot), accept)


def _row(letter: int, aql: int) -> tuple[int, int]:
    """The letter's number that the table leads to, and how many defective units it allows."""
    step = letter + aql - _FIRST
    if step < 0:  # an arrow down, to where none is allowed
        return _FIRST - aql, 0
    if step >= len(_ACCEPT):  # an arrow up, to where the most are allowed
        return _FIRST + len(_ACCEPT) - 1 - aql, 21
    accept = _ACCEPT[step]
    if accept is not None:
        return letter, accept
    up, down = letter - 1, letter + 3 - step
    if (step == 1 and up >= 0) or down >= len(LETTERS):
        return letter - step, 0
    return down, 1
