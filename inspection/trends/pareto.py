"""What happens most: counts in falling order with their cumulative share (Juran's Pareto chart)."""

from collections.abc import Mapping
from dataclasses import dataclass

_REST = 12  # bars; what comes behind them is one bar of its own
OTHERS = "others"


@dataclass(frozen=True)
class Bar:
    """How often something was counted, its share of all, and the share of it and of everything before it."""

    name: str
    count: int
    share: float
    cumulative: float


def pareto(counts: Mapping[str, int], most: int = _REST) -> tuple[Bar, ...]:
    """Bars, the highest first, of equal ones by name; what was never counted is left out. Of more than `most` the last
    ones are together in a bar `others`, which stands last however high it is."""
    ordered = sorted(((name, count) for name, count in counts.items() if count > 0), key=lambda one: (-one[1], one[0]))
    if len(ordered) > most:
        ordered = [*ordered[: most - 1], (OTHERS, sum(count for _, count in ordered[most - 1 :]))]
    total, so_far, bars = sum(count for _, count in ordered), 0, []
    for name, count in ordered:
        so_far += count
        bars.append(Bar(name, count, count / total, so_far / total))
    return tuple(bars)
