"""Change control over HTTP: what is registered, where it ran, and the signed steps."""

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response

from inspection.accounts.roles import Permission
from inspection.equivalence.page import render_page
from inspection.errors import InspectionError
from inspection.frames import encode_png
from inspection.registry.content import recipe_yaml
from inspection.registry.items import SHADOW_REPORT, Version, VersionMissing, find_version, read_versions
from inspection.registry.kept import kept_package, kept_recipe
from inspection.registry.runs import runs_of
from serve.authentication import Who
from serve.deps import Allowed, ArchiveDep, ServiceDep, allow
from serve.problems import Problem
from serve.routes.attached import AttachingDep, SignedAttaching, attached
from serve.routes.reviews import refuse_decisions
from serve.routes.signed_steps import ApprovingDep, Kind, Signed, told

router = APIRouter(prefix="/api/registry", tags=["registry"])


@router.get("", dependencies=[allow(Permission.VIEW)])
def versions(archive: ArchiveDep) -> list[dict[str, Any]]:
    """All versions with their states and steps."""
    return [one.described() for one in read_versions(archive).values()]


@router.get("/{kind}/{name}/{version}", dependencies=[allow(Permission.VIEW)])
def read_version(kind: Kind, name: str, version: str, archive: ArchiveDep) -> dict[str, Any]:
    """One version, with where it ran, when, and which records it made."""
    one = _found(archive, kind, name, version)
    return one.described() | {"runs": [vars(run) for run in runs_of(archive, one)]}


@router.get("/recipe/{name}/{version}/yaml", response_class=Response, dependencies=[allow(Permission.VIEW)])
def export(name: str, version: str, archive: ArchiveDep) -> Response:
    """A recipe as a file that a station runs, its packages by their digests."""
    text = _readable(lambda: recipe_yaml(kept_recipe(archive, _found(archive, "recipe", name, version))))
    headers = {"Content-Disposition": f'attachment; filename="{name}-{version}.yaml"'}
    return Response(text, media_type="application/yaml", headers=headers)


@router.get("/package/{name}/{version}/golden/{number}", response_class=Response, dependencies=[allow(Permission.VIEW)])
def golden(name: str, version: str, number: Annotated[int, Path(ge=0, le=1000)], archive: ArchiveDep) -> Response:
    """A package's golden frame, as the model sees it: a PNG."""
    package = _readable(lambda: kept_package(archive, _found(archive, "package", name, version)))
    frames = package.manifest.golden
    if number >= len(frames):
        raise Problem(404, "frame_missing", f"package {name} {version} has {len(frames)} golden frames, from 0 on")
    return Response(encode_png(package.golden[frames[number].name]), media_type="image/png")


@router.post("/{kind}/{name}/{version}/approve")
def approve(
    kind: Kind, name: str, version: str, asked: SignedAttaching, registry: AttachingDep, service: ServiceDep
) -> dict[str, Any]:
    """Approve what was evaluated. 409 where it cannot be, or not by this person. With `shadow_report` the report of the
    shadow in which its package ran is made now and attached; one that speaks against it wants `despite`."""
    report = attached(service, kind, name, version, asked)
    return told(lambda: registry.approve(kind, name, version, asked.why, report))


@router.post("/recipe/{name}/{version}/activate")
def activate(
    name: str, version: str, asked: SignedAttaching, registry: AttachingDep, service: ServiceDep
) -> dict[str, Any]:
    """Let an approved recipe run. The station goes on with its recipe until a changeover. A report is attached as to an
    approval."""
    report = attached(service, "recipe", name, version, asked)
    return told(lambda: registry.activate(name, version, asked.why, report))


@router.get("/attached/{sha256}", response_class=Response)
def attached_report(
    sha256: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")], archive: ArchiveDep,
    who: Annotated[Who, Depends(Allowed(Permission.VIEW))],
    form: Annotated[Literal["json", "html"], Query(alias="format")] = "html",
) -> Response:  # fmt: skip
    """A shadow's report that is attached to a step of change control, as it was signed (`json`), or as a page. Not for
    reviewers: it says what others decided on units."""
    steps = (step for one in read_versions(archive).values() for step in one.steps)
    reports = (step.details.get(SHADOW_REPORT) or {} for step in steps)
    file = next((one["file"] for one in reports if one.get("sha256") == sha256), None)
    if file is None:
        raise Problem(404, "report_missing", f"no step of change control has a report {sha256[:12]}… attached")
    refuse_decisions(who)
    data = _readable(lambda: archive.images.get(file))
    media = {"json": "application/json", "html": "text/html"}[form]
    headers = {"Content-Disposition": f'attachment; filename="shadow-{sha256[:12]}.{form}"'}
    return Response(data if form == "json" else _page(data), media_type=media, headers=headers)


@router.post("/{kind}/{name}/{version}/retire")
def retire(kind: Kind, name: str, version: str, asked: Signed, registry: ApprovingDep) -> dict[str, Any]:
    """Do not use a version any more."""
    return told(lambda: registry.retire(kind, name, version, asked.why))


@router.post("/recipe/{name}/rollback")
def roll_back(name: str, asked: Signed, registry: ApprovingDep, station: str | None = None) -> dict[str, Any]:
    """One signed step back to the version that was active before; `station` says which one where several run recipes of
    that name."""
    return told(lambda: registry.roll_back(name, asked.why, station))


def _found(archive: ArchiveDep, kind: Kind, name: str, version: str) -> Version:
    try:
        return find_version(read_versions(archive), kind, name, version)
    except VersionMissing as error:
        raise Problem(404, error.code, str(error)) from error


def _page(data: bytes) -> bytes:
    try:
        return render_page(json.loads(data))
    except Exception as error:  # an older version of this software made it
        raise Problem(
            409, "report_unreadable", "the report has not all that a page of it shows; take its JSON"
        ) from error


def _readable(read: Any) -> Any:
    try:
        return read()
    except InspectionError as error:
        raise Problem(409, error.code, str(error)) from error
