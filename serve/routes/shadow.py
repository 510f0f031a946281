"""What a candidate found in the shadow of the active package."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from inspection.accounts.roles import Permission
from serve.authentication import Who
from serve.deps import Allowed, ServiceDep, allow
from serve.problems import Problem
from serve.routes.reviews import refuse_decisions
from serve.service import Service
from serve.shadow.making import Form, ReportBusy, ReportFailed, make_report

router = APIRouter(prefix="/api/shadow", tags=["shadow"])
Viewer = Annotated[Who, Depends(Allowed(Permission.VIEW))]
Named = Annotated[str, Query(pattern=r"^[0-9a-f]{0,64}$", description="The beginning of its SHA-256, or a trial's id.")]
_MEDIA = {"json": "application/json", "html": "text/html", "pdf": "application/pdf"}


@router.get("", dependencies=[allow(Permission.VIEW)])
def shadow(service: ServiceDep, candidate: Named = "") -> dict[str, Any]:
    """`running`: the candidate that looks at units now, and its counts since the line started (null without one);
    `trial`: what is on record of the trial that was added to last, with the verdict so far (null without one);
    `trials`: all that there are."""
    running = service.line.shadow_status
    found = service.shadow_report.answer(candidate)
    return {"running": running, "trial": found, "trials": service.shadow_report.trials()}


@router.get("/report", response_class=Response)
def report(service: ServiceDep, who: Viewer, candidate: Named = "", format: Form = "json") -> Response:
    """The equivalence report on all that is on record of a trial, as `inspection shadow report` writes it. 404 where
    there is none, 403 for reviewers: it says what others decided on units."""
    found = service.shadow_report.answer(candidate)
    if found is None:
        raise Problem(404, "trial_missing", f"no shadow has findings of a candidate {candidate or 'at all'}")
    refuse_decisions(who)
    data = made_report(service, found["trial"], format, who.name)
    name = f"shadow-{found['candidate']['name']}-{found['candidate']['version']}.{format}"
    return Response(data, media_type=_MEDIA[format], headers={"Content-Disposition": f'attachment; filename="{name}"'})


def made_report(service: Service, trial: str, form: Form, by: str) -> bytes:
    """The report of a trial. Raises Problem: 503 while another one is being made, 409 where it cannot be."""
    try:
        return make_report(service.archive.folder, trial, form, by)
    except ReportBusy as error:
        raise Problem(503, error.code, str(error)) from error
    except ReportFailed as error:
        raise Problem(409, error.code, str(error)) from error
