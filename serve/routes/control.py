"""What operators and machines tell the station to do: announce a unit, go on after a stop, change over."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from inspection.accounts.roles import Permission
from serve.authentication import Who
from serve.changeover import Changeover, ChangeoverRefused
from serve.deps import Allowed, ServiceDep, allow
from serve.problems import Problem
from serve.triggers.software import SoftwareTrigger, TriggerRefused

router = APIRouter(prefix="/api", tags=["control"])
Operator = Annotated[Who, Depends(Allowed(Permission.OPERATE))]
Why = Annotated[str, Field(min_length=3, max_length=500, description="Why, for the record.")]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class UnitAnnounced(_Asked):
    """A unit that comes by: its id, and the announcer's own count, where there are any."""

    unit: str | None = Field(default=None, max_length=128)
    count: int | None = Field(default=None, ge=0, lt=2**63)


class GoOn(_Asked):
    """Let a stopped station go on."""

    why: Why


class RecipeAsked(_Asked):
    """Run another recipe: a file beside the one that runs."""

    recipe: str = Field(max_length=128)
    why: Why
    batch: str | None = Field(default=None, min_length=1, max_length=128)


@router.post("/trigger", status_code=202, dependencies=[allow(Permission.INSPECT)])
def trigger(asked: UnitAnnounced, service: ServiceDep) -> dict[str, str]:
    """Open a unit, where the recipe's trigger is `software`; 409 where it is not, or too many wait."""
    announced = service.line.trigger
    if not isinstance(announced, SoftwareTrigger):
        raise Problem(409, "no_software_trigger", "the recipe that runs has no trigger of kind software")
    try:
        announced.fire(asked.unit, count=asked.count)
    except TriggerRefused as error:
        raise Problem(409, error.code, str(error)) from error
    return {"status": "announced"}


@router.post("/resume")
def resume(asked: GoOn, service: ServiceDep, who: Operator) -> dict[str, Any]:
    """Let a station that stopped after too many rejects go on; 409 where it has not stopped."""
    if service.line.state != "running" or not service.line.conveyor.stopped:
        raise Problem(409, "not_stopped", "the station has not stopped by itself")
    service.line.conveyor.resume(asked.why, who.name)
    return {"status": "resumed"}


@router.get("/recipes", dependencies=[allow(Permission.VIEW)])
def recipes(request: Request) -> list[str]:
    """The files that a changeover can name."""
    return _changeover(request).recipes()


@router.post("/changeover")
def changeover(asked: RecipeAsked, request: Request, service: ServiceDep, who: Operator) -> dict[str, Any]:
    """Change to another recipe; answers once it runs. 409, and the old one goes on, where it cannot."""
    try:
        _changeover(request).change(asked.recipe, asked.why, who.name, asked.batch)
    except ChangeoverRefused as error:
        raise Problem(409, error.code, str(error)) from error
    return service.status()


def _changeover(request: Request) -> Changeover:
    found: Changeover = request.app.state.changeover
    return found
