"""The challenge kit: what is due, what the last run found of each unit, kits, and what was run before."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from inspection.accounts.roles import Permission
from inspection.archive import Archive
from inspection.challenge.clearance import challenge_events
from inspection.challenge.kit import Kit, KitUnusable, kept_kit
from inspection.challenge.run import FAILED, PASSED
from inspection.records import Entry
from inspection.registry.items import Version, read_versions
from inspection.registry.rules import refusal
from serve.authentication import Who
from serve.deps import Allowed, ServiceDep
from serve.pages.page import page

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.VIEW))]
_SHOWN = 30


@router.get("/challenge", response_class=HTMLResponse)
def show(request: Request, service: ServiceDep, who: Reader) -> HTMLResponse:
    """The page."""
    archive = service.archive
    versions = read_versions(archive)
    kits = [one for one in reversed(versions.values()) if one.kind == "kit"]
    kept = {one.version_key: one for one in (_Kept(archive, kit) for kit in kits)}
    may_approve = {
        one.key: refusal("approved", one, versions, who.name, frozenset(who.permissions)) is None for one in kits
    }
    events = challenge_events(archive, _SHOWN)
    last = next((one for one in events if one.reason in (PASSED, FAILED)), None)
    return page(
        request, service, who, "challenge", asked=service.challenges.state(), kits=list(kept.values()), events=events,
        last=last, pictures=_pictures(last, kept), may_approve=may_approve, passed=PASSED,
        on_line=service.line.state == "running",
    )  # fmt: skip


class _Kept:
    """A version with its content, or why that cannot be read."""

    def __init__(self, archive: Archive, version: Version) -> None:
        self.version, self.version_key = version, (version.name, version.version)
        self.kit: Kit | None = None
        self.fault = ""
        try:
            self.kit = kept_kit(archive, version)
        except KitUnusable as error:
            self.fault = str(error)


def _pictures(last: Entry | None, kept: dict[tuple[str, str], _Kept]) -> dict[str, str]:
    """The addresses of the pictures of a run's units, by their names in the store."""
    said: dict[str, Any] = last.details["kit"] if last else {}
    found = kept.get((str(said.get("name")), str(said.get("version"))))
    if found is None or found.kit is None:
        return {}
    base = f"/api/challenge/kits/{found.version.name}/{found.version.version}/images"
    return {name: f"{base}/{number}" for number, name in enumerate(found.kit.files)}
