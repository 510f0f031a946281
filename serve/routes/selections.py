"""A selection of units as a training set: what it would hold, and the ZIP of it."""

from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Form
from fastapi.responses import StreamingResponse

from inspection.accounts.roles import Permission
from inspection.records import utc_text
from inspection.reviews import ReviewInvalid
from inspection.search import matching, records_named
from inspection.search_query import SearchInvalid
from inspection.selection import MOST_UNITS, Selection, SelectionInvalid, select_pictures
from inspection.selection_export import Asked, note_export, zip_selection
from serve.authentication import Who
from serve.deps import Allowed, ServiceDep
from serve.problems import Problem
from serve.record_search import query_of, wanted_of
from serve.service import Service

router = APIRouter(prefix="/api/selections", tags=["selections"])
# Images leave the archive: those may take them who decide on units or train packages, and nobody who only looks on.
Exporter = Annotated[Who, Depends(Allowed(Permission.EXPORT))]
Records = Annotated[str, Form(max_length=600_000, description="Records' names, one a line, instead of a search.")]
Search = Annotated[str, Form(max_length=4000, description="The part of a search's address after the question mark.")]


@router.post("/preview")
def preview(service: ServiceDep, who: Exporter, records: Records = "", search: Search = "") -> dict[str, Any]:  # noqa: ARG001
    """How many images there are, by folder, and what would be left out. Nothing leaves."""
    return _selected(service, records, search)[0].described()


@router.post("", response_class=StreamingResponse)
def export(service: ServiceDep, who: Exporter, records: Records = "", search: Search = "") -> StreamingResponse:
    """The training set as a ZIP, made while it is sent. That it was exported is on the audit trail."""
    selection, query = _selected(service, records, search)
    asked = Asked(who.name, query)
    try:
        event = note_export(service.archive, selection, asked)
    except SelectionInvalid as error:
        raise Problem(422, error.code, str(error)) from error
    name = f"selection-{utc_text()[:19].replace(':', '')}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    parts = zip_selection(service.archive, selection, asked, event)
    return StreamingResponse(parts, media_type="application/zip", headers=headers)


def _selected(service: Service, records: str, search: str) -> tuple[Selection, dict[str, Any]]:
    names = records.split()
    try:
        if names:
            if len(names) > MOST_UNITS:
                raise SearchInvalid(f"at most {MOST_UNITS} units are exported at once, got {len(names)}; choose fewer")
            return select_pictures(service.archive, records_named(service.archive, names)), {"records": len(names)}
        query = query_of(service, wanted_of(dict(parse_qsl(search))))
        return select_pictures(service.archive, matching(service.archive, query, MOST_UNITS)), query.plain()
    except SearchInvalid as error:
        raise Problem(422, error.code, str(error)) from error
    except ReviewInvalid as error:
        raise Problem(409, error.code, str(error)) from error
