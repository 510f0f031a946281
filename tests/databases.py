"""A real PostgreSQL server for tests, started by them: its own data folder, its own port, fsync on."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def binary(name: str) -> str | None:
    """Where a program of PostgreSQL is, or None."""
    return next((str(place / name) for place in _PLACES if (place / name).exists()), None) or shutil.which(name)


@dataclass
class PostgreSql:
    """A server in `folder` that listens on `port` of the loopback interface."""

    folder: Path
    port: int

    def _run(self, *words: str) -> None:
        # It refuses to run as root.
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        done = subprocess.run([*as_user, *words], capture_output=True, text=True, cwd="/", check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def make(self) -> None:
        """Make its data folder."""
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        data = str(self.folder / "data")
        self._run(
            str(binary("initdb")), "-D", data, "-U", "owner", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"
        )

    def start(self, *options: str) -> None:
        """Start it and wait until it answers."""
        words = [f"-p {self.port}", f"-k {self.folder}", "-c listen_addresses=127.0.0.1", "-c max_connections=50"]
        said = " ".join([*words, *(f"-c {option}" for option in options)])
        log = str(self.folder / "log")
        self._run(
            str(binary("pg_ctl")), "-D", str(self.folder / "data"), "-w", "-t", "60", "-l", log, "-o", said, "start"
        )

    def stop(self, how: str = "fast") -> None:
        """Stop it: `immediate` is as by a power cut."""
        self._control("-m", how, "stop")

    def _control(self, *words: str) -> None:
        self._run(str(binary("pg_ctl")), "-D", str(self.folder / "data"), "-w", *words)

    def execute(self, statement: str, database: str = "postgres", user: str = "owner") -> list[tuple[object, ...]]:
        """Run a statement as somebody; its rows."""
        place = f"host=127.0.0.1 port={self.port} user={user} dbname={database}"
        with psycopg.connect(place, autocommit=True) as connection:
            done = connection.execute(statement)  # type: ignore[call-overload]
            return done.fetchall() if done.description else []

    def new_database(self) -> str:
        """The address of a fresh database, as `archive.yaml` names it."""
        name = f"archive_{time.monotonic_ns()}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql://owner@127.0.0.1:{self.port}/{name}"


@contextmanager
def postgresql_server(port: int) -> Iterator[PostgreSql]:
    """A server until the block ends. Its folder is not pytest's, which its own user may not enter."""
    with tempfile.TemporaryDirectory(prefix="inspection-postgresql-", ignore_cleanup_errors=True) as folder:
        server = PostgreSql(Path(folder), port)
        server.make()
        server.start()
        try:
            yield server
        finally:
            with suppress(AssertionError):  # a test may have stopped it
                server.stop("immediate")


def archive_in(folder: Path, address: str | None, **more: str) -> Path:
    """The folder of an archive whose database is at an address; SQLite in the folder for None."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"database: {address}"] if address else []
    lines += [f"{key}: {value}" for key, value in more.items()]
    if lines:
        (folder / "archive.yaml").write_text("\n".join(lines) + "\n")
    return folder
