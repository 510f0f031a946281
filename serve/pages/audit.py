"""The audit trail."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from inspection.accounts.roles import Permission
from inspection.accounts.users import list_users
from inspection.archive import Archive
from inspection.audit import PEOPLE, SYSTEM, AuditEvent, AuditQuery, audit_kinds, find_audit
from inspection.audit_export import readable
from inspection.audit_review import last_trail_record, last_trail_review
from serve.authentication import Who
from serve.deps import Allowed, ArchiveDep, ServiceDep
from serve.pages.page import fragment, page
from serve.routes.audit import TIME, plain_time
from serve.templating import texts_of
from serve.texts import Texts

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.AUDIT))]
_Asked = Annotated[str, Query(max_length=128)]
_PAGE = 50


@dataclass(frozen=True)
class Line:
    """An event as it is shown: what changed as (what, old, new), and what else was recorded as (what, value)."""

    event: AuditEvent
    changes: tuple[tuple[str, str | None, str | None], ...]
    more: tuple[tuple[str, str], ...]


def event_names(t: Texts) -> Callable[[str], str]:
    """What people call the kinds of events."""
    return lambda kind: t(f"audit.what_{kind}") if f"audit.what_{kind}" in t else t.code(kind)


@router.get("/audit", response_class=HTMLResponse)
def show(
    request: Request, service: ServiceDep, archive: ArchiveDep, who: Reader,
    by: _Asked = "", what: _Asked = "", since: _Asked = "", until: _Asked = "", text: _Asked = "",
    station: _Asked = "", before: _Asked = "",
) -> HTMLResponse:  # fmt: skip
    """The trail, the newest first; for htmx the lines alone, and with `before` only those that come after that one."""
    t = texts_of(request)
    unfit = next((one for one in (since, until) if one and not re.match(TIME, one)), None)
    query = AuditQuery(by or None, what or None, plain_time(since), plain_time(until), text.strip() or None,
                       station or None)  # fmt: skip
    found = [] if unfit else list(find_audit(archive, query, _PAGE + 1, before))
    filters = urlencode({key: value for key, value in vars(query).items() if value})
    context: dict[str, Any] = {
        "lines": [_line(event) for event in found[:_PAGE]], "filters": filters, "what": event_names(t),
        "more": found[_PAGE - 1].key if len(found) > _PAGE else "",
        "fault": t("audit.no_time", text=unfit) if unfit else "",
    }  # fmt: skip
    if "hx-request" in request.headers:
        return fragment(request, "_audit_lines" if before else "_audit_trail", **context)
    last = last_trail_record(archive)
    return page(
        request, service, who, "audit", scripted=("audit",), status=422 if unfit else 200, query=query, before=before,
        review=last_trail_review(archive), last=last, **_choices(archive, query, t), **context,
    )  # fmt: skip


def _choices(archive: Archive, query: AuditQuery, t: Texts) -> dict[str, Any]:
    """What the filters offer: people, kinds of events by their names, stations; what the address says among them."""
    name = event_names(t)
    people = [user.name for user in list_users(archive)]
    kinds = audit_kinds(archive)
    stations = archive.stations()
    for chosen, offered in ((query.by, people), (query.what, kinds), (query.station, stations)):
        if chosen and chosen not in (*offered, SYSTEM, PEOPLE):
            offered.append(chosen)
    return {"people": people, "kinds": sorted(kinds, key=lambda kind: name(kind).lower()), "stations": stations}


def _line(event: AuditEvent) -> Line:
    more = tuple((key.replace("_", " "), readable(value)) for key, value in event.more.items() if value is not None)
    return Line(event, _changes(event.old, event.new), more)


def _changes(old: Any, new: Any) -> tuple[tuple[str, str | None, str | None], ...]:
    """Key by key where both sides are mappings, or one is and the other is nothing."""
    if old is None and new is None:
        return ()
    sides = [{} if side is None else side for side in (old, new)]
    if all(isinstance(side, dict) for side in sides):
        keys = list(dict.fromkeys((*sides[0], *sides[1])))
        return tuple((key.replace("_", " "), *(_said(side.get(key)) for side in sides)) for key in keys)
    return (("", _said(old), _said(new)),)


def _said(value: Any) -> str | None:
    if isinstance(value, list):
        return ", ".join(readable(part) for part in value)
    return None if value is None else readable(value)
