"""Signing records, and the signatures of a record."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from inspection.accounts.roles import Permission
from inspection.accounts.sign_in import SignIn, SignInRefused
from inspection.signatures import SignatureRefused, Signer, sign_record, signatures_of
from serve.authentication import Who
from serve.deps import AddressDep, Allowed, ArchiveDep, AuthenticationDep, EntryDep, ServiceDep, allow
from serve.problems import Problem
from serve.routes.control import Why
from serve.routes.session import Password

router = APIRouter(prefix="/api/records", tags=["signatures"])


class Signing(BaseModel):
    """A signature: name and password are given again, the meaning is one of those of `GET /api/session`."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=64)
    password: Password
    meaning: str = Field(max_length=32)
    why: Why


@router.get("/{station}/{sequence}/signatures", dependencies=[allow(Permission.VIEW)])
def read_signatures(archive: ArchiveDep, entry: EntryDep) -> list[dict[str, Any]]:
    """Who signed a record, the oldest first."""
    return [vars(one) for one in signatures_of(archive, entry)]


@router.post("/{station}/{sequence}/signatures", status_code=201, dependencies=[allow(Permission.SIGN)])
def sign(
    asked: Signing, service: ServiceDep, entry: EntryDep, authentication: AuthenticationDep, address: AddressDep,
    who: Annotated[Who, Depends(Allowed(Permission.SIGN))],
) -> list[dict[str, Any]]:  # fmt: skip
    """Sign a record. Who is signed in is the one who signs: 403 for another's name, 401 for a wrong password."""
    signer = signer_of(asked.name, asked.password, who, authentication.sign_in, address)
    try:
        sign_record(service.archive, service.key, entry, signer, asked.meaning, asked.why)
    except SignInRefused as error:
        raise Problem(401, error.code, str(error)) from error
    except SignatureRefused as error:
        raise Problem(422, error.code, str(error)) from error
    return read_signatures(service.archive, entry)


def signer_of(name: str, password: str, who: Who, sign_in: SignIn, address: str) -> Signer:
    """Whoever is signed in, with the credentials given again. Raises Problem for another's name, which is on the
    trail."""
    if name != who.name:
        sign_in.refused(who.name, "another's name was given to sign with", "signature", address)
        raise Problem(403, "signature_refused", f"{who.name} is signed in and cannot sign for {name!r}")
    return Signer(sign_in, name, password, address)
