"""A running service for tests: in a thread of this process, on a free port of the loopback interface."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import yaml

from serve.server import Server, listen
from serve.service import Service, build_service

Wait = Callable[[], object]


def wait_for(condition: Wait, deadline_s: float = 20.0) -> None:
    """Wait until `condition()` is true; an AssertionError after the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not true within {deadline_s} s"
        time.sleep(0.01)


def write_recipe(folder: Path, package: Path, **more: Any) -> Path:
    """A recipe file in `folder`; `more` replaces or adds keys."""
    keys = {
        "name": "vials", "version": "1.0.0", "product": "vial", "package": {"path": str(package)},
        "deadline_ms": 60_000,
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(keys | more, sort_keys=False))
    return path


@dataclass
class Running:
    """A service that answers at `address`; `client` is set up for it."""

    service: Service
    address: str
    client: httpx.Client

    def units(self) -> int:
        """How many units were decided."""
        return int(self.service.tally.snapshot()["units"])

    def upload(self, data: bytes, name: str = "image.png", **form: str) -> httpx.Response:
        """Ask for the verdict on an image file."""
        return self.client.post("/api/inspect", files={"image": (name, data)}, data=form)


@contextmanager
def running(recipe_file: Path, archive: Path) -> Iterator[Running]:
    """The service of a recipe, until the block ends; then it is stopped as by a signal."""
    with ExitStack() as stack:
        listener = stack.enter_context(listen("127.0.0.1", 0))
        service = build_service(recipe_file, archive, stack)
        server = Server(service, listener)
        thread = Thread(target=server.run_bound, name="server")
        thread.start()
        try:
            with httpx.Client(base_url=server.address, timeout=30) as client:
                yield Running(service, server.address, client)
        finally:
            server.finish()
            thread.join(30)
        assert not thread.is_alive(), "the server did not stop"
