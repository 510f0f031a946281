"""All units of a selection in one: outcomes, and fine histograms of score and latency, counted by the database."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection, Float, Integer, String, case, cast, func, literal, null, select, union_all

from inspection.schema import entries
from inspection.trends.query import Bounds
from inspection.trends.subgroups import Counts, corrected, move
from inspection.verdict import Outcome

BINS = 400
_LONGEST_MS = 100_000  # what took longer is counted here


@dataclass
class Summary:
    """Of `units`: outcomes and reasons as corrected; `scores` of units that the package judged, in `BINS` equal bins from
    `low` to `high`, with one bin before and one behind them; latencies by whole ms; how many another package judged."""

    bounds: Bounds
    low: float
    high: float
    counts: Counts = field(default_factory=Counter)
    scores: list[int] = field(default_factory=lambda: [0] * (BINS + 2))
    latencies: Counter[int] = field(default_factory=Counter)
    of_others: int = 0

    @property
    def units(self) -> int:
        """All of them."""
        return self.counts.total()

    def of(self, *outcomes: Outcome) -> int:
        """Units with one of these outcomes."""
        return sum(count for (outcome, _), count in self.counts.items() if outcome in outcomes)

    def score_quantile(self, share: float) -> float | None:
        """To the width of a bin; None without scores, and where it lies outside the bins."""
        total = sum(self.scores)
        if not total:
            return None
        at = int(np.searchsorted(np.cumsum(self.scores), max(1, share * total)))
        return self.low + (at - 0.5) * (self.high - self.low) / BINS if 0 < at <= BINS else None

    def latency_quantile(self, share: float) -> int | None:
        """In whole ms; None without latencies."""
        total, so_far = self.latencies.total(), 0
        for took, count in sorted(self.latencies.items()):
            so_far += count
            if so_far >= share * total:
                return took
        return None


def summarise(connection: Connection, bounds: Bounds, package: str | None, low: float, high: float) -> Summary:
    """The summary of what is read of a selection. Scores are those of units that `package` (its digest) judged: another
    one's are not on the same scale."""
    table, selection = entries.c, bounds.selection
    score, width = table.score, (high - low) / BINS or 1.0
    places = (score - low) / width
    # A cast to a whole number rounds in PostgreSQL, and cuts in SQLite.
    whole = func.floor(places) if connection.dialect.name == "postgresql" else places
    place = case((score < low, 0), (score >= high, BINS + 1), else_=cast(whole, Integer) + 1)
    took = table.latency_ms
    units = (
        select(
            table.outcome, table.reason,
            case((score.is_(None), -2), (table.package != package, -1), else_=place).label("place"),
            case((took.is_(None), -1), (took >= _LONGEST_MS, _LONGEST_MS), else_=func.round(took)).label("took"),
        ).where(*selection.conditions()).cte("units")
    )  # fmt: skip
    no_text = cast(null(), String)
    counted = select(literal("units"), units.c.outcome, units.c.reason, cast(null(), Float), func.count()).group_by(
        units.c.outcome, units.c.reason
    )
    parts = [
        select(literal(name), no_text, no_text, cast(column, Float), func.count()).group_by(column)
        for name, column in (("score", units.c.place), ("latency", units.c.took))
    ]
    found = Summary(bounds, low, high)
    for what, outcome, reason, at, count in connection.execute(union_all(counted, *parts)):
        if what == "units":
            found.counts[str(outcome), str(reason)] += count
        elif what == "latency" and at >= 0:
            found.latencies[int(at)] += count
        elif what == "score" and at == -1:
            found.of_others += count
        elif what == "score" and at >= 0:
            found.scores[min(int(at), BINS + 1)] += count
    for _, old, new in corrected(connection, selection, bounds.first, selection.until or "~"):
        move(found.counts, old, new)
    return found
