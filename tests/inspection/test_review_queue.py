"""The queue of a batch: what waits for whom, in which order; second looks; what counts in the end; and how fast."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from inspection.archive import Archive
from inspection.audit import AuditQuery, find_audit
from inspection.batch_totals import batch_totals
from inspection.config import ConfigInvalid
from inspection.records import Draft, Entry
from inspection.review_queue import (
    batch_query,
    batch_units,
    is_open,
    labels_used,
    newest_batches,
    page_of,
    queue,
    reviews_of,
    second_reviews,
)
from inspection.reviews import Decision, Review, ReviewInvalid, add_review, deciding_review, reviewed
from inspection.second_review import (
    agreement_of,
    change_share,
    concealed,
    disagreement,
    pair,
    read_share,
    sampled,
    second_due,
)
from inspection.verdict import Outcome

CONFIRM, UNSURE, FALSE = Decision.CONFIRM_REJECT, Decision.CANNOT_TELL, Decision.FALSE_REJECT
LATE = ("REJECT", "late", None)


def unit(
    number: int, outcome: str, reason: str, score: float | None, batch: str | None = "B", **details: object
) -> Draft:
    return Draft("unit", f"u-{number}", batch, "vial", "vials 1.0.0", "a" * 64, outcome, reason, score, 10.0, 20.0, 5.0,
                 details=details)  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Units 1 to 7 of batch B, one of C and one of none."""
    with Archive(tmp_path / "archive") as opened:
        classifier = {"package": "b" * 64, "score": 0.9, "review_limit": 0.2, "reject_limit": 0.3}
        opened.append_all([
            unit(1, "PASS", "within_limits", 5.0), unit(2, "REJECT", "above_reject_limit", 30.0),
            unit(3, "REVIEW", "above_review_limit", 12.0), unit(4, *LATE),
            unit(5, "REVIEW", "above_review_limit", 15.0),
            unit(6, "REJECT", "class_found", 8.0, decided_by="classifier", classifier=classifier),
            unit(7, "PASS", "within_limits", 6.0),
            unit(8, "REJECT", "above_reject_limit", 40.0, "C"), unit(9, "REJECT", "above_reject_limit", 21.0, None),
            Draft("event", "u-7", "B", "vial", reason="not_delivered",
                  details={"corrects": "s/7", "outcome": Outcome.REJECT, "message": "no answer"}),
        ], "s")  # fmt: skip
        yield opened


def order_of(archive: Archive, **how: object) -> list[int]:
    return [one.sequence for one in queue(batch_units(archive, "B"), "ada", 0.0, **how).units]  # type: ignore[arg-type]


def test_undecided_first_or_worst_first_and_what_has_no_score_is_there(archive: Archive) -> None:
    # 6 was decided by its classifier, at three times its limit; 7 was corrected; 4 was late
    assert order_of(archive) == [5, 3, 6, 2, 7, 4]
    assert order_of(archive, order="worst") == [6, 2, 5, 3, 7, 4]
    assert order_of(archive, which="undecided") == [5, 3]
    assert order_of(archive, which="rejected") == [6, 2, 7, 4]
    assert [one.sequence for one in batch_units(archive, "C")] == [8]
    assert [one.sequence for one in batch_units(archive, None)] == [9]
    assert batch_units(archive, "nothing") == []
    corrected = next(one for one in batch_units(archive, "B") if one.sequence == 7)
    assert (corrected.outcome, corrected.reason) == (Outcome.REJECT, "not_delivered")
    assert newest_batches(archive) == ["C", "B"]


def test_what_was_decided_is_not_asked_again_and_counts_as_done(archive: Archive) -> None:
    add_review(archive, "s/5", (), "ada", "dust", FALSE)
    add_review(archive, "s/2", ("crack",), "grace")
    units = batch_units(archive, "B")
    waiting = queue(units, "ada", 0.0)
    assert ([one.sequence for one in waiting.units], waiting.total, waiting.done) == ([3, 6, 7, 4], 6, 2)
    decided = queue(units, "ada", 0.0, state="decided")
    assert [one.sequence for one in decided.units] == [2, 5]  # the latest first
    assert [one.sequence for one in page_of(waiting.units, "s/3", 2)] == [6, 7]
    assert [one.sequence for one in page_of(waiting.units, "s/5", 2)] == [3, 6]  # it is not there any more
    assert labels_used(archive, "vial") == ["crack"]
    assert labels_used(archive, "tablet") == []


def test_a_later_decision_counts_and_both_stay(archive: Archive) -> None:
    add_review(archive, "s/2", ("crack",), "ada")
    add_review(archive, "s/2", (), "ada", "looked again", FALSE)
    entry = archive.get("s", 2)
    assert entry is not None
    reviews, corrections = reviews_of(archive, entry)
    assert [(one.decision, one.comment) for one in reviews] == [(CONFIRM, ""), (FALSE, "looked again")]
    counts = deciding_review(reviews)
    assert counts is not None and counts.decision is FALSE
    assert corrections == []
    passed = archive.get("s", 7)
    assert passed is not None
    assert [one.reason for one in reviews_of(archive, passed)[1]] == ["not_delivered"]


def test_reviews_of_before_there_were_decisions_are_read(archive: Archive) -> None:
    for number, labels in ((1, []), (2, ["crack"])):
        entry = archive.get("s", number)
        assert entry is not None
        details = {"reviews": entry.name, "record_hash": entry.hash, "labels": labels, "reviewer": "Old", "comment": ""}
        archive.append(Draft("event", entry.unit, "B", reason="review", details=details), "s")
    found = {review.record: review for _, review in reviewed(archive, "B")}
    assert [(found[name].decision, found[name].found) for name in ("s/1", "s/2")] == [
        (FALSE, ()),
        (CONFIRM, ("crack",)),
    ]


def test_cannot_tell_is_neither_good_nor_defective(archive: Archive) -> None:
    add_review(archive, "s/1", (), "ada", "", UNSURE)
    totals = batch_totals(archive, "B")
    assert (totals.sampled, sum(totals.found.values())) == (0, 0)
    add_review(archive, "s/1", (), "ada", "", CONFIRM)  # defective, and nobody named the defect
    totals = batch_totals(archive, "B")
    assert (totals.sampled, totals.found["critical"]) == (1, 1)
    with pytest.raises(ReviewInvalid, match="'crack' is a defect"):
        add_review(archive, "s/1", ("crack",), "ada", "", UNSURE)


# Second looks.


@given(st.floats(0, 1), st.floats(0, 1), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_a_larger_share_holds_all_units_of_a_smaller_one(one: float, other: float, record_hash: str) -> None:
    low, high = sorted((one, other))
    assert sampled(record_hash, high) or not sampled(record_hash, low)
    assert sampled(record_hash, 1.0) and not sampled(record_hash, 0.0)


def test_the_share_is_what_it_says() -> None:
    chosen = sum(sampled(f"{number:064x}", 0.1) for number in range(5000))
    assert 430 < chosen < 570


def review(decision: Decision, reviewer: str, **more: bool) -> Review:
    return Review(f"s/{reviewer}", "", "s/1", "0" * 64, (), reviewer, "", decision, **more)


def test_who_is_to_look_at_a_unit_as_the_second_one() -> None:
    first = [review(CONFIRM, "ada")]
    assert not second_due([], "0" * 64, 1.0, "grace")
    assert second_due(first, "0" * 64, 1.0, "grace")
    assert not second_due(first, "0" * 64, 0.0, "grace")
    assert not second_due(first, "0" * 64, 1.0, "ada"), "nobody sees their own as the second one"
    both = [*first, review(FALSE, "grace", blind=True)]
    assert not second_due(both, "0" * 64, 1.0, "eve")
    # who looked blind goes on without knowing until it is settled, and may decide anew
    assert concealed(first, "0" * 64, 1.0, "grace") and concealed(both, "0" * 64, 1.0, "grace")
    assert not concealed(both, "0" * 64, 1.0, "ada")
    settled = [*both, review(CONFIRM, "quinn", settles=True)]
    assert not concealed(settled, "0" * 64, 1.0, "grace")
    assert disagreement(both) == (both[0], both[1])
    assert disagreement(settled) is None and disagreement(first) is None


def test_until_it_is_settled_the_worse_of_two_decisions_counts() -> None:
    for first, second in ((FALSE, CONFIRM), (CONFIRM, FALSE)):
        both = [review(first, "ada"), review(second, "grace", blind=True)]
        counts = deciding_review(both)
        assert counts is not None and counts.decision is CONFIRM
        settled = [*both, review(FALSE, "quinn", settles=True), review(CONFIRM, "ada")]
        counts = deciding_review(settled)
        assert counts is not None and (counts.decision, counts.reviewer) == (FALSE, "quinn")
    assert deciding_review([]) is None


def test_agreement_takes_the_first_one_s_word_before_the_second_look() -> None:
    units = [
        [review(FALSE, "ada"), review(CONFIRM, "ada"), review(CONFIRM, "grace", blind=True), review(FALSE, "ada")],
        [review(FALSE, "ada"), review(CONFIRM, "grace", blind=True), review(FALSE, "grace", blind=True)],
        [review(FALSE, "ada")],
    ]
    assert pair(units[2]) is None
    found = agreement_of(units)
    assert (found.units, found.same, found.kappa) == (2, 2, 1.0)


def test_the_share_is_changed_on_the_audit_trail(archive: Archive) -> None:
    with archive.reader() as connection:
        assert read_share(connection) == 0.1
    assert change_share(archive, 0.25, "quinn", "SOP-7") == 0.25
    change_share(archive, 0.25, "quinn", "SOP-7")  # no change, no event
    with pytest.raises(ConfigInvalid):
        change_share(archive, 1.5, "quinn", "SOP-7")
    with archive.reader() as connection:
        assert read_share(connection) == 0.25
    [told] = find_audit(archive, AuditQuery(what="second_review_share_changed"))
    assert (told.by, told.old, told.new, told.why) == ("quinn", 0.1, 0.25, "SOP-7")


def test_second_looks_are_open_for_others_alone(archive: Archive) -> None:
    add_review(archive, "s/5", (), "ada", "", FALSE)
    units = batch_units(archive, "B")
    five = next(one for one in units if one.sequence == 5)
    assert is_open(five, "grace", 1.0) and not is_open(five, "ada", 1.0)
    add_review(archive, "s/5", (), "grace", "", CONFIRM, blind=True)
    assert [len(one) for one in second_reviews(archive, "2000")] == [2]
    five = next(one for one in batch_units(archive, "B") if one.sequence == 5)
    assert not is_open(five, "grace", 1.0)
    assert [one.blind for one in five.reviews] == [False, True]


# Speed, and by which index.


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """100,000 units in five batches, a tenth of them not passed, a third of these reviewed."""
    with Archive(tmp_path_factory.mktemp("large") / "archive") as opened:
        for batch in range(5):
            for first in range(0, 20_000, 2000):
                drafts = [unit(number, *_verdict(number), f"B-{batch}", runtime="onnxruntime", classes={"crack": 0.1})
                          for number in range(first, first + 2000)]  # fmt: skip
                made = opened.append_all(drafts, "s")
                opened.append_all([_reviewed(one) for one in made if one.sequence % 30 == 0], "s")
        yield opened


def _verdict(number: int) -> tuple[str, str, float]:
    if number % 10:
        return "PASS", "within_limits", 5.0
    return ("REVIEW", "above_review_limit", 10 + number % 7) if number % 20 else ("REJECT", "above_reject_limit", 25.0)


def _reviewed(entry: Entry) -> Draft:
    details = {"reviews": entry.name, "record_hash": entry.hash, "labels": [], "reviewer": "ada", "comment": "",
               "decision": "false_reject"}  # fmt: skip
    return Draft("event", entry.unit, entry.batch, "vial", reason="review", details=details)


def test_a_batch_of_20_000_in_an_archive_of_100_000_is_queued_in_less_than_0_3_s(large: Archive) -> None:
    took = []
    for _ in range(5):
        began = time.perf_counter()
        found = queue(batch_units(large, "B-4"), "grace", 0.1)
        took.append(time.perf_counter() - began)
    print(f"queue of a batch of 20,000 among 100,000: {1000 * min(took):.0f} ms")
    assert found.total == 2000
    assert min(took) < 0.3


def plan(archive: Archive, batch: str | None) -> str:
    with archive.reader() as connection:
        text = str(batch_query(batch).compile(connection, compile_kwargs={"literal_binds": True}))
        return " ".join(str(row[-1]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))


@pytest.mark.parametrize("batch", ["B-4", None])
def test_the_queue_is_read_by_the_index_of_batches(batch: str | None, large: Archive) -> None:
    told = plan(large, batch)
    assert "entries_by_batch" in told, told
    assert "SCAN" not in told
    assert "TEMP B-TREE FOR ORDER BY" not in told.replace("LAST TERM OF ORDER BY", "")
    assert batch_query(batch).compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]


def test_other_look_ups_of_a_review_are_quick(large: Archive) -> None:
    entry = large.get("s", 20_000)
    assert entry is not None
    for look in (
        lambda: reviews_of(large, entry),
        lambda: newest_batches(large),
        lambda: labels_used(large, "vial"),
        lambda: second_reviews(large, "2000"),
    ):
        began = time.perf_counter()
        look()
        assert time.perf_counter() - began < 0.3
