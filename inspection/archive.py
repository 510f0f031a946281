"""The archive: a folder with a database of chained entries and a store of images.

`append` returns after the entry is on stable storage (SQLite WAL, synchronous=FULL; images synced before). A PASS may
leave the station only after that.
"""

import json
import os
import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from inspection.errors import BadUsage, InspectionError
from inspection.image_store import ImageStore
from inspection.records import GENESIS, Draft, Entry, from_row, to_row, utc_text
from inspection.schema import entries

STATION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PAGE = 1000
_BEFORE_ALL = -(2**63)
_migrating = threading.Lock()  # Alembic keeps its context in module globals


class ArchiveFault(InspectionError):
    """The archive does not accept an entry; nothing was recorded, so nothing may pass."""

    code = "archive_fault"


class ArchiveMissing(InspectionError):
    """There is no archive where one was to be read."""

    code = "archive_missing"


class ArchiveNotWritable(InspectionError):
    """The archive's folder cannot be written to."""

    code = "archive_not_writable"


class Archive:
    """An open archive. `append` may be called from several threads and processes; close it, or use it in a `with`.

    `read_only=True` reads an archive that nobody may change, a copy on read-only media for instance. Opening raises
    ArchiveMissing (to read, and nothing there), ArchiveNotWritable or ArchiveFault.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder
        self.images = ImageStore(folder / "images")
        self._heads = folder / "heads"
        self._lock = threading.Lock()
        database = folder / "archive.sqlite"
        if read_only:
            if not database.is_file():
                raise ArchiveMissing(f"{folder} holds no archive (no archive.sqlite); give the folder of an archive")
            self._engine = _sqlite_engine(database, read_only=True)
            return
        for part in (folder, self.images.folder, self._heads):
            try:
                part.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ArchiveNotWritable(f"{part} cannot be made ({error.strerror}); choose another folder") from error
            if not _writable(part):
                raise ArchiveNotWritable(f"{part} is read-only; make it writable, or choose another archive folder")
        self._engine = _sqlite_engine(database, read_only=False)
        try:
            _migrate(self._engine)
        except (SQLAlchemyError, CommandError) as error:  # CommandError: made by a version with later migrations
            self._engine.dispose()
            raise ArchiveFault(
                f"{database} cannot be opened ({_cause(error)}); restore it, or choose another"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

    def append(self, draft: Draft, station: str) -> Entry:
        """Put `draft` at the end of the station's chain, durably. Raises ArchiveFault; then nothing was recorded."""
        return self.append_all([draft], station)[0]

    def append_all(self, drafts: Sequence[Draft], station: str) -> list[Entry]:
        """Put all `drafts` there in one transaction, which costs hardly more than one. Raises ArchiveFault; then none
        was recorded."""
        if not STATION_NAME.fullmatch(station):
            raise ArchiveFault(f"station {station!r} is not a name of letters, digits, dots, dashes, up to 64")
        if not drafts:
            return []
        try:
            with self._lock, self._engine.connect().execution_options(immediate=True) as connection:
                sequence, previous = _head(connection, station)
                rows: list[dict[str, Any]] = []
                for draft in drafts:
                    sequence += 1
                    rows.append(to_row(draft, station, sequence, previous, utc_text()))
                    previous = rows[-1]["hash"]
                connection.execute(entries.insert(), rows)
                connection.commit()
                self._note_head(station, rows[-1])
        except (SQLAlchemyError, OSError, ValueError) as error:
            raise ArchiveFault(f"{self.folder} did not accept a record ({_cause(error)})") from error
        return [from_row(row) for row in rows]

    def get(self, station: str, sequence: int) -> Entry | None:
        """One entry, or None."""
        query = select(entries).where(entries.c.station == station, entries.c.sequence == sequence)
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return from_row(row) if row else None

    def latest(self, count: int, *, kind: str | None = None, outcome: str | None = None) -> list[Entry]:
        """The newest entries first, at most `count`."""
        query = select(entries).order_by(entries.c.recorded_at.desc(), entries.c.sequence.desc()).limit(count)
        query = query.where(entries.c.kind == kind) if kind else query
        query = query.where(entries.c.outcome == outcome) if outcome else query
        with self._engine.connect() as connection:
            return [from_row(row) for row in connection.execute(query).mappings()]

    def stations(self) -> list[str]:
        """Names of the stations that have entries."""
        with self._engine.connect() as connection:
            return list(connection.scalars(select(entries.c.station).distinct().order_by(entries.c.station)))

    def rows(self, station: str, after: int = _BEFORE_ALL) -> Iterator[dict[str, Any]]:
        """A station's raw rows in order of sequence, read in pages so that memory stays flat."""
        while True:
            query = select(entries).where(entries.c.station == station, entries.c.sequence > after)
            with self._engine.connect() as connection:
                page = connection.execute(query.order_by(entries.c.sequence).limit(_PAGE)).mappings().all()
            yield from (dict(row) for row in page)
            if len(page) < _PAGE:
                return
            after = page[-1]["sequence"]

    def count(self) -> dict[tuple[str, str], int]:
        """How many units there are of each (outcome, reason)."""
        columns = entries.c.outcome, entries.c.reason
        query = select(*columns, func.count()).where(entries.c.kind == "unit").group_by(*columns)
        with self._engine.connect() as connection:
            return {(outcome, reason): number for outcome, reason, number in connection.execute(query)}

    def count_entries(self) -> int:
        """How many entries there are, of all stations."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(entries)).scalar_one()

    def noted_heads(self) -> dict[str, tuple[int, str] | None]:
        """The last sequence and hash of each station as noted beside the database, to find a cut-off chain. None where
        the note says nothing that can be read."""
        heads: dict[str, tuple[int, str] | None] = {}
        for path in sorted(self._heads.glob("*.json")) if self._heads.is_dir() else []:
            try:
                noted = json.loads(path.read_text())
                heads[path.stem] = (int(noted["sequence"]), str(noted["hash"]))
            except (OSError, ValueError, TypeError, KeyError):
                heads[path.stem] = None
        return heads

    def missing_guards(self) -> list[str]:
        """Triggers against UPDATE and DELETE that are not there (any more)."""
        wanted = {"entries_refuse_update", "entries_refuse_delete"}
        with self._engine.connect() as connection:
            found = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars())
        return sorted(wanted - found)

    def _note_head(self, station: str, row: dict[str, Any]) -> None:
        # Written after the commit and not synced: after a crash it may lag behind the database, never lead it. The
        # record stands whether or not the note can be written; `verify` says when one is missing.
        note = self._heads / f"{station}.json"
        temporary = note.with_suffix(f".{os.getpid()}.part")
        with suppress(OSError):
            temporary.write_text(json.dumps({"sequence": row["sequence"], "hash": row["hash"]}))
            temporary.replace(note)


def refuse_inside(folder: Path, out: Path, option: str, what: str) -> None:
    """Raise BadUsage where what a command writes, a file or a folder, would lie in the archive that it reads."""
    if out.resolve().is_relative_to(folder.resolve()):
        raise BadUsage(f"{option} {out} lies in the archive, which is only read; choose a {what} beside it")


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Around whatever reads the archive in `folder`: a database that cannot be read is an ArchiveFault."""
    try:
        yield
    except (SQLAlchemyError, UnicodeError) as error:  # SQLite quotes a damaged schema in its message
        raise ArchiveFault(
            f"{folder} cannot be read as an archive ({_cause(error)}); restore it from its backup"
        ) from error


def _head(connection: Connection, station: str) -> tuple[int, str]:
    query = select(entries.c.sequence, entries.c.hash).where(entries.c.station == station)
    last = connection.execute(query.order_by(entries.c.sequence.desc()).limit(1)).first()
    return (last.sequence, last.hash) if last else (0, GENESIS)


def _sqlite_engine(database: Path, *, read_only: bool) -> Engine:
    place = "file:" + quote(str(database.absolute()))
    if read_only:
        pending = database.with_name(database.name + "-wal")
        quiet = not _writable(database.parent) and not (pending.exists() and pending.stat().st_size)
        place += "?mode=ro" + ("&immutable=1" if quiet else "")

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(place, uri=True, check_same_thread=False)

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA busy_timeout = 5000")
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


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with _migrating, engine.connect().execution_options(immediate=True) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _writable(folder: Path) -> bool:
    """Whether files can be made here. A folder whose every write bit is off is meant to be read-only, for root too."""
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & 0o222)


def _cause(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
