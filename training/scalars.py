"""What a training says of itself while it runs, for TensorBoard."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inspection.errors import InspectionError

Log = Callable[[str, float, int], object]


class TensorBoardMissing(InspectionError):
    """TensorBoard is not installed."""

    code = "tensorboard_missing"


def no_log(name: str, value: float, step: int) -> None:
    """Keeps nothing."""


@contextmanager
def scalars(folder: Path | None) -> Iterator[Log]:
    """A function that keeps a value by its name and step in event files in `folder`; without one it keeps nothing.
    Raises TensorBoardMissing."""
    if folder is None:
        yield no_log
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TensorBoardMissing(
            "--tensorboard needs the package tensorboard; install it, or leave the option out"
        ) from error
    with SummaryWriter(str(folder)) as writer:
        yield writer.add_scalar
