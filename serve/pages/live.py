"""The live page."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from inspection.accounts.roles import Permission
from serve.authentication import Who
from serve.deps import Allowed, ServiceDep
from serve.pages.page import page

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.VIEW))]


@router.get("/", response_class=HTMLResponse)
def show(request: Request, service: ServiceDep, who: Reader, wall: Annotated[str, Query()] = "") -> HTMLResponse:
    """The page; with `wall=1` for a screen on the wall: the verdict larger, no menu, nothing to press."""
    return page(request, service, who, "live", scripted=("live",), wall=wall == "1")
