"""What an import would do, found out before anything is written: each row read, each image decoded, each fault listed.

What is found lies in a scratch database in a temporary folder, so that memory stays flat however long the file is.
"""

import json
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from inspection.archive import Archive
from inspection.errors import InspectionError
from inspection.frames import FrameWrongFormat, decode_frame, image_suffix, read_image_file
from inspection.image_store import content_name
from inspection.importing.mapping import Mapping
from inspection.importing.rows import Bad, DecisionsUnreadable, Row, file_digest, read_rows, rows_digest
from inspection.records import AUDIT

_SCHEMA = """
CREATE TABLE units (id INTEGER PRIMARY KEY, batch TEXT NOT NULL, unit TEXT NOT NULL, good INTEGER NOT NULL DEFAULT 0,
                    UNIQUE (batch, unit));
CREATE TABLE rows (line INTEGER PRIMARY KEY, of_unit INTEGER NOT NULL, image TEXT NOT NULL, row TEXT NOT NULL,
                   stored TEXT);
CREATE INDEX rows_of_unit ON rows (of_unit, line);
CREATE INDEX rows_of_image ON rows (image);
CREATE TABLE bad (line INTEGER PRIMARY KEY, why TEXT NOT NULL, of_unit INTEGER);
CREATE INDEX bad_of_unit ON bad (of_unit);
CREATE TABLE done (batch TEXT NOT NULL, unit TEXT NOT NULL, digest TEXT NOT NULL, record TEXT NOT NULL,
                   PRIMARY KEY (batch, unit)) WITHOUT ROWID;
"""


class ImportRefused(InspectionError):
    """Nothing is imported."""

    code = "import_refused"


@dataclass(frozen=True)
class StoredRow:
    """A row with the name that its image has in the store."""

    row: Row
    image: str


@dataclass
class Counts:
    """Of what is to be imported. Times are UTC; `already` counts units that an earlier import brought."""

    units: int = 0
    images: int = 0
    reviews: int = 0
    already: int = 0
    bad: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    first_at: str | None = None
    last_at: str | None = None

    def add(self, rows: list[Row]) -> None:
        """Count a unit."""
        times = [*(row.at for row in rows), *(at for at in (self.first_at, self.last_at) if at)]
        self.first_at, self.last_at = min(times), max(times)
        self.units, self.images = self.units + 1, self.images + len(rows)
        self.reviews += rows[0].decision is not None
        self.outcomes[rows[0].outcome] += 1

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return vars(self) | {"outcomes": dict(self.outcomes)}


class Survey:
    """A survey of a file of decisions over a folder of images. Close it, or use it in a `with`."""

    def __init__(self, folder: Path, decisions: Path, mapping: Mapping) -> None:
        self.folder, self.decisions, self.mapping = folder, decisions, mapping
        self.digest, self.counts = "", Counts()
        self._scratch = tempfile.TemporaryDirectory(prefix="inspection-import-")
        self._db = sqlite3.connect(Path(self._scratch.name) / "survey.sqlite")
        self._db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()
        self._scratch.cleanup()

    def run(
        self, archive: Archive | None, station: str, progress: Callable[[int, int], object] = lambda _done, _all: None
    ) -> Counts:
        """Look at everything. `archive` is where the station's earlier imports are; None where there is no archive yet.
        Raises DecisionsUnreadable, ImportRefused, ArchiveFault."""
        if not self.folder.is_dir():
            raise ImportRefused(f"{self.folder} is no folder; give the one that the images lie in")
        if station == AUDIT:
            raise ImportRefused(f"{AUDIT!r} is the chain of what people do; give the station another name")
        self.digest = file_digest(self.decisions)
        if archive is not None:
            self._read_done(archive, station)
        for row in read_rows(self.decisions, self.mapping):
            self._take(row)
        if file_digest(self.decisions) != self.digest:
            raise DecisionsUnreadable(f"{self.decisions} was changed while it was read; import it again")
        total = self._one("SELECT count(*) FROM units")
        for number, (unit,) in enumerate(self._db.execute("SELECT id FROM units ORDER BY id"), 1):
            self._look_at(unit)
            progress(number, total)
        self.counts.bad = self._one("SELECT count(*) FROM bad")
        if not total and not self.counts.bad:
            raise ImportRefused(f"{self.decisions} has no rows; there is nothing to import")
        return self.counts

    def bad(self) -> Iterator[Bad]:
        """Rows that do not fit, by line."""
        for line, why in self._db.execute("SELECT line, why FROM bad ORDER BY line"):
            yield Bad(line, why)

    def units(self) -> Iterator[list[StoredRow]]:
        """What is to be imported, unit by unit, in the order of their first lines."""
        for (unit,) in self._db.execute("SELECT id FROM units WHERE good = 1 ORDER BY id"):
            found = self._db.execute("SELECT row, stored FROM rows WHERE of_unit = ? ORDER BY line", (unit,))
            yield [StoredRow(_row(text), stored) for text, stored in found]

    def _one(self, query: str, *values: Any) -> Any:
        row = self._db.execute(query, values).fetchone()
        return row[0] if row else None

    def _read_done(self, archive: Archive, station: str) -> None:
        for row in archive.rows(station):
            if row["kind"] != "unit":
                continue
            with suppress(ValueError, TypeError, KeyError):
                digest = str(json.loads(row["details"])["imported"]["rows_sha256"])
                place = (row["batch"] or "", row["unit"], digest, f"{row['station']}/{row['sequence']}")
                self._db.execute("INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?)", place)
                continue
            raise ImportRefused(
                f"station {station!r} has records of its own in this archive, and imported ones are not mixed with "
                "them; give another --station"
            )

    def _take(self, row: Row | Bad) -> None:
        key = None
        if row.unit is not None:
            place = (row.batch or "", row.unit)
            self._db.execute("INSERT OR IGNORE INTO units (batch, unit) VALUES (?, ?)", place)
            key = self._one("SELECT id FROM units WHERE batch = ? AND unit = ?", *place)
        if isinstance(row, Bad):
            self._db.execute("INSERT INTO bad VALUES (?, ?, ?)", (row.line, row.why, key))
        else:
            self._db.execute(
                "INSERT INTO rows VALUES (?, ?, ?, ?, NULL)", (row.line, key, row.image, json.dumps(asdict(row)))
            )

    def _look_at(self, unit: int) -> None:
        found = self._db.execute("SELECT row FROM rows WHERE of_unit = ? ORDER BY line", (unit,)).fetchall()
        rows = [_row(text) for (text,) in found]
        if not rows:
            return
        done = self._db.execute(
            "SELECT digest, record FROM done WHERE batch = ? AND unit = ?", (rows[0].batch or "", rows[0].unit)
        ).fetchone()
        if done and done[0] == rows_digest(rows):
            self.counts.already += 1
            return
        faults = self._faults(unit, rows, done[1] if done else None)
        if not any(faults):
            faults = [self._image(row) for row in rows]
        if any(faults):
            left_out = "is left out: another row of its unit does not fit"
            for row, why in zip(rows, faults, strict=True):
                self._db.execute("INSERT OR IGNORE INTO bad VALUES (?, ?, ?)", (row.line, why or left_out, unit))
            return
        self._db.execute("UPDATE units SET good = 1 WHERE id = ?", (unit,))
        self.counts.add(rows)

    def _faults(self, unit: int, rows: list[Row], record: str | None) -> list[str]:
        """Why each row does not fit with others, or empty texts."""
        first = rows[0]
        if record:
            return [f"unit {first.unit!r} was imported as {record}, and says something else now"] * len(rows)
        bad = self._one("SELECT min(line) FROM bad WHERE of_unit = ?", unit)
        if bad is not None:
            return [f"is left out: line {bad} is of the same unit and does not fit"] * len(rows)
        if len(rows) > 1 and not self.mapping.several_images:
            lines = ", ".join(str(row.line) for row in rows[:5])
            return [f"unit {first.unit!r} stands there more than once (lines {lines}); see --several-images"] * len(
                rows
            )
        if any(row.of_unit != first.of_unit for row in rows):
            return [f"the rows of unit {first.unit!r} from line {first.line} on say different things"] * len(rows)
        return [self._named_twice(row) for row in rows]

    def _named_twice(self, row: Row) -> str:
        other = self._one("SELECT line FROM rows WHERE image = ? AND line <> ? LIMIT 1", row.image, row.line)
        return "" if other is None else f"the image {row.image} is named on line {other} as well"

    def _image(self, row: Row) -> str:
        """Note what the row's image is called in the store; why it cannot be, if so."""
        try:
            data = read_image(self.folder, row.image)
            check_image(data, row.image)
            stored = content_name(data, image_suffix(data))
        except InspectionError as error:
            return str(error)
        self._db.execute("UPDATE rows SET stored = ? WHERE line = ?", (stored, row.line))
        return ""


def read_image(folder: Path, image: str) -> bytes:
    """An image's bytes. Raises ImportRefused for one that lies outside, and FrameUnreadable."""
    path = folder / image
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ImportRefused(f"the image {image} leads out of {folder}")
    return read_image_file(path)


def check_image(data: bytes, name: str) -> None:
    """See that an image can be inspected, whichever colour its package wants. Raises FrameUnreadable or
    FrameWrongFormat."""
    try:
        decode_frame(data, name)
    except FrameWrongFormat:
        decode_frame(data, name, "mono")


def _row(text: str) -> Row:
    values = json.loads(text)
    return Row(**{**values, "labels": tuple(values["labels"])})
