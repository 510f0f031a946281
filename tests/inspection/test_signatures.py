"""A signature is a person's, given anew with name and password, bound to one record, and cannot be moved."""

import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from inspection.accounts.sign_in import SignIn, SignInRefused
from inspection.accounts.users import find_user
from inspection.archive import Archive
from inspection.audit import AuditQuery, find_audit
from inspection.records import AUDIT, Draft, Entry
from inspection.signatures import SIGNED, SignatureRefused, Signer, sign_record, signatures_of, signed_statement
from inspection.signing import SigningKey, sign_heads, signing_key
from inspection.verify import Trust, verify_archive
from tests.people import PASSWORD, people

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    people(tmp_path / "archive", ada="reviewer", otto="operator")
    with Archive(tmp_path / "archive") as opened:
        for number in range(3):
            opened.append(Draft("unit", f"u{number}", batch="B", outcome="REJECT"), "s")
        yield opened


def entry(archive: Archive, number: int = 1) -> Entry:
    found = archive.get("s", number)
    assert found is not None
    return found


def sign(
    archive: Archive, name: str = "ada", password: str = PASSWORD, meaning: str = "reviewed", why: str = "seen"
) -> Entry:
    signer = Signer(SignIn(archive), name, password, "10.0.0.9")
    return sign_record(archive, signing_key(archive), entry(archive), signer, meaning, why)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"password": "wrong"}, SignInRefused, "do not fit"),
        ({"name": "nobody"}, SignInRefused, "do not fit"),
        ({"name": "otto"}, SignatureRefused, "permits to sign"),
        ({"meaning": "liked"}, SignatureRefused, "no meaning"),
        ({"why": " "}, SignatureRefused, "needs a reason"),
    ],
)
def test_what_is_no_signature_is_refused_and_nothing_is_signed(
    given: dict[str, str], error: type[Exception], said: str, archive: Archive
) -> None:
    with pytest.raises(error, match=said):
        sign(archive, **given)
    assert signatures_of(archive, entry(archive)) == []


def test_a_refusal_is_on_the_trail_with_its_purpose(archive: Archive) -> None:
    with pytest.raises(SignInRefused):
        sign(archive, password="wrong")
    with pytest.raises(SignatureRefused):
        sign(archive, name="otto")
    refused = {event.what: event for event in find_audit(archive, AuditQuery(text="signature"))}
    assert refused["sign_in_refused"].more["purpose"] == "signature"
    assert (refused["access_refused"].by, refused["access_refused"].more["address"]) == ("otto", "10.0.0.9")


def test_a_signature_says_who_when_what_it_means_and_of_which_content(archive: Archive) -> None:
    signed = sign(archive)

    [found] = signatures_of(archive, entry(archive))
    assert (found.record, found.signs, found.hash) == (signed.name, "s/1", entry(archive).hash)
    assert (found.by, found.full_name, found.meaning, found.why) == ("ada", "Ada Person-3", "reviewed", "seen")
    assert found.at <= signed.recorded_at and found.fault == ""
    assert signatures_of(archive, entry(archive, 2)) == []
    with pytest.raises(SignatureRefused, match="already"):
        sign(archive)
    assert len(signatures_of(archive, entry(archive))) == 1
    assert verify_archive(archive.folder).problems == []


@pytest.mark.parametrize("change", [{"signs": "s/2"}, {"by": "otto"}, {"meaning": "released"}, {"hash": "0" * 64}])
def test_a_signature_that_was_moved_or_changed_does_not_hold(change: dict[str, str], archive: Archive) -> None:
    signed = sign(archive)
    database = sqlite3.connect(archive.folder / "archive.sqlite")
    database.execute("DROP TRIGGER entries_refuse_update")
    details = json.dumps(dict(signed.details) | change, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    database.execute(
        "UPDATE entries SET details = ? WHERE station = ? AND sequence = ?", (details, AUDIT, signed.sequence)
    )
    database.commit()
    database.close()

    name = change.get("signs", "s/1")
    assert [one for one in signatures_of(archive, entry(archive, int(name[-1]))) if not one.fault] == []
    assert f"{signed.name}, a signature under {name}: is not what was signed" in verify_archive(archive.folder).problems


def test_a_record_changed_after_signing_breaks_its_signature(archive: Archive) -> None:
    signed = sign(archive)
    database = sqlite3.connect(archive.folder / "archive.sqlite")
    database.execute("DROP TRIGGER entries_refuse_update")
    database.execute("UPDATE entries SET outcome = 'PASS', hash = ? WHERE station = 's' AND sequence = 1", ("f" * 64,))
    database.commit()
    database.close()
    [found] = signatures_of(archive, entry(archive))
    assert found.fault == "the record is another than was signed"
    assert any(signed.name in problem for problem in verify_archive(archive.folder).problems)


def test_a_record_whose_content_was_changed_shows_no_signature_that_holds_and_is_not_signed(archive: Archive) -> None:
    sign(archive)
    database = sqlite3.connect(archive.folder / "archive.sqlite")
    database.execute("DROP TRIGGER entries_refuse_update")
    database.execute("UPDATE entries SET outcome = 'PASS' WHERE station = 's' AND sequence = 1")  # with its old hash
    database.commit()
    database.close()
    [found] = signatures_of(archive, entry(archive))
    assert found.fault == "the record is another than was signed"
    with pytest.raises(SignatureRefused, match="was changed"):
        sign(archive, meaning="released")


def test_a_signature_by_another_key_than_the_trusted_or_written_twice_does_not_hold(archive: Archive) -> None:
    """Somebody who can add to the database, and has no key of the archive."""
    genuine, right = sign(archive), signing_key(archive).public_key
    user = find_user(archive, "ada")
    assert user is not None
    own = SigningKey(Ed25519PrivateKey.generate())
    said = signed_statement(own, user, "s/2", entry(archive, 2).hash, "released", "all is well")
    forged = archive.append(Draft("event", unit="u1", batch="B", reason=SIGNED, details=said), AUDIT)
    twice = archive.append(Draft("event", unit="u0", reason=SIGNED, details=genuine.details), AUDIT)
    sign_heads(archive, signing_key(archive))
    assert verify_archive(archive.folder, trust=Trust(frozenset({right}))).problems == [
        f"{forged.name}, a signature under s/2: was signed with another key than the trusted",
        f"{twice.name}, a signature under s/1: stands under {genuine.name} already",
    ]


@pytest.mark.parametrize("meaning", ["approved", "released", "rejected"])
def test_who_does_not_approve_decides_on_nothing_by_signature(archive: Archive, meaning: str) -> None:
    with pytest.raises(SignatureRefused, match="none of their roles permits to approve"):
        sign(archive, meaning=meaning)
    assert signatures_of(archive, entry(archive)) == []


def test_signing_by_the_command_line(archive: Archive, inspection: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = (
        "sign",
        "s/2",
        "--meaning",
        "reviewed",
        "--archive",
        archive.folder,
        "--as",
        "ada",
        "--why",
        "looked at it",
    )
    monkeypatch.setenv("INSPECTION_PASSWORD", "wrong")
    assert "[sign_in_refused]" in inspection(*asked).stderr
    monkeypatch.setenv("INSPECTION_PASSWORD", PASSWORD)
    done = inspection(*asked)
    assert "s/2 reviewed by Ada Person-3" in done.stdout, done.stderr
    assert "[record_missing]" in inspection("sign", "s/9", *asked[2:]).stderr
    assert [found.by for found in signatures_of(archive, entry(archive, 2))] == ["ada"]
