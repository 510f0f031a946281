"""What stands around every request. Plain ASGI, so that event streams are not buffered."""

import asyncio
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.routes import inspect

# Nothing on a page may come from, or go to, another machine.
_POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_FORM_BYTES = 2**20  # what a form may hold beside its file


class SecurityHeaders:
    """Adds to every answer what browsers are to keep to; over TLS also that they are to stay with it."""

    def __init__(self, app: ASGIApp, *, secure: bool = False) -> None:
        self._app = app
        self._headers = _HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                if "Cache-Control" not in headers:
                    headers["Cache-Control"] = "no-store" if scope["path"].startswith("/api") else "no-cache"
            await send(message)

        await self._app(scope, receive, send_with_headers)


class LimitedBody:
    """Refuses a request's body while it comes in, so that no upload, however long, fills the disk; nobody unknown sends
    more than a form."""

    def __init__(self, app: ASGIApp, known: Callable[[Request], bool]) -> None:
        self._app, self._known = app, known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received, known = 0, False

        async def receive_limited() -> Message:
            nonlocal received, known
            message = await receive()
            received += len(message.get("body", b""))
            if received > inspect.MAX_UPLOAD_BYTES + _FORM_BYTES:
                raise HTTPException(413, inspect.too_large("the request"))
            if received > _FORM_BYTES and not known:  # a body is read before its route can ask who sends it
                known = await asyncio.to_thread(self._known, Request(scope))
                if not known:
                    raise HTTPException(401, "sign in, or send a token that is worth something")
            return message

        await self._app(scope, receive_limited, send)
