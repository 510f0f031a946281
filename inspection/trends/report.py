"""Everything that the page of trends shows of one selection, each chart as plain rows and facts. What several charts need
is read once."""

from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import Any

from sqlalchemy import Connection

from inspection.errors import BadUsage, InspectionError
from inspection.trends import query
from inspection.trends.comparison import difference, same_share, wilson
from inspection.trends.control_charts import Baseline, Chart, RuleSet, ewma_chart, p_chart
from inspection.trends.defects import defect_counts
from inspection.trends.image_trends import MEASURES, ImageTrends, image_trends
from inspection.trends.known import Known
from inspection.trends.pareto import pareto
from inspection.trends.query import Bounds, Selection, Subgroups
from inspection.trends.reference import Reference, choose_reference, until
from inspection.trends.score_distribution import drift
from inspection.trends.subgroups import Subgroup, read_subgroups_of
from inspection.trends.summary import BINS, Summary, summarise
from inspection.verdict import Outcome

CHARTS = ("reject-rate", "scores", "reasons", "defects", "latency", "images", "batches")
COUNTED = {"reject": (Outcome.REJECT,), "review": (Outcome.REVIEW,), "stopped": (Outcome.REJECT, Outcome.REVIEW)}
_SHOWN_BINS = 50
_MOST_BATCHES = 12


class NothingToShow(InspectionError):
    """No unit fits the selection."""

    code = "nothing_to_show"


@dataclass(frozen=True)
class Asked:
    """What a reader asked to see. `counted` is a key of `COUNTED`; `weight` and `width` are the EWMA's λ and L; `baseline`
    as in `choose_reference`."""

    selection: Selection
    subgroups: Subgroups = Subgroups()
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
    """The trends of what somebody asked for, read over one connection. `known` is what is known of packages and recipes.
    Raises NothingToShow where no unit fits, and BadUsage for what cannot be drawn."""

    def __init__(self, connection: Connection, asked: Asked, known: Known | None = None) -> None:
        self._connection, self.asked, self.known = connection, asked, known or Known()
        bounds = query.bounded(connection, asked.selection)
        if bounds is None:
            raise NothingToShow("no unit was recorded that fits; choose another batch, or a longer time")
        self.bounds: Bounds = bounds
        self.subgroups = query.fitting(bounds, asked.subgroups)

    @cached_property
    def groups(self) -> list[Subgroup]:
        """The subgroups that have units."""
        edges = query.edges_of(self._connection, self.bounds, self.subgroups)
        groups = read_subgroups_of(self._connection, self.bounds.selection, edges)
        if not groups:
            raise NothingToShow("no unit was recorded that fits; choose another batch, or a longer time")
        return groups

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
        now, then = self._now_without_reference, self._reference_summary
        good = self.known.good_scores(self.ran.get("package"))
        shown = _merged(now.scores)
        reference = _merged(then.scores) if then else [0] * len(shown)
        evaluated = _merged(_binned(good, now.low, now.high)) if good else [0] * len(shown)
        step = (now.high - now.low) / _SHOWN_BINS
        rows = [
            (now.low + (at - 1) * step if at else None, now.low + at * step if at <= _SHOWN_BINS else None, *counts)
            for at, counts in enumerate(zip(shown, reference, evaluated, strict=True))
        ]
        comparable = then is not None and sum(then.scores) > 0 and sum(now.scores) > 0
        facts = {
            "package": self.ran.get("package"), "review_limit": self.ran.get("review_limit"),
            "reject_limit": self.ran.get("reject_limit"), "of_others": now.of_others,
            "held_out": self.known.held_out(self.ran.get("package")), "evaluated": len(good),
            "drift": _drift(now, then) if comparable and then else None, "baseline": self._said(self.reference),
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
        counts, reviewed = defect_counts(self._connection, self.bounds.selection)
        rows = [tuple(vars(one).values()) for one in pareto(counts)]
        return Table(("name", "count", "share", "cumulative"), rows, {"reviewed": reviewed})

    def latency(self) -> Table:
        """From trigger to decision, in ms, subgroup by subgroup, against the recipe's deadline."""
        rows = [
            (one.first, one.last, one.units, one.latency_p50, one.latency_p99, one.latency_worst) for one in self.groups
        ]
        deadline = self.known.deadline_ms(self.ran.get("recipe"))
        return Table(("first", "last", "units", "p50_ms", "p99_ms", "worst_ms"), rows,
                     {"deadline_ms": deadline, "recipe": self.ran.get("recipe")})  # fmt: skip

    def images(self) -> Table:
        """Each camera's brightness and sharpness, subgroup by subgroup, against the recipe's limits."""
        found: ImageTrends = image_trends(self._connection, self.bounds, self.groups, self.asked.camera)
        rows = [
            (self.groups[one.at].first, self.groups[one.at].last, measure, camera, one.frames, one.median, one.low, one.high)
            for measure in MEASURES for camera, points in found.points[measure].items() for one in points
        ]  # fmt: skip
        facts = {"limits": self.known.image_limits(self.ran.get("recipe")), "recipe": self.ran.get("recipe"),
                 "every": found.every, "read": found.read, "without": found.without}  # fmt: skip
        return Table(("first", "last", "measure", "camera", "frames", "median", "low", "high"), rows, facts)

    def batches(self) -> Table:
        """Batches beside each other: the selected ones or, of one, it and the one that limits come from. Differences are
        to the first row."""
        summaries = self._compared
        counted = COUNTED[self.asked.counted]
        shares = [wilson(one.of(*counted), one.units) for one in summaries]
        rows: list[tuple[Any, ...]] = []
        for one, share in zip(summaries, shares, strict=True):
            gap = difference(share, shares[0]) if rows else None
            rows.append((
                one.bounds.selection.batches[0], one.bounds.first, one.bounds.last, one.units,
                *(one.of(outcome) for outcome in Outcome), share.share, share.low, share.high,
                *((gap.difference, gap.low, gap.high, gap.p_value, gap.test) if gap else (None,) * 5),
                *(one.score_quantile(part) for part in (0.05, 0.5, 0.95)),
                *(one.latency_quantile(part) for part in (0.5, 0.99)), one.bounds.cut,
            ))  # fmt: skip
        columns = ("batch", "first", "last", "units", "pass", "reject", "review", "share", "low", "high", "difference",
                   "difference_low", "difference_high", "p_value", "test", "score_p5", "score_p50", "score_p95",
                   "latency_p50_ms", "latency_p99_ms", "cut")  # fmt: skip
        test, p_value = same_share(shares) if len(shares) > 1 else (None, None)
        return Table(columns, rows, {"counted": self.asked.counted, "test": test, "p_value": p_value})

    @cached_property
    def _range(self) -> tuple[float, float]:
        """Of scores that are drawn: from the lowest to a good way above the limit to reject; what lies further is one
        bin."""
        low = min((one.lowest for one in self.groups if one.lowest is not None), default=0.0)
        high = max((one.highest for one in self.groups if one.highest is not None), default=1.0)
        limit = self.ran.get("reject_limit")
        if limit is not None and limit > low:
            low = max(low, limit - 20 * abs(limit)) if limit else low
            high = max(limit + 0.05 * (limit - low), min(high, limit + 1.5 * (limit - low)))
        high += 0.001 * max(high - low, 1e-9)
        return (low, high) if isfinite(low) and isfinite(high) else (0.0, 1.0)

    def _summary(self, bounds: Bounds) -> Summary:
        return summarise(self._connection, bounds, self.ran.get("package"), *self._range)

    @cached_property
    def _shown(self) -> Summary:
        return self._summary(self.bounds)

    @cached_property
    def _before(self) -> Summary:
        bounds = self.reference.bounds
        assert bounds
        found = self._summary(bounds)
        if not found.units:
            raise BadUsage("what the limits are to be computed from has no unit; choose another baseline")
        return found

    @cached_property
    def _reference_summary(self) -> Summary | None:
        if self.reference.first:
            return self._summary(until(self.bounds, self.groups[self.reference.first].since))
        return self._before if self.reference.bounds else None

    @cached_property
    def _now_without_reference(self) -> Summary:
        if not self.reference.first:
            return self._shown
        since = self.groups[self.reference.first].since
        selection = query.replace(self.bounds.selection, since=since)
        return self._summary(query.replace(self.bounds, selection=selection, first=since))

    @cached_property
    def _compared(self) -> list[Summary]:
        """The reference batch or the first selected one first, then the others."""
        selection = self.bounds.selection
        names = list(selection.batches)
        if len(names) == 1:
            mine = [self._shown]
            other = self.reference.batch
            return [self._before, *mine] if other and other not in names else mine
        found = []
        for name in names[:_MOST_BATCHES]:
            bounds = query.bounded(self._connection, query.replace(self.asked.selection, batches=(name,)))
            summary = self._summary(bounds) if bounds else None
            found += [summary] if summary and summary.units else []
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


def _merged(fine: list[int]) -> list[int]:
    """Fine bins as those that are shown; the ones before and behind stay."""
    step = BINS // _SHOWN_BINS
    inner = [sum(fine[start : start + step]) for start in range(1, BINS + 1, step)]
    return [fine[0], *inner, fine[-1]]


def _binned(scores: list[float], low: float, high: float) -> list[int]:
    found = [0] * (BINS + 2)
    for score in scores:
        place = int((score - low) / ((high - low) / BINS)) + 1 if score >= low else 0
        found[min(place, BINS + 1)] += 1
    return found


def _drift(now: Summary, then: Summary) -> dict[str, Any]:
    found = drift(now.scores, then.scores)
    return vars(found) | {"verdict": found.verdict}
