"""The data of each chart of trends, as JSON and as CSV."""

import csv
import io
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from inspection.accounts.roles import Permission
from inspection.errors import BadUsage
from inspection.trends.report import CHARTS, NothingToShow, Table, Trends
from serve.deps import ServiceDep, allow
from serve.problems import Problem
from serve.trend_address import AddressOfTrends, known_to, now, running_batch

router = APIRouter(prefix="/api/trends", tags=["trends"])
ChartName = StrEnum("ChartName", {name.replace("-", "_"): name for name in CHARTS})  # type: ignore[misc]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@router.get("/{chart}", dependencies=[allow(Permission.VIEW)], response_class=Response)
def chart(
    chart: ChartName, service: ServiceDep, address: AddressOfTrends,
    form: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
) -> Response:  # fmt: skip
    """The data of one chart, as the page shows it: of `batch` (several may be named) or of the time from `since` up to
    `until` (UTC). 404 where no unit fits, 422 for what cannot be drawn."""
    try:
        with service.archive.reader() as connection:
            asked, _ = address.asked(connection, running_batch(service), now())
            found = Trends(connection, asked, known_to(service)).chart(chart.value)
    except NothingToShow as error:
        raise Problem(404, error.code, str(error)) from error
    except BadUsage as error:
        raise Problem(422, error.code, str(error)) from error
    if form == "json":
        return JSONResponse(found.plain())
    headers = {"Content-Disposition": f'attachment; filename="{chart.value}.csv"'}
    return Response(as_csv(found), media_type="text/csv; charset=utf-8", headers=headers)


def as_csv(table: Table) -> str:
    """Rows with a head. A text that a spreadsheet would take for a formula has an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(table.columns)
    writer.writerows([[_cell(value) for value in row] for row in table.rows])
    return out.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
