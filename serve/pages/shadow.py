"""The candidate in the shadow: how it is, and what it found so far."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from inspection.accounts.roles import Permission
from inspection.registry.items import Version, read_versions
from serve.authentication import Who
from serve.deps import Allowed, ServiceDep
from serve.pages.page import fragment, page
from serve.routes.reviews import knows_decisions
from serve.routes.shadow import Named
from serve.service import Service

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.VIEW))]


@router.get("/shadow", response_class=HTMLResponse)
def show(request: Request, service: ServiceDep, who: Reader, candidate: Named = "") -> HTMLResponse:
    """The page; `candidate` chooses one of several trials."""
    return page(request, service, who, "shadow", **_shown(service, who, candidate))


@router.get("/shadow/state", response_class=HTMLResponse)
def show_state(request: Request, service: ServiceDep, who: Reader, candidate: Named = "") -> HTMLResponse:
    """What changes on it, for htmx."""
    return fragment(request, "_shadow", **_shown(service, who, candidate))


def _shown(service: Service, who: Who, candidate: str) -> dict[str, Any]:
    found = service.shadow_report.answer(candidate)
    by_digest = {one.digest: one for one in read_versions(service.archive).values() if one.kind == "package"}

    def registered(identity: dict[str, str]) -> Version | None:
        return by_digest.get(identity["sha256"])

    return {
        "running": service.line.shadow_status, "trial": found,
        "trials": service.shadow_report.trials(), "candidate": candidate, "registered": registered,
        "may_report": knows_decisions(who),
    }  # fmt: skip
