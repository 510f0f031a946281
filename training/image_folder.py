"""A plain folder of good images that an engineer names beside a dataset."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from data.layouts import DatasetMissing
from data.splits import SplitFile, SplitOverlap, relative_name
from inspection.frames import FrameUnreadable, list_images


def folder_files(folder: Path, test: Sequence[SplitFile], option: str) -> list[SplitFile]:
    """The images directly in `folder`, by names relative to it; `option` named it on the command line.

    Raises DatasetMissing where there is none, SplitOverlap for one that is to be evaluated on.
    """
    images = list_images(folder) if folder.is_dir() else []
    if not images:
        raise DatasetMissing(f"{folder} holds no image directly in it; {option} is a folder of good images")
    tested = {file.sha256: file.path for file in test}
    files = []
    for path in images:
        try:
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise FrameUnreadable(f"{path} cannot be read ({error.strerror}); mend it or take it away") from error
        if sha256 in tested:
            raise SplitOverlap(
                f"{path} is the test image {tested[sha256]}; {option} takes only images that are not evaluated"
            )
        files.append(SplitFile(path=relative_name(path, folder), sha256=sha256))
    return files
