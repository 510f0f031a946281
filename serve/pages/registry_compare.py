"""Two versions beside each other."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from inspection.accounts.roles import Permission
from inspection.archive import Archive
from inspection.registry.content import differences
from inspection.registry.figures import Figure, at_limits, figures_of
from inspection.registry.items import Version, Versions, read_versions
from inspection.registry.kept import kept_package, kept_recipe, kept_report, packages_of
from serve.authentication import Who
from serve.deps import Allowed, ServiceDep
from serve.pages.page import page
from serve.pages.registry import found
from serve.pages.registry_content import flattened, manifest_rows, shown
from serve.routes.signed_steps import Kind

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.VIEW))]
Name = Annotated[str, Query(max_length=128)]


@router.get("/registry/compare", response_class=HTMLResponse)
def show(request: Request, service: ServiceDep, who: Reader, kind: Kind, name: Name, a: Name, b: Name) -> HTMLResponse:
    """What differs between versions `a` and `b`."""
    archive = service.archive
    versions = read_versions(archive)
    old, new = found(versions, kind, name, a), found(versions, kind, name, b)
    contents = [_content(archive, one) for one in (old, new)]
    changed = differences(contents[0], contents[1])
    rows = [(key, *(None if value is None else shown(value) for value in pair)) for key, pair in changed.items()]
    same = {key: value for key, value in flattened(contents[0]).items() if not _under(key, changed)}
    return page(
        request, service, who, "registry_compare", old=old, new=new, rows=rows, same=same,
        figures=_figures(archive, old, new, versions),
        region=any(_has_region(archive, one) for one in (old, new)),
        limits=[_limits(archive, one, versions) for one in (old, new)],
        others=[one for one in versions.values() if (one.kind, one.name) == (kind, name)],
    )  # fmt: skip


def _under(key: str, changed: dict[str, Any]) -> bool:
    return any(key == one or key.startswith(f"{one}.") for one in changed)


def _content(archive: Archive, one: Version) -> dict[str, Any]:
    if one.kind == "recipe":
        return kept_recipe(archive, one)
    return manifest_rows(kept_package(archive, one).manifest)


def _has_region(archive: Archive, one: Version) -> bool:
    return one.kind == "recipe" and kept_recipe(archive, one).get("region") is not None


def _limits(archive: Archive, one: Version, versions: Versions) -> dict[str, float] | None:
    """The limits that decide: a recipe's own, or its package's."""
    if one.kind == "recipe":
        own: dict[str, float] | None = kept_recipe(archive, one).get("limits")
        packages = packages_of(one, versions)
        return own or (_limits(archive, packages[0], versions) if packages else None)
    return kept_package(archive, one).manifest.limits.model_dump()


def _figures(archive: Archive, old: Version, new: Version, versions: Versions) -> list[dict[str, Any]]:
    """Each figure of both, and whether their intervals lie apart. Of recipes, those of their packages, at
    the limits of the recipes."""
    both = [_by_key(archive, one, versions) for one in (old, new)]
    keys = list(dict.fromkeys([*both[0], *both[1]]))
    return [_pair(both[0].get(key), both[1].get(key)) for key in keys]


def _by_key(archive: Archive, one: Version, versions: Versions) -> dict[tuple[str, str], Figure]:
    packages = packages_of(one, versions)[:1] if one.kind == "recipe" else [one]
    limits = _limits(archive, one, versions)
    reports = [at_limits(kept_report(archive, package) or {}, limits) for package in packages]
    listed = [figure for report in reports for figure in figures_of(report)]
    return {(figure.key, figure.name): figure for figure in listed}


def _pair(old: Figure | None, new: Figure | None) -> dict[str, Any]:
    named = old or new
    bounds = [(one.low, one.high) for one in (old, new) if one]
    apart = len(bounds) == 2 and all(low is not None and high is not None for low, high in bounds) and (
        bounds[0][1] < bounds[1][0] or bounds[1][1] < bounds[0][0]  # type: ignore[operator]
    )  # fmt: skip
    values = [one.value if one else None for one in (old, new)]
    return {"named": named, "old": old, "new": new, "apart": apart, "differs": values[0] != values[1]}
