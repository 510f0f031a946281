"""Accounts and tokens."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from inspection.accounts.activity import activity
from inspection.accounts.policy import read_policy
from inspection.accounts.roles import PERMITTED, SCOPES, Permission, Role
from inspection.accounts.tokens import Token, list_tokens
from inspection.accounts.users import User, list_users, password_expired
from inspection.records import utc_text
from serve.authentication import Who
from serve.deps import Allowed, ArchiveDep, ServiceDep
from serve.pages.page import page

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.ADMINISTER))]
_SOON = timedelta(days=14)


@dataclass(frozen=True)
class Account:
    """An account as it is shown. `password_days` is how old its password is, None where it has none."""

    user: User
    state: str
    password_days: int | None
    must_change: bool
    last_sign_in: str | None
    signed_in: str | None


@router.get("/users", response_class=HTMLResponse)
def show(request: Request, service: ServiceDep, archive: ArchiveDep, who: Reader) -> HTMLResponse:
    """All accounts and tokens, and what roles permit."""
    now, users = datetime.now(UTC), list_users(archive)
    with archive.reader() as connection:
        policy = read_policy(connection)
    did = activity(archive, {user.name for user in users}, now)
    accounts = [
        Account(user, user.state(now), _days(user, now), password_expired(user, policy.password_days, now),
                did.last.get(user.name), did.now.get(user.name) if user.active else None)
        for user in users
    ]  # fmt: skip
    tokens = sorted(list_tokens(archive), key=lambda one: (token_state(one, now) in ("revoked", "expired"), one.name))
    return page(
        request, service, who, "users", scripted=("users",), accounts=accounts, policy=policy, roles=list(Role),
        permitted=PERMITTED, permissions=list(Permission), scopes=sorted(SCOPES),
        tokens=[(one, token_state(one, now)) for one in tokens],
    )  # fmt: skip


def token_state(token: Token, now: datetime) -> str:
    """`active`, `ends_soon`, `expired` or `revoked`."""
    if token.revoked_at:
        return "revoked"
    if token.expires_at <= utc_text(now):
        return "expired"
    return "ends_soon" if token.expires_at <= utc_text(now + _SOON) else "active"


def _days(user: User, now: datetime) -> int | None:
    if user.password_set_at is None:
        return None
    return (now - datetime.fromisoformat(user.password_set_at)).days
