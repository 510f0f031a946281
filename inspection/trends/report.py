"""Everything that the page of trends shows of one selection, each chart as plain rows and facts. What several charts
need is read once."""

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import floor, isfinite
from typing import Any

from sqlalchemy import Connection

from inspection.errors import BadUsage, InspectionError
from inspection.trends import query
from inspection.trends.comparison import difference, same_share, wilson
from inspection.trends.control_charts import Baseline, Chart, RuleSet, ewma_chart, p_chart
from inspection.trends.defects import NAMED, defect_counts
from inspection.trends.image_trends import MEASURES, ImageTrends, image_trends
from inspection.trends.known import Known
from inspection.trends.pareto import pareto
from inspection.trends.query import Bounds, Selection, Subgroups
from inspection.trends.reference import Reference, choose_reference
from inspection.trends.score_distribution import drift
from inspection.trends.tally import Scale, Tally, read_tallies, scale_of, together
from inspection.verdict import Outcome

CHARTS = ("reject-rate", "scores", "reasons", "defects", "latency", "images", "batches")
COUNTED = {"reject": (Outcome.REJECT,), "review": (Outcome.REVIEW,), "stopped": (Outcome.REJECT, Outcome.REVIEW)}
_SHOWN_BINS = 60
_MOST_BATCHES = 12


class NothingToShow(InspectionError):
    """No unit fits the selection."""

    code = "nothing_to_show"


@dataclass(frozen=True)
class Asked:
    """What a reader asked to see. `counted` is a key of `COUNTED`; `weight` and `width` are the EWMA's λ and L;
    `baseline` as in `choose_reference`."""

    selection: Selection
    subgroups: Subgroups = field(default_factory=Subgroups)
    camera: str | None = None
    counted: str = "reject"
    rules: RuleSet = "western_electric"
    weight: float = 0.2
    width: float = 2.7
    baseline: str = "auto"


@dataclass(frozen=True)
class Table:
    """A chart's data: columns by name, rows of plain values, and facts that are one for all rows."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    facts: dict[str, Any] = field(default_factory=dict)

    def records(self) -> list[dict[str, Any]]:
        """The rows by the columns' names."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"rows": self.records(), **self.facts}


class Trends:
    """The trends of what somebody asked for, read over one connection. `known` is what is known of packages and
    recipes. Raises NothingToShow where no unit fits, and BadUsage for what cannot be drawn."""

    def __init__(self, connection: Connection, asked: Asked, known: Known | None = None) -> None:
        self._connection, self.asked, self.known = connection, asked, known or Known()
        bounds = query.bounded(connection, asked.selection)
        if bounds is None:
            raise NothingToShow("no unit was recorded that fits; choose another batch, or a longer time")
        self.bounds: Bounds = bounds
        self.subgroups = query.fitting(bounds, asked.subgroups)

    @cached_property
    def groups(self) -> list[Tally]:
        """The subgroups that have units."""
        edges = query.edges_of(self._connection, self.bounds, self.subgroups)
        groups = read_tallies(self._connection, self.bounds.selection, edges, self.scale)
        if not groups:
            raise NothingToShow("no unit was recorded that fits; choose another batch, or a longer time")
        return groups

    @cached_property
    def scale(self) -> Scale:
        """How finely scores and latencies are counted."""
        ran = self.ran
        return scale_of(self._connection, self.bounds.selection, ran.get("package"), ran.get("reject_limit"))

    @cached_property
    def ran(self) -> dict[str, Any]:
        """Recipe, package and limits of the newest unit."""
        return query.newest(self._connection, self.bounds.selection)

    @cached_property
    def reference(self) -> Reference:
        """What limits are computed from."""
        sizes = [one.units for one in self.groups]
        return choose_reference(self._connection, self.bounds, sizes, self.asked.baseline)

    def chart(self, name: str) -> Table:
        """One of `CHARTS`."""
        of = {"reject-rate": self.reject_rate, "scores": self.scores, "reasons": self.reasons, "defects": self.defects,
              "latency": self.latency, "images": self.images, "batches": self.batches}  # fmt: skip
        return of[name]()

    def reject_rate(self) -> Table:
        """The p-chart and the EWMA chart of what is counted, subgroup by subgroup."""
        outcomes, groups, reference = COUNTED[self.asked.counted], self.groups, self.reference
        found, sizes = [one.of(*outcomes) for one in groups], [one.units for one in groups]
        if reference.bounds:
            then = self._before
            baseline = Baseline(then.of(*outcomes), then.units)
        else:
            count = reference.first or len(groups)
            baseline = Baseline(sum(found[:count]), sum(sizes[:count]))
        shewhart = p_chart(found, sizes, baseline, self.asked.rules, reference.first)
        smooth = ewma_chart(found, sizes, baseline, self.asked.weight, self.asked.width, reference.first)
        rules = {at: [one.rule for one in shewhart.signals if one.at == at] for at in range(len(groups))}
        drawn = {one.at for one in smooth.signals}
        rows = [
            (one.first, one.last, one.units, *(one.of(outcome) for outcome in Outcome), *_at(shewhart, at),
             " ".join(rules[at]), *_at(smooth, at), at in drawn, at < reference.first)
            for at, one in enumerate(groups)
        ]  # fmt: skip
        facts = {
            "counted": self.asked.counted, "centre": baseline.share, "rough": baseline.rough(sizes),
            "baseline": self._said(reference) | {"found": baseline.found, "units": baseline.units},
            "rules": self.asked.rules, "weight": self.asked.weight, "width": self.asked.width,
            "signals": [vars(one) for one in shewhart.signals], "ewma_signals": [vars(one) for one in smooth.signals],
        }  # fmt: skip
        columns = ("first", "last", "units", "pass", "reject", "review", "share", "lower", "upper", "rules", "ewma",
                   "ewma_lower", "ewma_upper", "ewma_signal", "in_baseline")  # fmt: skip
        return Table(columns, rows, facts)

    def scores(self) -> Table:
        """The histogram of scores with that of the reference and of the evaluation's good images, and how far it moved.
        A reference of the first subgroups is compared with those behind them."""
        first = self.reference.first
        now = together(self.groups[first:], self.scale)
        then = together(self.groups[:first], self.scale) if first else self._before if self.reference.bounds else None
        package = self.ran.get("package")
        good = self.known.good_scores(package)
        evaluated = Counter(floor(score / self.scale.width) for score in good)
        histograms = [now.scores, then.scores if then else Counter[int](), evaluated]
        low, per_bin, bins = self._drawn(histograms)
        shown = [_merged(one, low, per_bin, bins) for one in histograms]
        begins = [(low + at * per_bin) * self.scale.width for at in range(bins + 1)]
        rows = list(zip(begins[:-1], begins[1:], *shown, strict=True))
        moved = drift(*_on_common_bins(now.scores, then.scores)) if then and then.scores and now.scores else None
        facts = {
            "package": package, "review_limit": self.ran.get("review_limit"),
            "reject_limit": self.ran.get("reject_limit"), "of_others": now.of_others,
            "beyond": [_beyond(one, low + per_bin * bins) for one in histograms],
            "held_out": self.known.held_out(package), "evaluated": len(good),
            "drift": vars(moved) | {"verdict": moved.verdict} if moved else None,
            "baseline": self._said(self.reference),
        }  # fmt: skip
        return Table(("from", "to", "units", "reference", "evaluation"), rows, facts)

    def reasons(self) -> Table:
        """Why units did not pass, the most frequent reason first."""
        counts: dict[str, int] = {}
        for one in self.groups:
            for (outcome, reason), count in one.counts.items():
                if outcome != Outcome.PASS:
                    counts[reason] = counts.get(reason, 0) + count
        return Table(("name", "count", "share", "cumulative"), [tuple(vars(one).values()) for one in pareto(counts)])

    def defects(self) -> Table:
        """The defects that a classifier surely named on units that did not pass; a reviewer's word goes before it."""
        counts, reviewed = defect_counts(self._connection, self.bounds.selection, self._named)
        rows = [tuple(vars(one).values()) for one in pareto(counts)]
        return Table(("name", "count", "share", "cumulative"), rows, {"reviewed": reviewed})

    def latency(self) -> Table:
        """From trigger to decision, in ms, subgroup by subgroup, against the recipe's deadline."""
        rows = [
            (one.first, one.last, one.units, one.latency_ms(0.5), one.latency_ms(0.99), one.worst_ms)
            for one in self.groups
        ]
        deadline = self.known.deadline_ms(self.ran.get("recipe"))
        facts = {"deadline_ms": deadline, "step_ms": self.scale.step_ms, "recipe": self.ran.get("recipe")}
        return Table(("first", "last", "units", "p50_ms", "p99_ms", "worst_ms"), rows, facts)

    def images(self) -> Table:
        """Each camera's brightness and sharpness, subgroup by subgroup, against the recipe's limits."""
        found: ImageTrends = image_trends(self._connection, self.bounds.selection, self.groups, self.asked.camera)
        rows = [
            (self.groups[one.at].first, self.groups[one.at].last, measure, camera, one.frames, one.median, one.low,
             one.high)
            for measure in MEASURES for camera, points in found.points[measure].items() for one in points
        ]  # fmt: skip
        facts = {"limits": self.known.image_limits(self.ran.get("recipe")), "recipe": self.ran.get("recipe"),
                 "most": found.most, "read": found.read, "without": found.without}  # fmt: skip
        return Table(("first", "last", "measure", "camera", "frames", "median", "low", "high"), rows, facts)

    def batches(self) -> Table:
        """Batches beside each other: the selected ones or, of one, it and the one that limits come from. Differences
        are to the first row."""
        summaries = [one for _, _, one in self._compared]
        counted = COUNTED[self.asked.counted]
        shares = [wilson(one.of(*counted), one.units) for one in summaries]
        rows: list[tuple[Any, ...]] = []
        for (name, cut, one), share in zip(self._compared, shares, strict=True):
            gap = difference(share, shares[0]) if rows else None
            rows.append((
                name, one.first, one.last, one.units,
                *(one.of(outcome) for outcome in Outcome), share.share, share.low, share.high,
                *((gap.difference, gap.low, gap.high, gap.p_value, gap.test) if gap else (None,) * 5),
                *(one.score_quantile(part) for part in (0.05, 0.5, 0.95)),
                *(one.latency_ms(part) for part in (0.5, 0.99)), cut,
            ))  # fmt: skip
        columns = ("batch", "first", "last", "units", "pass", "reject", "review", "share", "low", "high", "difference",
                   "difference_low", "difference_high", "p_value", "test", "score_p5", "score_p50", "score_p95",
                   "latency_p50_ms", "latency_p99_ms", "cut")  # fmt: skip
        test, p_value = same_share(shares) if len(shares) > 1 else (None, None)
        return Table(columns, rows, {"counted": self.asked.counted, "test": test, "p_value": p_value})

    @property
    def _named(self) -> bool:
        return any(reason in NAMED for one in self.groups for _, reason in one.counts)

    def _drawn(self, histograms: list[Counter[int]]) -> tuple[int, int, int]:
        """Which fine bins are drawn: from which one, how many to a bar, and how many bars. From the lowest score to a
        good way above the limit to reject; what lies further is counted, and not drawn."""
        places = [place for one in histograms for place in one] or [0]
        low, high = min(places), max(places) + 1
        limit = self.ran.get("reject_limit")
        if limit is not None:
            at = floor(limit / self.scale.width)
            low, high = min(low, at), max(at + 2, min(high, at + max(1, (3 * (at - low)) // 2)))
        per_bin = max(1, -(-(high - low) // _SHOWN_BINS))
        return low, per_bin, max(1, -(-(high - low) // per_bin))

    def _tally(self, bounds: Bounds) -> Tally:
        found = read_tallies(self._connection, bounds.selection, [bounds.first], self.scale)
        return together(found, self.scale)

    @cached_property
    def _before(self) -> Tally:
        assert self.reference.bounds
        found = self._tally(self.reference.bounds)
        if not found.units:
            raise BadUsage("what the limits are to be computed from has no unit; choose another baseline")
        return found

    @cached_property
    def _compared(self) -> list[tuple[str, bool, Tally]]:
        """Batches by name, whether older units of them were left out, and their tallies: the reference batch or the
        first selected one first, then the others."""
        selection, other = self.asked.selection, self.reference.batch
        if len(selection.batches) == 1:
            mine = [(selection.batches[0], self.bounds.cut, together(self.groups, self.scale))]
            before = self.reference.bounds
            return [(other, before.cut, self._before), *mine] if other and before and other != mine[0][0] else mine
        found = []
        for name in selection.batches[:_MOST_BATCHES]:
            bounds = query.bounded(self._connection, replace(selection, batches=(name,)))
            tally = self._tally(bounds) if bounds else None
            found += [(name, bounds.cut, tally)] if bounds and tally and tally.units else []
        return found

    def _said(self, reference: Reference) -> dict[str, Any]:
        bounds = reference.bounds
        return {
            "kind": reference.kind, "first": reference.first, "batch": reference.batch,
            "since": bounds.first if bounds else None, "until": bounds.last if bounds else None,
        }  # fmt: skip


def _at(chart: Chart, at: int) -> tuple[float | None, ...]:
    numbers = (float(of[at]) for of in (chart.values, chart.lower, chart.upper))
    return tuple(number if isfinite(number) else None for number in numbers)


def _merged(fine: Counter[int], low: int, per_bin: int, bins: int) -> list[int]:
    """Fine bins as those that are drawn."""
    found = [0] * bins
    for place, count in fine.items():
        if 0 <= (at := (place - low) // per_bin) < bins:
            found[at] += count
    return found


def _beyond(fine: Counter[int], end: int) -> int:
    return sum(count for place, count in fine.items() if place >= end)


def _on_common_bins(one: Counter[int], other: Counter[int]) -> tuple[list[int], list[int]]:
    places = sorted({*one, *other})
    return [one[place] for place in places], [other[place] for place in places]
