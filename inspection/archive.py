"""The archive: a folder with a database of chained entries and a store of images.

`append` returns after the entry is on stable storage (SQLite WAL, synchronous=FULL; PostgreSQL, synchronous_commit;
images synced before). A PASS may leave the station only after that. `archive.yaml` in the folder names another
database, or another place for images (`inspection.archive_settings`).
"""

import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, Table, func, select
from sqlalchemy.exc import SQLAlchemyError

from inspection.archive_settings import DATABASE_FILE, read_settings
from inspection.database import (
    ArchiveFault,
    cause,
    lock_chain,
    make_partition,
    migrate,
    postgresql_engine,
    reading,
    sqlite_engine,
    writable,
)
from inspection.errors import BadUsage, InspectionError
from inspection.files import sync_folder
from inspection.guards import missing_guards
from inspection.image_store import Images, ImageStore
from inspection.object_store import ObjectStore
from inspection.records import GENESIS, Draft, Entry, from_row, to_row, utc_text
from inspection.schema import entries

__all__ = ["Archive", "ArchiveFault", "ArchiveMissing", "ArchiveNotWritable", "Writing", "reading", "refuse_inside",
           "rows_at"]  # fmt: skip

STATION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PAGE = 1000
_AT_ONCE = 500
_BEFORE_ALL = -(2**63)


class ArchiveMissing(InspectionError):
    """There is no archive where one was to be read."""

    code = "archive_missing"


class ArchiveNotWritable(InspectionError):
    """The archive's folder cannot be written to."""

    code = "archive_not_writable"


@dataclass(frozen=True)
class Writing:
    """An open transaction: what is executed on `connection` and what is appended is kept as a whole or not at all."""

    connection: Connection
    heads: dict[str, Entry] = field(default_factory=dict)

    def head(self, station: str) -> tuple[int, str]:
        """Sequence and hash of the last entry of the station's chain, (0, GENESIS) of an empty one. Nobody else appends
        to it until this transaction ends."""
        if not STATION_NAME.fullmatch(station):
            raise ArchiveFault(f"station {station!r} is not a name of letters, digits, dots, dashes, up to 64")
        lock_chain(self.connection, station)
        return _head(self.connection, station)

    def append(self, drafts: Sequence[Draft], station: str) -> list[Entry]:
        """Put `drafts`, one at least, at the end of the station's chain."""
        sequence, previous = self.head(station)
        rows: list[dict[str, Any]] = []
        for draft in drafts:
            sequence += 1
            rows.append(to_row(draft, station, sequence, previous, utc_text()))
            previous = rows[-1]["hash"]
        self.connection.execute(entries.insert(), rows)
        written = [from_row(row) for row in rows]
        self.heads[station] = written[-1]
        return written


class Archive:
    """An open archive. `append` may be called from several threads and processes; close it, or use it in a `with`.

    `read_only=True` reads an archive that nobody may change, a copy on read-only media for instance. Opening raises
    ArchiveMissing (to read, and nothing there), ArchiveNotWritable, ArchiveFault or ConfigInvalid.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder, self.read_only = folder, read_only
        self.settings = read_settings(folder)
        self._heads = folder / "heads"
        self._lock = threading.Lock()
        self._months: set[str] = set()
        url, database = self.settings.database_url(), folder / DATABASE_FILE
        images = self.settings.images or folder / "images"
        self.images: Images = ObjectStore(self.settings.store) if self.settings.store else ImageStore(images)
        if url is None and read_only and not database.is_file():
            raise ArchiveMissing(f"{folder} holds no archive (no {DATABASE_FILE}); give the folder of an archive")
        if not read_only:
            self._make_folders([folder, self._heads, *([] if self.settings.store else [images])])
        self._engine = (
            postgresql_engine(url, read_only=read_only) if url else sqlite_engine(database, read_only=read_only)
        )
        if read_only:
            return
        try:
            migrate(self._engine)
            sync_folder(folder)  # the name of a new database
            self._check_durable()
            if isinstance(self.images, ImageStore):
                self.images.claim(empty_is_right=self._names_no_image)
        except (SQLAlchemyError, CommandError) as error:  # CommandError: made by a version with later migrations
            self._engine.dispose()
            place = self.settings.database or database
            raise ArchiveFault(f"{place} cannot be opened ({cause(error)}); restore it, or choose another") from error
        except InspectionError:
            self._engine.dispose()
            raise

    @staticmethod
    def _make_folders(parts: list[Path]) -> None:
        for part in parts:
            try:
                if not part.is_dir():
                    part.mkdir(parents=True, exist_ok=True)
                    sync_folder(part.parent)
            except OSError as error:
                raise ArchiveNotWritable(f"{part} cannot be made ({error.strerror}); choose another folder") from error
            if not writable(part):
                raise ArchiveNotWritable(f"{part} is read-only; make it writable, or choose another archive folder")

    def _names_no_image(self) -> bool:
        with self._engine.connect() as connection:
            return (
                connection.execute(select(entries.c.sequence).where(entries.c.frames != "[]").limit(1)).first() is None
            )

    def _check_durable(self) -> None:
        if self.postgresql:
            with self._engine.connect() as connection:
                if connection.exec_driver_sql("SHOW fsync").scalar_one() != "on":
                    raise ArchiveFault("the PostgreSQL server runs with fsync off, so no record is durable; set it on")

    @property
    def engine(self) -> Engine:
        """The database, for benchmarks and tests that load it another way."""
        return self._engine

    @property
    def postgresql(self) -> bool:
        """Whether the database is PostgreSQL."""
        return self._engine.dialect.name == "postgresql"

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
        if not drafts:
            return []
        with self.writing() as write:
            return write.append(drafts, station)

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """A transaction, committed to stable storage at the end of the block. Raises ArchiveFault; then nothing of it
        was kept."""
        try:
            with self._lock:
                self._ready_for_this_month()
                with self._engine.connect().execution_options(immediate=True) as connection:
                    write = Writing(connection)
                    yield write
                    connection.commit()
                for entry in write.heads.values():
                    self.note_head(entry)
        except (SQLAlchemyError, OSError, ValueError) as error:
            raise ArchiveFault(f"{self.folder} did not accept a record ({cause(error)})") from error

    def take(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows of another archive as they are, for backup and restore. Raises ArchiveFault; then none was added."""
        for month in {row["recorded_at"][:7] for row in rows}:
            make_partition(self._engine, month)
        with self.writing() as write:
            write.connection.execute(entries.insert(), list(rows))
        for row in {row["station"]: row for row in rows}.values():
            self.note_head(from_row(row))

    def replace(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Let a table that may change hold these rows, for backup and restore. Raises ArchiveFault."""
        with self.writing() as write:
            write.connection.execute(table.delete())
            if rows:
                write.connection.execute(table.insert(), list(rows))

    def _ready_for_this_month(self) -> None:
        month = utc_text()[:7]
        if month not in self._months:
            make_partition(self._engine, month)
            self._months.add(month)

    @contextmanager
    def reader(self) -> Iterator[Connection]:
        """A connection to read with. Raises ArchiveFault where the database cannot be read."""
        with reading(self.folder), self._engine.connect() as connection:
            yield connection

    def get(self, station: str, sequence: int) -> Entry | None:
        """One entry, or None."""
        query = select(entries).where(entries.c.station == station, entries.c.sequence == sequence)
        with self.reader() as connection:
            row = connection.execute(query).mappings().first()
        return from_row(row) if row else None

    def latest(self, count: int, *, kind: str | None = None, outcome: str | None = None) -> list[Entry]:
        """The newest entries first, at most `count`."""
        query = select(entries).order_by(entries.c.recorded_at.desc(), entries.c.sequence.desc()).limit(count)
        query = query.where(entries.c.kind == kind) if kind else query
        query = query.where(entries.c.outcome == outcome) if outcome else query
        with self.reader() as connection:
            return [from_row(row) for row in connection.execute(query).mappings()]

    def stations(self) -> list[str]:
        """Names of the stations that have entries."""
        names: list[str] = []
        with self.reader() as connection:
            while True:  # from one to the next, by the index: DISTINCT would walk all records
                query = select(entries.c.station).order_by(entries.c.station).limit(1)
                query = query.where(entries.c.station > names[-1]) if names else query
                name = connection.scalar(query)
                if name is None:
                    return names
                names.append(name)

    def rows(self, station: str, after: int = _BEFORE_ALL) -> Iterator[dict[str, Any]]:
        """A station's raw rows in order of sequence, read in pages so that memory stays flat."""
        while True:
            query = select(entries).where(entries.c.station == station, entries.c.sequence > after)
            with self.reader() as connection:
                page = connection.execute(query.order_by(entries.c.sequence).limit(_PAGE)).mappings().all()
            yield from (dict(row) for row in page)
            if len(page) < _PAGE:
                return
            after = page[-1]["sequence"]

    def count_entries(self) -> int:
        """How many entries there are, of all stations, as their chains count them."""
        ends = [select(end(entries.c.sequence)).where(entries.c.station == name).scalar_subquery()
                for name in self.stations() for end in (func.max, func.min)]  # fmt: skip
        if not ends:
            return 0
        with self.reader() as connection:
            found = connection.execute(select(*ends)).one()
        return sum(last - first + 1 for last, first in zip(found[::2], found[1::2], strict=True))

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
        """Triggers against UPDATE and DELETE that are not there, or not in force, (any more)."""
        with self._engine.connect() as connection:
            return missing_guards(connection)

    def note_head(self, entry: Entry) -> None:
        """Note a chain's end beside the database, so that one that is cut off shows."""
        # Written after the commit and not synced: after a crash it may lag behind the database, never lead it. The
        # record stands whether or not the note can be written; `verify` says when one is missing.
        note = self._heads / f"{entry.station}.json"
        temporary = note.with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
        with suppress(OSError):
            temporary.write_text(json.dumps({"sequence": entry.sequence, "hash": entry.hash}))
            temporary.replace(note)


def rows_at(connection: Connection, places: Iterable[tuple[str, int]], *columns: str) -> Iterator[Mapping[Any, Any]]:
    """The rows of many records by station and number, those that there are, in no order; hundreds in one query. With
    some `columns` alone, if they are named."""
    wanted = [entries.c[name] for name in columns] or list(entries.c)
    by_station: dict[str, list[int]] = {}
    for station, sequence in places:
        by_station.setdefault(station, []).append(sequence)
    for station, sequences in by_station.items():
        for start in range(0, len(sequences), _AT_ONCE):
            some = sequences[start : start + _AT_ONCE]
            query = select(*wanted).where(entries.c.station == station, entries.c.sequence.in_(some))
            yield from connection.execute(query).mappings()


def refuse_inside(folder: Path, out: Path, option: str, what: str) -> None:
    """Raise BadUsage where what a command writes, a file or a folder, would lie in the archive that it reads."""
    if out.resolve().is_relative_to(folder.resolve()):
        raise BadUsage(f"{option} {out} lies in the archive, which is only read; choose a {what} beside it")


def _head(connection: Connection, station: str) -> tuple[int, str]:
    query = select(entries.c.sequence, entries.c.hash).where(entries.c.station == station)
    last = connection.execute(query.order_by(entries.c.sequence.desc()).limit(1)).first()
    return (last.sequence, last.hash) if last else (0, GENESIS)
