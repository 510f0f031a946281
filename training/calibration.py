"""The good images whose activations give an int8 graph its ranges."""

from collections.abc import Sequence
from pathlib import Path

from data.splits import SplitFile
from inspection.frames import Pixels, read_frame
from inspection.manifest import Manifest
from inspection.preprocess import FrameWrongGeometry, prepare
from training.quantize import MOST


def calibration_frames(
    files: Sequence[SplitFile], root: Path, manifest: Manifest
) -> tuple[list[Pixels], list[SplitFile]]:
    """Model inputs of at most `MOST` different files, spread by their SHA-256, and the files used.

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
    return frames, used
