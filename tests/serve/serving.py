"""A running service for tests, on a free port of the loopback interface: in a thread, or as a command."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import yaml

from inspection.accounts.roles import SCOPES
from inspection.accounts.tokens import create_token
from inspection.archive import Archive
from serve.first_start import FirstStart
from serve.server import Server, Tls, listen
from serve.service import Service, build_service
from serve.wall_clock import ClockWatch
from tests.people import people

Event = tuple[str, dict[str, Any]]


def wait_for(condition: Callable[[], object], deadline_s: float = 20.0) -> None:
    """Wait until `condition()` is true; an AssertionError after the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not true within {deadline_s} s"
        time.sleep(0.01)


def write_recipe(folder: Path, package_file: Path, **more: Any) -> Path:
    """A recipe file in `folder`; `more` replaces or adds keys."""
    keys: dict[str, Any] = {"name": "vials", "version": "1.0.0", "product": "vial", "deadline_ms": 60_000}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(keys | {"package": {"path": str(package_file)}} | more, sort_keys=False))
    return path


def machine(archive: Path) -> dict[str, str]:
    """The headers of a machine with a token for everything that machines may do, made on the archive in the folder."""
    kept = archive.with_name(f".{archive.name}.token")  # beside it: the text is known to whoever has it alone
    if not kept.exists():
        with Archive(archive) as opened:
            kept.write_text(create_token(opened, "tests", SCOPES, "tests", "for tests"))
    return {"Authorization": f"Bearer {kept.read_text()}"}


@dataclass
class Running:
    """A service that answers at `address`; `client` is set up for it."""

    service: Service
    address: str
    client: httpx.Client
    stop: Callable[[], None]
    first_start: FirstStart

    def units(self) -> int:
        """How many units were decided."""
        return int(self.service.tally.snapshot()["units"])

    def upload(self, data: bytes, name: str = "image.png", **form: str) -> httpx.Response:
        """Ask for the verdict on an image file."""
        return self.client.post("/api/inspect", files={"image": (name, data)}, data=form)


@contextmanager
def running(
    recipe_file: Path, archive: Path, clock: ClockWatch | None = None, tls: tuple[Path, Path] | None = None,
    *, accounts: bool = True,
) -> Iterator[Running]:  # fmt: skip
    """The service of a recipe, until the block ends; then it is stopped as by a signal. `tls`: certificate and key;
    `accounts`: with an administrator `root.person`."""
    headers = machine(archive)
    if accounts:
        people(archive)
    with ExitStack() as stack:
        listener = stack.enter_context(listen("127.0.0.1", 0))
        service = build_service(recipe_file, archive, stack, clock=clock, unapproved=True)
        server = Server(service, listener, Tls(*tls) if tls else None)
        thread = Thread(target=server.run_bound, name="server")
        thread.start()

        def stop() -> None:
            server.finish()
            thread.join(30)
            assert not thread.is_alive(), "the server did not stop"

        try:
            trusted = str(tls[0]) if tls else True
            with httpx.Client(base_url=server.address, timeout=30, headers=headers, verify=trusted) as client:
                yield Running(service, server.address, client, stop, server.first_start)
        finally:
            stop()


@contextmanager
def listening(client: httpx.Client) -> Iterator[Iterator[Event]]:
    """A service's live events, as (name, data). They end where the service closes the stream."""
    with client.stream("GET", "/api/events", timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")

        def events() -> Iterator[Event]:
            name = ""
            for line in answer.iter_lines():
                key, _, value = line.partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    yield name, json.loads(value)

        yield events()


@dataclass
class Command:
    """`inspection serve` as a process of its own, answering at `address`."""

    process: subprocess.Popen[str]
    address: str
    client: httpx.Client

    def end(self, sign: int, within_s: float) -> tuple[int, str, str]:
        """Send a signal; the exit code, and what was written to stdout (after its first line) and stderr."""
        self.process.send_signal(sign)
        out, err = self.process.communicate(timeout=within_s)
        return self.process.returncode, out, err


@contextmanager
def serve_command(recipe_file: Path, archive: Path, *options: str) -> Iterator[Command]:
    """Run it on a free port. It is killed at the end if it still runs."""
    words = [sys.executable, "-m", "inspection", "serve", str(recipe_file), "--archive", str(archive), "--port", "0"]
    options = ("--unapproved", *options)
    headers = machine(archive)
    process = subprocess.Popen([*words, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://\S+:\d+/", said)
        assert found, said + process.communicate(timeout=10)[1]
        with httpx.Client(base_url=found[0], timeout=30, headers=headers) as client:
            yield Command(process, found[0], client)
    finally:
        process.kill()
        process.communicate()
