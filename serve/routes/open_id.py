"""Sign-in by the plant's OpenID Connect provider, where `archive.yaml` names one."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse

from inspection.accounts.sign_in import SignInRefused
from serve.deps import AddressDep, ArchiveDep, AuthenticationDep
from serve.open_id import OpenId, ProviderUnavailable
from serve.problems import Problem
from serve.routes.session import set_cookie

router = APIRouter(prefix="/open-id", tags=["session"], include_in_schema=False)
_STATE = "inspection-open-id"


def _provider(request: Request) -> OpenId:
    found: OpenId | None = request.app.state.open_id
    if found is None:
        raise Problem(404, "no_provider", "this archive names no OpenID Connect provider")
    return found


def _callback(request: Request) -> str:
    return str(request.url_for("finish_open_id"))


@router.get("/start")
def start_open_id(request: Request, authentication: AuthenticationDep, next: str = "/") -> RedirectResponse:
    """To the provider."""
    wanted = next if next.startswith("/") and not next.startswith(("//", "/\\")) else "/"
    try:
        address, state = _provider(request).start(_callback(request), wanted)
    except ProviderUnavailable as error:
        raise Problem(502, error.code, str(error)) from error
    answer = RedirectResponse(address, 303)
    # Only the browser that began may come back: nobody is signed in as somebody else by a link.
    answer.set_cookie(_STATE, state, max_age=300, path="/open-id", httponly=True, samesite="lax",
                      secure=authentication.secure)  # fmt: skip
    return answer


@router.get("/finish")
def finish_open_id(
    request: Request, archive: ArchiveDep, authentication: AuthenticationDep, address: AddressDep,
    state: Annotated[str, Query(max_length=256)] = "", code: Annotated[str, Query(max_length=4096)] = "",
) -> RedirectResponse:  # fmt: skip
    """Back from the provider."""
    begun = request.cookies.get(_STATE)
    try:
        known = state if begun and begun == state else ""
        session, wanted = _provider(request).finish(
            archive, authentication.refusals, _callback(request), known, code, address
        )
    except SignInRefused as error:
        raise Problem(401, error.code, str(error)) from error
    except ProviderUnavailable as error:
        raise Problem(502, error.code, str(error)) from error
    answer = RedirectResponse(wanted, 303)
    set_cookie(answer, authentication, session)
    answer.delete_cookie(_STATE, path="/open-id")
    return answer
