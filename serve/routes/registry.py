"""Change control over HTTP: what is registered, where it ran, and the signed steps."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from inspection.accounts.roles import Permission
from inspection.accounts.sign_in import SignInRefused
from inspection.records import Entry
from inspection.registry.items import VersionMissing, find_version, read_versions
from inspection.registry.runs import runs_of
from inspection.registry.steps import Registry, StepRefused
from inspection.signatures import SignatureRefused
from serve.authentication import Who
from serve.deps import AddressDep, Allowed, ArchiveDep, AuthenticationDep, ServiceDep, allow
from serve.problems import Problem
from serve.routes.control import Why
from serve.routes.session import Password
from serve.routes.signatures import signer_of

router = APIRouter(prefix="/api/registry", tags=["registry"])
Approver = Annotated[Who, Depends(Allowed(Permission.APPROVE))]
Kind = Literal["package", "recipe"]


class Signed(BaseModel):
    """Who takes a step, with the password given again, and why."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=64)
    password: Password
    why: Why


def _registry(
    asked: Signed, service: ServiceDep, authentication: AuthenticationDep, address: AddressDep, who: Approver
) -> Registry:
    signer = signer_of(asked.name, asked.password, who, authentication.sign_in, address)
    return Registry(service.archive, service.key, signer)


RegistryDep = Annotated[Registry, Depends(_registry)]


@router.get("", dependencies=[allow(Permission.VIEW)])
def versions(archive: ArchiveDep) -> list[dict[str, Any]]:
    """All versions with their states and steps."""
    return [one.described() for one in read_versions(archive).values()]


@router.get("/{kind}/{name}/{version}", dependencies=[allow(Permission.VIEW)])
def read_version(kind: Kind, name: str, version: str, archive: ArchiveDep) -> dict[str, Any]:
    """One version, with where it ran, when, and which records it made."""
    try:
        one = find_version(read_versions(archive), kind, name, version)
    except VersionMissing as error:
        raise Problem(404, error.code, str(error)) from error
    return one.described() | {"runs": [vars(run) for run in runs_of(archive, one)]}


@router.post("/{kind}/{name}/{version}/approve")
def approve(kind: Kind, name: str, version: str, asked: Signed, registry: RegistryDep) -> dict[str, Any]:
    """Approve what was evaluated. 409 where it cannot be, or not by this person."""
    return _told(lambda: registry.approve(kind, name, version, asked.why))


@router.post("/recipe/{name}/{version}/activate")
def activate(name: str, version: str, asked: Signed, registry: RegistryDep) -> dict[str, Any]:
    """Let an approved recipe run. The station goes on with its recipe until a changeover."""
    return _told(lambda: registry.activate(name, version, asked.why))


@router.post("/{kind}/{name}/{version}/retire")
def retire(kind: Kind, name: str, version: str, asked: Signed, registry: RegistryDep) -> dict[str, Any]:
    """Do not use a version any more."""
    return _told(lambda: registry.retire(kind, name, version, asked.why))


@router.post("/recipe/{name}/rollback")
def roll_back(name: str, asked: Signed, registry: RegistryDep, station: str | None = None) -> dict[str, Any]:
    """One signed step back to the version that was active before; `station` says which one where several run recipes of
    that name."""
    return _told(lambda: registry.roll_back(name, asked.why, station))


def _told(do: Callable[[], Entry]) -> dict[str, Any]:
    try:
        entry = do()
    except SignInRefused as error:
        raise Problem(401, error.code, str(error)) from error
    except VersionMissing as error:
        raise Problem(404, error.code, str(error)) from error
    except (StepRefused, SignatureRefused) as error:
        raise Problem(409, error.code, str(error)) from error
    return {"record": entry.name, "versions": entry.details["versions"]}
