"""How each chart of trends is drawn: plain values and texts for `charts.js`, from the rows of `inspection.trends`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from inspection.records import utc_text
from inspection.trends.report import Table, Trends
from serve.texts import Texts
from serve.trend_address import TrendAddress

Spec = dict[str, Any]
_DASHES = (None, [6, 3], [2, 2], [10, 3, 2, 3])
_OUTCOMES = {"reject": ("REJECT",), "review": ("REVIEW",), "stopped": ("REJECT", "REVIEW")}


class Drawing:
    """Makes the charts of what one page shows."""

    def __init__(self, t: Texts, trends: Trends, address: TrendAddress) -> None:
        self._t, self._trends, self._address = t, trends, address
        self._by_time = trends.subgroups.minutes is not None
        self._firsts = [one.first for one in trends.groups]

    def link(self, first: str, last: str, outcomes: Sequence[str] = ()) -> str:
        """The records from one time to another, both with."""
        selection = self._trends.bounds.selection
        after = utc_text(datetime.fromisoformat(last) + timedelta(microseconds=1))
        pairs = [("since", first), ("until", after), *(("outcome", one) for one in outcomes)]
        pairs += [("batch", one) for one in selection.batches]
        pairs += [
            (key, value) for key, value in (("station", selection.station), ("product", selection.product)) if value
        ]
        return "/records?" + urlencode(pairs)

    def counted_link(self, first: str, last: str) -> str:
        """Those of them that are counted."""
        return self.link(first, last, _OUTCOMES[self._address.counted])

    def rate(self, table: Table) -> Spec:
        """The p-chart. What is not judged is a thin line."""
        rows, t = table.records(), self._t
        counted = t("trends.counted_" + self._address.counted)
        series = self._limited(rows, t("trends.series_share", counted=counted), "share", "lower", "upper")
        other = {"reject": "review", "review": "reject"}.get(self._address.counted)
        if other:
            label = t("trends.series_other", counted=t("trends.counted_" + other))
            values = [_percent(row[other] / row["units"]) for row in rows]
            series.insert(0, {"label": label, "values": values, "kind": "line", "tone": "soft", "dash": [1, 3]})
        marks = [_mark(at, "share", t("trends.rule_" + rule)) for at, row in enumerate(rows)
                 for rule in row["rules"].split()[:1]]  # fmt: skip
        return self._over_time("rate", t("trends.rate_title", counted=counted), rows, series,
                               t("trends.y_share", counted=counted), "%", 2) | {
            "limits": [{"label": t("trends.centre"), "value": _percent(table.facts["centre"]), "tone": "soft"}],
            "marks": marks, "links": [self.counted_link(row["first"], row["last"]) for row in rows],
            "shade": self._shade(table), "zero": True,
        }  # fmt: skip

    def ewma(self, table: Table) -> Spec:
        """The EWMA chart."""
        rows, t = table.records(), self._t
        counted = t("trends.counted_" + self._address.counted)
        return self._over_time(
            "ewma", t("trends.ewma_title", counted=counted), rows,
            self._limited(rows, t("trends.series_ewma"), "ewma", "ewma_lower", "ewma_upper"),
            t("trends.y_share", counted=counted), "%", 2,
        ) | {
            "limits": [{"label": t("trends.centre"), "value": _percent(table.facts["centre"]), "tone": "soft"}],
            "marks": [_mark(at, "ewma", t("trends.rule_beyond_limits")) for at, row in enumerate(rows)
                      if row["ewma_signal"]],
            "links": [self.counted_link(row["first"], row["last"]) for row in rows],
            "shade": self._shade(table), "zero": True,
        }  # fmt: skip

    def scores(self, table: Table) -> Spec:
        """The histogram with both limits. Each series is in percent of its own units, so that they can be compared."""
        rows, t, facts = table.records(), self._t, table.facts
        shares = _shares(rows, "units", facts["beyond"][0])
        series: list[Spec] = [{"label": t("trends.scores_now"), "values": shares, "kind": "bars", "tone": "calm"}]
        for key, beyond, label, tone, dash in (
            ("reference", facts["beyond"][1], t("trends.scores_then"), "text", None),
            ("evaluation", facts["beyond"][2], t("trends.scores_good"), "soft", [4, 3]),
        ):
            if any(row[key] for row in rows):
                values = _shares(rows, key, beyond)
                series.append({"label": label, "values": values, "kind": "steps", "tone": tone, "dash": dash})
        held = facts["held_out"] or {}
        verticals = [
            {"label": label, "value": value, "tone": tone}
            for label, value, tone in (
                (t("trends.limit_review"), facts["review_limit"], "review"),
                (t("trends.limit_reject"), facts["reject_limit"], "reject"),
                (t("trends.held_out_median"), held.get("median"), "soft"),
                (t("trends.held_out_maximum"), held.get("maximum"), "soft"),
            ) if value is not None
        ]  # fmt: skip
        return {
            "id": "scores", "title": t("trends.scores_title"), "x": {"kind": "value", "label": t("trends.x_score")},
            "xs": [row["from"] for row in rows], "width": rows[0]["to"] - rows[0]["from"], "series": series,
            "y": {"label": t("trends.y_score"), "unit": "%", "digits": 2}, "verticals": verticals, "zero": True,
            "names": [f"{row['from']:.4g} – {row['to']:.4g}" for row in rows],
        }  # fmt: skip

    def pareto(self, name: str, table: Table, names: Sequence[str]) -> Spec:
        """Bars with their cumulative line; they are numbered, and the table beside them says what each is."""
        rows, t = table.records(), self._t
        counts, cumulative = [row["count"] for row in rows], [_percent(row["cumulative"]) for row in rows]
        return {
            "id": name, "title": t(f"trends.{name}_title"), "x": {"kind": "place", "label": ""},
            "xs": list(range(1, len(rows) + 1)), "names": list(names), "zero": True,
            "series": [
                {"label": t("trends.y_count"), "values": counts, "kind": "bars", "tone": "calm"},
                {"label": t("trends.cumulative"), "values": cumulative, "kind": "line", "points": True, "tone": "text",
                 "axis": "share"},
            ],
            "y": {"label": t("trends.y_count"), "unit": "", "digits": 0}, "share": {"label": t("trends.y_cumulative")},
        }  # fmt: skip

    def latency(self, table: Table) -> Spec:
        """Median and p99 with the deadline."""
        rows, t, deadline = table.records(), self._t, table.facts["deadline_ms"]
        series: list[Spec] = [
            {"label": t("trends.p99"), "values": [row["p99_ms"] for row in rows], "kind": "line", "tone": "text",
             "points": True},
            {"label": t("trends.p50"), "values": [row["p50_ms"] for row in rows], "kind": "line", "tone": "soft",
             "dash": [6, 3]},
        ]  # fmt: skip
        limits = [{"label": t("trends.deadline"), "value": deadline, "tone": "reject"}] if deadline else []
        over = [at for at, row in enumerate(rows) if deadline and (row["p99_ms"] or 0) > deadline]
        return self._over_time("latency", t("trends.latency_title"), rows, series, t("trends.y_latency"), "ms", 1) | {
            "limits": limits, "zero": True, "links": [self.link(row["first"], row["last"]) for row in rows],
            "marks": [{"at": at, "series": 0, "text": t("trends.outside")} for at in over],
        }  # fmt: skip

    def image(self, table: Table, measure: str) -> Spec:
        """Brightness or sharpness: a line each camera, with the recipe's limits."""
        t, limits = self._t, table.facts["limits"] or {}
        rows = [row for row in table.records() if row["measure"] == measure]
        place = {first: at for at, first in enumerate(self._firsts)}
        series: list[Spec] = []
        for number, camera in enumerate(dict.fromkeys(row["camera"] for row in rows)):
            values: list[float | None] = [None] * len(self._firsts)
            for row in rows:
                if row["camera"] == camera:
                    values[place[row["first"]]] = row["median"]
            series.append({"label": camera, "values": values, "kind": "line", "tone": "soft" if number % 2 else "text",
                           "dash": _DASHES[number % len(_DASHES)], "points": number == 0})  # fmt: skip
        low, high = limits.get(f"min_{measure}"), limits.get(f"max_{measure}")
        drawn = [{"label": t(f"trends.{side}_{measure}"), "value": value, "tone": "reject"}
                 for side, value in (("min", low), ("max", high)) if value is not None]  # fmt: skip
        marks = [
            {"at": at, "series": number, "text": t("trends.outside")}
            for number, one in enumerate(series) for at, value in enumerate(one["values"])
            if value is not None and _outside(value, low, high)
        ]  # fmt: skip
        groups = [{"first": one.first, "last": one.last} for one in self._trends.groups]
        title, label = t(f"trends.{measure}_title"), t(f"trends.y_{measure}")
        return self._over_time(measure, title, groups, series, label, "", 1) | {
            "limits": drawn, "marks": marks, "links": [self.link(one["first"], one["last"]) for one in groups],
        }  # fmt: skip

    def batches(self, table: Table) -> Spec:
        """The share of each batch with its interval."""
        rows, t = table.records(), self._t
        counted = t("trends.counted_" + self._address.counted)
        return {
            "id": "batches", "title": t("trends.batches_title"),
            "x": {"kind": "place", "label": t("trends.column_batch")},
            "xs": list(range(1, len(rows) + 1)), "names": [row["batch"] for row in rows], "zero": True, "ticks": True,
            "series": [
                {"label": t("trends.series_share", counted=counted), "values": [_percent(row["share"]) for row in rows],
                 "kind": "points", "tone": "text"},
                {"label": t("trends.interval_low"), "values": [_percent(row["low"]) for row in rows], "kind": "none"},
                {"label": t("trends.interval_high"), "values": [_percent(row["high"]) for row in rows], "kind": "none"},
            ],
            "whiskers": [1, 2], "y": {"label": t("trends.y_share", counted=counted), "unit": "%", "digits": 2},
            "links": ["/batches/" + urlencode({"": row["batch"]})[1:] for row in rows],
        }  # fmt: skip

    def _limited(self, rows: list[Spec], label: str, value: str, lower: str, upper: str) -> list[Spec]:
        t = self._t
        return [
            {"label": label, "values": [_percent(row[value]) for row in rows], "kind": "line", "tone": "text",
             "points": True, "name": value},
            *({"label": t("trends." + side), "values": [_percent(row[key]) for row in rows], "kind": "line",
               "tone": "edge", "dash": [6, 4]} for side, key in (("upper", upper), ("lower", lower))),
        ]  # fmt: skip

    def _over_time(
        self, id_: str, title: str, rows: Sequence[Spec], series: list[Spec], label: str, unit: str, digits: int
    ) -> Spec:
        times = [datetime.fromisoformat(row["first"]).timestamp() for row in rows]
        if self._by_time:  # a point stands where its subgroup begins, whenever its first unit came
            length = 60 * (self._trends.subgroups.minutes or 1)
            times = [at - at % length for at in times]
        return {
            "id": id_, "title": title, "series": series, "y": {"label": label, "unit": unit, "digits": digits},
            "x": {"kind": "time"} if self._by_time else {"kind": "group", "label": self._t("trends.x_group")},
            "xs": times if self._by_time else list(range(1, len(rows) + 1)),
            "at": [[row["first"], row["last"]] for row in rows],
        }  # fmt: skip

    def _shade(self, table: Table) -> Spec | None:
        first = table.facts["baseline"]["first"]
        return {"to": first, "label": self._t("trends.phase_one")} if first else None


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 6)


def _shares(rows: Sequence[Spec], key: str, beyond: int) -> list[float]:
    total = sum(row[key] for row in rows) + beyond
    return [round(100 * row[key] / total, 6) if total else 0.0 for row in rows]


def _mark(at: int, name: str, text: str) -> Spec:
    return {"at": at, "name": name, "text": text}


def _outside(value: float, low: float | None, high: float | None) -> bool:
    return (low is not None and value < low) or (high is not None and value > high)
