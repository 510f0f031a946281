"""What is re-inspected: units with their images, from an archive or from a folder, in one fixed order.

A source of work is pinned before it is walked: a station may go on recording while its archive is re-inspected, and a
run that is resumed has to walk what it walked before, no more and no less.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from inspection.errors import InspectionError
from inspection.recipe_region import Shapes
from inspection.verdict import Limits

Identity = Mapping[str, Any]


class NoImages(InspectionError):
    """A folder that was to hold images holds none."""

    code = "no_images"


@dataclass(frozen=True)
class WorkItem:
    """One unit to inspect again, with what was recorded of it; the recorded values are None where nothing was.

    `images` are names that the source reads, `regions` what of each was counted then, where not all was. `fault` says
    why the record itself cannot be used, if it cannot.
    """

    unit: str
    images: tuple[str, ...] = ()
    station: str | None = None
    sequence: int | None = None
    outcome: str | None = None
    reason: str | None = None
    score: float | None = None
    limits: Limits | None = None
    classifier_limits: Limits | None = None
    regions: tuple[Shapes | None, ...] = ()
    fault: str | None = None

    @property
    def key(self) -> tuple[str | None, int | None, str]:
        """What tells this item from every other of its source."""
        return self.station, self.sequence, self.unit


@dataclass(frozen=True)
class Pinned:
    """A source as it stood when the run began. `identity` is plain JSON values that tell it from every other."""

    identity: Identity
    units: int
    without_image: int = 0


class WorkList(Protocol):
    """A source of work. `read` may be called from several threads."""

    def pin(self, earlier: Identity | None = None) -> Pinned:
        """Survey the source. `earlier` is the identity that a run which is to be resumed has noted: what was added
        since is then left out, and where the source is not that one any more, the identity differs."""
        ...

    def items(self) -> Iterator[WorkItem]:
        """The units of the pinned source, in order, read a little at a time."""
        ...

    def read(self, image: str) -> bytes:
        """An image's bytes. Raises an InspectionError that names it."""
        ...

    def title(self, image: str) -> str:
        """How messages and captions name an image."""
        ...
