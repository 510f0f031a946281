"""What shadows found, as counts that are kept up to date by reading only what an archive has new.

Findings and reviews come in any order: a unit's truth is the review that counts, also where it came first.
"""

from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection, func, select

from inspection.archive import Archive
from inspection.equivalence.figures import COUNTS
from inspection.equivalence.pairs import OUTCOMES
from inspection.records import from_row, place_of
from inspection.reviews import REVIEW, Decision, Review, deciding_review, read_review
from inspection.schema import entries, station_of_event
from inspection.search_terms import EVENTS_ONLY
from inspection.shadow.events import SHADOW, ShadowEvent, ShadowFinding, Trial, read_shadow

MOST_DIFFERING = 50
_PAGE = 100
_WALKED = 20_000  # records that are walked along; for more, the events are looked up by what they are
_TRUTH = {Decision.FALSE_REJECT: 1, Decision.CONFIRM_REJECT: 2}  # places in TRUTHS; nobody can tell: 0


def _table() -> np.ndarray:
    return np.zeros(COUNTS, dtype=np.int64)


@dataclass
class _Places:
    """The units of one station that were looked at: number of the record, and both outcomes with the cameras as one
    code, in the order of the chain."""

    numbers: "array[int]" = field(default_factory=lambda: array("q"))
    codes: "array[int]" = field(default_factory=lambda: array("l"))

    def find(self, number: int) -> int | None:
        """The code of a record; None where it was not looked at."""
        numbers = np.frombuffer(self.numbers, dtype=np.int64) if self.numbers else np.empty(0, np.int64)
        at = int(np.searchsorted(numbers, number))
        return self.codes[at] if at < len(numbers) and numbers[at] == number else None


@dataclass
class TrialEvidence:
    """Of one trial: how many units by both outcomes and truth (`table`, as `figures_of` has it), the same by defect and
    camera; `shed` and `failed` by reason; from when to when (UTC); the last units that were decided differently."""

    trial: Trial
    table: np.ndarray = field(default_factory=_table)
    defects: dict[str, np.ndarray] = field(default_factory=lambda: defaultdict(_table))
    cameras: dict[str, np.ndarray] = field(default_factory=lambda: defaultdict(_table))
    shed: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    differing: deque[ShadowFinding] = field(default_factory=lambda: deque(maxlen=MOST_DIFFERING))
    since: str = ""
    until: str = ""
    stations: dict[str, _Places] = field(default_factory=lambda: defaultdict(_Places))
    _sets: list[tuple[str, ...]] = field(default_factory=list)
    _known: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)

    @property
    def units(self) -> int:
        """How many units both decided."""
        return int(self.table.sum())

    def add(self, finding: ShadowFinding) -> bool:
        """Count a unit; False for one that was counted before."""
        station, number = place_of(finding.record)
        places = self.stations[station]
        if places.numbers and number <= places.numbers[-1]:
            return False  # a line tells its units in the order of their records
        if finding.cameras not in self._sets:
            self._sets.append(finding.cameras)
        pair = OUTCOMES.index(finding.old.outcome) * len(OUTCOMES) + OUTCOMES.index(finding.new.outcome)
        code = self._sets.index(finding.cameras) * 16 + pair
        places.numbers.append(number)
        places.codes.append(code)
        self._count(code, 0, (), 1)
        if finding.differs:
            self.differing.append(finding)
        return True

    def review(self, record: str, truth: int, defects: tuple[str, ...]) -> None:
        """A unit is known to be what TRUTHS has at `truth`, with these defects; nothing happens where it was not looked
        at."""
        station, number = place_of(record)
        code = self.stations[station].find(number) if station in self.stations else None
        before = self._known.get(record, (0, ()))
        if code is None or before == (truth, defects):
            return
        self._count(code, *before, -1)
        self._count(code, truth, defects, 1)
        self._known[record] = truth, defects

    def _count(self, code: int, truth: int, defects: tuple[str, ...], by: int) -> None:
        cameras, pair = self._sets[code // 16], code % 16
        old, new = divmod(pair, len(OUTCOMES))
        tables = [self.table, *(self.cameras[name] for name in cameras), *(self.defects[name] for name in defects)]
        for table in tables:
            table[old, new, truth] += by


class Evidence:
    """The evidence in an archive, by trial. `update` reads what is new; nothing else reads. Not for several threads at
    once."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._read: dict[str, int] = {}
        self._reviews: dict[str, list[Review]] = {}
        self.trials: dict[str, TrialEvidence] = {}
        self.untold = Counter[str]()  # shed before any candidate was loaded

    def of(self, digest: str) -> list[TrialEvidence]:
        """All trials of the candidate with this SHA-256."""
        return [one for one in self.trials.values() if one.trial.candidate["sha256"] == digest]

    def newest(self, candidate: str = "") -> TrialEvidence | None:
        """The trial that was added to last, of those whose candidate's SHA-256 or own id begins like this."""
        fitting = [
            one for one in self.trials.values()
            if one.trial.candidate["sha256"].startswith(candidate) or one.trial.id.startswith(candidate)
        ]  # fmt: skip
        return max(fitting, key=lambda one: one.until, default=None)

    def update(self) -> None:
        """Count what was recorded since the last call. Raises ArchiveFault, and ShadowUnreadable or ReviewInvalid for a
        record that is not what it should be."""
        stations = self._archive.stations()
        with self._archive.reader() as connection:
            for station in stations:
                head = _head(connection, station)
                for row in self._new(connection, station, head):
                    if row["reason"] == SHADOW:
                        self._found(row["recorded_at"], read_shadow_row(row))
                    else:
                        self._reviewed(read_review(from_row(row)))
                    self._read[station] = int(row["sequence"])
                self._read[station] = head

    def _new(self, connection: Connection, station: str, head: int) -> Iterator[Mapping[Any, Any]]:
        table, after = entries.c, self._read.get(station, 0)
        few = head - after <= _WALKED
        which = table.station if few else station_of_event
        kind = [table.kind + "" == "event", (table.reason + "").in_((SHADOW, REVIEW))]
        query = select(entries).where(
            which == station, table.sequence > after, table.sequence <= head,
            *(kind if few else [EVENTS_ONLY, table.reason.in_((SHADOW, REVIEW))]),
        )  # fmt: skip
        found = connection.execute(query.order_by(table.sequence), execution_options={"yield_per": _PAGE})
        yield from found.mappings()

    def _found(self, at: str, event: ShadowEvent | Mapping[str, int]) -> None:
        if not isinstance(event, ShadowEvent):
            self.untold.update(event)
            return
        one = self.trials.setdefault(event.trial.id, TrialEvidence(event.trial))
        one.since, one.until = one.since or at, max(one.until, at)
        one.shed.update(event.shed)
        one.failed.update(event.failed)
        for finding in event.findings:
            if one.add(finding) and finding.record in self._reviews:
                one.review(finding.record, *known_by(self._reviews[finding.record]))

    def _reviewed(self, review: Review) -> None:
        of = self._reviews.setdefault(review.record, [])
        of.append(review)
        for one in self.trials.values():
            one.review(review.record, *known_by(of))


def _head(connection: Connection, station: str) -> int:
    return int(connection.scalar(select(func.max(entries.c.sequence)).where(entries.c.station == station)) or 0)


def read_shadow_row(row: Mapping[Any, Any]) -> ShadowEvent | dict[str, int]:
    """What an event of a shadow holds; one from before a candidate was loaded, how many units were shed, by reason.
    Raises ShadowUnreadable."""
    entry = from_row(row)
    if "trial" not in entry.details:
        return {str(reason): int(count) for reason, count in entry.details.get("shed", {}).items()}
    return read_shadow(entry.name, entry.details)


def known_by(reviews: list[Review]) -> tuple[int, tuple[str, ...]]:
    """What reviews of one unit, the oldest first, say in the end: its truth by its place in TRUTHS, and its defects."""
    review = deciding_review(reviews)
    truth = _TRUTH.get(review.decision, 0) if review else 0
    return truth, tuple(sorted(set(review.found or ()))) if review and truth == 2 else ()
