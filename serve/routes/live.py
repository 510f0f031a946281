"""Status, live events, health and the page."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.templating import Jinja2Templates

from inspection import __version__
from serve.deps import ServiceDep
from serve.problems import Problem

router = APIRouter(tags=["live"])
_templates = Jinja2Templates(Path(__file__).parent.parent / "templates")


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
def page(request: Request, service: ServiceDep) -> HTMLResponse:
    """The live page."""
    context = {"status": service.status(), "version": __version__}
    return _templates.TemplateResponse(request, "live.html", context)


@router.get("/api/status")
def status(service: ServiceDep) -> dict[str, Any]:
    """Station, recipe, package, line state, alarm and counts since the service started."""
    return service.status()


@router.get("/api/events", response_class=EventSourceResponse)
async def events(service: ServiceDep) -> AsyncIterator[ServerSentEvent]:
    """A server-sent event `unit` for each disposition, with the status after it; `status` at first and at a change."""
    with service.live.listener() as listened:
        yield ServerSentEvent(event="status", data=service.status())
        async for event in listened:
            yield ServerSentEvent(event=event.name, data=event.data)


@router.get("/health")
def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive", "version": __version__}


@router.get("/ready")
def ready(service: ServiceDep) -> dict[str, str]:
    """The station can pass units: its package was proved at start, its archive accepts records, its camera runs."""
    if service.alarm:
        raise Problem(503, "not_ready", service.alarm)
    return {"status": "ready"}
