"""Named users: made, changed, locked and unlocked, each with an event on the audit trail in the same transaction."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, update

from inspection.accounts.passwords import check_password, hash_password
from inspection.accounts.policy import read_policy
from inspection.accounts.roles import Permission, Role, permitted, read_roles
from inspection.archive import Archive, Writing
from inspection.audit import audit_draft
from inspection.errors import InspectionError
from inspection.records import AUDIT, utc_text
from inspection.schema import sessions, users

_NAME = re.compile(r"[a-z][a-z0-9._-]{1,62}")
_SHARED = frozenset({"admin", "administrator", "root", "user", "operator", "quality", "qa", "test", "guest", "system",
                     "shared", "line", "engineer", "reviewer", "auditor"})  # fmt: skip
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


class UserInvalid(InspectionError):
    """An account cannot be made or changed like that."""

    code = "user_invalid"


class UserMissing(InspectionError):
    """There is no such account."""

    code = "user_missing"


@dataclass(frozen=True)
class User:
    """An account as it is now. `state` says in a word whether one can sign in with it."""

    name: str
    full_name: str
    roles: tuple[Role, ...]
    active: bool
    must_change: bool
    password_set_at: str | None
    locked_until: str | None
    failures: int
    oidc_subject: str | None
    created_at: str

    @property
    def permissions(self) -> frozenset[Permission]:
        """What this user may do."""
        return permitted(self.roles) if self.active else frozenset()

    def locked(self, now: datetime) -> bool:
        """Whether too many wrong passwords have locked it."""
        return self.locked_until is not None and self.locked_until > utc_text(now)

    def state(self, now: datetime) -> str:
        """`active`, `locked` or `disabled`."""
        return "disabled" if not self.active else "locked" if self.locked(now) else "active"

    def described(self) -> dict[str, Any]:
        """Plain values for people and machines."""
        return {
            "name": self.name, "full_name": self.full_name, "roles": list(self.roles), "state": self.state(utc_now()),
            "must_change_password": self.must_change, "password_set_at": self.password_set_at,
            "oidc_subject": self.oidc_subject, "created_at": self.created_at,
        }  # fmt: skip


def user_of(row: Mapping[Any, Any]) -> User:
    """The account in a row."""
    values = {key: row[key] for key in User.__dataclass_fields__}
    return User(**values | {"roles": tuple(Role(name) for name in json.loads(row["roles"]))})


def find_user(archive: Archive, name: str) -> User | None:
    """An account, or None."""
    with archive.reader() as connection:
        row = connection.execute(select(users).where(users.c.name == name)).mappings().first()
    return user_of(row) if row else None


def list_users(archive: Archive) -> list[User]:
    """All accounts by name."""
    with archive.reader() as connection:
        return [user_of(row) for row in connection.execute(select(users).order_by(users.c.name)).mappings()]


def has_users(archive: Archive) -> bool:
    """Whether anybody has an account yet."""
    with archive.reader() as connection:
        return connection.execute(select(users.c.name).limit(1)).first() is not None


def create_user(
    archive: Archive, name: str, full_name: str, roles: Iterable[str], password: str, by: str, why: str = "",
    *, oidc_subject: str | None = None,
) -> User:  # fmt: skip
    """Make an account whose password must be changed at the first sign-in. Raises UserInvalid, RoleUnknown,
    PasswordRefused and ArchiveFault."""
    return _create(archive, name, full_name, read_roles(roles), password, by, why, oidc_subject, first=False)


def create_first(archive: Archive, name: str, full_name: str, password: str) -> User:
    """Make the first account, an administrator's, with a password of their own. Raises as `create_user`, and
    UserInvalid where there is one already."""
    return _create(archive, name, full_name, (Role.ADMINISTRATOR,), password, name, "first start", None, first=True)


def _create(
    archive: Archive, name: str, full_name: str, roles: tuple[Role, ...], password: str, by: str, why: str,
    oidc_subject: str | None, *, first: bool,
) -> User:  # fmt: skip
    if not _NAME.fullmatch(name):
        raise UserInvalid(f"{name!r} is no user name; it has 2 to 63 small letters, digits, dots and dashes")
    if name in _SHARED:
        raise UserInvalid(f"{name!r} names a function and no person; accounts are not shared: take the person's name")
    if len(full_name.split()) < 2 or len(full_name) > 128:
        raise UserInvalid(f"{full_name!r} is no full name; give first and last name, up to 128 characters")
    with archive.reader() as connection:
        check_password(connection, read_policy(connection), name, full_name, password)
    hashed = hash_password(password)
    with archive.writing() as write:
        if first and write.connection.scalar(select(func.count()).select_from(users)):
            raise UserInvalid("this archive has accounts already; ask an administrator for one")
        _free(write.connection, name, oidc_subject)
        now = utc_text()
        values = {
            "name": name, "full_name": full_name, "roles": json.dumps(roles), "password_hash": hashed,
            "password_set_at": now, "must_change": not first, "active": True, "failures": 0, "locked_until": None,
            "oidc_subject": oidc_subject, "created_at": now,
        }  # fmt: skip
        write.connection.execute(users.insert().values(values))
        new = {"full_name": full_name, "roles": list(roles), "oidc_subject": oidc_subject}
        write.append([audit_draft("user_created", by, name, new=new, why=why)], AUDIT)
        return user_of(values)


def _free(connection: Connection, name: str, oidc_subject: str | None) -> None:
    if connection.scalar(select(users.c.name).where(users.c.name == name)):
        raise UserInvalid(f"there is an account {name!r} already; names are never used twice")
    if oidc_subject and connection.scalar(select(users.c.name).where(users.c.oidc_subject == oidc_subject)):
        raise UserInvalid(f"the identity {oidc_subject!r} has an account already")


def change_user(
    archive: Archive, name: str, by: str, why: str, *, full_name: str | None = None, roles: Iterable[str] | None = None,
    active: bool | None = None, oidc_subject: str | None = None,
) -> User:  # fmt: skip
    """Change what is given. Nobody changes their own roles, and one administrator always remains. Raises UserInvalid,
    UserMissing, RoleUnknown and ArchiveFault."""
    wanted: dict[str, Any] = {"full_name": full_name, "active": active, "oidc_subject": oidc_subject}
    if roles is not None:
        wanted["roles"] = read_roles(roles)
    wanted = {key: value for key, value in wanted.items() if value is not None}
    with archive.writing() as write:
        user = _existing(write, name)
        changes = {key: value for key, value in wanted.items() if value != getattr(user, key)}
        if not changes:
            return user
        if name == by and {"roles", "active"} & set(changes):
            raise UserInvalid("nobody changes their own roles or disables their own account; ask another administrator")
        if Role.ADMINISTRATOR in user.roles and _last_administrator(write.connection, name, changes):
            raise UserInvalid(f"{name} is the last administrator; make another one first")
        if "oidc_subject" in changes:
            _free(write.connection, "", changes["oidc_subject"])
        values = changes | ({"roles": json.dumps(changes["roles"])} if "roles" in changes else {})
        write.connection.execute(update(users).where(users.c.name == name).values(values))
        if changes.get("active") is False or "roles" in changes:
            write.connection.execute(sessions.delete().where(sessions.c.name == name))
        old = {key: getattr(user, key) for key in changes}
        write.append([audit_draft("user_changed", by, name, old=old, new=changes, why=why)], AUDIT)
        return _existing(write, name)


def unlock_user(archive: Archive, name: str, by: str, why: str) -> User:
    """Let a locked account sign in again. Raises UserMissing and ArchiveFault."""
    with archive.writing() as write:
        user = _existing(write, name)
        write.connection.execute(update(users).where(users.c.name == name).values(failures=0, locked_until=None))
        old = {"failures": user.failures, "locked_until": user.locked_until}
        write.append([audit_draft("user_unlocked", by, name, old=old, why=why)], AUDIT)
        return _existing(write, name)


def password_expired(user: User, days: int, now: datetime) -> bool:
    """Whether the password must be changed before anything else."""
    if user.must_change or user.password_set_at is None:
        return True
    return days > 0 and user.password_set_at < utc_text(now - timedelta(days=days))


def _existing(write: Writing, name: str) -> User:
    row = write.connection.execute(select(users).where(users.c.name == name)).mappings().first()
    if row is None:
        raise UserMissing(f"there is no account {name!r}")
    return user_of(row)


def _last_administrator(connection: Connection, name: str, changes: Mapping[str, Any]) -> bool:
    stays = changes.get("active", True) and Role.ADMINISTRATOR in changes.get("roles", (Role.ADMINISTRATOR,))
    if stays:
        return False
    others = connection.execute(select(users).where(users.c.name != name, users.c.active)).mappings()
    return not any(Role.ADMINISTRATOR in user_of(row).roles for row in others)
