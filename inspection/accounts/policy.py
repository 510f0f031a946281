"""The rules of accounts, as an administrator sets them."""

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, select

from inspection.archive import Archive
from inspection.audit import audit_draft
from inspection.config import validate
from inspection.records import AUDIT
from inspection.schema import settings

_NAME = "policy"


class Policy(BaseModel):
    """A password has at least `password_length` characters, is none of the last `password_history`, and must be changed
    after `password_days` (0: never). After `failures` wrong ones in a row an account is locked for `lock_minutes`. A
    session ends after `idle_minutes` without a request, and after `session_hours` in any case; with `single_session` a
    new one ends the one before, so that an account cannot be shared unnoticed. A token lasts `token_days` at most."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    password_length: int = Field(default=12, ge=12, le=128)
    password_history: int = Field(default=5, ge=0, le=24)
    password_days: int = Field(default=90, ge=0, le=3650)
    failures: int = Field(default=5, ge=1, le=20)
    lock_minutes: int = Field(default=15, ge=1, le=24 * 60)
    idle_minutes: int = Field(default=30, ge=1, le=24 * 60)
    session_hours: int = Field(default=12, ge=1, le=24)
    single_session: bool = True
    token_days: int = Field(default=365, ge=1, le=3650)


def read_policy(connection: Connection) -> Policy:
    """The rules in force."""
    value = connection.scalar(select(settings.c.value).where(settings.c.name == _NAME))
    return Policy.model_validate_json(value) if value else Policy()


def change_policy(archive: Archive, changes: dict[str, object], by: str, why: str) -> Policy:
    """Change some of the rules. Raises ConfigInvalid and ArchiveFault."""
    with archive.writing() as write:
        old = read_policy(write.connection)
        new = validate(old.model_dump() | changes, Policy, "policy")
        differing = {key for key, value in new.model_dump().items() if value != getattr(old, key)}
        if differing:
            write.connection.execute(settings.delete().where(settings.c.name == _NAME))
            write.connection.execute(settings.insert().values(name=_NAME, value=new.model_dump_json()))
            was, now = (rules.model_dump(include=differing) for rules in (old, new))
            write.append([audit_draft("policy_changed", by, "policy", old=was, new=now, why=why)], AUDIT)
    return new
