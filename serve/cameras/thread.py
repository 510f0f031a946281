"""A camera in a thread of the service: for kinds without a driver that could hang or die."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from inspection.recipe import CameraConfig
from serve.cameras import open_camera
from serve.cameras.camera import Camera, Shot
from serve.cameras.health import CameraState
from serve.cameras.host import CameraHost
from serve.cameras.watch import Checks

_LOOK_S = 0.1  # how often it is looked at whether it is silent


class CameraThread(CameraHost):
    """Runs a camera of a kind that is `in_service`."""

    def __init__(
        self,
        config: CameraConfig,
        recipe_file: Path,
        *,
        shot: Callable[[str, Shot, float], None],
        state: Callable[[CameraState], None] = lambda _: None,
    ) -> None:
        super().__init__(config, recipe_file, shot, state)
        self._restarts = 0
        self._begun: list[threading.Thread] = []
        self._stop = threading.Event()
        self._camera: Camera | None = None

    @property
    def camera(self) -> Camera | None:
        """The camera, while it gives frames."""
        return self._camera if self._begun and not self._stop.is_set() else None

    def start(self) -> None:
        """As `CameraHost`'s."""
        self._watched = self._watch()
        self._camera = open_camera(self._config, self._recipe_file)
        self._of().up(time.monotonic())

    def go(self) -> None:
        """As `CameraHost`'s."""
        self._stop = threading.Event()
        self._begun = [
            threading.Thread(target=work, args=(self._stop,), name=f"{what} {self.name}", daemon=True)
            for what, work in (("camera", self._run), ("watch", self._look))
        ]
        for thread in self._begun:
            thread.start()

    def restart(self, why: str) -> None:
        """As `CameraHost`'s; what waits was counted, and is let go."""
        self._of().down(why, time.monotonic())
        threading.Thread(target=self._again, name=f"restart {self.name}", daemon=True).start()

    def stop(self) -> None:
        """As `CameraHost`'s."""
        self._stop.set()
        for thread in self._begun:
            thread.join()

    def _again(self) -> None:
        self.stop()
        self._restarts += 1
        self._camera = open_camera(self._config, self._recipe_file)
        self._of().up(time.monotonic(), self._restarts)
        self.go()

    def _run(self, stop: threading.Event) -> None:
        assert self._camera
        checks = Checks(self._watched)
        for shot in self._camera.shots(stop):
            at = time.monotonic()
            self._hand_on(checks.check(shot), at)

    def _look(self, stop: threading.Event) -> None:
        while not stop.wait(_LOOK_S):
            self._of().look(time.monotonic())
