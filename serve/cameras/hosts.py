"""Which host a recipe's camera has."""

from collections.abc import Callable
from pathlib import Path

from inspection.recipe import CameraConfig
from serve.cameras import camera_options
from serve.cameras.camera import Shot
from serve.cameras.health import CameraState
from serve.cameras.host import CameraHost
from serve.cameras.process import CameraProcess
from serve.cameras.thread import CameraThread


def camera_host(
    config: CameraConfig,
    recipe_file: Path,
    *,
    shot: Callable[[str, Shot, float], None],
    state: Callable[[CameraState], None] = lambda _: None,
) -> CameraHost:
    """A process for a camera with a driver, a thread for one without; not started yet. Raises ConfigInvalid."""
    kind, _ = camera_options(config, recipe_file)
    host: type[CameraThread | CameraProcess] = CameraThread if kind.in_service else CameraProcess
    return host(config, recipe_file, shot=shot, state=state)
