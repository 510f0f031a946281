"""The HTTP application around a service."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from inspection import __version__
from serve.changeover import Changeover
from serve.guards import LimitedBody, SecurityHeaders
from serve.problems import install_problem_handlers
from serve.routes import cameras, control, inspect, live, metrics, records
from serve.service import Service


def create_app(service: Service) -> ASGIApp:
    """The application. Starting and stopping the service is its caller's part."""
    app = FastAPI(title="pharma-inspection", version=__version__, docs_url=None, redoc_url=None)
    app.state.service, app.state.changeover = service, Changeover(service)
    install_problem_handlers(app)
    for router in (live.router, inspect.router, records.router, control.router, cameras.router, metrics.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    app.add_middleware(LimitedBody)
    return SecurityHeaders(app)  # outermost, so that answers to errors have them too
