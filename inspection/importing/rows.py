"""Rows of a CSV file of decisions, each with its line number; what cannot be understood is said, row by row."""

import csv
import difflib
import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from inspection.errors import InspectionError
from inspection.importing.mapping import Mapping, RowUnfit
from inspection.records import canonical_json, utc_text
from inspection.reviews import Decision, ReviewInvalid, check_labels

_CHUNK = 2**20


class DecisionsUnreadable(InspectionError):
    """The file of decisions is no CSV file with the columns that are needed."""

    code = "decisions_unreadable"


@dataclass(frozen=True)
class Row:
    """One row: one image of a unit. `at` is UTC in ISO 8601, `image` relative to the folder, with slashes; `decision`
    and `labels` are what a reviewer said, where anybody did."""

    line: int
    image: str
    unit: str
    at: str
    outcome: str
    word: str
    batch: str | None = None
    reason: str = ""
    reason_word: str = ""
    score: float | None = None
    camera: str = ""
    decision: str | None = None
    labels: tuple[str, ...] = ()
    reviewer: str = ""

    @property
    def of_unit(self) -> tuple[object, ...]:
        """What all rows of a unit must agree on."""
        return self.outcome, self.reason, self.decision, self.labels, self.reviewer


@dataclass(frozen=True)
class Bad:
    """A row that does not fit, and why, in one sentence; `unit` and `batch` where it says them, so that the rest of the
    unit is left out with it."""

    line: int
    why: str
    unit: str | None = None
    batch: str | None = None


def file_digest(path: Path) -> str:
    """SHA-256 in hex of a file, read a little at a time. Raises DecisionsUnreadable."""
    try:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while data := file.read(_CHUNK):
                digest.update(data)
    except OSError as error:
        raise DecisionsUnreadable(f"{path} cannot be read ({error.strerror}); give a CSV file of decisions") from error
    return digest.hexdigest()


def rows_digest(rows: Sequence[Row]) -> str:
    """SHA-256 in hex of what the rows of a unit say, on whichever lines they stand: the same rows are not imported
    twice, also not out of a longer file."""
    said = [{key: value for key, value in asdict(row).items() if key != "line"} for row in rows]
    return hashlib.sha256(canonical_json(said).encode()).hexdigest()


def read_rows(path: Path, mapping: Mapping) -> Iterator[Row | Bad]:
    """All rows in their order, one at a time. Raises DecisionsUnreadable for a file without the columns."""
    try:
        with path.open(encoding=mapping.encoding, newline="") as file:
            reader = csv.reader(file, delimiter=mapping.delimiter, strict=True)
            places = _places(next(reader, []), mapping, path)
            width = max(places.values()) + 1
            while True:
                line = reader.line_num + 1  # a row may go over several lines: the first is named
                try:
                    values = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield Bad(line, f"is not CSV ({error})")
                    continue
                if not any(value.strip() for value in values):
                    continue
                if len(values) < width:
                    yield Bad(line, f"has {len(values)} values, and the columns that are read go up to {width}")
                    continue
                said = {part: values[place].strip() for part, place in places.items()}
                try:
                    yield _row(line, said, mapping)
                except (RowUnfit, ReviewInvalid) as error:
                    yield Bad(line, str(error), said["unit"] or None, said.get("batch") or mapping.batch)
    except OSError as error:
        raise DecisionsUnreadable(f"{path} cannot be read ({error.strerror}); give a CSV file of decisions") from error
    except UnicodeError as error:
        raise DecisionsUnreadable(f"{path} is not {mapping.encoding}; name its --encoding, e.g. cp1252") from error
    except csv.Error as error:
        raise DecisionsUnreadable(f"{path} is not CSV ({error})") from error


def _places(header: list[str], mapping: Mapping, path: Path) -> dict[str, int]:
    names = [name.strip() for name in header]
    places = {}
    for part, column in mapping.columns.named().items():
        if names.count(column) != 1:
            near = difflib.get_close_matches(column, names, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, names)) or 'none'}"
            said = "no column" if column not in names else "more than one column"
            raise DecisionsUnreadable(f"{path} has {said} {column!r} for the {part}; {hint}")
        places[part] = names.index(column)
    return places


def _row(line: int, said: dict[str, str], mapping: Mapping) -> Row:
    unit = _short(said["unit"], "unit")
    if not unit:
        raise RowUnfit("the unit has no id")
    batch = _short(said.get("batch") or mapping.batch or "", "batch") or None
    decision, labels = _truth(said.get("truth", ""), mapping)
    reviewer = (said.get("reviewer") or mapping.reviewer or "") if decision else ""
    if decision and not reviewer:
        raise RowUnfit("has a label, and nobody says whose; name a column, or one --reviewer")
    return Row(
        line=line, image=_image(said["image"], mapping.strip), unit=unit, at=utc_text(mapping.moment(said["time"])),
        outcome=str(mapping.outcome(said["verdict"])), word=said["verdict"], batch=batch,
        reason=mapping.reason(said.get("reason", "")), reason_word=said.get("reason", ""),
        score=_score(said.get("score", "")), camera=_short(said.get("camera") or mapping.camera, "camera", 64),
        decision=decision, labels=labels, reviewer=_short(reviewer, "reviewer", 64),
    )  # fmt: skip


def _short(text: str, what: str, most: int = 128) -> str:
    if len(text) > most or any(ord(character) < 32 for character in text):
        raise RowUnfit(f"the {what} {text[:40]!r} is longer than {most} characters, or has some that cannot be shown")
    return text


def _image(text: str, strip: str) -> str:
    """The path in the folder. What leads out of it is refused."""
    path = text.replace("\\", "/")
    strip = strip.replace("\\", "/")
    if strip and path.casefold().startswith(strip.casefold()):
        path = path[len(strip) :].lstrip("/")
    parts = PurePosixPath(path)
    if not path or "\0" in path or parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0]:
        raise RowUnfit(f"the image {text!r} is no path inside the folder; see --strip")
    return str(parts)


def _score(text: str) -> float | None:
    if not text:
        return None
    try:
        score = float(text)
    except ValueError as error:
        raise RowUnfit(f"the score {text!r} is no number; write it with a point") from error
    if not math.isfinite(score):
        raise RowUnfit(f"the score {text!r} is no finite number")
    return score


def _truth(text: str, mapping: Mapping) -> tuple[str | None, tuple[str, ...]]:
    word = text.casefold()
    if not word:
        return None, ()
    if word in {one.casefold() for one in mapping.good_words}:
        return str(Decision.FALSE_REJECT), ()
    if word in {one.casefold() for one in mapping.cannot_tell_words}:
        return str(Decision.CANNOT_TELL), ()
    return str(Decision.CONFIRM_REJECT), check_labels(text.split(";"))
