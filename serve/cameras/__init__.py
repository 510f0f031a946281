"""Cameras, in a plain registry: one file and one line here for a new kind."""

from pathlib import Path

from inspection.config import ConfigInvalid, validate
from inspection.recipe import CameraConfig
from serve.cameras.aravis import AravisCamera
from serve.cameras.camera import Camera, CameraOptions, CameraUnavailable, Fault, Shot
from serve.cameras.folder import FolderCamera
from serve.cameras.genicam import GenicamCamera
from serve.cameras.http import HttpCamera
from serve.cameras.opencv import OpenCvCamera
from serve.cameras.simulator import SimulatorCamera
from serve.cameras.unix_socket import SocketCamera

CAMERAS: dict[str, type[Camera]] = {
    "aravis": AravisCamera,
    "folder": FolderCamera,
    "genicam": GenicamCamera,
    "http": HttpCamera,
    "opencv": OpenCvCamera,
    "simulator": SimulatorCamera,
    "socket": SocketCamera,
}


def open_camera(config: CameraConfig, recipe_file: Path) -> Camera:
    """The camera a recipe asks for. Raises ConfigInvalid for wrong options, CameraUnavailable where it is not there."""
    kind, options = camera_options(config, recipe_file)
    return kind(config.name, options, recipe_file.parent)


def camera_options(config: CameraConfig, recipe_file: Path) -> tuple[type[Camera], CameraOptions]:
    """A camera's class and its options, before it is opened. Raises ConfigInvalid."""
    where = f"{recipe_file}: camera {config.name!r}"
    if config.kind not in CAMERAS:
        raise ConfigInvalid(f"{where}: there is no kind {config.kind!r}; choose one of {', '.join(sorted(CAMERAS))}")
    kind = CAMERAS[config.kind]
    return kind, validate(config.options, kind.Options, f"{where} ({config.kind})")


__all__ = [
    "CAMERAS",
    "Camera",
    "CameraOptions",
    "CameraUnavailable",
    "Fault",
    "Shot",
    "camera_options",
    "open_camera",
]
