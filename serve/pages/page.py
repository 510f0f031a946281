"""How a page is made: its template with what every page shows (who, where, what is wrong), and texts from one place."""

from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from inspection import __version__
from inspection.accounts.roles import Permission
from inspection.signatures import MEANINGS
from serve.authentication import Who
from serve.service import Service
from serve.templating import templates, texts_of

# The menu: name of the text, address, what is needed to see it. `g` and the letter open it.
MENU = (
    ("live", "/", Permission.VIEW, "l"),
    ("review", "/review", Permission.VIEW, "r"),
    ("records", "/records", Permission.VIEW, "e"),
    ("trends", "/trends", Permission.VIEW, "t"),
    ("batches", "/batches", Permission.VIEW, "b"),
    ("registry", "/registry", Permission.VIEW, "p"),
    ("audit", "/audit", Permission.AUDIT, "a"),
    ("users", "/users", Permission.ADMINISTER, "u"),
    ("settings", "/settings", Permission.AUDIT, "s"),
)


def page(
    request: Request, service: Service, who: Who, name: str, *, status: int = 200, scripted: tuple[str, ...] = (),
    **context: Any,
) -> HTMLResponse:  # fmt: skip
    """The page of template `name`.html. `scripted` names the files of texts that its script needs; `context` is what
    the template shows. The template has `t(key)`, `code(code)`, `who`, `may(permission)`, `station` and `now`."""
    t = texts_of(request)
    station = service.status()
    shared = {
        "t": t,
        "code": t.code,
        "who": who,
        "may": lambda permission: Permission(permission) in who.permissions,
        "menu": [(key, address, letter) for key, address, needed, letter in MENU if needed in who.permissions],
        "here": request.url.path,
        "station": station,
        "meanings": MEANINGS,
        "now": datetime.now(UTC),
        "version": __version__,
        "texts": t.of("base", "codes", *scripted),
    }
    answer = templates.TemplateResponse(request, f"{name}.html", shared | context, status_code=status)
    answer.headers["Cache-Control"] = "no-store"  # after signing out, the browser's back must not show it
    return answer


def fragment(request: Request, name: str, **context: Any) -> HTMLResponse:
    """A part of a page, for htmx: template `name`.html with texts alone beside `context`."""
    t = texts_of(request)
    answer = templates.TemplateResponse(request, f"{name}.html", {"t": t, "code": t.code} | context)
    answer.headers["Cache-Control"] = "no-store"
    return answer
