"""What the figures prove, in one word and one sentence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from inspection.equivalence.figures import Figures, Margins
from inspection.equivalence.paired_rates import PairedRates, compare_rates, units_at_least, units_for_power
from inspection.equivalence.wording import counted, p_words, points
from inspection.rates import Rate

EQUIVALENT, NOT_EQUIVALENT, NOT_SHOWN = "equivalent", "not equivalent", "not shown"
AGREES, DIFFERS = "agrees", "differs"


@dataclass(frozen=True)
class Need:
    """Units of one kind: how many there are, how many there must be at least (none of them decided worse), and how many
    if as many are decided differently as here; None where what was seen is itself beyond the margin."""

    have: int
    at_least: int
    for_power: int | None


@dataclass(frozen=True)
class Verdict:
    """`word` by the rule of `judge`; `sentence` says why, in one sentence that begins with the word; `reasons` has each
    finding that led there. `defective` and `good` say how many units it takes. `agreement` (agrees, differs, not shown)
    is of all units, whatever is known about them."""

    word: str
    sentence: str
    reasons: tuple[str, ...]
    defective: Need
    good: Need
    agreement: str
    agreement_sentence: str


def judge(whole: Figures, parts: Sequence[tuple[str, Figures]], margins: Margins) -> Verdict:
    """The verdict on `whole`; `parts` are named defect classes and cameras, none of which may be shown to be worse.

    `not equivalent` if one of these holds:
      - more defective units that the old package stopped would newly pass than the detection margin allows (the margin
        times the number of defective units, rounded down), however many others the new one catches instead;
      - the interval of the false-reject rates' difference lies wholly above its margin;
      - in a part the interval of the detection rates' difference lies wholly below the margin.
    `equivalent` if none of them holds and the differences of both rates are shown to be within their margins (Tango's
    test), also in the worst case for what nobody looked at: every unit of unknown truth that would newly pass counted
    as a defective one that is lost, every one that would newly be stopped as a false reject.
    `not shown` otherwise.

    The worst case matters because truth is mostly known of what the old package stopped: false rejects of a new one
    hide among units that nobody reviewed.

    Where no unit's truth is known the word is that of the agreement: `agrees` if of the units that the old package
    stopped the share that would newly pass is shown to be below the detection margin, and of those that it passed the
    share that would newly be stopped below the false-reject margin (upper end of the exact interval); `differs` if one
    of the two is shown to be above; `not shown` otherwise.
    """
    agreement, stated = _agreement(whole, margins)
    worst_detection, worst_false = _worst_case(whole, margins)
    detection, false_reject = whole.detection, whole.false_reject
    defective = _need(detection, margins, worse=-(detection.difference or 0.0))
    good = _need(false_reject, margins, worse=false_reject.difference or 0.0)
    if not whole.with_truth:
        unknown = (stated, "no unit is known to be good or defective, so that nothing can be said of the rates")
        sentence = f"{agreement}: {stated}; whether that is better or worse needs units whose truth is known."
        return Verdict(agreement, sentence, unknown, defective, good, agreement, f"{agreement}: {stated}.")
    faults = _faults(whole, parts, margins)
    gaps = [] if faults else _gaps(whole, worst_detection, worst_false, defective, good)
    word = NOT_EQUIVALENT if faults else NOT_SHOWN if gaps else EQUIVALENT
    shown = [
        _shown("detection", detection, whole.unverified_passing),
        _shown("false rejects", false_reject, whole.unverified_stopped),
    ]
    reasons = tuple(faults or gaps or shown)
    same = "both decide all units alike, but " if gaps and not whole.changed else ""
    sentence = f"{word}: {same}{'; '.join(reasons)}."
    return Verdict(word, sentence, reasons, defective, good, agreement, f"{agreement}: {stated}.")


def allowed(units: int, margin: float) -> int:
    """How many of so many units the margin lets go."""
    return math.floor(units * margin + 1e-9)


def _faults(whole: Figures, parts: Sequence[tuple[str, Figures]], margins: Margins) -> list[str]:
    found = []
    counts = whole.detection.counts
    most = allowed(counts.units, margins.detection)
    if counts.lost > most:
        found.append(
            f"{counts.lost} of {counts.units} defective units that the old package stopped would newly pass, and the "
            f"margin of {_points(margins.detection)} allows {most or 'none'}"
        )
    if whole.false_reject.low > margins.false_reject:
        found.append(f"false rejects rise by {_span(whole.false_reject)}, more than {_points(margins.false_reject)}")
    worse = [name for name, part in parts if part.detection.high < -margins.detection]
    if worse:
        found.append(f"detection is shown to be worse by more than {_points(margins.detection)} for {_listed(worse)}")
    return found


def _gaps(whole: Figures, detection: PairedRates, false_reject: PairedRates, defective: Need, good: Need) -> list[str]:
    found = []
    most = allowed(detection.counts.units, detection.margin)
    if not whole.detection.within:
        found.append(_missing("detection", whole.detection, "defective", defective))
    elif not detection.within or detection.counts.lost > most:
        found.append(
            f"{counted(whole.unverified_passing)} would newly pass and nobody has said whether they are defective: "
            "have them reviewed"
        )
    if not whole.false_reject.within:
        found.append(_missing("false rejects", whole.false_reject, "good", good))
    elif not false_reject.within:
        found.append(
            f"{counted(whole.unverified_stopped)} would newly be stopped and nobody has said whether they are good: "
            "have them reviewed"
        )
    return found


def _missing(what: str, rates: PairedRates, kind: str, need: Need) -> str:
    have = rates.counts.units
    if not have:
        return f"no unit is known to be {kind}, and at least {need.at_least} are needed"
    said = f"a difference in {what} within {_points(rates.margin)} is not shown by {have} {kind} units ({_span(rates)})"
    if need.for_power is None:
        return f"{said}: what was seen is itself beyond the margin, so that more units would rather show it to be worse"
    enough = f"{said}: at least {need.at_least} are needed"
    changed = rates.counts.lost + rates.counts.gained
    return f"{enough}, about {need.for_power} if as many change as here" if changed else enough


def _shown(what: str, rates: PairedRates, unverified: int) -> str:
    said = (
        f"the difference in {what} of {rates.counts.units} units is {_span(rates)}, within the margin of "
        f"{_points(rates.margin)} (p {p_words(rates.p_value)})"
    )
    return f"{said}, also with {counted(unverified)} that nobody reviewed counted against it" if unverified else said


def _worst_case(whole: Figures, margins: Margins) -> tuple[PairedRates, PairedRates]:
    """The rates if whatever nobody looked at counted against the new package."""
    known, lost = whole.detection.counts, whole.unverified_passing
    detection = compare_rates(
        replace(known, lost=known.lost + lost), margins.detection, more_is_better=True, confidence=margins.confidence
    )
    known, gained = whole.false_reject.counts, whole.unverified_stopped
    return detection, compare_rates(
        replace(known, gained=known.gained + gained),
        margins.false_reject,
        more_is_better=False,
        confidence=margins.confidence,
    )


def _need(rates: PairedRates, margins: Margins, worse: float) -> Need:
    counts, least = rates.counts, units_at_least(rates.margin, margins.confidence)
    # Half a unit more than was seen: that nothing changed among a few does not say that nothing ever does.
    changed = (counts.lost + counts.gained + 0.5) / (counts.units + 1)
    wanted = units_for_power(changed, max(0.0, worse), rates.margin, margins.confidence, margins.power)
    return Need(counts.units, least, wanted)


def _agreement(whole: Figures, margins: Margins) -> tuple[str, str]:
    passing, stopped = whole.newly_passing, whole.newly_stopped
    judged = ((passing, margins.detection), (stopped, margins.false_reject))
    if any(rate.low > margin for rate, margin in judged):
        word = DIFFERS
    elif all(rate.high < margin for rate, margin in judged):
        word = AGREES
    else:
        word = NOT_SHOWN
    told = (
        f"both decide all {counted(whole.units)} alike"
        if whole.units and not whole.changed
        else f"{counted(whole.changed)} of {whole.units:,} would be decided differently, {_of(passing)} that the old "
        f"package stopped would newly pass, {_of(stopped)} that it passed would newly be stopped"
    )
    if word != NOT_SHOWN:
        return word, told
    open_ = [
        _may(rate, margin, done, would, margins.confidence)
        for rate, margin, done, would in (
            (passing, margins.detection, "stopped", "newly pass"),
            (stopped, margins.false_reject, "passed", "newly be stopped"),
        )
        if rate.high >= margin
    ]
    return word, f"{told}; {' and '.join(open_)}"


def _may(rate: Rate, margin: float, done: str, would: str, confidence: float) -> str:
    least = _rule_of_three(margin, confidence)
    said = (
        f"of what it {done} up to {100 * rate.high:.2f} % may in truth {would}, and the margin is {100 * margin:.4g} %"
    )
    return said if rate.total >= least else f"{said}: it takes at least {least} units that it {done}"


def _rule_of_three(margin: float, confidence: float) -> int:
    """The fewest units of which none changes whose exact interval lies below the margin."""
    return math.floor(math.log((1 - confidence) / 2) / math.log1p(-margin)) + 1


def _of(rate: Rate) -> str:
    return f"{rate.count} of {rate.total}"


def _points(share: float) -> str:
    """A share as percentage points."""
    return f"{100 * share:.4g} point{'' if share == 0.01 else 's'}"


def _span(rates: PairedRates) -> str:
    seen = 0.0 if rates.difference is None else rates.difference
    interval = f"{points(rates.low)} to {points(rates.high)}"
    return f"{points(seen)} points, {100 * rates.confidence:g} % interval {interval}"


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
