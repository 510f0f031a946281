"""Batches: begun, ended, counted."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from inspection.accounts.roles import Permission
from inspection.archive import Archive
from inspection.batch_account import BatchAccount, batch_account
from inspection.batch_pdf import batch_pdf
from inspection.batch_totals import BatchMissing
from inspection.challenge.clearance import ChallengeDue
from serve.authentication import Who
from serve.batches import Batches, BatchRefused, list_batches
from serve.deps import Allowed, ArchiveDep, ServiceDep, allow
from serve.descriptions import describe_entry
from serve.problems import Problem
from serve.routes.control import Why

router = APIRouter(prefix="/api/batches", tags=["batches"])
Operator = Annotated[Who, Depends(Allowed(Permission.OPERATE))]


class BatchBegun(BaseModel):
    """A batch that begins."""

    model_config = ConfigDict(extra="forbid")

    batch: str = Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f/\\]+$")
    why: Why


class BatchEnded(BaseModel):
    """The batch that runs ends."""

    model_config = ConfigDict(extra="forbid")

    why: Why


def _batches(service: ServiceDep) -> Batches:
    return service.batches


BatchesDep = Annotated[Batches, Depends(_batches)]


@router.get("", dependencies=[allow(Permission.VIEW)])
def batches(
    archive: ArchiveDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    text: Annotated[str, Query(max_length=128)] = "", before: Annotated[str, Query(max_length=128)] = "",
) -> list[dict[str, Any]]:  # fmt: skip
    """Batches of this archive, the newest first, whose name has `text` in it; `before` is the last one's `key`."""
    return list_batches(archive, limit, text, before)


@router.get("/{batch}", dependencies=[allow(Permission.VIEW)])
def read_batch(batch: str, archive: ArchiveDep) -> dict[str, Any]:
    """A batch's account: units by outcome and reason, what ran, signatures, where the chains stood."""
    return _account(archive, batch).plain()


@router.get("/{batch}/report", response_class=Response)
def report(batch: str, archive: ArchiveDep, who: Annotated[Who, Depends(Allowed(Permission.VIEW))]) -> Response:
    """The batch report as a PDF."""
    data = batch_pdf(archive, _account(archive, batch), who.name)
    return Response(data, media_type="application/pdf")


def _account(archive: Archive, batch: str) -> BatchAccount:
    try:
        return batch_account(archive, batch)
    except BatchMissing as error:
        raise Problem(404, error.code, str(error)) from error


@router.post("", status_code=201)
def begin(asked: BatchBegun, running: BatchesDep, who: Operator) -> dict[str, Any]:
    """Begin a batch: units from now on are of it. 409 where another one runs, the name was used, or the
    challenge kit was not passed."""
    try:
        return describe_entry(running.start(asked.batch, who.name, asked.why))
    except (BatchRefused, ChallengeDue) as error:
        raise Problem(409, error.code, str(error)) from error


@router.post("/stop")
def end(asked: BatchEnded, running: BatchesDep, who: Operator) -> dict[str, Any]:
    """End the batch that runs; the answer has its counts and whether they fit."""
    try:
        return describe_entry(running.stop(who.name, asked.why))
    except BatchRefused as error:
        raise Problem(409, error.code, str(error)) from error
