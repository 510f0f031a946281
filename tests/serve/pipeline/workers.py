"""What the tests of the worker run in processes of their own."""

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from inspection.errors import InspectionError
from inspection.finding import Finding, GoldenMismatch
from inspection.frames import Pixels
from inspection.image_finding import find_in_frame
from inspection.recipe import Recipe
from serve.pipeline.inspector import Answer
from serve.pipeline.worker import Ready


def echo(connection: Connection, folder: Path) -> None:
    """Answers what it is sent; `hang` makes it sleep, `die` end. It starts only while `folder` is there."""
    if not folder.is_dir():
        raise InspectionError(f"{folder} is not there")
    connection.send(Ready(os.getpid()))
    while (message := connection.recv()) is not None:
        if isinstance(message, str) and message == "hang":
            time.sleep(600)
        if isinstance(message, str) and message == "die":
            os._exit(3)
        connection.send(message)


def silent(connection: Connection) -> None:  # noqa: ARG001
    """Never gets ready."""
    time.sleep(600)


PIXELS = np.zeros((8, 6, 3), np.uint8)


class _Obedient:
    """Stands where a detector does, and does what a frame's name says."""

    runtime = "none"

    def find(self, pixels: Pixels) -> Finding:  # noqa: ARG002
        return Finding(0.0, np.zeros((2, 2), np.float32))


def told_what_to_do(connection: Connection, *_: object) -> None:
    """An inspector's process that waits, hangs or breaks where a frame's name says so."""
    connection.send(Ready("none"))
    while (asked := connection.recv()) is not None:
        if asked.name.startswith(("wait", "hang")):
            time.sleep(600)
        detector = _Broken() if asked.name == "broken" else _Obedient()
        found = find_in_frame(detector, asked.name, asked.pixels)  # type: ignore[arg-type]
        connection.send(Answer(asked.token, found.finding, found.failure, 0.001))


def proved_once(connection: Connection, recipe: Recipe, folder: Path, *_: object) -> None:  # noqa: ARG001
    """An inspector's process that dies of the first frame; started again, its golden frames give other scores."""
    if (folder / "proved").exists():
        raise GoldenMismatch("golden frame 'good-0' has another score; the package must not serve with none")
    (folder / "proved").touch()
    connection.send(Ready("none"))
    connection.recv()
    os._exit(3)


class _Broken(_Obedient):
    def find(self, pixels: Pixels) -> Finding:  # noqa: ARG002
        raise RuntimeError("the graph fell over")
