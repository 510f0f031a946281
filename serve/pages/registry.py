"""Packages and recipes under change control: what is active, what there is, and one version with all that is known."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from inspection.accounts.roles import Permission
from inspection.archive import Archive
from inspection.registry.figures import at_limits, figures_of, plots_of, tested_on
from inspection.registry.items import State, Version, VersionMissing, Versions, find_version, read_versions
from inspection.registry.kept import ContentUnreadable, kept_package, kept_recipe, kept_report, packages_of
from inspection.registry.rules import FURTHER, StepRefused, refusal
from inspection.registry.runs import runs_of
from inspection.registry.trials import decides_with, fitting
from inspection.reviews import ReviewInvalid
from inspection.shadow.events import ShadowUnreadable
from inspection.signatures import signature_fault
from serve.authentication import Who
from serve.deps import Allowed, ArchiveDep, ServiceDep
from serve.pages.page import fragment, page
from serve.pages.registry_content import flattened, manifest_rest
from serve.problems import Problem
from serve.routes.reviews import knows_decisions
from serve.routes.signed_steps import Kind
from serve.service import Service
from serve.templating import texts_of
from serve.texts import Texts

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.VIEW))]
STATES = tuple(State)
_CALLS = {"approved": "approve", "activated": "activate", "retired": "retire", "rolled_back": "rollback"}


@router.get("/registry", response_class=HTMLResponse)
def show(
    request: Request, service: ServiceDep, who: Reader, text: Annotated[str, Query(max_length=128)] = "",
    state: Annotated[str, Query(max_length=16)] = "",
) -> HTMLResponse:  # fmt: skip
    """All versions, the newest first, of those whose name or product has `text` in it."""
    versions = read_versions(service.archive)
    chosen = [one for one in reversed(versions.values()) if text.lower() in one.name.lower()]
    chosen = [one for one in chosen if not state or one.state == state]
    active = sorted(
        (one for one in versions.values() if one.kind == "recipe" and one.state == State.ACTIVE),
        key=lambda one: str(one.station),
    )
    return page(
        request, service, who, "registry", scripted=("registry",), versions=versions, active=active,
        packages_of=lambda one: packages_of(one, versions), states=STATES, text=text, state=state,
        recipes=[one for one in chosen if one.kind == "recipe"],
        packages=[one for one in chosen if one.kind == "package"],
    )  # fmt: skip


@router.get("/registry/{kind}/{name}/{version}", response_class=HTMLResponse)
def show_version(
    request: Request, service: ServiceDep, who: Reader, kind: Kind, name: str, version: str
) -> HTMLResponse:  # fmt: skip
    """One version."""
    archive = service.archive
    versions = read_versions(archive)
    one = found(versions, kind, name, version)
    return page(
        request, service, who, "registry_version", scripted=("registry",), one=one, states=STATES,
        steps=[(step, signature_fault(step.statement)) for step in reversed(one.steps)],
        actions=_actions(one, versions, who, texts_of(request)), others=_others(one, versions),
        users=_users(one, versions), **_shadow(service, one), may_report=knows_decisions(who),
        **(_package(archive, one, versions) if kind == "package" else _recipe(archive, one, versions)),
    )  # fmt: skip


@router.get("/registry/{kind}/{name}/{version}/runs", response_class=HTMLResponse)
def show_runs(
    request: Request, archive: ArchiveDep, who: Reader, kind: Kind, name: str, version: str  # noqa: ARG001
) -> HTMLResponse:  # fmt: skip
    """Where a version ran, as a part of its page: counting its records takes a while."""
    one = found(read_versions(archive), kind, name, version)
    return fragment(request, "registry_runs", one=one, runs=list(reversed(runs_of(archive, one))))


def found(versions: Versions, kind: Any, name: str, version: str) -> Version:
    """A version. Raises Problem."""
    try:
        return find_version(versions, kind, name, version)
    except VersionMissing as error:
        raise Problem(404, error.code, str(error)) from error


def _actions(one: Version, versions: Versions, who: Who, t: Texts) -> list[dict[str, Any]]:
    """Each step that there is after registering, its call, and why it cannot be taken, if so."""
    steps = [step for step in FURTHER if one.kind == "recipe" or step not in ("activated", "rolled_back")]
    base = f"/api/registry/{one.kind}/{one.name}/{one.version}"
    return [
        {"step": step, "why": _why(refusal(step, one, versions, who.name, frozenset(who.permissions)), t),
         "call": f"/api/registry/recipe/{one.name}/rollback?station={one.station}" if step == "rolled_back"
                 else f"{base}/{_CALLS.get(step, 'evaluate')}"}
        for step in steps
    ]  # fmt: skip


def _why(refused: StepRefused | None, t: Texts) -> str:
    """Why a step cannot be taken, in the page's language; an empty text where it can."""
    if refused is None or not refused.key:
        return str(refused or "")
    kinds = {"state": "state", "wanted": "state", "step": "step"}
    values = {key: t(f"registry.{kinds[key]}_{value}") if key in kinds else value
              for key, value in refused.values.items()}  # fmt: skip
    return t(f"registry.no_{refused.key}", **values)


def _others(one: Version, versions: Versions) -> list[Version]:
    """The other versions of the same name, the newest first."""
    return [two for two in reversed(versions.values()) if two is not one and (two.kind, two.name) == one.key[:2]]


def _shadow(service: Service, one: Version) -> dict[str, Any]:
    """What the newest trial that fits a version found so far (`shadow`), and the newest that speaks `against` it; None
    where there is none, or where its records cannot be read, which its own page says."""
    try:
        decides = decides_with(service.archive, one)
        fit, against = fitting(service.shadow_report.of_package(decides["candidate"]), decides)
    except (ShadowUnreadable, ReviewInvalid, StepRefused, ContentUnreadable):
        fit, against = [], []
    return {"shadow": next(iter(fit), None), "against": next(iter(against), None)}


def _users(one: Version, versions: Versions) -> list[Version]:
    """The recipes that run a package."""
    return [two for two in versions.values() if one.kind == "package" and one.digest in two.packages]


def _package(archive: Archive, one: Version, versions: Versions) -> dict[str, Any]:
    kept = kept_package(archive, one)
    report = kept_report(archive, one) or {}
    parent = next((two for two in versions.values() if two.digest == kept.manifest.parent), None)
    return {"kept": kept, "manifest": kept.manifest, "parent": parent, "rest": manifest_rest(kept.manifest),
            "tested": tested_on(report), "figures": figures_of(report), "plots": plots_of(report)}  # fmt: skip


def _recipe(archive: Archive, one: Version, versions: Versions) -> dict[str, Any]:
    content = kept_recipe(archive, one)
    packages = packages_of(one, versions)
    own = content.get("limits")
    limits = own or (kept_package(archive, packages[0]).manifest.limits.model_dump() if packages else None)
    reports = [(two, figures_of(_at(archive, two, limits if two is packages[0] else None))[:3]) for two in packages]
    return {"content": content, "packages": packages, "reports": reports, "limits": limits,
            "own_limits": bool(own), "rows": flattened(content)}  # fmt: skip


def _at(archive: Archive, package: Version, limits: dict[str, float] | None) -> Mapping[str, Any]:
    return at_limits(kept_report(archive, package) or {}, limits)
