"""Signing in: password, lock-out, and sessions that expire. Every try is on the audit trail."""

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from inspection.accounts.passwords import check_password, hash_password, password_fits
from inspection.accounts.policy import Policy, read_policy
from inspection.accounts.users import Clock, User, UserMissing, password_expired, user_of, utc_now
from inspection.archive import Archive, Writing
from inspection.audit import audit_draft, record_audit
from inspection.errors import InspectionError
from inspection.records import AUDIT, utc_text
from inspection.schema import passwords, sessions, users

_SEEN_EVERY_S = 60.0  # how exactly a session's last request is noted


class SignInRefused(InspectionError):
    """User name and password do not fit, or the account is locked or disabled. It is not said which."""

    code = "sign_in_refused"


class PasswordExpired(InspectionError):
    """The password must be changed first."""

    code = "password_expired"


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in. `token` is known to their browser alone; the archive has its SHA-256."""

    user: User
    token: str
    must_change: bool


_REFUSED = "user name and password do not fit, or the account is locked or disabled; ask an administrator"


class SignIn:
    """Signs people in to an archive. `clock` says what time it is."""

    def __init__(self, archive: Archive, clock: Clock = utc_now) -> None:
        self._archive, self._clock = archive, clock

    def check(self, name: str, password: str, purpose: str, address: str = "") -> User:
        """The user with this password, who `must_change` it where it is too old; `purpose` and `address` are for the
        audit trail, on which a refusal is and a success is not. Raises SignInRefused and ArchiveFault."""
        with self._archive.reader() as connection:
            row = connection.execute(select(users).where(users.c.name == name)).mappings().first()
        fits = password_fits(row["password_hash"] if row else None, password)
        with self._archive.writing() as write:  # short: the line appends to the same archive
            policy, now = read_policy(write.connection), self._clock()
            user = self._user(write, name)
            why = self._fault(user, fits, now)
            if why:
                more = self._count(write, user, policy, now) if why == "wrong password" and user else {}
                said = name[:64] if user else "an unknown name"  # which may be a password, typed into the wrong field
                draft = audit_draft("sign_in_refused", said, said, why=why, purpose=purpose, address=address, **more)
                write.append([draft], AUDIT)
            elif user and user.failures:
                values = {"failures": 0, "locked_until": None}
                write.connection.execute(update(users).where(users.c.name == name).values(values))
        if why or user is None:
            raise SignInRefused(_REFUSED)
        expired = password_expired(user, policy.password_days, now)
        return replace(user, failures=0, locked_until=None, must_change=expired)

    def refused(self, name: str, why: str, purpose: str, address: str = "") -> None:
        """Put on the trail that a known user was refused something."""
        record_audit(self._archive, audit_draft("access_refused", name, purpose, why=why, address=address))

    def sign_in(self, name: str, password: str, address: str = "") -> Session:
        """Begin a session. Raises SignInRefused and ArchiveFault."""
        return self.begin(self.check(name, password, "sign-in", address), "password", address)

    def begin(self, user: User, how: str, address: str = "") -> Session:
        """Begin the session of a user whose identity was proved. Raises SignInRefused for a disabled or locked one."""
        token = secrets.token_urlsafe(32)
        with self._archive.writing() as write:
            policy, now = read_policy(write.connection), self._clock()
            if self._fault(self._user(write, user.name), True, now):
                raise SignInRefused(_REFUSED)
            ended = 0
            if policy.single_session:
                ended = write.connection.execute(sessions.delete().where(sessions.c.name == user.name)).rowcount
            at = utc_text(now)
            values = {"token_hash": _hash(token), "name": user.name, "created_at": at, "seen_at": at}
            write.connection.execute(sessions.insert().values(values))
            more: dict[str, Any] = {"how": how, "address": address, "ended_sessions": ended or None}
            write.append([audit_draft("signed_in", user.name, user.name, **more)], AUDIT)
            must_change = how == "password" and password_expired(user, policy.password_days, now)
        return Session(user, token, must_change)

    def session(self, token: str, *, seen: bool = True) -> Session | None:
        """The session of a token, or None where there is none (any more). `seen`: somebody asked, which keeps it from
        ending as idle."""
        hashed = _hash(token)
        with self._archive.reader() as connection:
            query = select(sessions, users).join(users, users.c.name == sessions.c.name)
            columns = [sessions.c.created_at.label("began"), sessions.c.seen_at.label("seen"), *users.c]
            query = select(*columns).join(users, users.c.name == sessions.c.name)
            row = connection.execute(query.where(sessions.c.token_hash == hashed)).mappings().first()
            policy, now = read_policy(connection), self._clock()
        if row is None:
            return None
        user = user_of(row)
        oldest = utc_text(now - timedelta(hours=policy.session_hours))
        idle = utc_text(now - timedelta(minutes=policy.idle_minutes))
        if row["began"] < oldest or row["seen"] < idle or not user.active:
            self._end(hashed, user.name, "session_expired")
            return None
        if seen and row["seen"] < utc_text(now - timedelta(seconds=_SEEN_EVERY_S)):
            with self._archive.writing() as write:
                asked = update(sessions).where(sessions.c.token_hash == hashed).values(seen_at=utc_text(now))
                write.connection.execute(asked)
        return Session(user, token, password_expired(user, policy.password_days, now))

    def sign_out(self, token: str) -> None:
        """End a session; one that has ended is no fault."""
        session = self.session(token)
        if session:
            self._end(_hash(token), session.user.name, "signed_out")

    def _end(self, hashed: str, name: str, what: str) -> None:
        with self._archive.writing() as write:
            if write.connection.execute(sessions.delete().where(sessions.c.token_hash == hashed)).rowcount:
                write.append([audit_draft(what, name, name)], AUDIT)

    def change_password(self, name: str, old: str, new: str, address: str = "") -> None:
        """Give oneself another password. Raises SignInRefused, PasswordRefused and ArchiveFault."""
        user = self.check(name, old, "password change", address)
        self._set(user, new, must_change=False, by=name, why="")

    def reset_password(self, name: str, new: str, by: str, why: str) -> None:
        """Give somebody a password that they must change at once; it unlocks. Raises UserMissing, PasswordRefused and
        ArchiveFault."""
        with self._archive.reader() as connection:
            row = connection.execute(select(users).where(users.c.name == name)).mappings().first()
        if row is None:
            raise UserMissing(f"there is no account {name!r}")
        self._set(user_of(row), new, must_change=True, by=by, why=why)

    def _set(self, user: User, password: str, *, must_change: bool, by: str, why: str) -> None:
        with self._archive.reader() as connection:
            check_password(connection, read_policy(connection), user.name, user.full_name, password)
        hashed = hash_password(password)
        with self._archive.writing() as write:
            row = write.connection.execute(select(users).where(users.c.name == user.name)).mappings().one()
            if row["password_hash"]:
                kept = {"name": user.name, "set_at": row["password_set_at"], "password_hash": row["password_hash"]}
                write.connection.execute(passwords.insert().values(kept))
            values = {"password_hash": hashed, "password_set_at": utc_text(self._clock()), "must_change": must_change,
                      "failures": 0, "locked_until": None}  # fmt: skip
            write.connection.execute(update(users).where(users.c.name == user.name).values(values))
            write.connection.execute(sessions.delete().where(sessions.c.name == user.name))
            what = "password_reset" if must_change else "password_changed"
            write.append([audit_draft(what, by, user.name, why=why)], AUDIT)

    def _user(self, write: Writing, name: str) -> User | None:
        row = write.connection.execute(select(users).where(users.c.name == name)).mappings().first()
        return user_of(row) if row else None

    @staticmethod
    def _fault(user: User | None, fits: bool, now: datetime) -> str:
        if user is None:
            return "no such account"
        if not user.active:
            return "the account is disabled"
        if user.locked(now):
            return "the account is locked"
        return "" if fits else "wrong password"

    @staticmethod
    def _count(write: Writing, user: User, policy: Policy, now: datetime) -> dict[str, object]:
        failures = user.failures + 1
        locked = utc_text(now + timedelta(minutes=policy.lock_minutes)) if failures >= policy.failures else None
        values = {"failures": 0 if locked else failures, "locked_until": locked}
        write.connection.execute(update(users).where(users.c.name == user.name).values(values))
        return {"failures": failures} | ({"locked_until": locked} if locked else {})


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
