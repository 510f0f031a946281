"""Accounts: named people, passwords that are kept well, lock-out, and every change on the audit trail."""

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.accounts.authorise import authorise
from inspection.accounts.passwords import PasswordRefused
from inspection.accounts.policy import change_policy
from inspection.accounts.roles import (
    PERMITTED,
    SCOPES,
    Permission,
    Role,
    RoleUnknown,
    permitted,
    read_roles,
    read_scopes,
)
from inspection.accounts.sign_in import PasswordExpired, SignIn, SignInRefused
from inspection.accounts.tokens import TokenInvalid, create_token, find_token, revoke_token
from inspection.accounts.users import UserInvalid, change_user, create_first, create_user, find_user, unlock_user
from inspection.archive import Archive
from inspection.audit import AuditQuery, find_audit
from inspection.config import ConfigInvalid
from inspection.signatures import SignatureRefused, Signer
from inspection.verify import verify_archive
from tests.people import PASSWORD, forget_ages, people

Run = Callable[..., subprocess.CompletedProcess[str]]
OTHER = "Seven-Green-Bottles-12"


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """With an administrator, an operator and an auditor."""
    people(tmp_path / "archive", otto="operator", aude="auditor")
    with Archive(tmp_path / "archive") as opened:
        yield opened


def trail(archive: Archive, what: str) -> list[tuple[str, str]]:
    return [(event.by, event.subject) for event in find_audit(archive, AuditQuery(what=what))]


# Bad input first: a sentence, and nothing changes.


@pytest.mark.parametrize(
    "name", ["", "a", "Otto", "otto meier", "../x", "otto/1", "o" * 70, "admin", "operator", "qa", "line"]
)
def test_a_name_that_is_no_person_s_is_refused(name: str, archive: Archive) -> None:
    with pytest.raises(UserInvalid):
        create_user(archive, name, "Some Body", ["operator"], OTHER, "root.person")
    assert find_user(archive, name) is None


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("short", "12 to 256"),
        ("x" * 300, "12 to 256"),
        ("my-otto2-is-great", "user's name"),
        ("the-meier-family-1", "user's name"),
        ("aaaaaaaaaaaaaaaa", "five different"),
    ],
)
def test_a_weak_password_is_refused(password: str, said: str, archive: Archive) -> None:
    with pytest.raises(PasswordRefused, match=said):
        create_user(archive, "otto2", "Otto Meier", ["operator"], password, "root.person")
    assert find_user(archive, "otto2") is None


@pytest.mark.parametrize("roles", [[], ["boss"], ["administrator", "quality"], ["administrator", "operator"]])
def test_roles_that_are_none_or_do_not_go_together_are_refused(roles: list[str], archive: Archive) -> None:
    with pytest.raises(RoleUnknown):
        create_user(archive, "otto2", "Otto Two", roles, OTHER, "root.person")
    with pytest.raises(RoleUnknown):
        change_user(archive, "otto", "root.person", "test", roles=roles)


def test_names_and_identities_are_never_used_twice(archive: Archive) -> None:
    create_user(archive, "ina", "Ina Two", ["operator"], OTHER, "root.person", oidc_subject="s-1")
    with pytest.raises(UserInvalid, match="already"):
        create_user(archive, "ina", "Ina Three", ["operator"], PASSWORD, "root.person")
    with pytest.raises(UserInvalid, match="already"):
        create_user(archive, "ida", "Ida Three", ["operator"], OTHER, "root.person", oidc_subject="s-1")


def test_there_is_one_first_account_and_no_default_one(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        for name, password in (("root", "root"), ("admin", "admin"), ("admin", "")):
            with pytest.raises(SignInRefused):
                SignIn(archive).check(name, password, "guess")
        create_first(archive, "vera", "Vera Winter", PASSWORD)
        with pytest.raises(UserInvalid, match="accounts already"):
            create_first(archive, "mallory", "Mallory Winter", PASSWORD)


def test_nobody_changes_their_own_roles_and_an_administrator_remains(archive: Archive) -> None:
    with pytest.raises(UserInvalid, match="their own"):
        change_user(archive, "root.person", "root.person", "more", roles=["quality"])
    with pytest.raises(UserInvalid, match="last administrator"):
        change_user(archive, "root.person", "somebody", "less", active=False)
    create_user(archive, "vera", "Vera Winter", ["administrator"], OTHER, "root.person")
    change_user(archive, "root.person", "vera", "left the plant", active=False)
    with pytest.raises(UserInvalid, match="last administrator"):
        change_user(archive, "vera", "root.person", "less", roles=["auditor"])


# What holds.


def test_every_role_permits_what_it_says_and_only_people_sign_and_approve() -> None:
    assert set(PERMITTED) == set(Role)
    assert set().union(*PERMITTED.values()) == set(Permission)
    for permission in (
        Permission.REVIEW,
        Permission.SIGN,
        Permission.APPROVE,
        Permission.ADMINISTER,
        Permission.RETAIN,
    ):
        assert permission not in SCOPES
        with pytest.raises(RoleUnknown):
            read_scopes([permission])
    assert PERMITTED[Role.AUDITOR] == {Permission.VIEW, Permission.AUDIT}
    for role, can in PERMITTED.items():
        assert not {Permission.ADMINISTER, Permission.APPROVE} <= can, role


@given(st.sets(st.sampled_from([role for role in Role if role is not Role.ADMINISTRATOR]), min_size=1))
@settings(deadline=None)
def test_several_roles_permit_what_any_of_them_does(roles: set[Role]) -> None:
    assert permitted(read_roles(roles)) == set().union(*(PERMITTED[role] for role in roles))


@pytest.mark.usefixtures("archive")
def test_passwords_are_kept_as_argon2id_and_nowhere_in_clear(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "archive" / "archive.sqlite") as database:
        hashes = [row[0] for row in database.execute("SELECT password_hash FROM users")]
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert all(hashed.startswith("$argon2id$") for hashed in hashes)
    everything = b"".join(path.read_bytes() for path in (tmp_path / "archive").rglob("*") if path.is_file())
    assert PASSWORD.encode() not in everything


def test_a_password_s_hash_costs_what_rfc_9106_says() -> None:
    """In a process of its own, for the tests' own hashes at the least cost."""
    words = "from inspection.accounts.passwords import hash_password; print(hash_password('Quiet-River-Stone-47'))"
    hashed = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_too_many_wrong_passwords_lock_the_account_for_a_while(archive: Archive, clock: Clock) -> None:
    door = SignIn(archive, clock)
    for _ in range(5):
        with pytest.raises(SignInRefused):
            door.sign_in("otto", "wrong", "10.0.0.7")
    with pytest.raises(SignInRefused):
        door.sign_in("otto", PASSWORD)
    clock.later(minutes=16)
    assert door.sign_in("otto", PASSWORD).user.name == "otto"
    whys = [
        event.more["address"] for event in find_audit(archive, AuditQuery(what="sign_in_refused", text="wrong pass"))
    ]
    assert whys == ["10.0.0.7"] * 5


def test_a_right_password_in_time_forgets_the_wrong_ones(archive: Archive, clock: Clock) -> None:
    door = SignIn(archive, clock)
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(SignInRefused):
                door.sign_in("otto", "wrong")
        door.sign_in("otto", PASSWORD)


def test_an_administrator_unlocks(archive: Archive, clock: Clock) -> None:
    door = SignIn(archive, clock)
    for _ in range(5):
        with pytest.raises(SignInRefused):
            door.sign_in("otto", "wrong")
    unlock_user(archive, "otto", "root.person", "it was him")
    door.sign_in("otto", PASSWORD)
    assert trail(archive, "user_unlocked") == [("root.person", "otto")]


def test_unknown_disabled_and_wrong_are_told_apart_on_the_trail_alone(archive: Archive) -> None:
    change_user(archive, "aude", "root.person", "left", active=False)
    said = set()
    for name, password in (("nobody", PASSWORD), ("aude", PASSWORD), ("otto", "wrong")):
        with pytest.raises(SignInRefused) as raised:
            SignIn(archive).sign_in(name, password)
        said.add(str(raised.value))
    assert len(said) == 1
    events = list(find_audit(archive, AuditQuery(what="sign_in_refused")))
    assert [event.why for event in events] == ["wrong password", "the account is disabled", "no such account"]
    assert "nobody" not in json.dumps([vars(event) for event in events])  # it may have been a password


def test_sessions_end_when_idle_when_old_and_when_another_begins(archive: Archive, clock: Clock) -> None:
    door = SignIn(archive, clock)
    token = door.sign_in("otto", PASSWORD).token
    for _ in range(20):
        clock.later(minutes=29)
        assert door.session(token) is not None
    clock.later(minutes=31)
    assert door.session(token) is None
    token = door.sign_in("otto", PASSWORD).token
    for _ in range(26):
        clock.later(minutes=29)
        ended = door.session(token) is None
    assert ended, "a session lasts twelve hours at most"
    first, second = (door.sign_in("otto", PASSWORD).token for _ in range(2))
    assert door.session(first) is None
    assert door.session(second) is not None
    door.sign_out(second)
    assert door.session(second) is None
    assert len(trail(archive, "session_expired")) == 2
    assert trail(archive, "signed_out") == [("otto", "otto")]


def test_a_page_that_only_listens_does_not_keep_a_session_alive(archive: Archive, clock: Clock) -> None:
    door = SignIn(archive, clock)
    token = door.sign_in("otto", PASSWORD).token
    clock.later(minutes=29)
    assert door.session(token, seen=False) is not None
    clock.later(minutes=2)
    assert door.session(token, seen=False) is None


def test_a_session_s_token_is_not_in_the_archive(archive: Archive, tmp_path: Path) -> None:
    token = SignIn(archive).sign_in("otto", PASSWORD).token
    with sqlite3.connect(tmp_path / "archive" / "archive.sqlite") as database:
        assert database.execute("SELECT token_hash FROM sessions").fetchall() == [
            (hashlib.sha256(token.encode()).hexdigest(),)
        ]


def test_changed_roles_and_a_disabled_account_end_sessions(archive: Archive) -> None:
    door = SignIn(archive)
    for change in ({"roles": ["reviewer"]}, {"active": False}):
        token = door.sign_in("otto", PASSWORD).token
        change_user(archive, "otto", "root.person", "test", **change)  # type: ignore[arg-type]
        assert door.session(token) is None


def test_old_and_given_passwords_must_be_changed_and_not_to_a_recent_one(archive: Archive, tmp_path: Path) -> None:
    door = SignIn(archive)
    assert not door.sign_in("otto", PASSWORD).must_change
    forget_ages(tmp_path / "archive")
    assert door.sign_in("otto", PASSWORD).must_change
    with pytest.raises(PasswordRefused, match="last 5"):
        door.change_password("otto", PASSWORD, PASSWORD)
    door.change_password("otto", PASSWORD, OTHER)
    with pytest.raises(PasswordRefused, match="last 5"):
        door.change_password("otto", OTHER, PASSWORD)
    assert not door.sign_in("otto", OTHER).must_change
    door.reset_password("otto", "A-New-One-For-You-9", "root.person", "forgotten")
    assert door.sign_in("otto", "A-New-One-For-You-9").must_change


def test_with_a_password_that_is_too_old_nobody_signs_or_administers(archive: Archive, tmp_path: Path) -> None:
    people(tmp_path / "archive", quinn="quality")
    forget_ages(tmp_path / "archive")
    with pytest.raises(SignatureRefused, match="must change the password"):
        Signer(SignIn(archive), "quinn", PASSWORD).prove(Permission.SIGN, "looked at it")
    with pytest.raises(PasswordExpired, match="must change the password"):
        authorise(archive, "root.person", PASSWORD, Permission.ADMINISTER, "test")


def test_every_change_of_an_account_is_on_the_trail_with_old_and_new(archive: Archive) -> None:
    change_user(archive, "otto", "root.person", "moved to QA", roles=["reviewer"], full_name="Otto Neumann")
    change_policy(archive, {"failures": 3}, "root.person", "stricter")

    changed = next(find_audit(archive, AuditQuery(what="user_changed")))
    assert (changed.by, changed.subject, changed.why) == ("root.person", "otto", "moved to QA")
    assert changed.old == {"full_name": "Otto Person-4", "roles": ["operator"]}
    assert changed.new == {"full_name": "Otto Neumann", "roles": ["reviewer"]}
    rules = next(find_audit(archive, AuditQuery(what="policy_changed")))
    assert (rules.old, rules.new) == ({"failures": 5}, {"failures": 3})
    assert verify_archive(archive.folder).problems == []


@pytest.mark.parametrize("rules", [{"password_length": 4}, {"failures": 0}, {"lenght": 12}, {"idle_minutes": "soon"}])
def test_rules_that_make_no_sense_are_refused(rules: dict[str, object], archive: Archive) -> None:
    with pytest.raises(ConfigInvalid):
        change_policy(archive, rules, "root.person", "test")
    assert trail(archive, "policy_changed") == []


def test_a_token_is_known_by_its_text_until_it_is_revoked_or_old(archive: Archive, clock: Clock) -> None:
    text = create_token(archive, "plc-1", ["inspect"], "root.person", "line 1", days=10, clock=clock)
    found = find_token(archive, text, clock)
    assert found is not None and found.scopes == (Permission.INSPECT,)
    assert find_token(archive, text + "x", clock) is None
    clock.later(days=11)
    assert find_token(archive, text, clock) is None
    other = create_token(archive, "plc-2", ["inspect"], "root.person", "line 2", clock=clock)
    revoke_token(archive, "plc-2", "root.person", "stolen", clock)
    assert find_token(archive, other, clock) is None
    for name, days in (("plc-1", None), ("PLC", None), ("plc-3", 9999)):
        with pytest.raises(TokenInvalid):
            create_token(archive, name, ["inspect"], "root.person", "again", days=days)
    with pytest.raises(TokenInvalid):
        revoke_token(archive, "plc-2", "root.person", "again")


# The command line.


def test_accounts_by_the_command_line(tmp_path: Path, inspection: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "archive"
    monkeypatch.setenv("INSPECTION_PASSWORD", PASSWORD)
    asked = ("--archive", folder, "--as", "vera", "--why", "new line")
    assert inspection("user", "setup", "vera", "--full-name", "Vera Winter", "--archive", folder).returncode == 0
    done = inspection("user", "add", "otto", "--full-name", "Otto Meier", "--role", "operator", *asked)
    assert done.returncode == 0, done.stderr
    first = done.stdout.split("first password: ")[1].strip()
    with Archive(folder) as archive:
        assert SignIn(archive).sign_in("otto", first).must_change
    token = inspection("token", "create", "plc", "--scope", "inspect", *asked).stdout.strip()
    with Archive(folder, read_only=True) as archive:
        assert find_token(archive, token)
    assert inspection("user", "change", "otto", "--role", "reviewer", *asked).returncode == 0
    listed = inspection("user", "list", "--archive", folder).stdout
    assert "otto (Otto Meier): reviewer; active, must change the password" in listed
    assert "password_days: 60" in inspection("policy", "--set", "password_days=60", *asked).stdout
    assert inspection("token", "revoke", "plc", *asked).returncode == 0
    told = inspection("audit", "--archive", folder, "--by", "vera").stdout
    assert [line.split("  ")[2] for line in told.splitlines()] == [
        "token_revoked", "policy_changed", "user_changed", "token_created", "user_created", "user_created"
    ]  # fmt: skip
    assert token not in told and first not in told

    monkeypatch.setenv("INSPECTION_PASSWORD", "wrong")
    done = inspection("user", "change", "otto", "--disable", *asked)
    assert done.returncode == 1 and "[sign_in_refused]" in done.stderr
