"""What is re-inspected: units with their images, from an archive, an exported batch or a folder, in one fixed order.

A source of work is pinned before it is walked: a station may go on recording while its archive is re-inspected, and a
run that is resumed has to walk what it walked before, no more and no less.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from inspection.errors import InspectionError
from inspection.recipe_region import Shapes
from inspection.verdict import Limits

Identity = Mapping[str, Any]


class NoImages(InspectionError):
    """A folder that was to hold images holds none."""

    code = "no_images"


Truth = Literal["good", "defective"]


@dataclass(frozen=True)
class Recorded:
    """What a record says beside its verdict: the hash that names its content, when (UTC), for what batch and product,
    by which package (digest) at which limits, the camera of each image, and the defects that a classifier or the review
    that counts named. `truth` is what that review says of the unit, None without one or where nobody could tell;
    `review_fault` says why a review cannot be used, if one cannot."""

    hash: str | None = None
    recorded_at: str | None = None
    batch: str | None = None
    product: str | None = None
    package: str | None = None
    limits: tuple[float, float] | None = None
    cameras: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()
    truth: Truth | None = None
    review_fault: str | None = None


NOTHING = Recorded()


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
    recorded: Recorded = NOTHING

    @property
    def key(self) -> tuple[str | None, int | None, str]:
        """What tells this item from every other of its source."""
        return self.station, self.sequence, self.unit


@dataclass(frozen=True)
class Pinned:
    """A source as it stood when the run began. `identity` is plain JSON values that tell it from every other;
    `filters` say which of its units are looked at, and `units` counts those."""

    identity: Identity
    units: int
    without_image: int = 0
    filters: Mapping[str, Any] = field(default_factory=dict)


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
