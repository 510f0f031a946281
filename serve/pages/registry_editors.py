"""The editors of limits and of the region of interest: on an archived frame, with what the archive says to it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from inspection.accounts.roles import Permission
from inspection.archive import Archive
from inspection.recipe_region import can_have_region
from inspection.records import Entry, from_row
from inspection.registry.items import State, Version, Versions, read_versions
from inspection.registry.kept import kept_package, kept_recipe, packages_of
from inspection.registry.rules import next_version
from inspection.schema import entries
from inspection.verdict import Outcome
from serve.authentication import Who
from serve.deps import Allowed, ServiceDep
from serve.pages.page import page
from serve.pages.registry import found
from serve.problems import Problem
from serve.service import Service

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.VIEW))]
Text = Annotated[str, Query(max_length=160)]
Days = Annotated[int | None, Query(ge=1, le=36500)]
_FRAMES = 6  # of units that passed to choose from, and of those that did not
_LOOKED_AT = 300  # of the newest units: nobody knows how far back others of the package lie


@router.get("/registry/limits", response_class=HTMLResponse)
def limits(
    request: Request, service: ServiceDep, who: Reader, recipe: Text = "", package: Text = "", frame: Text = "",
    batch: Text = "", days: Days = None,
) -> HTMLResponse:  # fmt: skip
    """The limits of a recipe, or of a package alone, to try out."""
    context = _edited(service, recipe, package, frame)
    return page(request, service, who, "registry_limits", scripted=("editor",), batch=batch, days=days,
                batches=_batches(service), **context)  # fmt: skip


@router.get("/registry/region", response_class=HTMLResponse)
def region(
    request: Request, service: ServiceDep, who: Reader, recipe: Text = "", frame: Text = "", batch: Text = "",
    days: Days = None,
) -> HTMLResponse:  # fmt: skip
    """The region of interest of a recipe."""
    context = _edited(service, recipe, "", frame)
    one, manifest = context["one"], context["manifest"]
    possible = bool(manifest and can_have_region(manifest) and one and len(one.packages) == 1)
    return page(request, service, who, "registry_region", scripted=("editor",), batch=batch, days=days,
                batches=_batches(service), possible=possible, **context)  # fmt: skip


def _edited(service: Service, recipe: str, package: str, frame: str) -> dict[str, Any]:
    """What both editors show: the version that is edited, its package, its limits and region, and frames."""
    archive = service.archive
    versions = read_versions(archive)
    one = _named(versions, "package" if package else "recipe", package or recipe, service)
    of = None if one is None else one if one.kind == "package" else next(iter(packages_of(one, versions)), None)
    manifest = kept_package(archive, of).manifest if of else None
    content = kept_recipe(archive, one) if one and one.kind == "recipe" else {}
    frames = _frames(archive, of.digest) if of else []
    shown = _frame(archive, frame) if frame else (frames[0] if frames else None)
    return {
        "one": one, "of": of, "manifest": manifest, "frames": frames, "shown": shown, "content": content,
        "recipes": [two for two in reversed(versions.values()) if two.kind == "recipe"],
        "users": [two for two in versions.values() if of and of.digest in two.packages],
        "limits": content.get("limits") or (manifest.limits.model_dump() if manifest else None),
        "next_version": next_version(versions, "recipe", one.name) if one else "",
        "values": _values(one, of, manifest, content),
    }  # fmt: skip


def _values(one: Version | None, of: Version | None, manifest: Any, content: dict[str, Any]) -> dict[str, Any]:
    """What the editors' scripts begin with."""
    if one is None or of is None:
        return {}
    return {
        "kind": one.kind, "name": one.name, "version": one.version, "package": of.digest,
        "limits": content.get("limits") or manifest.limits.model_dump(), "region": content.get("region"),
        "cameras": [camera["name"] for camera in content.get("cameras", ())] or ["upload"],
        "aspect": manifest.input.aspect,
    }  # fmt: skip


def _named(versions: Versions, kind: str, label: str, service: Service) -> Version | None:
    """The version with this label (name and number); without one the recipe that runs, or is active, or came last."""
    if label:
        name, _, version = label.rpartition(" ")
        return found(versions, kind, name, version)
    recipes = [one for one in versions.values() if one.kind == "recipe"]
    running = [one for one in recipes if f"{one.name} {one.version}" == service.station.recipe.label]
    return next(iter([*running, *(one for one in recipes if one.state == State.ACTIVE), *reversed(recipes)]), None)


def _frames(archive: Archive, package: str) -> list[Entry]:
    """The newest units of a package that have an image and a heatmap: some that did not pass, and some that did."""
    shown: list[Entry] = []
    with archive.reader() as connection:
        for outcomes in ((Outcome.REJECT, Outcome.REVIEW), (Outcome.PASS,)):
            newest = select(entries).where(entries.c.outcome.in_([str(one) for one in outcomes]))
            newest = newest.order_by(entries.c.recorded_at.desc()).limit(_LOOKED_AT)
            rows = [from_row(row) for row in connection.execute(newest).mappings()]
            with_both = [one for one in rows if one.package == package and one.kind == "unit" and _has_both(one)]
            shown += with_both[:_FRAMES]
    return shown


def _has_both(entry: Entry) -> bool:
    return bool(entry.frames and entry.frames[0].image and entry.frames[0].heatmap)


def _frame(archive: Archive, name: str) -> Entry:
    station, _, number = name.rpartition("/")
    entry = archive.get(station, int(number)) if number.isdigit() and len(number) < 19 else None
    if entry is None or entry.kind != "unit" or not _has_both(entry):
        raise Problem(404, "record_missing", f"there is no unit {name!r} with an image and a heatmap in this archive")
    return entry


def _batches(service: Service) -> list[str]:
    """Names of the last batches, to choose from."""
    table = entries.c
    query = select(table.batch).where(table.kind == "event", table.reason == "batch_started", table.batch.is_not(None))
    with service.archive.reader() as connection:
        named = list(connection.execute(query.order_by(table.recorded_at.desc()).limit(30)).scalars())
    newest = [entry.batch for entry in service.archive.latest(1, kind="unit") if entry.batch]
    return list(dict.fromkeys([*newest, *named]))
