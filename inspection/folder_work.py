"""A folder tree of plain images as a source of work: each image is a unit, and nothing was recorded of it before."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from inspection.errors import InspectionError
from inspection.frames import IMAGE_EXTENSIONS, FrameUnreadable
from inspection.work_list import Identity, NoImages, Pinned, WorkItem


class FolderUnreadable(InspectionError):
    """A folder that was to be searched for images cannot be listed."""

    code = "folder_unreadable"


class FolderWork:
    """The images under `folder`, sorted by path. Hidden files and folders are left out; links to folders are not
    followed, because they may lead round in a circle."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pin(self, earlier: Identity | None = None) -> Pinned:  # noqa: ARG002 (a folder is the same or it is not)
        """List the tree once; its identity is the SHA-256 over the paths and sizes of its images.

        Raises NoImages where there is none, FolderUnreadable where a folder cannot be listed.
        """
        digest, count = hashlib.sha256(), 0
        for path in _walk(self._folder):
            digest.update(os.fsencode(self._name(path)) + b"\0%d\0" % path.stat().st_size)
            count += 1
        if not count:
            raise NoImages(
                f"{self._folder} holds no image in it or below it; give a folder that holds PNG or JPEG files"
            )
        identity = {
            "kind": "folder",
            "folder": str(self._folder.resolve()),
            "images": count,
            "names_and_sizes": digest.hexdigest(),
        }
        return Pinned(identity, count)

    def items(self) -> Iterator[WorkItem]:
        """One item for each image, named by its path below the folder."""
        for path in _walk(self._folder):
            name = self._name(path)
            yield WorkItem(unit=name, images=(name,))

    def read(self, image: str) -> bytes:
        """The file's bytes. Raises FrameUnreadable."""
        path = self._folder / image
        try:
            return path.read_bytes()
        except OSError as error:
            raise FrameUnreadable(
                f"{path} cannot be read ({error.strerror}); put it back or make it readable"
            ) from error

    def title(self, image: str) -> str:
        """The image's path."""
        return str(self._folder / image)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


def _walk(folder: Path) -> Iterator[Path]:
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise FolderUnreadable(f"{folder} cannot be listed ({error.strerror}); give a folder that can") from error
    for path in found:
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        elif path.is_file() and path.suffix.lower() in IMAGE_EXTENSIONS:
            yield path
