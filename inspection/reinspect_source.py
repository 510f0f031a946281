"""Which source a re-inspection reads, as a plain value: it can be sent to another process, which opens it itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from inspection.archive import Archive
from inspection.archive_work import ArchiveWork
from inspection.batch_export import is_export
from inspection.errors import BadUsage
from inspection.export_work import ExportWork
from inspection.folder_work import FolderWork
from inspection.record_filter import EVERYTHING, RecordFilter
from inspection.work_list import WorkList

SourceKind = Literal["archive", "folder"]


@dataclass(frozen=True)
class Source:
    """An archive's folder or that of an exported batch (`archive`), or a tree of plain images (`folder`)."""

    kind: SourceKind
    folder: Path
    wanted: RecordFilter = EVERYTHING

    @contextmanager
    def opened(self) -> Iterator[WorkList]:
        """The work list, for as long as the block lasts. Raises ArchiveMissing, ArchiveFault, or BadUsage for a filter
        where nothing was recorded."""
        if self.kind == "folder":
            if self.wanted != EVERYTHING:
                raise BadUsage(f"--{next(iter(self.wanted.plain()))} needs records; --folder has none, so leave it out")
            yield FolderWork(self.folder)
        elif is_export(self.folder):
            yield ExportWork(self.folder, self.wanted)
        else:
            with Archive(self.folder, read_only=True) as archive:
                yield ArchiveWork(archive, self.wanted)
