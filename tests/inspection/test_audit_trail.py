"""The audit trail as quality reads it: who did what, from page to page, and until when it was reviewed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from inspection.accounts.sign_in import SignIn
from inspection.archive import Archive
from inspection.audit import PEOPLE, SYSTEM, AuditQuery, audit_kinds, find_audit
from inspection.audit_review import last_trail_record, last_trail_review, sign_trail_review
from inspection.records import Draft
from inspection.reviews import add_review
from inspection.signatures import SignatureRefused, Signer
from inspection.signing import signing_key
from tests.people import PASSWORD, people


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    people(tmp_path / "archive", quinn="quality")
    with Archive(tmp_path / "archive") as opened:
        entry = opened.append(Draft("unit", unit="u", outcome="REJECT", reason="late"), "s")
        add_review(opened, entry.name, ("crack",), "ruth")
        opened.append(Draft("event", reason="line_started"), "s")
        changed = {"by": "enno", "before": {"recipe": "a 1"}, "after": {"recipe": "a 2"}, "took_ms": 3}
        opened.append(Draft("event", reason="recipe_changed", details=changed), "s")
        yield opened


def test_a_review_is_its_reviewer_s(archive: Archive) -> None:
    [event] = find_audit(archive, AuditQuery(what="review"))
    assert event.by == "ruth"
    assert [one.what for one in find_audit(archive, AuditQuery(by="ruth"))] == ["review"]


def test_people_and_the_station_are_told_apart(archive: Archive) -> None:
    whole = list(find_audit(archive, AuditQuery()))
    people_, station = (list(find_audit(archive, AuditQuery(by=by))) for by in (PEOPLE, SYSTEM))
    assert [one.what for one in station] == ["line_started"]
    assert len(people_) + len(station) == len(whole)


def test_what_was_before_and_after_is_old_and_new(archive: Archive) -> None:
    [event] = find_audit(archive, AuditQuery(what="recipe_changed"))
    assert (event.old, event.new, event.more) == ({"recipe": "a 1"}, {"recipe": "a 2"}, {"took_ms": 3})


def test_kinds_are_those_that_there_are(archive: Archive) -> None:
    assert audit_kinds(archive) == sorted({one.what for one in find_audit(archive, AuditQuery())})


def test_the_trail_is_reviewed_further_and_never_back(archive: Archive) -> None:
    signer = Signer(SignIn(archive), "quinn", PASSWORD)
    first = last_trail_record(archive)
    assert first is not None and last_trail_review(archive) is None
    sign_trail_review(archive, signing_key(archive), first.name, signer, "January")
    review = last_trail_review(archive)
    assert review is not None and (review.until, review.signature.by) == (first.recorded_at, "quinn")
    with pytest.raises(SignatureRefused, match="already"):
        sign_trail_review(archive, signing_key(archive), "audit/1", signer, "once more")
    with pytest.raises(SignatureRefused, match="no record 's/1'"):
        sign_trail_review(archive, signing_key(archive), "s/1", signer, "of a station")
    last = last_trail_record(archive)
    assert last is not None
    sign_trail_review(archive, signing_key(archive), last.name, signer, "February")
    review = last_trail_review(archive)
    assert review is not None and review.signature.why == "February"
