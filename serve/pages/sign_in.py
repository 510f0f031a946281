"""The page to sign in on."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from inspection import __version__
from inspection.accounts.users import has_users
from serve.deps import ArchiveDep, AuthenticationDep, ServiceDep
from serve.templating import templates, texts_of

router = APIRouter(tags=["pages"], include_in_schema=False)
_SCRIPTED = ("base.failed", "sign_in.no_connection", "sign_in.passwords_differ")  # what its script says


@router.get("/sign-in", response_class=HTMLResponse)
def show(request: Request, archive: ArchiveDep, service: ServiceDep, authentication: AuthenticationDep) -> HTMLResponse:
    """To sign in; to make the first account, where there is none; to change a password that must be."""
    who = authentication.who(request)
    t = texts_of(request)
    context = {
        "t": t, "texts": {key: t(key) for key in _SCRIPTED},
        "station": service.line.recipe.station, "version": __version__,
        "first": not has_users(archive),
        "oidc": request.app.state.open_id.settings.name if request.app.state.open_id else "",
        "change": bool(who and who.session and who.session.must_change),
    }  # fmt: skip
    return templates.TemplateResponse(request, "sign_in.html", context)
