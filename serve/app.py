"""The HTTP application around a service."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from inspection import __version__
from inspection.accounts.roles import Permission
from serve.authentication import Authentication
from serve.changeover import Changeover
from serve.deps import Allowed
from serve.first_start import FirstStart
from serve.guards import LimitedBody, SecurityHeaders
from serve.open_id import OpenId
from serve.pages import ROUTERS as PAGES
from serve.problems import install_problem_handlers
from serve.routes import (
    accounts,
    audit,
    batches,
    cameras,
    challenge,
    control,
    inspect,
    live,
    metrics,
    open_id,
    records,
    registry,
    registry_drafts,
    registry_what_if,
    reviews,
    selections,
    session,
    shadow,
    signatures,
    trends,
)
from serve.service import Service

# What is answered to anybody: whether the service lives, and how to become known.
OPEN = frozenset({
    ("GET", "/health"), ("GET", "/ready"), ("GET", "/sign-in"), ("POST", "/api/session"), ("POST", "/api/setup"),
    ("GET", "/open-id/start"), ("GET", "/open-id/finish"),
})  # fmt: skip
_ROUTERS = (
    live.router, inspect.router, records.router, reviews.router, signatures.router, control.router, cameras.router,
    metrics.router, session.router, accounts.router, audit.router, registry.router, batches.router,
    challenge.router, open_id.router, trends.router, registry_drafts.router, registry_what_if.router, selections.router,
    shadow.router,
    *PAGES,
)  # fmt: skip


def create_app(service: Service, *, secure: bool = False, first_start: FirstStart | None = None) -> ASGIApp:
    """The application; `secure` where it is reached by TLS. Starting and stopping the service is its caller's part."""
    app = FastAPI(title="pharma-inspection", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.service, app.state.changeover = service, Changeover(service)
    app.state.authentication = Authentication(lambda: service.archive, secure=secure)
    app.state.first_start = first_start or FirstStart()
    named = service.archive.settings.open_id if service.started else None
    app.state.open_id = OpenId(named) if named else None
    install_problem_handlers(app)
    for router in _ROUTERS:
        app.include_router(router)
    for method, path, needed in permissions():
        if needed == () and (method, path) not in OPEN:
            msg = f"{method} {path} says nobody who may ask; give it a permission"
            raise AssertionError(msg)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    authentication: Authentication = app.state.authentication
    app.add_middleware(LimitedBody, known=lambda request: authentication.who(request) is not None)
    return SecurityHeaders(app, secure=secure)  # outermost, so that answers to errors have them too


def permissions() -> list[tuple[str, str, tuple[Permission | None, ...]]]:
    """Method, path and what is needed of each route; nothing for one that is open."""
    return [
        (method, route.path, tuple(_needed(route.dependant)))
        for router in _ROUTERS for route in router.routes if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]  # fmt: skip


def _needed(dependant: Dependant) -> list[Permission | None]:
    own = [dependant.call.permission] if isinstance(dependant.call, Allowed) else []
    return own + [needed for part in dependant.dependencies for needed in _needed(part)]
