"""What other limits, or another region, would have changed: read from the archive, nothing is changed."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from inspection.accounts.roles import Permission
from inspection.config import explain
from inspection.recipe_region import RecipeRegion, RegionCount, can_have_region, counted_cells
from inspection.records import utc_text
from inspection.region_replay import replay_region
from inspection.registry.items import Version, read_versions
from inspection.registry.kept import KeptPackage, kept_package
from inspection.verdict import Limits
from inspection.what_if import Chosen, score_histogram, what_if
from serve.deps import ArchiveDep, allow
from serve.problems import Problem

router = APIRouter(prefix="/api/registry/what-if", tags=["registry"], dependencies=[allow(Permission.VIEW)])
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Batch = Annotated[str | None, Query(max_length=128)]
Days = Annotated[int | None, Query(ge=1, le=36500)]


class RegionAsked(BaseModel):
    """Another region (null: the whole frame) at these limits, for units that this package judged, of one batch or of
    the last days."""

    model_config = ConfigDict(extra="forbid")

    package: Digest
    region: dict[str, Any] | None = None
    review_limit: FiniteFloat
    reject_limit: FiniteFloat
    batch: str | None = Field(default=None, max_length=128)
    days: int | None = Field(default=None, ge=1, le=36500)


@router.get("/limits")
def other_limits(
    archive: ArchiveDep, package: Annotated[str, Query(pattern=r"^[0-9a-f]{64}$")],
    review_limit: FiniteFloat, reject_limit: FiniteFloat, batch: Batch = None, days: Days = None,
) -> dict[str, Any]:  # fmt: skip
    """How many units of this package would have another verdict at these limits, by direction."""
    limits = _limits(review_limit, reject_limit)
    return what_if(archive, chosen(package, batch, days), limits).as_json()


@router.get("/scores")
def scores(
    archive: ArchiveDep, package: Annotated[str, Query(pattern=r"^[0-9a-f]{64}$")],
    upper: FiniteFloat | None = None, batch: Batch = None, days: Days = None,
) -> dict[str, Any]:  # fmt: skip
    """How recorded scores lie; those above `upper` are in the last bin."""
    return score_histogram(archive, chosen(package, batch, days), upper)


@router.post("/region")
def other_region(archive: ArchiveDep, asked: RegionAsked) -> dict[str, Any]:
    """The same with another region, of a sample of units whose heatmaps are on record."""
    package = _package(archive, asked.package)
    if not can_have_region(package.manifest):
        raise Problem(409, "region_refused", "the score over a region cannot be told from this package's heatmaps")
    region = read_region(asked.region) if asked.region is not None else None
    limits = _limits(asked.review_limit, asked.reject_limit)
    where, count = chosen(asked.package, asked.batch, asked.days), RegionCount(package.manifest)
    cells = counted_cells(region, count.inside) if region else {}
    untouched = next((camera for camera, number in cells.items() if number == 0), None)
    if untouched:
        said = f"the region ({untouched}) touches nothing that the package inspects; draw it there"
        raise Problem(422, "region_refused", said)
    found = replay_region(archive, where, count, region, limits).as_json()
    return found | {"cells": cells, "inspected": int(count.inside.sum())}


def chosen(package: str, batch: str | None, days: int | None) -> Chosen:
    """The units of a batch, or of the last days."""
    since = utc_text(datetime.now(UTC) - timedelta(days=days)) if days and not batch else None
    return Chosen(package, batch or None, since)


def read_region(plain: dict[str, Any]) -> RecipeRegion:
    """A region. Raises Problem with one sentence."""
    try:
        return RecipeRegion.model_validate(plain)
    except ValidationError as error:
        raise Problem(422, "region_invalid", f"region: {explain(error, RecipeRegion)}") from error


def _limits(review: float, reject: float) -> Limits:
    if review > reject:
        raise Problem(422, "limits_invalid", f"the review limit {review:g} is above the reject limit {reject:g}")
    return Limits(review_limit=review, reject_limit=reject)


def _package(archive: ArchiveDep, digest: str) -> KeptPackage:
    found: list[Version] = [one for one in read_versions(archive).values() if one.kind == "package"]
    one = next((one for one in found if one.digest == digest), None)
    if one is None:
        raise Problem(404, "version_missing", f"no package {digest[:12]}… is registered")
    return kept_package(archive, one)
