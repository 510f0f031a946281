"""What the tests of re-inspection share."""

from collections.abc import Callable
from pathlib import Path

import onnx

from inspection.package import read_package, seal
from inspection.verdict import Limits, decide


def with_limits(package: Path, limits: Limits) -> bytes:
    """The same detector as a package with other limits."""
    read = read_package(package)
    golden = [
        frame.model_copy(update={"outcome": decide(frame.score, limits).outcome}) for frame in read.manifest.golden
    ]
    manifest = read.manifest.model_copy(update={"limits": limits, "golden": golden, "version": "9.0.0"})
    return seal(onnx.ModelProto.FromString(read.model), manifest, read.golden)


def files(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, hidden ones too."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def but_heatmaps(folder: Path) -> list[str]:
    """The names of the others."""
    return [name for name in files(folder) if not name.startswith("heatmaps/")]


def interrupt_at(units: int) -> Callable[[int, int], None]:
    """A progress that interrupts the run there."""

    def progress(done: int, _total: int) -> None:
        if done == units:
            raise KeyboardInterrupt

    return progress
