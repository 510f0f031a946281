"""Passwords: hashed with Argon2id (argon2-cffi's defaults, RFC 9106), checked one at a time."""

import secrets
import threading

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, select

from inspection.accounts.policy import Policy
from inspection.errors import InspectionError
from inspection.schema import passwords, users

_hasher = PasswordHasher(type=Type.ID)
# Each takes 64 MiB and a core for a while: a flood of sign-ins must not take the line's.
_one = threading.Lock()
_ABSENT = _hasher.hash("an account that does not exist takes as long as one that does")
MAX_LENGTH = 256


class PasswordRefused(InspectionError):
    """A new password does not fit the rules."""

    code = "password_refused"


def new_password() -> str:
    """A password for somebody who is to change it at once: 80 random bits, easy to read out."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


def hash_password(password: str) -> str:
    """The hash to be stored."""
    with _one:
        return _hasher.hash(password)


def password_fits(hashed: str | None, password: str) -> bool:
    """Whether it is the password. Without a hash the answer is no, and takes as long."""
    with _one:
        try:
            return _hasher.verify(hashed or _ABSENT, password[:MAX_LENGTH]) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False


def check_password(connection: Connection, policy: Policy, name: str, full_name: str, password: str) -> None:
    """Raises PasswordRefused for a password that the rules do not allow."""
    if not policy.password_length <= len(password) <= MAX_LENGTH:
        raise PasswordRefused(f"a password has {policy.password_length} to {MAX_LENGTH} characters")
    lowered = password.lower()
    if any(part in lowered for part in (name.lower(), *full_name.lower().split()) if len(part) > 2):
        raise PasswordRefused("a password does not contain the user's name")
    if len(set(password)) < 5:
        raise PasswordRefused("a password has at least five different characters")
    current = connection.scalar(select(users.c.password_hash).where(users.c.name == name))
    earlier = connection.scalars(
        select(passwords.c.password_hash)
        .where(passwords.c.name == name)
        .order_by(passwords.c.set_at.desc())
        .limit(max(0, policy.password_history - 1))
    ).all()
    if policy.password_history and any(password_fits(hashed, password) for hashed in (current, *earlier) if hashed):
        raise PasswordRefused(f"the password is one of the last {policy.password_history}; choose a new one")
