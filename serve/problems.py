"""Errors as RFC 9457 problem details, each with the stable code of the error it comes from."""

from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from inspection.errors import InspectionError
from serve.templating import templates, texts_of

_CODES = {401: "not_signed_in", 404: "not_found", 405: "method_not_allowed", 413: "upload_too_large"}


class Problem(Exception):
    """An answer of 400 and more. `more` are the problem's own members beside the standard ones."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.more = status, code, detail, more


def problem_response(status: int, code: str, detail: str, **more: Any) -> JSONResponse:
    """The JSON body with the media type that says what it is."""
    title = code.replace("_", " ").capitalize()
    content = {
        "type": f"urn:inspection:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        **more,
    }
    return JSONResponse(content, status, media_type="application/problem+json")


def by_browser(request: Request) -> bool:
    """Whether a person asks for a page."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def answer(request: Request, status: int, code: str, detail: str, **more: Any) -> Response:
    """The problem as a page for a person, as JSON for everybody else."""
    if not by_browser(request) or request.url.path.startswith("/api/"):
        return problem_response(status, code, detail, **more)
    t = texts_of(request)
    title = t({403: "base.not_permitted_title", 404: "base.not_found_title"}.get(status, "base.fault_title"))
    context = {"t": t, "title": title, "detail": detail}
    return templates.TemplateResponse(request, "error.html", context, status_code=status)


def install_problem_handlers(app: FastAPI) -> None:
    """Give every error of the service the same shape."""

    @app.exception_handler(Problem)
    async def _problem(request: Request, error: Problem) -> Response:
        if by_browser(request) and error.code in ("not_signed_in", "password_expired"):
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse("/sign-in?" + urlencode({"next": wanted}), 303)
        return answer(request, error.status, error.code, error.detail, **error.more)

    @app.exception_handler(InspectionError)
    async def _known(request: Request, error: InspectionError) -> Response:
        return answer(request, 500, error.code, str(error))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "request"
        return answer(request, 422, "request_invalid", f"{where}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        said = answer(request, error.status_code, _CODES.get(error.status_code, "http_error"), str(error.detail))
        said.headers.update(error.headers or {})
        return said

    @app.exception_handler(Exception)
    async def _unknown(request: Request, error: Exception) -> Response:
        said = answer(request, 500, "internal_error", f"the service failed ({type(error).__name__}); see its log")
        said.headers["Connection"] = "close"  # uvicorn cuts it after a failure, and a client must not use it again
        return said
