"""Batches: begun, ended, counted."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from inspection.accounts.roles import Permission
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
def batches(archive: ArchiveDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[dict[str, Any]]:
    """Batches of this archive, the newest first."""
    return list_batches(archive, limit)


@router.post("", status_code=201)
def begin(asked: BatchBegun, running: BatchesDep, who: Operator) -> dict[str, Any]:
    """Begin a batch: units from now on are of it. 409 where another one runs, or the name was used."""
    try:
        return describe_entry(running.start(asked.batch, who.name, asked.why))
    except BatchRefused as error:
        raise Problem(409, error.code, str(error)) from error


@router.post("/stop")
def end(asked: BatchEnded, running: BatchesDep, who: Operator) -> dict[str, Any]:
    """End the batch that runs; the answer has its counts and whether they fit."""
    try:
        return describe_entry(running.stop(who.name, asked.why))
    except BatchRefused as error:
        raise Problem(409, error.code, str(error)) from error
