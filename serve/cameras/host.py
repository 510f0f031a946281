"""Who runs a camera: has it opened, watches it, and hands its shots on."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from inspection.recipe import CameraConfig
from serve.cameras import camera_options
from serve.cameras.camera import Shot, Watched
from serve.cameras.health import CameraState, Health


class CameraHost(ABC):
    """Runs a recipe's camera. `shot(name, shot, at)` is given each shot from `go` on with the monotonic time of its
    arrival, `state` each change of the camera's state; both from one thread, and they must not wait."""

    def __init__(
        self,
        config: CameraConfig,
        recipe_file: Path,
        shot: Callable[[str, Shot, float], None],
        state: Callable[[CameraState], None],
    ) -> None:
        self.name, self._config, self._recipe_file = config.name, config, recipe_file
        self._shot, self._tell = shot, state
        self._health: Health | None = None

    @property
    def state(self) -> CameraState:
        """How the camera is now."""
        return self._health.state if self._health else CameraState(self.name)

    @property
    def pid(self) -> int | None:
        """Of the camera's process, or None where there is none."""
        return None

    @abstractmethod
    def start(self) -> None:
        """Open the camera, and wait until it is. Raises ConfigInvalid or CameraUnavailable."""

    @abstractmethod
    def go(self) -> None:
        """Let it begin."""

    @abstractmethod
    def restart(self, why: str) -> None:
        """Have the camera opened again, without what is in its buffers; `state` tells of down and up."""

    @abstractmethod
    def stop(self) -> None:
        """Take no more shots and end it."""

    def _watch(self) -> Watched:
        """What to watch for; from here on there is a state. Raises ConfigInvalid."""
        kind, options = camera_options(self._config, self._recipe_file)
        watched = kind.watched(options)
        self._health = Health(self.name, watched, self._tell, time.monotonic())
        return watched

    def _hand_on(self, shot: Shot, at: float) -> None:
        try:
            self._of().shot(shot, at)
            self._shot(self.name, shot, at)
        except Exception as error:  # whoever listens must not stop the watch
            why = f"a shot of camera {self.name!r} could not be handed on: {type(error).__name__}: {error}"
            self._of().down(why, time.monotonic())

    def _of(self) -> Health:
        assert self._health is not None
        return self._health
