"""The review queue, and how far first and second reviewers agree."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from inspection.accounts.roles import Permission
from inspection.archive import Archive
from inspection.review_queue import Order, QueueUnit, State, Which, batch_units, is_open, newest_batches, product_of
from inspection.second_review import agreement_of, disagreement, pair
from serve.authentication import Who
from serve.deps import Allowed, ServiceDep
from serve.pages.page import fragment, page
from serve.routes.reviews import overall, share_of
from serve.unit_view import choices

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.VIEW))]
Batch = Annotated[str | None, Query(max_length=128)]
_LOOKED_THROUGH = 4  # batches, for one that has something to decide


@router.get("/review", response_class=HTMLResponse)
def show(
    request: Request, service: ServiceDep, who: Reader, batch: Batch = None, which: Which = "all",
    order: Order = "undecided", state: State = "open",
) -> HTMLResponse:  # fmt: skip
    """The page."""
    batches = newest_batches(service.archive)
    running = service.status()["batch"]
    batches = list(dict.fromkeys([*([running] if running else []), *batches]))
    if batch is None:
        batch = _default(service.archive, batches, who)
    product, classes = product_of(service.archive, batch or None)
    keys = choices(service, product or service.line.recipe.product, classes)
    return page(
        request, service, who, "review", scripted=("review", "viewer"), batch=batch, batches=batches, running=running,
        which=which, order=order, state=state, choices=keys, share=share_of(service.archive),
    )  # fmt: skip


@router.get("/review/agreement", response_class=HTMLResponse)
def show_agreement(request: Request, service: ServiceDep, who: Reader, batch: Batch = None) -> HTMLResponse:
    """The part with both agreements, and what is to be settled."""
    units = batch_units(service.archive, batch or None)
    # who still looks at a unit blind, or decided on it so, must not read here what the other one said
    differing = [(unit, found) for unit in units if (found := disagreement(unit.reviews))]
    may_settle = Permission.APPROVE in who.permissions
    return fragment(
        request, "_agreement", batch=batch, batches_agreement=agreement_of(unit.reviews for unit in units),
        overall=overall(service.archive), share=share_of(service.archive), may_settle=may_settle,
        differing=[(unit, found) for unit, found in differing if may_settle and not _theirs(unit, who)],
        second=sum(pair(unit.reviews) is not None for unit in units), unsettled=len(differing),
    )  # fmt: skip


def _theirs(unit: QueueUnit, who: Who) -> bool:
    return any(one.reviewer == who.name for one in unit.reviews)


def _default(archive: Archive, batches: list[str], who: Who) -> str:
    """The first batch, the running one before the others, in which something waits for this person; else the first."""
    share = share_of(archive)
    for name in batches[:_LOOKED_THROUGH]:
        if any(is_open(unit, who.name, share) for unit in batch_units(archive, name)):
            return name
    return batches[0] if batches else ""
