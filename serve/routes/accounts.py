"""Users, tokens and the rules of accounts, for administrators."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from inspection.accounts.passwords import PasswordRefused
from inspection.accounts.policy import Policy, change_policy, read_policy
from inspection.accounts.roles import Permission, RoleUnknown
from inspection.accounts.tokens import TokenInvalid, create_token, list_tokens, revoke_token
from inspection.accounts.users import UserInvalid, UserMissing, change_user, create_user, list_users, unlock_user
from inspection.config import ConfigInvalid
from inspection.errors import InspectionError
from serve.authentication import Who
from serve.deps import Allowed, ArchiveDep, AuthenticationDep, allow
from serve.problems import Problem
from serve.routes.control import Why
from serve.routes.session import Password

router = APIRouter(prefix="/api", tags=["accounts"])
Administrator = Annotated[Who, Depends(Allowed(Permission.ADMINISTER))]
_REFUSED = {UserMissing: 404, UserInvalid: 422, RoleUnknown: 422, PasswordRefused: 422, TokenInvalid: 422,
            ConfigInvalid: 422}  # fmt: skip
T = TypeVar("T")


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    why: Why


class NewUser(_Asked):
    """An account to be made; its password must be changed at the first sign-in."""

    name: str = Field(max_length=64)
    full_name: str = Field(max_length=128)
    roles: list[str] = Field(max_length=6)
    password: Password
    oidc_subject: str | None = Field(default=None, min_length=1, max_length=256)


class UserChanges(_Asked):
    """What is to be changed of an account."""

    full_name: str | None = Field(default=None, max_length=128)
    roles: list[str] | None = Field(default=None, max_length=6)
    active: bool | None = None
    oidc_subject: str | None = Field(default=None, min_length=1, max_length=256)


class Reason(_Asked):
    """Why."""


class PasswordReset(_Asked):
    """A password that must be changed at once."""

    password: Password


class NewToken(_Asked):
    """A token to be made."""

    name: str = Field(max_length=64)
    scopes: list[str] = Field(max_length=16)
    days: int | None = Field(default=None, ge=1, le=3650)


class PolicyChanges(_Asked):
    """Rules to be changed."""

    rules: dict[str, int | bool] = Field(max_length=32)


@router.get("/users", dependencies=[allow(Permission.ADMINISTER)])
def users(archive: ArchiveDep) -> list[dict[str, Any]]:
    """All accounts."""
    return [user.described() for user in list_users(archive)]


@router.post("/users", status_code=201)
def add_user(asked: NewUser, archive: ArchiveDep, who: Administrator) -> dict[str, Any]:
    """Make an account."""
    made = _or_problem(lambda: create_user(
        archive, asked.name, asked.full_name, asked.roles, asked.password, who.name, asked.why,
        oidc_subject=asked.oidc_subject,
    ))  # fmt: skip
    return made.described()


@router.patch("/users/{name}")
def edit_user(name: str, asked: UserChanges, archive: ArchiveDep, who: Administrator) -> dict[str, Any]:
    """Change an account. Its sessions end where its roles change or it is disabled."""
    changed = _or_problem(lambda: change_user(
        archive, name, who.name, asked.why, full_name=asked.full_name, roles=asked.roles, active=asked.active,
        oidc_subject=asked.oidc_subject,
    ))  # fmt: skip
    return changed.described()


@router.post("/users/{name}/unlock")
def unlock(name: str, asked: Reason, archive: ArchiveDep, who: Administrator) -> dict[str, Any]:
    """Let an account that too many wrong passwords have locked sign in again."""
    return _or_problem(lambda: unlock_user(archive, name, who.name, asked.why)).described()


@router.post("/users/{name}/password", status_code=204)
def reset_password(name: str, asked: PasswordReset, authentication: AuthenticationDep, who: Administrator) -> None:
    """Give an account a password that must be changed at the next sign-in."""
    _or_problem(lambda: authentication.sign_in.reset_password(name, asked.password, who.name, asked.why))


@router.get("/tokens", dependencies=[allow(Permission.ADMINISTER)])
def tokens(archive: ArchiveDep) -> list[dict[str, Any]]:
    """All tokens, never their text."""
    return [token.described() for token in list_tokens(archive)]


@router.post("/tokens", status_code=201)
def add_token(asked: NewToken, archive: ArchiveDep, who: Administrator) -> dict[str, str]:
    """Make a token; its text is in this answer and nowhere else."""
    text = _or_problem(lambda: create_token(archive, asked.name, asked.scopes, who.name, asked.why, asked.days))
    return {"name": asked.name, "token": text}


@router.delete("/tokens/{name}", status_code=204)
def remove_token(name: str, asked: Reason, archive: ArchiveDep, who: Administrator) -> None:
    """Let a token be worth nothing; the service notices within five seconds."""
    _or_problem(lambda: revoke_token(archive, name, who.name, asked.why))


@router.get("/policy", dependencies=[allow(Permission.ADMINISTER)])
def policy(archive: ArchiveDep) -> Policy:
    """The rules of accounts."""
    with archive.reader() as connection:
        return read_policy(connection)


@router.patch("/policy")
def edit_policy(asked: PolicyChanges, archive: ArchiveDep, who: Administrator) -> Policy:
    """Change rules of accounts."""
    return _or_problem(lambda: change_policy(archive, dict(asked.rules), who.name, asked.why))


def _or_problem(do: Callable[[], T]) -> T:
    try:
        return do()
    except InspectionError as error:
        status = _REFUSED.get(type(error))
        if status is None:
            raise
        raise Problem(status, error.code, str(error)) from error
