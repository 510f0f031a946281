"""Tokens: how machines are known. A token is shown once, when it is made; the archive has its SHA-256."""

import hashlib
import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from inspection.accounts.policy import read_policy
from inspection.accounts.roles import Permission, read_scopes
from inspection.accounts.users import Clock, utc_now
from inspection.archive import Archive
from inspection.audit import audit_draft
from inspection.errors import InspectionError
from inspection.records import AUDIT, utc_text
from inspection.schema import tokens

_NAME = re.compile(r"[a-z][a-z0-9._-]{1,62}")
_PREFIX = "insp_"  # so that scanners of repositories and logs can know one


class TokenInvalid(InspectionError):
    """A token cannot be made or revoked like that."""

    code = "token_invalid"


@dataclass(frozen=True)
class Token:
    """A machine's token as the archive knows it."""

    name: str
    scopes: tuple[Permission, ...]
    created_by: str
    created_at: str
    expires_at: str
    revoked_at: str | None

    def described(self) -> dict[str, Any]:
        """Plain values."""
        return vars(self) | {"scopes": list(self.scopes)}


def create_token(
    archive: Archive, name: str, scopes: Iterable[str], by: str, why: str, days: int | None = None,
    clock: Clock = utc_now,
) -> str:  # fmt: skip
    """Make a token that lasts `days` (default: as long as the policy allows); its text. Raises TokenInvalid,
    RoleUnknown and ArchiveFault."""
    if not _NAME.fullmatch(name):
        raise TokenInvalid(f"{name!r} is no token's name; it has 2 to 63 small letters, digits, dots and dashes")
    granted = read_scopes(scopes)
    text = _PREFIX + secrets.token_urlsafe(32)
    with archive.writing() as write:
        most, now = read_policy(write.connection).token_days, clock()
        if not 1 <= (days or most) <= most:
            raise TokenInvalid(f"a token lasts 1 to {most} days, not {days}")
        if write.connection.scalar(select(tokens.c.name).where(tokens.c.name == name)):
            raise TokenInvalid(f"there is a token {name!r} already; names are never used twice")
        expires = utc_text(now + timedelta(days=days or most))
        values = {"name": name, "token_hash": _hash(text), "scopes": json.dumps(granted), "created_by": by,
                  "created_at": utc_text(now), "expires_at": expires, "revoked_at": None}  # fmt: skip
        write.connection.execute(tokens.insert().values(values))
        new = {"scopes": list(granted), "expires_at": expires}
        write.append([audit_draft("token_created", by, name, new=new, why=why)], AUDIT)
    return text


def revoke_token(archive: Archive, name: str, by: str, why: str, clock: Clock = utc_now) -> None:
    """Let a token be worth nothing. Raises TokenInvalid and ArchiveFault."""
    with archive.writing() as write:
        at = utc_text(clock())
        alive = update(tokens).where(tokens.c.name == name, tokens.c.revoked_at.is_(None)).values(revoked_at=at)
        if not write.connection.execute(alive).rowcount:
            raise TokenInvalid(f"there is no token {name!r} that could be revoked")
        write.append([audit_draft("token_revoked", by, name, why=why)], AUDIT)


def list_tokens(archive: Archive) -> list[Token]:
    """All tokens by name, those that are worth nothing any more among them."""
    with archive.reader() as connection:
        return [_token(row) for row in connection.execute(select(tokens).order_by(tokens.c.name)).mappings()]


def find_token(archive: Archive, text: str, clock: Clock = utc_now) -> Token | None:
    """The token with this text, or None where there is none that counts."""
    with archive.reader() as connection:
        row = connection.execute(select(tokens).where(tokens.c.token_hash == _hash(text))).mappings().first()
    if row is None or row["revoked_at"] or row["expires_at"] <= utc_text(clock()):
        return None
    return _token(row)


def _token(row: Any) -> Token:
    values = {key: row[key] for key in Token.__dataclass_fields__}
    return Token(**values | {"scopes": tuple(Permission(scope) for scope in json.loads(row["scopes"]))})


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
