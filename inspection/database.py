"""The archive's database: SQLite in the archive's folder, or PostgreSQL where several stations share one."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from inspection.errors import InspectionError

_migrating = threading.Lock()  # Alembic keeps its context in module globals
_WAIT_MS = 5000


class ArchiveFault(InspectionError):
    """The archive does not accept an entry; nothing was recorded, so nothing may pass."""

    code = "archive_fault"


def sqlite_engine(database: Path, *, read_only: bool) -> Engine:
    """A SQLite file in WAL mode; every commit is synced before it returns. One that cannot change is read as it is."""
    place = "file:" + quote(str(database.absolute()))
    if read_only:
        pending = database.with_name(database.name + "-wal")
        quiet = not writable(database.parent) and not (pending.exists() and pending.stat().st_size)
        place += "?mode=ro" + ("&immutable=1" if quiet else "")

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(place, uri=True, check_same_thread=False)

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")
        if read_only:  # damaged text is read all the same, so that `verify` can name its record
            connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def postgresql_engine(url: URL, *, read_only: bool) -> Engine:
    """A PostgreSQL database whose commits are on stable storage when they return; nothing waits for ever."""
    options = [f"lock_timeout={_WAIT_MS}", "synchronous_commit=on", "timezone=UTC"]
    if read_only:
        options.append("default_transaction_read_only=on")
    arguments = {"connect_timeout": 5, "options": " ".join(f"-c {option}" for option in options)}
    # A connection that the server has dropped is replaced; without that the first append after a restart would fail.
    return create_engine(url, connect_args=arguments, pool_pre_ping=True)


def migrate(engine: Engine) -> None:
    """Bring the schema to this version's. A database that has it is not touched, so a role that may only read and
    insert can open it. Raises SQLAlchemyError, and CommandError for a database of a later version."""
    config = _alembic()
    newest = ScriptDirectory.from_config(config).get_current_head()
    with _migrating, engine.connect().execution_options(immediate=True) as connection:
        if MigrationContext.configure(connection).get_current_revision() == newest:
            return
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(0)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def upgrade_to(engine: Engine, revision: str) -> None:
    """Bring the schema to that of `revision`, an earlier one: for tests of the migrations."""
    config = _alembic()
    with _migrating, engine.connect().execution_options(immediate=True) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def lock_chain(connection: Connection, station: str) -> None:
    """Until the transaction ends, nobody else appends to this station's chain. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(station, 0))))


def make_partition(engine: Engine, month: str) -> None:
    """In PostgreSQL, see that a month such as `2026-11` has its partition. Where it cannot be made (its first records
    are in the partition for all others) they stay there: slower, and as safe."""
    if engine.dialect.name == "postgresql":
        with suppress(SQLAlchemyError), engine.begin() as connection:
            connection.execute(text("SELECT inspection_partition(:month)"), {"month": month})


@contextmanager
def reading(place: object) -> Iterator[None]:
    """Around whatever reads the archive in `place`: a database that cannot be read is an ArchiveFault."""
    try:
        yield
    except (SQLAlchemyError, UnicodeError) as error:  # SQLite quotes a damaged schema in its message
        raise ArchiveFault(
            f"{place} cannot be read as an archive ({cause(error)}); restore it from its backup"
        ) from error


def writable(folder: Path) -> bool:
    """Whether files can be made here. A folder whose every write bit is off is meant to be read-only, for root too."""
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & 0o222)


def cause(error: Exception) -> str:
    """What the database itself said, in one line."""
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
