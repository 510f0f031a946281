"""Signing in and out, one's own password, and the first account of a new archive."""

import threading
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from inspection.accounts.passwords import MAX_LENGTH, PasswordRefused
from inspection.accounts.sign_in import Session, SignInRefused
from inspection.accounts.users import UserInvalid, create_first, has_users
from inspection.signatures import MEANINGS
from serve.authentication import Authentication, own_page
from serve.deps import AddressDep, ArchiveDep, AuthenticationDep, SessionDep
from serve.first_start import FirstStart, FirstStartRefused
from serve.problems import Problem

router = APIRouter(prefix="/api", tags=["session"])
_Name = Annotated[str, Field(min_length=1, max_length=64)]
# Passwords are checked one after the other: whoever floods this call must not take the threads that answer others.
_trying = threading.BoundedSemaphore(8)
Password = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Credentials(_Asked):
    """User name and password."""

    name: _Name
    password: Password


class NewPassword(_Asked):
    """One's own password: the old and the new one."""

    old: Password
    new: Password


class FirstAccount(_Asked):
    """The first administrator, with the code that the service wrote where it was started."""

    code: str = Field(max_length=64)
    name: _Name
    full_name: str = Field(max_length=128)
    password: Password


@router.post("/session", dependencies=[Depends(own_page)])
def sign_in(
    asked: Credentials, response: Response, authentication: AuthenticationDep, address: AddressDep
) -> dict[str, Any]:
    """Sign in: sets a cookie. 401 where name and password do not fit, or the account is locked or disabled; 429 where
    too many try at once."""
    if not _trying.acquire(blocking=False):
        raise Problem(429, "too_many_sign_ins", "too many people, or machines, try to sign in; try again in a moment")
    try:
        session = authentication.sign_in.sign_in(asked.name, asked.password, address)
    except SignInRefused as error:
        raise Problem(401, error.code, str(error)) from error
    finally:
        _trying.release()
    set_cookie(response, authentication, session)
    return describe_session(session)


@router.get("/session")
def read_session(session: SessionDep) -> dict[str, Any]:
    """Who is signed in, and what they may do."""
    return describe_session(session)


@router.delete("/session", status_code=204)
def sign_out(session: SessionDep, response: Response, authentication: AuthenticationDep) -> None:
    """Sign out."""
    authentication.sign_in.sign_out(session.token)
    response.delete_cookie(authentication.cookie, path="/", secure=authentication.secure, httponly=True, samesite="lax")


@router.post("/session/password", status_code=204)
def change_password(
    asked: NewPassword, session: SessionDep, response: Response, authentication: AuthenticationDep, address: AddressDep
) -> None:
    """Give oneself another password; all sessions of this account end, and this one begins anew."""
    name = session.user.name
    try:
        authentication.sign_in.change_password(name, asked.old, asked.new, address)
        set_cookie(response, authentication, authentication.sign_in.sign_in(name, asked.new, address))
    except SignInRefused as error:
        raise Problem(401, error.code, str(error)) from error
    except PasswordRefused as error:
        raise Problem(422, error.code, str(error)) from error


@router.post("/setup", status_code=201, dependencies=[Depends(own_page)])
def set_up(
    asked: FirstAccount, request: Request, archive: ArchiveDep, authentication: AuthenticationDep, address: AddressDep
) -> dict[str, Any]:
    """Make the first account, an administrator's. 409 where there is one already, 403 without the right code."""
    first: FirstStart = request.app.state.first_start
    if has_users(archive):
        raise Problem(409, "set_up_already", "this archive has accounts already; ask an administrator for one")
    try:
        first.check(asked.code)
        return create_first(archive, asked.name, asked.full_name, asked.password).described()
    except FirstStartRefused as error:
        authentication.refusals.note("somebody unknown", "first account", str(error), address)
        raise Problem(403, error.code, str(error)) from error
    except (UserInvalid, PasswordRefused) as error:
        raise Problem(422, error.code, str(error)) from error


def set_cookie(response: Response, authentication: Authentication, session: Session) -> None:
    """The session's cookie: for this station alone, unseen by scripts, gone with the browser."""
    response.set_cookie(
        authentication.cookie, session.token, path="/", secure=authentication.secure, httponly=True, samesite="lax"
    )


def describe_session(session: Session) -> dict[str, Any]:
    """For pages."""
    return session.user.described() | {
        "permissions": sorted(session.user.permissions),
        "must_change_password": session.must_change,
        "meanings": list(MEANINGS),
    }
