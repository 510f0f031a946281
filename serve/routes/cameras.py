"""Frames that are pushed."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, UploadFile

from inspection.accounts.roles import Permission
from serve.cameras.camera import Fault
from serve.cameras.http import CameraBusy, HttpCamera
from serve.cameras.thread import CameraThread
from serve.deps import ServiceDep, allow
from serve.problems import Problem
from serve.routes.inspect import read_upload

router = APIRouter(prefix="/api", tags=["cameras"])
_Count = Annotated[int | None, Form(ge=0, lt=2**63)]


@router.post("/cameras/{name}/frames", status_code=202, dependencies=[allow(Permission.INSPECT)])
def push_frame(
    name: str, service: ServiceDep, image: UploadFile, sequence: _Count = None, hardware_time_ns: _Count = None
) -> dict[str, Any]:
    """Give a camera of kind `http` its next frame, an image file; the answer does not wait for the verdict.

    `sequence` is the sender's own count: give it, and a frame that got lost on the way is noticed. An image that cannot
    be read was a frame all the same: its unit is rejected, and the answer is 422. 503: the frame is lost, send more
    slowly.
    """
    host = service.line.cameras.get(name)
    if host is None:
        raise Problem(404, "camera_missing", f"the recipe that runs has no camera {name!r}")
    if not isinstance(host, CameraThread):
        raise Problem(409, "camera_not_pushed", f"camera {name!r} takes its frames itself; only kind http is pushed to")
    camera = host.camera
    if not isinstance(camera, HttpCamera):
        raise Problem(409, "line_not_running", f"camera {name!r} takes no frames now: the line does not run")
    try:
        shot = camera.push(read_upload(image), image.filename or "", sequence, hardware_time_ns)
    except CameraBusy as error:
        raise Problem(503, error.code, str(error)) from error
    if isinstance(shot, Fault):
        raise Problem(422, shot.reason, shot.message)
    return {"status": "taken", "sequence": shot.sequence}
