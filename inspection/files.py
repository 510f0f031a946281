"""Files that are either whole or absent: written beside, synced, then renamed."""

import os
import tempfile
from pathlib import Path

from inspection.errors import OutputNotWritable


def write_durably(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a crash leaves the old file or the new one. Raises OutputNotWritable."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise OutputNotWritable(f"{path.parent} cannot be written to ({error.strerror}); choose another") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        sync_folder(path.parent)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise OutputNotWritable(f"{path} could not be written ({error.strerror}); nothing was changed") from error


def sync_folder(folder: Path) -> None:
    """Make a rename or a new file in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Create `folder` and its parents, or leave it. Raises OutputNotWritable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(f"{folder} cannot be made ({error.strerror}); choose another folder") from error
