"""What the tests of the worker run in processes of their own."""

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

from inspection.errors import InspectionError
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
