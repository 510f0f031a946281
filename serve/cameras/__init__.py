"""Cameras, in a plain registry: one file and one line here for a new kind."""

from inspection.config import validate
from inspection.recipe import CameraConfig
from serve.cameras.camera import Camera, CameraUnavailable, Fault, Shot
from serve.cameras.folder import FolderCamera
from serve.cameras.opencv import OpenCvCamera
from serve.cameras.simulator import SimulatorCamera

CAMERAS: dict[str, type[Camera]] = {
    "folder": FolderCamera,
    "opencv": OpenCvCamera,
    "simulator": SimulatorCamera,
}


def open_camera(config: CameraConfig) -> Camera:
    """The camera a recipe asks for. Raises ConfigInvalid for wrong options, CameraUnavailable where it is not there."""
    if config.kind not in CAMERAS:
        raise CameraUnavailable(f"there is no camera kind {config.kind!r}; choose one of {', '.join(sorted(CAMERAS))}")
    kind = CAMERAS[config.kind]
    options = validate(config.options, kind.Options, f"camera {config.name!r} ({config.kind})")
    return kind(config.name, options)


__all__ = ["CAMERAS", "Camera", "CameraUnavailable", "Fault", "Shot", "open_camera"]
