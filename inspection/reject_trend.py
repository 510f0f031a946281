"""The share of units that did not pass, in blocks, as a control chart that goes along with the line.

A p-chart (Montgomery, Introduction to Statistical Quality Control, 7th ed., section 7.2) with exact limits: those that
a binomial count of a batch's mean rate leaves as seldom as a normal one leaves three standard deviations.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import bdtr

Signal = Literal["", "above", "below", "run"]
BLOCK_UNITS, BLOCK_S = 50, 60.0  # a block has as many units at least, and lasts as long
KEPT_BLOCKS, KEPT_S = 120, 8 * 3600.0
GAP_S = 900.0  # after which the next unit begins a block, however few the last one has
RUN = 9  # blocks in a row above the mean (Nelson, J. Quality Technology 16 (1984) 237, test 2)
TAIL = 0.00135  # beyond three standard deviations of a normal distribution, on one side


class UnitAt(NamedTuple):
    """A unit that was decided at `at` (seconds since 1970, UTC), and whether it passed."""

    at: float
    batch: str | None
    passed: bool


@dataclass
class Block:
    """Units of one batch that came one after the other between `began` and `ended` (seconds since 1970, UTC)."""

    batch: str | None
    began: float
    ended: float
    units: int = 0
    stopped: int = 0

    @property
    def rate(self) -> float:
        """The share that did not pass, 0 to 1."""
        return self.stopped / self.units


@dataclass(frozen=True)
class Drawn:
    """A block with its batch's mean and its own limits, all shares from 0 to 1; None where the batch has one block."""

    block: Block
    mean: float | None = None
    lower: float | None = None
    upper: float | None = None

    @property
    def signal(self) -> Signal:
        """Whether the block leaves its limits."""
        if self.upper is None or self.lower is None:
            return ""
        return "above" if self.block.rate > self.upper else "below" if self.block.rate < self.lower else ""


@lru_cache(4096)
def rate_limits(units: int, mean: float) -> tuple[float, float]:
    """The lowest and the highest share (0 to 1) of `units` that a process with the rate `mean` gives but once in 740
    times on each side."""
    below = bdtr(np.arange(units + 1), units, mean)  # P(X <= k)
    lower = int(np.searchsorted(below, TAIL, side="right"))  # the first k with P(X <= k) > TAIL
    upper = int(np.searchsorted(below, 1 - TAIL, side="left"))
    return min(lower, units) / units, min(upper, units) / units


class RejectTrend:
    """The newest blocks, at most `KEPT_BLOCKS` and no older than `KEPT_S`, and what was counted of their batches."""

    def __init__(self, units: Iterable[UnitAt] = ()) -> None:
        self._blocks: deque[Block] = deque(maxlen=KEPT_BLOCKS)
        self._units: Counter[str | None] = Counter()
        self._stopped: Counter[str | None] = Counter()
        for unit in units:
            self.add(unit)

    def add(self, unit: UnitAt) -> None:
        """Count a unit: to the newest block, or to the first of another."""
        if not self._blocks or self._closed(self._blocks[-1], unit):
            self._blocks.append(Block(unit.batch, unit.at, unit.at))
            self._forget(unit.at)
        block = self._blocks[-1]
        block.ended = max(block.ended, unit.at)
        block.units += 1
        block.stopped += not unit.passed
        self._units[unit.batch] += 1
        self._stopped[unit.batch] += not unit.passed

    def drawn(self) -> list[Drawn]:
        """All blocks, the oldest first, the newest as it is by now."""
        blocks_of = Counter(block.batch for block in self._blocks)
        return [self._drawn(block) if blocks_of[block.batch] > 1 else Drawn(block) for block in self._blocks]

    def signal(self) -> tuple[Signal, float]:
        """What the newest blocks with enough units say of the process, and since when (seconds since 1970). A block
        outside its limits counts before a run above the mean."""
        drawn = [one for one in self.drawn() if one.block.units >= BLOCK_UNITS]
        drawn = [one for one in drawn if one.block.batch == drawn[-1].block.batch]
        if drawn and (now := drawn[-1].signal):
            since = drawn[-1].block.began
            for one in reversed(drawn):
                if one.signal != now:
                    break
                since = one.block.began
            return now, since
        run = 0
        for one in reversed(drawn):
            if one.mean is None or one.block.rate <= one.mean:
                break
            run += 1
        return ("run", drawn[-run].block.began) if run >= RUN else ("", 0.0)

    def _drawn(self, block: Block) -> Drawn:
        mean = self._stopped[block.batch] / self._units[block.batch]
        return Drawn(block, mean, *rate_limits(block.units, round(mean, 4)))

    def _closed(self, block: Block, unit: UnitAt) -> bool:
        full = block.units >= BLOCK_UNITS and unit.at - block.began >= BLOCK_S
        return full or unit.batch != block.batch or unit.at - block.ended > GAP_S

    def _forget(self, now: float) -> None:
        while now - self._blocks[0].ended > KEPT_S:
            self._blocks.popleft()
        batches = {block.batch for block in self._blocks}
        for gone in [batch for batch in self._units if batch not in batches]:
            del self._units[gone], self._stopped[gone]
