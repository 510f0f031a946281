"""Errors as RFC 9457 problem details, each with the stable code of the error it comes from."""

from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from inspection.errors import InspectionError

_CODES = {404: "not_found", 405: "method_not_allowed", 413: "upload_too_large"}


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


def install_problem_handlers(app: FastAPI) -> None:
    """Give every error of the service the same shape."""

    @app.exception_handler(Problem)
    async def _problem(request: Request, error: Problem) -> Response:
        page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
        if page and error.code in ("not_signed_in", "password_expired"):
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse("/sign-in?" + urlencode({"next": wanted}), 303)
        return problem_response(error.status, error.code, error.detail, **error.more)

    @app.exception_handler(InspectionError)
    async def _known(_: Request, error: InspectionError) -> JSONResponse:
        return problem_response(500, error.code, str(error))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "request"
        return problem_response(422, "request_invalid", f"{where}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        answer = problem_response(error.status_code, _CODES.get(error.status_code, "http_error"), str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def _unknown(_: Request, error: Exception) -> JSONResponse:
        answer = problem_response(500, "internal_error", f"the service failed ({type(error).__name__}); see its log")
        answer.headers["Connection"] = "close"  # uvicorn cuts it after a failure, and a client must not use it again
        return answer
