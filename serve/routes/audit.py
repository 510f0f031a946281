"""The audit trail: searched, and exported."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response

from inspection.accounts.roles import Permission
from inspection.audit import AuditQuery, audit_draft, find_audit, record_audit
from inspection.audit_export import MEDIA_TYPES, as_plain, export_audit
from serve.authentication import Who
from serve.deps import Allowed, ArchiveDep, allow

router = APIRouter(prefix="/api/audit", tags=["audit"])
_Time = Annotated[
    str | None, Query(max_length=27, pattern=r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?Z?)?$")
]
_Text = Annotated[str | None, Query(min_length=1, max_length=128)]
Auditor = Annotated[Who, Depends(Allowed(Permission.AUDIT))]


def _query(
    by: _Text = None, what: _Text = None, since: _Time = None, until: _Time = None, text: _Text = None,
    station: _Text = None,
) -> AuditQuery:  # fmt: skip
    return AuditQuery(by, what, since, until, text, station)


QueryDep = Annotated[AuditQuery, Depends(_query)]


@router.get("", dependencies=[allow(Permission.AUDIT)])
def search(
    archive: ArchiveDep, query: QueryDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> list[dict[str, Any]]:
    """Events that fit, the newest first: who (`by`), `what`, from `since` up to but without `until` (UTC), `text`."""
    return [as_plain(event) for event in find_audit(archive, query, limit)]


@router.get("/export", response_class=Response)
def export(
    archive: ArchiveDep, query: QueryDep, who: Auditor,
    form: Annotated[Literal["csv", "json", "pdf"], Query(alias="format")] = "csv",
) -> Response:  # fmt: skip
    """All events that fit, as a file. That it was exported is on the trail."""
    data = export_audit(find_audit(archive, query), form, query, who.name)
    filters = {key: value for key, value in vars(query).items() if value}
    record_audit(archive, audit_draft("audit_exported", who.name, "audit trail", new=filters, format=form))
    headers = {"Content-Disposition": f'attachment; filename="audit-trail.{form}"'}
    return Response(data, media_type=MEDIA_TYPES[form], headers=headers)
