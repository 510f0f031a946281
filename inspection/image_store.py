"""Images and heatmaps as files named by the SHA-256 of their content, in a local folder."""

import hashlib
import os
import re
from pathlib import Path

from inspection.errors import InspectionError
from inspection.files import make_folder, sync_folder, write_durably

_NAME = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,5}")


class ImageMissing(InspectionError):
    """A record points at a file that is not there."""

    code = "image_missing"


class ImageChanged(InspectionError):
    """A stored file's content is not what its name says."""

    code = "image_changed"


class ImageStore:
    """Files under `folder/ab/abcd….png`. Writing the same content twice keeps one file, and mends a
    damaged one: the content is what its name says, so nothing is lost by that."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes, suffix: str) -> str:
        """Store `data` durably; returns its name. Raises OutputNotWritable."""
        name = hashlib.sha256(data).hexdigest() + suffix.lower()
        if not _NAME.fullmatch(name):
            msg = f"a suffix is a dot and one to five letters or digits, got {suffix!r}"
            raise ValueError(msg)
        path = self.path(name)
        if not path.parent.exists():
            make_folder(path.parent)
            sync_folder(self.folder)
        if path.exists() and path.read_bytes() == data:
            sync_folder(path.parent)  # another thread may have written it and not have come this far
        else:
            write_durably(path, data)
        return name

    def get(self, name: str) -> bytes:
        """The bytes stored as `name`, checked. Raises ImageMissing or ImageChanged."""
        try:
            data = self.path(name).read_bytes()
        except OSError as error:
            raise ImageMissing(f"image {name} is missing ({os.strerror(error.errno or 0)})") from error
        if hashlib.sha256(data).hexdigest() != name.partition(".")[0]:
            raise ImageChanged(f"image {name} was changed: its content does not fit its name")
        return data

    def path(self, name: str) -> Path:
        """Where `name` is or would be. Raises ImageMissing for what cannot be a name of ours."""
        if not _NAME.fullmatch(name):
            raise ImageMissing(f"{name!r} is not the name of a stored image")
        return self.folder / name[:2] / name
