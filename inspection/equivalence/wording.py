"""Figures of a comparison as words, the same on a screen, a page and paper."""

from collections.abc import Mapping
from typing import Any

_LEFT_OUT = {
    "only_old": "decided by the old package alone",
    "only_new": "decided by the new package alone",
    "undecided": "without a decision on one side",
    "line_fault": "rejected by the line for a fault of its own, which says nothing of the unit",
    "line_fault_escapes": "of these known to be defective, and passed by the new package",
    "shed": "not looked at by the candidate, which had no time for them on the line",
    "truth_unused": "named by the truth and not among those that were compared",
}


def counted(units: int) -> str:
    """So many units."""
    return f"{units:,} unit{'' if units == 1 else 's'}"


def left_out_words(left_out: Mapping[str, int]) -> list[str]:
    """What was not compared, in order of the reasons' names."""
    return [f"{counted(count)} {_LEFT_OUT.get(name, name.replace('_', ' '))}"
            for name, count in sorted(left_out.items()) if count]  # fmt: skip


def rate_words(rates: Mapping[str, Any]) -> str:
    """Old and new rate and their difference, of `PairedRates` as plain values."""
    if not rates["old"]["total"]:
        return "no unit of this kind"
    return f"{share_words(rates['old'])} before, {share_words(rates['new'])} now; difference {difference_words(rates)}"


def share_words(rate: Mapping[str, Any]) -> str:
    """A share with its interval, in percent."""
    if not rate["total"]:
        return "–"
    return (
        f"{rate['count']:,} of {rate['total']:,} = {percent(rate['rate'])} ({percent(rate['low'])} to "
        f"{percent(rate['high'])})"
    )


def difference_words(rates: Mapping[str, Any]) -> str:
    """New less old in percentage points, with its interval."""
    if rates["difference"] is None:
        return "–"
    value, low, high = (points(rates[key]) for key in ("difference", "low", "high"))
    return f"{value} points ({low} to {high})"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * difference:+.2f}".replace("-", "−")


def percent(share: float | None) -> str:
    """A share of one in percent."""
    return "–" if share is None else f"{100 * share:.2f} %"


def number(value: float | None) -> str:
    """A score or a coefficient."""
    return "–" if value is None else f"{value:.4g}".replace("-", "−")


def p_words(value: float | None) -> str:
    """A p value: never 0."""
    return "–" if value is None else "below 0.0001" if value < 0.0001 else f"{value:.4f}"


def interval_words(value: float | None, low: float | None, high: float | None) -> str:
    """A number with its interval."""
    if value is None:
        return "–"
    return f"{number(value)} ({number(low)} to {number(high)})"
