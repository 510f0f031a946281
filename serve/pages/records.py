"""Records searched and shown as pictures."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from inspection.accounts.roles import Permission
from inspection.manifest import Manifest
from inspection.search import PAGE, Page, count, search
from inspection.search_choices import choices
from inspection.search_query import NOT_PASSED, ORDERS, SearchInvalid
from inspection.selection import MOST_UNITS
from inspection.unit_events import afterwards
from inspection.verdict import Outcome
from serve.authentication import Who
from serve.deps import Allowed, ServiceDep, allow
from serve.pages.page import fragment, page
from serve.record_search import Wanted, WantedDep, package_names, query_of
from serve.service import Service

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.VIEW))]
View = Annotated[Literal["gallery", "table"], Query()]
After = Annotated[str, Query(max_length=300)]
OUTCOMES = (*Outcome, NOT_PASSED)


@router.get("/records", response_class=HTMLResponse)
def show(request: Request, service: ServiceDep, who: Reader, wanted: WantedDep, view: View = "gallery") -> HTMLResponse:
    """The page, with the first units that fit."""
    items = _items(service, wanted, view)
    more: dict[str, Any] = {"orders": ORDERS, "outcomes": OUTCOMES, "most_units": MOST_UNITS}
    return page(request, service, who, "records", scripted=("records",), **items, **more)


@router.get("/records/more", response_class=HTMLResponse, dependencies=[allow(Permission.VIEW)])
def show_more(
    request: Request, service: ServiceDep, wanted: WantedDep, after: After, view: View = "gallery"
) -> HTMLResponse:
    """The next units."""
    return fragment(request, "_record_items", **_items(service, wanted, view, after))


@router.get("/records/count", response_class=HTMLResponse, dependencies=[allow(Permission.VIEW)])
def show_count(request: Request, service: ServiceDep, wanted: WantedDep) -> HTMLResponse:
    """How many fit."""
    try:
        found, fault = count(service.archive, query_of(service, wanted)), ""
    except SearchInvalid as error:
        found, fault = None, str(error)
    return fragment(request, "_record_count", count=found, fault=fault)


@router.get("/records/choices", response_class=HTMLResponse, dependencies=[allow(Permission.VIEW)])
def show_choices(request: Request, service: ServiceDep) -> HTMLResponse:
    """What the fields of the search offer."""
    found = choices(service.archive)
    detector = service.station.detector
    ran: list[Manifest] = [detector.package.manifest]
    ran += [detector.classifier.package.manifest] if detector.classifier else []
    classes = {one.name for manifest in ran for one in manifest.classes}
    names = package_names(service, service.archive)
    packages = sorted({names.get(digest, digest) for digest in found.packages})
    lists = {
        "batch": found.batches, "reason": found.reasons, "defect": sorted({*found.defects, *classes}),
        "package": packages, "recipe": found.recipes, "product": found.products, "station": found.stations,
    }  # fmt: skip
    return fragment(request, "_record_choices", lists=lists)


def _items(service: Service, wanted: Wanted, view: str, after: str = "") -> dict[str, Any]:
    """What the units' part of the page shows. What cannot be understood is said in `fault`, and nothing is found."""
    found, fault = Page([]), ""
    try:
        found = search(service.archive, query_of(service, wanted), PAGE, after or None)
    except SearchInvalid as error:
        fault = str(error)
    return {
        "found": found.found, "said": afterwards(service.archive, found.found), "after": found.after,
        "looked_to": found.looked_to, "first": not after, "wanted": wanted, "view": view, "fault": fault,
    }  # fmt: skip
