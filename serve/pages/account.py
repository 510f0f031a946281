"""One's own account: name, roles, password, sign-ins."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from inspection.accounts.activity import own_events
from inspection.accounts.policy import read_policy
from inspection.accounts.roles import PERMITTED, Permission, Role
from serve.authentication import Who
from serve.deps import Allowed, ArchiveDep, ServiceDep
from serve.pages.audit import event_names
from serve.pages.page import page
from serve.problems import Problem
from serve.templating import texts_of

router = APIRouter(tags=["pages"], include_in_schema=False)
Known = Annotated[Who, Depends(Allowed(None))]
_DAYS, _MOST = 90, 20


@router.get("/account", response_class=HTMLResponse)
def show(request: Request, service: ServiceDep, archive: ArchiveDep, who: Known) -> HTMLResponse:
    """The page."""
    if who.session is None:
        raise Problem(403, "not_a_person", "this is for people who have signed in, not for tokens")
    user, now = who.session.user, datetime.now(UTC)
    with archive.reader() as connection:
        policy = read_policy(connection)
    ends = None
    if user.password_set_at and policy.password_days:
        ends = (datetime.fromisoformat(user.password_set_at) + timedelta(days=policy.password_days)).isoformat()
    return page(
        request, service, who, "account", scripted=("account",), user=user, policy=policy, roles=list(Role),
        permitted=PERMITTED, permissions=list(Permission), must_change=who.session.must_change,
        password_ends=ends, days=_DAYS, what=event_names(texts_of(request)),
        events=own_events(archive, user.name, now - timedelta(days=_DAYS), _MOST),
    )  # fmt: skip
