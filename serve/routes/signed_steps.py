"""What signed steps over HTTP have in common: who takes them, and how their refusals are told."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import Depends, Form, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from inspection.accounts.passwords import MAX_LENGTH
from inspection.accounts.roles import Permission
from inspection.accounts.sign_in import SignInRefused
from inspection.archive import ArchiveFault
from inspection.errors import InspectionError
from inspection.image_store import ImagesUnreachable
from inspection.records import Entry
from inspection.registry.items import VersionMissing
from inspection.registry.rules import StepRefused
from inspection.registry.steps import Registry
from inspection.signatures import SignatureRefused
from serve.authentication import Who
from serve.deps import AddressDep, Allowed, AuthenticationDep, ServiceDep
from serve.problems import Problem
from serve.routes.control import Why
from serve.routes.inspect import MAX_UPLOAD_BYTES
from serve.routes.session import Password
from serve.routes.signatures import signer_of

Kind = Literal["package", "recipe"]
Version = Annotated[str, Field(pattern=r"^\d{1,9}\.\d{1,9}\.\d{1,9}$", max_length=29)]
Approver = Annotated[Who, Depends(Allowed(Permission.APPROVE))]
Developer = Annotated[Who, Depends(Allowed(Permission.DEVELOP))]


class Signed(BaseModel):
    """Who takes a step, with the password given again, and why."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=64)
    password: Password
    why: Why


def registry_of(
    asked: Signed, service: ServiceDep, authentication: AuthenticationDep, address: str, who: Who
) -> Registry:
    """The registry, for whoever signs. Raises Problem for another's name."""
    signer = signer_of(asked.name, asked.password, who, authentication.sign_in, address)
    return Registry(service.archive, service.key, signer)


def _approving(
    asked: Signed, service: ServiceDep, authentication: AuthenticationDep, address: AddressDep, who: Approver
) -> Registry:
    return registry_of(asked, service, authentication, address, who)


def _by_form(
    service: ServiceDep, authentication: AuthenticationDep, address: AddressDep, who: Developer,
    name: Annotated[str, Form(max_length=64)],
    password: Annotated[str, Form(min_length=1, max_length=MAX_LENGTH)],
    why: Annotated[str, Form(min_length=3, max_length=500)],
) -> "SignedForm":  # fmt: skip
    asked = Signed(name=name, password=password, why=why)
    return SignedForm(registry_of(asked, service, authentication, address, who), why)


class SignedForm:
    """A step that comes as a form with files."""

    def __init__(self, registry: Registry, why: str) -> None:
        self.registry, self.why = registry, why


ApprovingDep = Annotated[Registry, Depends(_approving)]
FormDep = Annotated[SignedForm, Depends(_by_form)]


def told(do: Callable[[], Entry]) -> dict[str, Any]:
    """Take a step; the answer names its record and what it changed. Raises Problem: 401 for a wrong password, 404 for
    an unknown version, 409 for a step that is out of order or not this person's, 422 for what cannot be read."""
    try:
        entry = do()
    except (ArchiveFault, ImagesUnreachable):
        raise
    except SignInRefused as error:
        raise Problem(401, error.code, str(error)) from error
    except VersionMissing as error:
        raise Problem(404, error.code, str(error)) from error
    except (StepRefused, SignatureRefused) as error:
        raise Problem(409, error.code, str(error)) from error
    except InspectionError as error:
        raise Problem(422, error.code, str(error)) from error
    return {"record": entry.name, "versions": entry.details["versions"]}


def read_file(file: UploadFile, most: int = MAX_UPLOAD_BYTES) -> bytes:
    """An uploaded file's bytes, of no more than `most`. Raises Problem."""
    data = file.file.read(most + 1)
    if len(data) > most:
        raise Problem(413, "upload_too_large", f"{file.filename or 'the file'} is larger than {most / 2**20:g} MiB")
    return data
