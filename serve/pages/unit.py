"""The page of one record: all that is known of a unit, or of an event."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from inspection.accounts.roles import Permission
from inspection.archive import Archive
from inspection.records import Entry, intact
from inspection.schema import entries
from inspection.second_review import disagreement
from inspection.signatures import signatures_of
from serve.authentication import Who
from serve.deps import Allowed, EntryDep, ServiceDep
from serve.pages.page import fragment, page
from serve.routes.reviews import refuse_withheld
from serve.unit_view import choices, unit_view

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.VIEW))]


@router.get("/records/{station}/{sequence}", response_class=HTMLResponse)
def show(request: Request, service: ServiceDep, who: Reader, entry: EntryDep) -> HTMLResponse:
    """The page of a unit, or of an event."""
    beside = {key: neighbour(service.archive, entry, key) for key in ("before", "after")}
    if entry.kind != "unit":
        refuse_withheld(service.archive, entry, who)
        signed = signatures_of(service.archive, entry)
        return page(request, service, who, "event", entry=entry, beside=beside, signatures=signed,
                    intact=intact(entry))  # fmt: skip
    view = unit_view(service, entry, who)
    settling = not view["withheld"] and disagreement(view["reviews"]) is not None
    may_settle = settling and Permission.APPROVE in who.permissions and not view["mine"]
    return page(
        request, service, who, "unit", scripted=("unit", "review", "viewer"), view=view, entry=entry, beside=beside,
        choices=choices(service, entry.product, [one["name"] for one in view["classes"]]), settling=settling,
        may_settle=may_settle, intact=intact(entry),
    )  # fmt: skip


@router.get("/records/{station}/{sequence}/panel", response_class=HTMLResponse)
def show_panel(request: Request, service: ServiceDep, who: Reader, entry: EntryDep) -> HTMLResponse:
    """What the review queue shows of a unit beside its pictures, and where these are."""
    view = unit_view(service, entry, who)
    return fragment(request, "_unit_panel", view=view, entry=entry, in_queue=True)


def neighbour(archive: Archive, entry: Entry, which: str) -> int | None:
    """The number of the record before or after this one in its station's chain: of the same kind."""
    number = entries.c.sequence
    query = select(number).where(entries.c.station == entry.station, entries.c.kind == entry.kind)
    if which == "before":
        query = query.where(number < entry.sequence).order_by(number.desc())
    else:
        query = query.where(number > entry.sequence).order_by(number)
    with archive.reader() as connection:
        found = connection.scalar(query.limit(1))
    return None if found is None else int(found)
