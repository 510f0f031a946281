"""Inspect an uploaded image as a unit."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, UploadFile

from inspection.accounts.roles import Permission
from inspection.errors import InspectionError
from inspection.frames import Frame, decode_frame, image_suffix
from inspection.verdict import Reason, reason_for
from serve.batches import BatchRefused
from serve.deps import ServiceDep, allow
from serve.descriptions import describe
from serve.problems import Problem

MAX_UPLOAD_BYTES = 64 * 2**20
_NOT_INSPECTED = frozenset({
    Reason.FRAME_UNREADABLE, Reason.FRAME_WRONG_FORMAT, Reason.FRAME_WRONG_GEOMETRY, Reason.FRAME_BLURRED,
    Reason.FRAME_EXPOSURE,
})  # fmt: skip


def too_large(name: str) -> str:
    """The sentence for whoever sends more than is read."""
    return f"{name} is larger than {MAX_UPLOAD_BYTES / 2**20:g} MiB; send a smaller image"


def read_upload(image: UploadFile) -> bytes:
    """An uploaded file's bytes, of no more than are allowed."""
    data = image.file.read(MAX_UPLOAD_BYTES + 1)
    if len(data) > MAX_UPLOAD_BYTES:
        raise Problem(413, "upload_too_large", too_large(image.filename or "upload"))
    return data


router = APIRouter(prefix="/api", tags=["inspect"])


@router.post("/inspect", dependencies=[allow(Permission.INSPECT)])
def inspect(
    service: ServiceDep,
    image: UploadFile,
    unit: Annotated[str | None, Form(max_length=128)] = None,
    batch: Annotated[str | None, Form(max_length=128)] = None,
) -> dict[str, Any]:
    """The verdict on one image file, after its record is durable. An image that cannot be inspected is a REJECT on
    record and an answer of 422; a verdict that cannot be recorded is an answer of 503. 409, and no unit, for a batch
    that was ended."""
    station = service.station
    if batch:
        try:
            service.batches.refuse_ended(batch)
        except BatchRefused as error:
            raise Problem(409, error.code, str(error)) from error
    if why := service.challenges.blocked(batch or station.batch):
        disposition = station.reject(Reason.STATION_STOPPED, why, unit, batch=batch)
        service.account(disposition)
        return describe(disposition)
    opened = station.clock()
    name = image.filename or "upload"
    data = read_upload(image)
    frames: list[Frame] = []
    try:
        pixels = decode_frame(data, name, station.detector.manifest.input.colour)
    except InspectionError as error:
        reason = reason_for(error.code, Reason.FRAME_UNREADABLE)
        disposition = station.reject(reason, str(error), unit, batch=batch)
    else:
        frames = [Frame(pixels, name, "upload", encoded=data, suffix=image_suffix(data))]
        disposition = station.inspect(frames[0], unit, opened, batch)
    service.account(disposition)
    if service.line.shadow:
        service.line.shadow.offer(disposition, frames)
    answer = describe(disposition)
    if disposition.entry is None:
        raise Problem(503, disposition.reason, disposition.message, **answer)
    if disposition.reason in _NOT_INSPECTED:
        raise Problem(422, disposition.reason, disposition.message, **answer)
    return answer
