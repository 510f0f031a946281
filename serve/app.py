"""The HTTP application around a service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inspection import __version__
from serve.problems import install_problem_handlers
from serve.routes import inspect, live, records
from serve.service import Service

# Nothing on a page may come from, or go to, another machine.
_POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"


def create_app(service: Service) -> FastAPI:
    """The application. While it runs, so does the service's line."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.live.attach(asyncio.get_running_loop())
        if service.line:
            service.line.start()
        yield
        if service.line:
            await asyncio.to_thread(service.line.stop)

    app = FastAPI(title="pharma-inspection", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    install_problem_handlers(app)
    for router in (live.router, inspect.router, records.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    app.add_middleware(SecurityHeaders)
    return app


class SecurityHeaders:
    """Adds the content policy to every answer. Plain ASGI, so that event streams are not buffered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _POLICY
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self._app(scope, receive, send_with_headers)
