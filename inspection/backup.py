"""Backup and restore while the archive is in use: the rows as one snapshot, then the files that they name.

A backup is itself an archive in a folder (SQLite and local files), whatever the original lies in: it verifies, it can
be read by every command, and it is how an archive moves to another database. A second backup into the same folder adds
what is new; where it does not come to its end, what is there can be restored all the same.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from inspection.archive import Archive, ArchiveFault
from inspection.archive_settings import SETTINGS_FILE
from inspection.errors import InspectionError
from inspection.files import write_durably
from inspection.image_store import ImageChanged, ImageMissing
from inspection.json_files import json_bytes
from inspection.records import AUDIT, utc_text
from inspection.registry.items import contents_of
from inspection.retention import files_of
from inspection.retention_marks import kept_marks
from inspection.schema import entries, metadata, sessions
from inspection.verify import Verification, verify_archive

MANIFEST = "backup.json"
_FORMAT = "inspection-backup/1"
_PAGE = 2000
Progress = Callable[[int], object]


class BackupRefused(InspectionError):
    """A backup cannot be made there, or not be restored from there or to there."""

    code = "backup_refused"


def backup(source: Archive, out: Path, progress: Progress = lambda _: None) -> Verification:
    """Copy an archive into the folder `out`, or add what is new to an earlier backup of it there; then verify the copy.

    Raises BackupRefused for a folder that holds something else, and ArchiveFault; what was there before stays then.
    """
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise BackupRefused(f"{out} is not empty and holds no backup; choose an empty folder, or an earlier one")
    out.mkdir(parents=True, exist_ok=True)
    if not _finished(out):  # an earlier backup stays one: rows are added in an order in which each of them holds
        write_durably(out / MANIFEST, json_bytes({"format": _FORMAT, "finished": None}))
    with Archive(out) as copy, source.reader() as connection:
        if source.postgresql:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        copied = _copy(connection, copy, source, progress)
    found = verify_archive(out)
    if not found.intact:
        raise BackupRefused(f"the copy in {out} is not intact: {found.problems[0]}; verify the archive itself")
    said = {"format": _FORMAT, "finished": utc_text(), "of": str(source.folder.resolve()), "records": copied,
            "heads": found.heads}  # fmt: skip
    write_durably(out / MANIFEST, json_bytes(said))
    return found


def restore(folder: Path, target: Path, progress: Progress = lambda _: None) -> Verification:
    """Make an archive in `target`, which may hold an `archive.yaml` and nothing else, from a backup; verify both.

    Raises BackupRefused and ArchiveFault.
    """
    whole = _finished(folder)
    if whole is None:
        raise BackupRefused(f"{folder} holds no backup; give the folder that `inspection backup` wrote")
    if not whole:
        raise BackupRefused(f"the backup in {folder} was not finished; take another, or run `inspection backup` again")
    found = verify_archive(folder)
    if not found.intact:
        raise BackupRefused(f"the backup in {folder} was changed: {found.problems[0]}")
    if target.exists() and any(path.name != SETTINGS_FILE for path in target.iterdir()):
        raise BackupRefused(f"{target} is not empty; restore into a new folder, with an {SETTINGS_FILE} at most")
    with Archive(folder, read_only=True) as source, Archive(target) as made:
        if made.count_entries():
            raise BackupRefused(f"the database of {target} has records already; restore into an empty one")
        with source.reader() as connection:
            _copy(connection, made, source, progress)
    return verify_archive(target)


def _finished(folder: Path) -> bool | None:
    """Whether a backup was ever finished; None where there is none."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        return manifest["format"] == _FORMAT and manifest["finished"] is not None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _copy(connection: Connection, copy: Archive, source: Archive, progress: Progress) -> int:
    count, kept = 0, kept_marks(source)
    # What people do comes last: its signatures and removals are about records that must be there before.
    for station in sorted(source.stations(), key=lambda name: (name == AUDIT, name)):
        last = _last(copy, station)
        for page in _pages(connection, station, last[0], last[1]):
            for row in page:
                for kind, name in files_of(row["frames"]):
                    _copy_file(source, copy, name, kept.may_be_gone(row, kind))
                for name in contents_of(row):
                    _copy_file(source, copy, name, may_be_gone=False)
            copy.take(page)
            count += len(page)
            progress(len(page))
    for table in metadata.sorted_tables:
        if table is not entries:
            rows = connection.execute(select(table)).mappings().all() if table is not sessions else []
            copy.replace(table, [dict(row) for row in rows])  # nobody is signed in to what was restored
    return count


def _last(copy: Archive, station: str) -> tuple[int, str]:
    """Where a copy of a station's chain ends."""
    with copy.reader() as connection:
        last = connection.scalar(select(func.max(entries.c.sequence)).where(entries.c.station == station))
        if last is None:
            return 0, ""
        query = select(entries.c.hash).where(entries.c.station == station, entries.c.sequence == last)
        return last, str(connection.scalar(query))


def _pages(connection: Connection, station: str, after: int, hash_: str) -> Iterator[list[dict[str, Any]]]:
    table = entries.c
    if after:
        there = select(table.hash).where(table.station == station, table.sequence == after)
        if connection.scalar(there) != hash_:
            raise BackupRefused(f"the folder holds a backup of another archive: {station}/{after} differs")
    while True:
        query = select(entries).where(table.station == station, table.sequence > after)
        rows = connection.execute(query.order_by(table.sequence).limit(_PAGE)).mappings().all()
        if not rows:
            return
        yield [dict(row) for row in rows]
        after = rows[-1]["sequence"]


def _copy_file(source: Archive, copy: Archive, name: str, may_be_gone: bool) -> None:
    """Copy a file, unless the retention rule removed it. A later backup begins after the records that are copied, so
    one whose file is missing now (a folder that is not mounted) is not copied at all. Raises BackupRefused."""
    try:
        data = source.images.get(name)
    except ImageMissing as error:
        if may_be_gone:
            return
        raise BackupRefused(f"{error}; mount the images, or see `inspection verify`") from error
    except ImageChanged as error:
        raise BackupRefused(f"{error}; see `inspection verify`") from error
    if copy.images.put(data, "." + name.partition(".")[2]) != name:
        raise ArchiveFault(f"{name} was stored under another name")
