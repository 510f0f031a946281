"""The results of a long run as lines in one file, to which an interrupted run is taken up again.

The first line is a header that says what was inspected with what; each further line is one unit's result, in the order
of the work. A line is finished by its line end, so that a line torn by a crash is known as such and done again.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from inspection.errors import InspectionError, OutputExists, OutputNotWritable
from inspection.files import make_folder, write_durably

Line = Mapping[str, Any]
NAME = "results.jsonl"
_LONGEST_HEADER = 2**24


class ResultsOfAnotherRun(InspectionError):
    """The folder holds results of another package, source or option; they are not mixed and not written over."""

    code = "results_of_another_run"


class ResultsInUse(InspectionError):
    """Another process is writing to the same folder."""

    code = "results_in_use"


def earlier_header(folder: Path) -> Line | None:
    """The header of the run that is in `folder`, or None. Raises ResultsOfAnotherRun for a file that is not ours."""
    path = folder / NAME
    try:
        with path.open("rb") as file:
            header = _parse(file.readline(_LONGEST_HEADER))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ResultsOfAnotherRun(f"{path} cannot be read ({error.strerror}); choose another folder") from error
    if header is None or "schema" not in header:
        raise ResultsOfAnotherRun(f"{path} is not a file of results; choose another folder")
    return header


class ResultsFile:
    """`results.jsonl` in `folder`, held by this process until it is closed; use it in a `with`.

    Opening makes the folder. Raises ResultsInUse, OutputNotWritable, and OutputExists where the folder has one of the
    `others` (files that only a run writes) but no results that they could come from.
    """

    def __init__(self, folder: Path, others: tuple[str, ...] = ()) -> None:
        make_folder(folder)
        self.path = folder / NAME
        self._folder = os.open(folder, os.O_RDONLY)
        self._file: int | None = None
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            foreign = [name for name in others if (folder / name).exists() and not self.path.exists()]
        except BlockingIOError as error:
            self.close()
            raise ResultsInUse(f"{folder} is being written by another run; wait for it, or choose another") from error
        if foreign:
            self.close()
            raise OutputExists(
                f"{folder / foreign[0]} is there already and no results beside it; choose another folder"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Put what was written on stable storage and let go of the folder."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def start(self, header: Line, known: Callable[[Line], bool]) -> tuple[int, Line | None]:
        """Begin a run, or take up the one that is there; returns how many units are done, and the last one's line.

        Lines are kept up to the first that is torn or that is not `known`. Raises ResultsOfAnotherRun where the header
        differs; nothing was changed then.
        """
        earlier = earlier_header(self.path.parent)
        if earlier is None:
            write_durably(self.path, _line(header))
        elif differing := _differing(earlier, header):
            raise ResultsOfAnotherRun(
                f"{self.path} is of a run that differs in {' and '.join(differing)}; choose another folder for this one"
            )
        done, last, end = self._kept(known)
        try:
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            os.ftruncate(self._file, end)
        except OSError as error:
            raise OutputNotWritable(f"{self.path} cannot be written to ({error.strerror}); choose another") from error
        return done, last

    def append(self, result: Line) -> None:
        """Add one unit's result. It survives the death of this process at once, and a power cut after `close`.

        Raises OutputNotWritable, on a full disk for instance.
        """
        assert self._file is not None, "start comes first"
        data = memoryview(_line(result))
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise OutputNotWritable(
                f"{self.path} could not be written ({error.strerror}); put that right and start the same command again"
            ) from error

    def results(self) -> Iterator[Line]:
        """The lines after the header, read one at a time."""
        return read_results(self.path.parent)

    def _kept(self, known: Callable[[Line], bool]) -> tuple[int, Line | None, int]:
        done, last = 0, None
        with self.path.open("rb") as file:
            end = len(file.readline())
            for line in file:
                parsed = _parse(line)
                if parsed is None or not known(parsed):
                    break
                done, last, end = done + 1, parsed, end + len(line)
        return done, last, end


def read_results(folder: Path) -> Iterator[Line]:
    """The lines after the header of the run in `folder`, one at a time."""
    with (folder / NAME).open("rb") as file:
        file.readline()
        for line in file:
            parsed = _parse(line)
            if parsed is not None:
                yield parsed


def _line(value: Line) -> bytes:
    return (json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n").encode("ascii")


def _parse(line: bytes) -> dict[str, Any] | None:
    """The object in a whole line, or None."""
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _differing(earlier: Line, header: Line) -> list[str]:
    """The header's keys whose values differ."""
    plain = json.loads(_line(header))
    return [key for key in sorted({*earlier, *plain}) if earlier.get(key) != plain.get(key)]
