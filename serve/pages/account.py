"""One's own account: name, roles, password, sessions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from serve.authentication import Who
from serve.deps import Allowed, ServiceDep
from serve.pages.page import page

router = APIRouter(tags=["pages"], include_in_schema=False)
Known = Annotated[Who, Depends(Allowed(None))]


@router.get("/account", response_class=HTMLResponse)
def show(request: Request, service: ServiceDep, who: Known) -> HTMLResponse:
    """The page."""
    return page(request, service, who, "account", scripted=("account",))
