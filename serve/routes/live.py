"""Status, live events and health."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from inspection import __version__
from inspection.accounts.roles import Permission
from inspection.recent_units import last_units
from serve.authentication import Who
from serve.deps import Allowed, AuthenticationDep, ServiceDep, allow
from serve.descriptions import describe_past
from serve.problems import Problem

router = APIRouter(tags=["live"])
Viewer = Annotated[Who, Depends(Allowed(Permission.VIEW))]
_KNOWN_S = 30.0  # how often a stream's session is looked at again


@router.get("/openapi.json", include_in_schema=False, dependencies=[allow(Permission.VIEW)])
def openapi(request: Request) -> dict[str, Any]:
    """The description of all calls."""
    described: dict[str, Any] = request.app.openapi()
    return described


@router.get("/api/status", dependencies=[allow(Permission.VIEW)])
def status(service: ServiceDep) -> dict[str, Any]:
    """Station, recipe, package, line state, alarm and counts since the service started."""
    return service.status()


@router.get("/api/units", dependencies=[allow(Permission.VIEW)])
def units(service: ServiceDep, limit: Annotated[int, Query(ge=1, le=200)] = 60) -> list[dict[str, Any]]:
    """The last units of this station, the newest first, in short."""
    station = service.line.recipe.station
    return [describe_past(*unit) for unit in last_units(service.archive, station, limit)]


@router.get("/api/events", response_class=EventSourceResponse)
async def events(
    request: Request, service: ServiceDep, authentication: AuthenticationDep, _: Viewer
) -> AsyncIterator[ServerSentEvent]:
    """A server-sent event `unit` for each disposition, with the status after it; `status` at first and at a change;
    `trend` once a second at most. The stream ends where the session has, and does not keep one alive in front of which
    nobody sits."""
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
