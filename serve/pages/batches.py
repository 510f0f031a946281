"""Batches, their reports and signatures."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from inspection.accounts.roles import Permission
from serve.authentication import Who
from serve.deps import Allowed, ServiceDep
from serve.pages.page import page

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.VIEW))]


@router.get("/batches", response_class=HTMLResponse)
def show(request: Request, service: ServiceDep, who: Reader) -> HTMLResponse:
    """The page."""
    return page(request, service, who, "batches", scripted=("batches",))
