"""Trends: control charts, distributions, batches beside each other."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from inspection.accounts.roles import Permission
from inspection.errors import BadUsage
from inspection.trends.control_charts import RULES
from inspection.trends.pareto import OTHERS
from inspection.trends.query import MINUTES, MOST_UNITS
from inspection.trends.report import NothingToShow, Table, Trends
from serve.authentication import Who
from serve.batches import list_batches
from serve.deps import Allowed, ServiceDep
from serve.pages.page import fragment, page
from serve.pages.trend_charts import Drawing
from serve.service import Service
from serve.templating import texts_of
from serve.texts import Texts
from serve.trend_address import AddressOfTrends, TrendAddress, known_to, now, running_batch

router = APIRouter(tags=["pages"], include_in_schema=False)
Reader = Annotated[Who, Depends(Allowed(Permission.VIEW))]
_UNITS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_BASELINES = ("auto", "before", "first", "shown")


@router.get("/trends", response_class=HTMLResponse)
def show(request: Request, service: ServiceDep, who: Reader, address: AddressOfTrends) -> HTMLResponse:
    """The page: what may be chosen; its charts come as they are read."""
    batches = [one["batch"] for one in list_batches(service.archive, 50)]
    recipe = service.line.recipe
    return page(
        request, service, who, "trends", scripted=("trends",), address=address, batches=batches,
        stations=service.archive.stations(), cameras=[one.name for one in recipe.cameras], products=[recipe.product],
        sizes=["auto", *map(str, _UNITS), *(f"{one}min" for one in MINUTES)], rules=list(RULES),
        baselines=[*_BASELINES, *(f"batch:{one}" for one in batches)],
    )  # fmt: skip


@router.get("/trends/charts", response_class=HTMLResponse)
def charts(request: Request, service: ServiceDep, _: Reader, address: AddressOfTrends) -> HTMLResponse:
    """The charts, for the page; what cannot be drawn is said in one sentence."""
    try:
        return fragment(request, "trends_charts", **_drawn(service, texts_of(request), address))
    except (NothingToShow, BadUsage) as error:
        return fragment(request, "trends_fault", said=str(error), nothing=isinstance(error, NothingToShow))


def _drawn(service: Service, t: Texts, address: TrendAddress) -> dict[str, Any]:
    with service.archive.reader() as connection:
        asked, how = address.asked(connection, running_batch(service), now())
        trends = Trends(connection, asked, known_to(service))
        rate, scores, reasons, defects = trends.reject_rate(), trends.scores(), trends.reasons(), trends.defects()
        latency, images, batches = trends.latency(), trends.images(), trends.batches()
        drawing = Drawing(t, trends, address)
    reason_names = [t.code(row[0]) if row[0] != OTHERS else t("trends.name_others") for row in reasons.rows]
    defect_names = [row[0] if row[0] != OTHERS else t("trends.name_others") for row in defects.rows]
    units = sum(one.units for one in trends.groups)
    return {
        "trends": trends, "address": address, "asked": asked, "how": how, "most": MOST_UNITS, "units": units,
        "drawing": drawing, "rate": rate, "scores": scores, "latency": latency, "images": images, "batches": batches,
        "paretos": [("reasons", reasons, reason_names), ("defects", defects, defect_names)],
        "judged": len(rate.rows) - rate.facts["baseline"]["first"],
        "measured": {row["measure"] for row in images.records()},
        "outside": _outside(images),
    }  # fmt: skip


def _outside(images: Table) -> dict[str, list[tuple[str, int, int]]]:
    """By measure, each camera with subgroups outside the recipe's limits: how many of how many."""
    limits, found = images.facts["limits"] or {}, dict[tuple[str, str], list[bool]]()
    for row in images.records():
        low, high = limits.get(f"min_{row['measure']}"), limits.get(f"max_{row['measure']}")
        out = (low is not None and row["median"] < low) or (high is not None and row["median"] > high)
        found.setdefault((row["measure"], row["camera"]), []).append(out)
    told: dict[str, list[tuple[str, int, int]]] = {"brightness": [], "sharpness": []}
    for (measure, camera), each in found.items():
        told[measure] += [(camera, sum(each), len(each))] if any(each) else []
    return told
