"""Images and heatmaps as files named by the SHA-256 of their content, in a local folder."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from inspection.errors import InspectionError, OutputNotWritable
from inspection.files import sync_folder, write_durably

_NAME = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,5}")
_MARK = "inspection-images"  # says that this folder is the store, and not the empty place where one was mounted


class ImageMissing(InspectionError):
    """A record points at a file that is not there."""

    code = "image_missing"


class ImageChanged(InspectionError):
    """A stored file's content is not what its name says."""

    code = "image_changed"


class ImagesUnreachable(InspectionError):
    """The store of images does not answer, so that nobody can say what it holds."""

    code = "images_unreachable"


class Images(Protocol):
    """A store of files by the SHA-256 of their content."""

    def put(self, data: bytes, suffix: str) -> str: ...

    def get(self, name: str) -> bytes: ...

    def delete(self, name: str) -> None: ...

    def names(self) -> Iterator[str]: ...


def content_name(data: bytes, suffix: str) -> str:
    """The name of a content. Raises ValueError for a suffix that is none."""
    name = hashlib.sha256(data).hexdigest() + suffix.lower()
    if not _NAME.fullmatch(name):
        msg = f"a suffix is a dot and one to five letters or digits, got {suffix!r}"
        raise ValueError(msg)
    return name


def check_name(name: str) -> str:
    """`name` where it can be one of ours. Raises ImageMissing, so that no path leads out of the store."""
    if not _NAME.fullmatch(name):
        raise ImageMissing(f"{name!r} is not the name of a stored image")
    return name


def is_name(name: str) -> bool:
    """Whether it can be one of ours."""
    return _NAME.fullmatch(name) is not None


def check_content(name: str, data: bytes) -> bytes:
    """`data` where it is what `name` says. Raises ImageChanged."""
    if hashlib.sha256(data).hexdigest() != name.partition(".")[0]:
        raise ImageChanged(f"image {name} was changed: its content does not fit its name")
    return data


class ImageStore:
    """Files under `folder/ab/abcd….png`. Writing the same content twice keeps one file, and mends a
    damaged one: the content is what its name says, so nothing is lost by that."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def claim(self, empty_is_right: Callable[[], bool] = lambda: True) -> None:
        """Mark the folder as the store. Raises OutputNotWritable where it is empty and should not be: whatever was
        mounted here is not."""
        mark = self.folder / _MARK
        if mark.is_file():
            return
        if not any(self.folder.iterdir()) and not empty_is_right():
            raise OutputNotWritable(
                f"{self.folder} is empty, and records name images; mount the archive's images there"
            )
        write_durably(mark, b"Images and heatmaps of an inspection archive, named by their SHA-256.\n")

    def put(self, data: bytes, suffix: str) -> str:
        """Store `data` durably; returns its name. Raises OutputNotWritable."""
        name = content_name(data, suffix)
        path = self.path(name)
        if not (self.folder / _MARK).exists():
            raise OutputNotWritable(f"the folder of images {self.folder} is gone or another one; mount it again")
        if not path.parent.exists():
            self._make(path.parent)
        if path.exists() and path.read_bytes() == data:
            sync_folder(path.parent)  # another thread may have written it and not have come this far
        else:
            write_durably(path, data)
        return name

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(exist_ok=True)  # never its parents: a store that has vanished is not made anew elsewhere
            sync_folder(self.folder)
        except OSError as error:
            raise OutputNotWritable(
                f"the folder of images {self.folder} is gone ({error.strerror}); mount it again"
            ) from error

    def get(self, name: str) -> bytes:
        """The bytes stored as `name`, checked. Raises ImageMissing or ImageChanged."""
        try:
            data = self.path(name).read_bytes()
        except OSError as error:
            raise ImageMissing(f"image {name} is missing ({os.strerror(error.errno or 0)})") from error
        return check_content(name, data)

    def delete(self, name: str) -> None:
        """Remove a file, for the retention rule alone; one that is not there is no fault."""
        with suppress(FileNotFoundError):
            self.path(name).unlink()

    def names(self) -> Iterator[str]:
        """Of all that is stored, in no particular order."""
        for path in self.folder.glob("??/*"):
            if _NAME.fullmatch(path.name):
                yield path.name

    def unfinished(self) -> list[Path]:
        """Files that a crash left half-written, under names of their own: nothing points at them."""
        return sorted(self.folder.glob("??/.*.part"))

    def path(self, name: str) -> Path:
        """Where `name` is or would be. Raises ImageMissing for what cannot be a name of ours."""
        return self.folder / check_name(name)[:2] / name
