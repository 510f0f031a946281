"""All figures of one set of units: how far both packages agree, and how each does where the truth is known."""

from dataclasses import dataclass

import numpy as np

from inspection.agreement import Agreement, agreement_of
from inspection.equivalence.paired_rates import Discordance, McNemar, PairedRates, compare_rates, mcnemar
from inspection.equivalence.pairs import DEFECTIVE, GOOD, OUTCOMES, Pairs
from inspection.equivalence.scores import ScoreAgreement, score_agreement
from inspection.errors import BadUsage
from inspection.rates import Rate, clopper_pearson

TRUTHS = (None, GOOD, DEFECTIVE)
COUNTS = (len(OUTCOMES), len(OUTCOMES), len(TRUTHS))  # the shape of a table of counts


@dataclass(frozen=True)
class Margins:
    """How much worse the new package may be and still count as good as the old one, stated before anybody looks: the
    detection rate may fall by less than `detection`, the false-reject rate rise by less than `false_reject`. Intervals
    are two-sided at `confidence`, tests one-sided at half of what that leaves (2.5 %, as ICH E9 has it for
    non-inferiority); `power` is what the stated numbers of units are for.

    The defaults are strict on purpose: one point of detection asks for 381 defective units of which none is lost, two
    points of false rejects for 189 good ones. Wider ones need a reason. Raises BadUsage for a value outside (0, 1).
    """

    detection: float = 0.01
    false_reject: float = 0.02
    confidence: float = 0.95
    power: float = 0.8

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < 1:
                raise BadUsage(f"{name.replace('_', ' ')} must lie between 0 and 1 (0.01 is one point), got {value}")


@dataclass(frozen=True)
class Figures:
    """`agreement` has the old outcomes in rows, the new ones in columns. A unit is stopped unless it passed.
    `detection` is of the defective units, `false_reject` of the good ones. `newly_passing` is of all units that the
    old package stopped, `newly_stopped` of all that it passed; `unverified_…` are those whose truth nobody knows."""

    units: int
    changed: int
    defective: int
    good: int
    unknown: int
    agreement: Agreement
    mcnemar: McNemar
    mcnemar_with_truth: McNemar
    detection: PairedRates
    false_reject: PairedRates
    newly_passing: Rate
    newly_stopped: Rate
    unverified_passing: int
    unverified_stopped: int
    scores: ScoreAgreement

    @property
    def with_truth(self) -> int:
        """How many units are known to be good or defective."""
        return self.defective + self.good


@dataclass(frozen=True, eq=False)
class Codes:
    """Columns as numbers `[N]`: outcomes as their index in OUTCOMES (int8, 0 passes), and truth as booleans."""

    old: np.ndarray
    new: np.ndarray
    old_score: np.ndarray
    new_score: np.ndarray
    defective: np.ndarray
    good: np.ndarray

    def of(self, chosen: np.ndarray) -> "Codes":
        """Those of the units that `chosen` (indices or booleans) names."""
        return Codes(*(column[chosen] for column in vars(self).values()))


def codes(pairs: Pairs) -> Codes:
    """The columns that figures are made of."""
    place = {outcome: at for at, outcome in enumerate(OUTCOMES)}
    old, new = (
        np.asarray([place[str(one)] for one in column], dtype=np.int8)
        for column in (pairs.old_outcome, pairs.new_outcome)
    )
    defective, good = (np.asarray([truth == kind for truth in pairs.truth], dtype=bool) for kind in (DEFECTIVE, GOOD))
    return Codes(old, new, np.asarray(pairs.old_score), np.asarray(pairs.new_score), defective, good)


def figures(units: Codes, margins: Margins) -> Figures:
    """The figures of some units; of none at all, all are there and say that nothing is known."""
    truth = units.good + 2 * units.defective.astype(np.int64)
    codes_of = (units.old.astype(np.int64) * len(OUTCOMES) + units.new) * 3 + truth
    table = np.bincount(codes_of, minlength=COUNTS[0] * COUNTS[1] * COUNTS[2]).reshape(COUNTS)
    return figures_of(table, margins, score_agreement(units.old_score, units.new_score, margins.confidence))


def figures_of(table: np.ndarray, margins: Margins, scores: ScoreAgreement | None = None) -> Figures:
    """The same from counts of units alone, `table` `[old, new, truth]` by the places of outcomes in OUTCOMES and of
    truth in TRUTHS; without `scores`, none of any unit is known."""
    known = table[:, :, 1:].sum(axis=2)
    whole, good, defective = table.sum(axis=2), table[:, :, 1], table[:, :, 2]
    every, told = _discordance(whole), _discordance(known)
    confidence = margins.confidence
    return Figures(
        units=every.units,
        changed=every.units - int(np.trace(whole)),
        defective=int(defective.sum()),
        good=int(good.sum()),
        unknown=every.units - told.units,
        agreement=agreement_of(whole, OUTCOMES),
        mcnemar=mcnemar(every.lost, every.gained),
        mcnemar_with_truth=mcnemar(told.lost, told.gained),
        detection=compare_rates(_discordance(defective), margins.detection, more_is_better=True, confidence=confidence),
        false_reject=compare_rates(
            _discordance(good), margins.false_reject, more_is_better=False, confidence=confidence
        ),
        newly_passing=clopper_pearson(every.lost, every.both + every.lost, confidence),
        newly_stopped=clopper_pearson(every.gained, every.neither + every.gained, confidence),
        unverified_passing=every.lost - told.lost,
        unverified_stopped=every.gained - told.gained,
        scores=scores or score_agreement(np.empty(0), np.empty(0), confidence),
    )


def _discordance(table: np.ndarray) -> Discordance:
    """Of counts `[old, new]`; the first outcome is PASS, the others stop a unit."""
    return Discordance(int(table[1:, 1:].sum()), int(table[1:, 0].sum()), int(table[0, 1:].sum()), int(table[0, 0]))
