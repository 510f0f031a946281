"""The good images whose activations give an int8 graph its ranges."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from data.layouts import DatasetMissing
from data.splits import SplitFile, SplitOverlap, digest
from inspection.frames import FrameUnreadable, Pixels, list_images, read_frame
from inspection.manifest import Manifest, SplitDigest
from inspection.preprocess import FrameWrongGeometry, prepare
from training.quantize import MOST


def folder_files(folder: Path, test: Sequence[SplitFile]) -> list[SplitFile]:
    """The images directly in `folder`, by names relative to it.

    Raises DatasetMissing where there is none, SplitOverlap for one that is to be evaluated on.
    """
    images = list_images(folder) if folder.is_dir() else []
    if not images:
        raise DatasetMissing(f"{folder} holds no image directly in it; --calibration is a folder of good images")
    tested = {file.sha256: file.path for file in test}
    files = []
    for path in images:
        try:
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise FrameUnreadable(f"{path} cannot be read ({error.strerror}); mend it or take it away") from error
        if sha256 in tested:
            raise SplitOverlap(f"{path} is the test image {tested[sha256]}; calibrate on images that are not evaluated")
        files.append(SplitFile(path=path.name, sha256=sha256))
    return files


def calibration_frames(files: Sequence[SplitFile], root: Path, manifest: Manifest) -> tuple[list[Pixels], SplitDigest]:
    """Model inputs of at most `MOST` different files, spread by their SHA-256, and the digest of the files used.

    Raises FrameWrongGeometry and what reading a frame raises.
    """
    different = sorted({file.sha256: file for file in files}.values(), key=lambda file: file.sha256)
    used = different[:MOST]
    frames = []
    for file in used:
        path = root / file.path
        try:
            frames.append(prepare(read_frame(path, manifest.input.colour).pixels, manifest.input))
        except FrameWrongGeometry as error:
            raise FrameWrongGeometry(f"{path}: {error}") from error
    return frames, SplitDigest(files=len(used), sha256=digest(used))
