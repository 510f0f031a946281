"""A reviewer's decision is a record of its own, and changes nothing that was there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from inspection.archive import Archive
from inspection.records import Draft
from inspection.reviews import RecordMissing, ReviewInvalid, add_review, reviewed
from inspection.verify import verify_archive

Fill = Callable[[int], Path]


def units(archive: Archive) -> list[str]:
    return sorted((entry.name for entry in archive.latest(100, kind="unit")), key=lambda name: int(name.split("/")[1]))


def test_the_last_review_of_a_unit_counts_and_both_stay(filled_archive: Fill) -> None:
    folder = filled_archive(3)
    with Archive(folder) as archive:
        first, second, _ = units(archive)
        before = archive.get(*_split(first))
        add_review(archive, first, ("crack",), "Ada")
        add_review(archive, second, (), "Ada", "dust")
        add_review(archive, first, ("stain", "chip"), "Grace", "looked closely")

        found = {review.record: review for _, review in reviewed(archive)}
        assert archive.get(*_split(first)) == before
        assert [entry.reason for entry in archive.latest(3)] == ["review"] * 3
    assert (found[first].labels, found[first].reviewer) == (("chip", "stain"), "Grace")
    assert (found[second].labels, found[second].comment) == ((), "dust")
    assert before is not None
    assert found[first].record_hash == before.hash
    assert verify_archive(folder).intact


@pytest.mark.parametrize(
    "record", ["", "station-1", "station-1/99", "other/1", "station-1/x", "station-1/-1", "station-1/" + 30 * "9"]
)
def test_a_review_of_no_unit_is_refused_and_nothing_recorded(record: str, filled_archive: Fill) -> None:
    with Archive(filled_archive(1)) as archive:
        with pytest.raises(RecordMissing, match="station/number"):
            add_review(archive, record, ("crack",), "Ada")
        assert archive.count_entries() == 1


@pytest.mark.parametrize(
    ("labels", "reviewer"),
    [
        (("a;b",), "Ada"),
        (("",), "Ada"),
        (("good",), "Ada"),
        (("Good ",), "Ada"),
        (("a\rb",), "Ada"),
        (("a\u2028b",), "Ada"),
        ((), "  "),
    ],
)
def test_what_is_no_decision_is_refused(labels: tuple[str, ...], reviewer: str, filled_archive: Fill) -> None:
    with Archive(filled_archive(1)) as archive:
        with pytest.raises(ReviewInvalid):
            add_review(archive, units(archive)[0], labels, reviewer)
        assert archive.count_entries() == 1


def test_a_label_s_name_has_no_blanks_around_it(filled_archive: Fill) -> None:
    with Archive(filled_archive(1)) as archive:
        add_review(archive, units(archive)[0], (" dark spot ",), "Ada")
        assert [review.labels for _, review in reviewed(archive)] == [("dark spot",)]


@pytest.mark.parametrize("change", [{"record_hash": "0" * 64}, {"labels": None}, {"reviews": "station-1/7"}])
def test_a_review_that_is_not_of_the_record_as_it_is_counts_nowhere(
    change: dict[str, object], filled_archive: Fill
) -> None:
    with Archive(filled_archive(1)) as archive:
        made = add_review(archive, units(archive)[0], ("crack",), "Ada")
        draft = Draft("event", reason="review", details={**made.details, **change})
        archive.append(draft, "station-1")
        with pytest.raises(ReviewInvalid, match="inspection verify"):
            list(reviewed(archive))


def test_a_review_of_a_review_is_refused(filled_archive: Fill) -> None:
    with Archive(filled_archive(1)) as archive:
        review = add_review(archive, units(archive)[0], ("crack",), "Ada")
        with pytest.raises(RecordMissing):
            add_review(archive, review.name, (), "Ada")


def _split(name: str) -> tuple[str, int]:
    station, number = name.split("/")
    return station, int(number)
