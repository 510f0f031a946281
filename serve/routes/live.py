"""Status, live events, health and the page."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.templating import Jinja2Templates

from inspection import __version__
from inspection.accounts.roles import Permission
from inspection.accounts.users import has_users
from serve.authentication import Who
from serve.deps import Allowed, ArchiveDep, AuthenticationDep, ServiceDep, allow
from serve.problems import Problem

router = APIRouter(tags=["live"])
Viewer = Annotated[Who, Depends(Allowed(Permission.VIEW))]
_KNOWN_S = 30.0  # how often a stream's session is looked at again
_templates = Jinja2Templates(Path(__file__).parent.parent / "templates")


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
def page(request: Request, service: ServiceDep, who: Viewer) -> HTMLResponse:
    """The live page."""
    context = {"status": service.status(), "version": __version__, "who": who}
    return _templates.TemplateResponse(request, "live.html", context)


@router.get("/sign-in", response_class=HTMLResponse, include_in_schema=False)
def sign_in_page(
    request: Request, archive: ArchiveDep, service: ServiceDep, authentication: AuthenticationDep
) -> HTMLResponse:
    """The page to sign in on; to make the first account on, where there is none; to change a password that must be."""
    who = authentication.who(request)
    context = {
        "station": service.line.recipe.station, "version": __version__, "first": not has_users(archive),
        "oidc": request.app.state.open_id.settings.name if request.app.state.open_id else "",
        "change": bool(who and who.session and who.session.must_change),
    }  # fmt: skip
    return _templates.TemplateResponse(request, "sign_in.html", context)


@router.get("/openapi.json", include_in_schema=False, dependencies=[allow(Permission.VIEW)])
def openapi(request: Request) -> dict[str, Any]:
    """The description of all calls."""
    described: dict[str, Any] = request.app.openapi()
    return described


@router.get("/api/status", dependencies=[allow(Permission.VIEW)])
def status(service: ServiceDep) -> dict[str, Any]:
    """Station, recipe, package, line state, alarm and counts since the service started."""
    return service.status()


@router.get("/api/events", response_class=EventSourceResponse)
async def events(
    request: Request, service: ServiceDep, authentication: AuthenticationDep, _: Viewer
) -> AsyncIterator[ServerSentEvent]:
    """A server-sent event `unit` for each disposition, with the status after it; `status` at first and at a change. The
    stream ends where the session has, and does not keep one alive in front of which nobody sits."""
    known = time.monotonic()
    with service.live.listener() as listened:
        yield ServerSentEvent(event="status", data=service.status())
        async for event in listened:
            if time.monotonic() - known > _KNOWN_S:
                if await asyncio.to_thread(authentication.who, request, seen=False) is None:
                    return
                known = time.monotonic()
            yield ServerSentEvent(event=event.name, data=event.data)


@router.get("/health")
def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive", "version": __version__}


@router.get("/ready")
def ready(request: Request, service: ServiceDep, authentication: AuthenticationDep) -> dict[str, str]:
    """The station can pass units: its package was proved at start, its archive accepts records, its camera runs. Why it
    cannot is said to whoever is known."""
    if service.alarm:
        known = authentication.who(request) is not None
        raise Problem(503, "not_ready", service.alarm if known else "the station cannot pass units; sign in to see why")
    return {"status": "ready"}
