"""Whatever happens in whatever order: one disposition a unit, in order, in time, and PASS only of what may pass."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inspection.finding import Finding
from inspection.frames import Frame
from inspection.image_finding import Failure, ImageFinding
from inspection.records import Entry
from inspection.station import Disposition
from inspection.unit_record import UnitAccount
from inspection.verdict import Limits, Outcome, Reason
from serve.pipeline.book import Timing, UnitBook

CAMERAS = {"top": 1, "side": 2}
TIMING = Timing(frames_s=0.05, decide_s=0.08, tell_s=0.1)
LIMITS = Limits(review_limit=1.0, reject_limit=2.0)
PIXELS = np.zeros((2, 2, 3), np.uint8)
SCORES = {"good": 0.5, "review": 1.5, "reject": 3.0, "nan": float("nan")}


def finding(what: str) -> ImageFinding:
    """What a detector might say."""
    if what == "fault":
        return ImageFinding(failure=Failure("model_fault", "the graph fell over", Reason.MODEL_FAULT))
    return ImageFinding(Finding(SCORES[what], np.zeros((1, 1), np.float32)))


@dataclass
class Kept:
    """Hands that write down what they are to do."""

    asked: list[tuple[int, int, str]] = field(default_factory=list)
    to_record: list[tuple[int, UnitAccount]] = field(default_factory=list)
    told: list[tuple[int, Disposition, float]] = field(default_factory=list)
    corrected: list[Entry] = field(default_factory=list)
    now: float = 0.0

    def inspect(self, number: int, index: int, frame: Frame, decide_by: float) -> None:  # noqa: ARG002
        self.asked.append((number, index, frame.camera))

    def record(self, number: int, account: UnitAccount) -> None:
        self.to_record.append((number, account))

    def tell(self, number: int, disposition: Disposition) -> None:
        self.told.append((number, disposition, self.now))

    def correct(self, entry: Entry, message: str) -> None:
        assert message
        self.corrected.append(entry)


class Line(RuleBasedStateMachine):
    """A line on which anything may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.hands = Kept()
        self.book = UnitBook(CAMERAS, TIMING, LIMITS, self.hands)
        self.opened: dict[int, float] = {}
        self.good: dict[int, int] = {}
        self.on_record: dict[int, Entry] = {}
        self.pending: list[tuple[int, UnitAccount]] = []
        self.faulted: set[int] = set()
        self.kit: set[int] = set()

    @rule(of_kit=st.sampled_from([False, False, True]))
    def open(self, of_kit: bool) -> None:
        number = len(self.opened)
        self.opened[number] = self.hands.now
        self.kit |= {number} if of_kit else set()
        self.book.open(number, f"u{number}", self.hands.now, kit={"unit": f"K-{number}"} if of_kit else None)

    @precondition(lambda self: self.opened)
    @rule(data=st.data(), camera=st.sampled_from(["top", "side", "unknown"]))
    def frame(self, data: st.DataObject, camera: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.opened)[-4:]))
        self.book.frame(number, Frame(PIXELS, "frame", camera), self.hands.now)

    @precondition(lambda self: self.hands.asked)
    @rule(data=st.data(), what=st.sampled_from(["good", "good", "good", "review", "reject", "nan", "fault"]))
    def found(self, data: st.DataObject, what: str) -> None:
        asked = data.draw(st.sampled_from(self.hands.asked))
        self.hands.asked.remove(asked)
        number, index, _ = asked
        if what == "good" and self.hands.now <= self.opened[number] + TIMING.decide_s:
            self.good[number] = self.good.get(number, 0) + 1
        self.book.found(number, index, finding(what), self.hands.now)

    @precondition(lambda self: self.opened)
    @rule(data=st.data())
    def fault(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.opened)[-4:]))
        if self.book.wanted(number):
            self.faulted.add(number)
        self.book.fault(number, Reason.FRAME_DOUBTFUL, "whose is it?", self.hands.now)

    @precondition(lambda self: self.hands.to_record)
    @rule(well=st.booleans())
    def record(self, well: bool) -> None:
        number, account = self.hands.to_record.pop(0)
        if number in self.kit:
            shown = account.more["challenge"]
            assert (account.verdict.outcome, account.verdict.reason) == (Outcome.REJECT, Reason.CHALLENGE)
            assert shown["outcome"] != "PASS" or (
                number not in self.faulted and self.good[number] == sum(CAMERAS.values())
            )
        entry = Entry("unit", unit=account.unit, outcome=account.verdict.outcome) if well else None
        if entry:
            self.on_record[number] = entry
        self.book.recorded(number, entry, "the disk is full", self.hands.now)

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.04, 0.2]))
    def wait(self, seconds: float) -> None:
        self.hands.now += seconds
        self.book.tick(self.hands.now)

    @invariant()
    def each_told_once_in_order_and_in_time(self) -> None:
        told = [number for number, _, _ in self.hands.told]
        assert told == list(range(len(told)))
        overdue = [number for number, at in self.opened.items() if self.hands.now >= at + TIMING.tell_s + 0.21]
        assert set(overdue) <= set(told)
        assert self.book.untold == len(self.opened) - len(told)

    @invariant()
    def only_what_may_pass_passes(self) -> None:
        for number, disposition, at in self.hands.told:
            if number in self.kit:
                assert disposition.outcome is Outcome.REJECT
                assert disposition.reason in (Reason.CHALLENGE, Reason.ARCHIVE_FAULT)
            elif disposition.outcome is Outcome.PASS:
                assert self.good[number] == sum(CAMERAS.values())
                assert self.on_record[number].outcome == Outcome.PASS
                assert at <= self.opened[number] + TIMING.tell_s
                assert number not in self.faulted
            elif disposition.outcome is Outcome.REJECT:
                assert disposition.message or disposition.reason in (Reason.ABOVE_REJECT_LIMIT, Reason.SCORE_NOT_FINITE)

    @invariant()
    def a_pass_on_record_that_was_not_told_is_corrected(self) -> None:
        told = {number: disposition for number, disposition, _ in self.hands.told}
        wrong = [
            entry for number, entry in self.on_record.items()
            if entry.outcome == Outcome.PASS and number in told and told[number].outcome is not Outcome.PASS
        ]  # fmt: skip
        assert {id(entry) for entry in wrong} == {id(entry) for entry in self.hands.corrected}

    def teardown(self) -> None:
        self.wait(1.0)
        while self.hands.to_record:
            self.record(True)
        assert self.book.empty
        assert len(self.hands.told) == len(self.opened)


Line.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestLine: Any = Line.TestCase


@pytest.fixture
def hands() -> Kept:
    return Kept()


@pytest.fixture
def book(hands: Kept) -> UnitBook:
    return UnitBook({"top": 1}, TIMING, LIMITS, hands)


def opened_and_found(book: UnitBook, what: str, number: int = 0, now: float = 0.01) -> None:
    book.open(number, f"u{number}", 0.0)
    book.frame(number, Frame(PIXELS, "frame", "top"), now)
    book.found(number, 0, finding(what), now)


@pytest.mark.parametrize(
    ("what", "outcome", "reason"),
    [
        ("good", Outcome.PASS, Reason.WITHIN_LIMITS),
        ("review", Outcome.REVIEW, Reason.ABOVE_REVIEW_LIMIT),
        ("reject", Outcome.REJECT, Reason.ABOVE_REJECT_LIMIT),
        ("nan", Outcome.REJECT, Reason.SCORE_NOT_FINITE),
        ("fault", Outcome.REJECT, Reason.MODEL_FAULT),
    ],
)
def test_a_unit_is_told_once_it_is_on_record(
    book: UnitBook, hands: Kept, what: str, outcome: Outcome, reason: Reason
) -> None:
    opened_and_found(book, what)
    assert hands.told == []
    ((number, account),) = hands.to_record
    assert (account.verdict.outcome, account.verdict.reason, len(account.seen)) == (outcome, reason, 1)
    entry = Entry("unit", outcome=outcome)
    book.recorded(number, entry, "", 0.02)
    assert [(one.outcome, one.reason, one.entry) for _, one, _ in hands.told] == [(outcome, reason, entry)]
    assert book.empty


def test_a_pass_whose_record_is_late_is_a_reject_and_corrected(book: UnitBook, hands: Kept) -> None:
    opened_and_found(book, "good")
    book.tick(0.1)
    assert [(one.outcome, one.reason) for _, one, _ in hands.told] == [(Outcome.REJECT, Reason.LATE)]
    entry = Entry("unit", outcome=Outcome.PASS)
    book.recorded(0, entry, "", 0.2)
    assert hands.corrected == [entry]
    assert book.empty


def test_a_frame_too_many_rejects_the_unit_even_after_it_was_found_good(book: UnitBook, hands: Kept) -> None:
    book.open(0, "u0", 0.0)  # holds the next one back from being recorded
    opened_and_found(book, "good", number=1)
    book.frame(1, Frame(PIXELS, "frame", "top"), 0.02)
    book.fault(0, Reason.FRAME_LOST, "gone", 0.03)
    assert [account.verdict.reason for _, account in hands.to_record] == [Reason.FRAME_LOST, Reason.FRAME_EXTRA]


def test_it_says_when_it_is_due(book: UnitBook) -> None:
    assert book.next_due() is None
    book.open(0, "u0", 1.0)
    assert book.next_due() == 1.0 + TIMING.frames_s
    book.frame(0, Frame(PIXELS, "frame", "top"), 1.01)
    assert book.next_due() == 1.0 + TIMING.decide_s
    book.found(0, 0, finding("good"), 1.02)
    assert book.next_due() == 1.0 + TIMING.tell_s
