"""The audit trail: searched, and exported."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from inspection.accounts.roles import Permission
from inspection.accounts.sign_in import SignInRefused
from inspection.audit import AuditQuery, audit_draft, find_audit, record_audit
from inspection.audit_export import MEDIA_TYPES, as_plain, export_audit
from inspection.audit_review import sign_trail_review
from inspection.signatures import SignatureRefused
from serve.authentication import Who
from serve.deps import AddressDep, Allowed, ArchiveDep, AuthenticationDep, ServiceDep, allow
from serve.problems import Problem
from serve.routes.control import Why
from serve.routes.session import Password
from serve.routes.signatures import signer_of

router = APIRouter(prefix="/api/audit", tags=["audit"])
TIME = r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?Z?)?$"
_Time = Annotated[str | None, Query(max_length=27, pattern=TIME)]
_Text = Annotated[str | None, Query(min_length=1, max_length=128)]
Auditor = Annotated[Who, Depends(Allowed(Permission.AUDIT))]


def _query(
    by: _Text = None, what: _Text = None, since: _Time = None, until: _Time = None, text: _Text = None,
    station: _Text = None,
) -> AuditQuery:  # fmt: skip
    return AuditQuery(by, what, plain_time(since), plain_time(until), text, station)


def plain_time(text: str | None) -> str | None:
    """A time (UTC) as those of records begin: what ends with its Z would come behind all fractions of its second."""
    return text.rstrip("Z") if text else None


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


class TrailReviewed(BaseModel):
    """The trail was reviewed up to `record`, the last one that the reviewer saw; name and password are given again."""

    model_config = ConfigDict(extra="forbid")

    record: str = Field(max_length=96)
    name: str = Field(max_length=64)
    password: Password
    why: Why


@router.post("/review", status_code=201)
def review(
    asked: TrailReviewed, service: ServiceDep, authentication: AuthenticationDep, address: AddressDep, who: Auditor
) -> dict[str, Any]:
    """Sign that the trail was reviewed. Needs the permission to sign beside that to read it: 422 without, 403 for
    another's name, 401 for a wrong password."""
    signer = signer_of(asked.name, asked.password, who, authentication.sign_in, address)
    try:
        signed = sign_trail_review(service.archive, service.key, asked.record, signer, asked.why)
    except SignInRefused as error:
        raise Problem(401, error.code, str(error)) from error
    except SignatureRefused as error:
        raise Problem(422, error.code, str(error)) from error
    return {"record": signed.name, "signs": asked.record}
