"""Challenge kits over HTTP: what is registered, runs, and the signed override."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from inspection.accounts.roles import Permission
from inspection.accounts.sign_in import SignInRefused
from inspection.challenge.clearance import ChallengeDue
from inspection.challenge.kit import KitUnusable, kept_kit
from inspection.errors import InspectionError
from inspection.frames import FrameUnreadable, FrameWrongFormat, decode_frame, encode_thumbnail
from inspection.image_store import ImageChanged, ImageMissing
from inspection.registry.items import Version as KitVersion
from inspection.registry.items import VersionMissing, find_version, read_versions
from inspection.signatures import SignatureRefused
from serve.challenges import ChallengeRefused
from serve.deps import AddressDep, ArchiveDep, AuthenticationDep, ServiceDep, allow
from serve.descriptions import describe_entry
from serve.problems import Problem
from serve.routes.batches import Operator
from serve.routes.control import Why
from serve.routes.signatures import signer_of
from serve.routes.signed_steps import Approver, ApprovingDep, Signed, Version, told

router = APIRouter(prefix="/api/challenge", tags=["challenge"])
UnitId = Annotated[str, Field(min_length=1, max_length=128)]


class Asked(BaseModel):
    """Begin or end something, and why."""

    model_config = ConfigDict(extra="forbid")

    why: Why


class LineAsked(Asked):
    """Begin a run on the line; `order` is that of the units, if it is not the kit's."""

    order: list[UnitId] | None = Field(default=None, max_length=1000)


class Overriding(Signed):
    """Let a batch begin, or a shift go on, without a passed run."""

    batch: str | None = Field(default=None, min_length=1, max_length=128, pattern=r"^[^\x00-\x1f/\\]+$")


@router.get("", dependencies=[allow(Permission.VIEW)])
def state(service: ServiceDep) -> dict[str, Any]:
    """What the recipe that runs asks for, and what is due; `asked` is false where it names no kit."""
    found = service.challenges.state()
    return {"asked": found is not None} | (found or {})


@router.get("/kits", dependencies=[allow(Permission.VIEW)])
def kits(archive: ArchiveDep) -> list[dict[str, Any]]:
    """All registered kits with their units and signed steps."""
    found = [one for one in read_versions(archive).values() if one.kind == "kit"]
    return [one.described() | _units(archive, one) for one in found]


def _units(archive: ArchiveDep, version: KitVersion) -> dict[str, Any]:
    try:
        return {"units": kept_kit(archive, version).model_dump(mode="json")["units"], "fault": ""}
    except KitUnusable as error:
        return {"units": [], "fault": str(error)}


@router.get("/kits/{name}/{version}/images/{number}", response_class=Response, dependencies=[allow(Permission.VIEW)])
def picture(
    name: str, version: Version, number: Annotated[int, Path(ge=0, le=100_000)], archive: ArchiveDep,
    width: Annotated[int, Query(ge=16, le=2048)] = 480,
) -> Response:  # fmt: skip
    """A kit's image as a JPEG, its longer side `width` pixels at most."""
    try:
        kit = kept_kit(archive, find_version(read_versions(archive), "kit", name, version))
        image = kit.files[number]
        data = archive.images.get(image)
        try:
            pixels = decode_frame(data, image)
        except FrameWrongFormat:
            pixels = decode_frame(data, image, "mono")
    except IndexError as error:
        raise Problem(404, "image_missing", f"kit {name} {version} has no image {number}") from error
    except (VersionMissing, KitUnusable, ImageMissing, ImageChanged, FrameUnreadable) as error:
        raise Problem(404, error.code, str(error)) from error
    return Response(encode_thumbnail(pixels, width), media_type="image/jpeg")


@router.post("/kits/{name}/{version}/approve")
def approve(name: str, version: Version, asked: Signed, registry: ApprovingDep) -> dict[str, Any]:
    """Approve a kit. 409 where it cannot be, or not by the person who registered it."""
    return told(lambda: registry.approve("kit", name, version, asked.why))


@router.post("/run")
def run(asked: Asked, service: ServiceDep, who: Operator) -> dict[str, Any]:
    """Run the kit's images through the station; the answer is the record of how it ended. 409 where it cannot run."""
    try:
        return describe_entry(service.challenges.run_images(who.name, asked.why))
    except (ChallengeRefused, KitUnusable) as error:
        raise _refused(error) from error


@router.post("/line", status_code=201)
def open_run(asked: LineAsked, service: ServiceDep, who: Operator) -> dict[str, Any]:
    """The next units on the line are the kit's: none of them is passed. 409 where it cannot run."""
    try:
        return service.challenges.open(who.name, asked.why, asked.order).described()
    except (ChallengeRefused, KitUnusable) as error:
        raise _refused(error) from error


@router.post("/line/close")
def close_run(asked: Asked, service: ServiceDep, who: Operator) -> dict[str, Any]:
    """End a run on the line before all its units came; it is not passed. 409 where none is open."""
    try:
        return describe_entry(service.challenges.close(f"closed by {who.name}: {asked.why}"))
    except ChallengeRefused as error:
        raise _refused(error) from error


@router.post("/override", status_code=201)
def override(
    asked: Overriding, service: ServiceDep, authentication: AuthenticationDep, address: AddressDep, who: Approver
) -> dict[str, Any]:
    """Produce without a passed run, for one batch or one shift, signed. 401 for a wrong password, 409 where there is
    nothing to override."""
    signer = signer_of(asked.name, asked.password, who, authentication.sign_in, address)
    try:
        return describe_entry(service.challenges.override(signer, asked.why, asked.batch))
    except SignInRefused as error:
        raise Problem(401, error.code, str(error)) from error
    except (ChallengeRefused, ChallengeDue, SignatureRefused) as error:
        raise _refused(error) from error


def _refused(error: InspectionError) -> Problem:
    return Problem(409, error.code, str(error))
