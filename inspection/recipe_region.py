"""The region of interest of a recipe: where in a camera's frame a finding counts.

A package has a region of its own, which training saw (`inspection.region`). A recipe's is drawn later, and narrows it:
the score is taken again, from the heatmap, over the cells that the region touches. That is exact for a memory alone
(PatchCore). Its graph gives `score = mean(d over the AREA cells where it is largest)` and the map `h = d * score /
max(d)`, so that `d = h * score / mean(h over those cells)`, and the region's score is the same mean over its own cells.
Taking the maximum of `h` in the region instead would be wrong: one hot place outside it darkens all of `h`, and a
defect inside with it. Where the score cannot be had from the heatmap (a learned head, a classifier, a precision that
rounds), a recipe with a region is refused.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from inspection.errors import InspectionError
from inspection.finding import Finding
from inspection.image_finding import ImageFinding
from inspection.manifest import Manifest
from inspection.package import Package
from inspection.score_area import inside_cells, score_area

EXACT_ALGORITHMS = frozenset({"patchcore"})
EXACT_PRECISIONS = frozenset({"fp32", "int8"})  # int8 keeps everything behind the features at fp32
_FEWEST, _MOST = 3, 64  # corners of a polygon
_MOST_SHAPES = 16
_FINE = 8  # points a cell's side that are asked whether they lie inside
_SMALLEST = 1e-6  # of the frame's area: less is a line

Cells = NDArray[np.bool_]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Point = tuple[Share, Share]


class RegionRefused(InspectionError):
    """A recipe's region cannot be applied to what its package finds."""

    code = "region_refused"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Shape(_Part):
    """A polygon by its corners (x, y), or a rectangle by left, top, right, bottom: shares of the frame, 0 to 1."""

    polygon: tuple[Point, ...] | None = Field(default=None, min_length=_FEWEST, max_length=_MOST)
    rectangle: tuple[Share, Share, Share, Share] | None = None

    @model_validator(mode="after")
    def _has_area(self) -> Self:
        if (self.polygon is None) == (self.rectangle is None):
            msg = "a shape is either a `polygon` or a `rectangle`"
            raise ValueError(msg)
        if self.rectangle and not (self.rectangle[0] < self.rectangle[2] and self.rectangle[1] < self.rectangle[3]):
            msg = "a rectangle is left, top, right, bottom, left less than right and top less than bottom"
            raise ValueError(msg)
        if abs(_area(self.points)) < _SMALLEST:
            msg = "a shape of the region has no area; draw its corners apart"
            raise ValueError(msg)
        if _crosses_itself(self.points):
            msg = "a polygon's sides cross each other, so nobody can say what lies inside; move its corners apart"
            raise ValueError(msg)
        return self

    @property
    def points(self) -> tuple[Point, ...]:
        """Its corners."""
        if self.rectangle:
            left, top, right, bottom = self.rectangle
            return (left, top), (right, top), (right, bottom), (left, bottom)
        return self.polygon or ()

    def plain(self) -> dict[str, Any]:
        """As YAML and records have it."""
        return self.model_dump(mode="json", exclude_none=True)


Shapes = tuple[Shape, ...]
_Shapes = Annotated[Shapes, Field(min_length=1, max_length=_MOST_SHAPES)]


class RecipeRegion(_Part):
    """Where findings count: inside any of the shapes of a frame's camera or, for cameras that are not named, of those
    `everywhere`. A camera that has neither counts as a whole."""

    everywhere: _Shapes | None = None
    cameras: dict[str, _Shapes] = Field(default={}, max_length=64)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.everywhere and not self.cameras:
            msg = "a region has shapes `everywhere` or for some of the `cameras`; leave it out to count the whole frame"
            raise ValueError(msg)
        return self

    def of(self, camera: str) -> Shapes | None:
        """The shapes for a camera's frames; None where the whole frame counts."""
        return self.cameras.get(camera, self.everywhere)

    def applied(self, cameras: Iterable[str]) -> dict[str, Any]:
        """What a unit's record says of it: the shapes by camera."""
        found = {camera: self.of(camera) for camera in cameras}
        return {camera: [one.plain() for one in shapes] for camera, shapes in found.items() if shapes}


def read_shapes(plain: Sequence[Mapping[str, Any]]) -> Shapes:
    """Shapes as a record has them. Raises ValueError."""
    return tuple(Shape.model_validate(one) for one in plain)


@lru_cache(maxsize=64)
def touched_cells(shapes: Shapes, rows: int, columns: int) -> Cells:
    """Which cells `[rows, columns]` of a map over the whole frame the shapes touch, read-only: a cell that lies only
    partly in one counts."""
    found = np.zeros((rows, columns), dtype=bool)
    for shape in shapes:
        corners = np.array(shape.points) * (columns, rows)
        found |= _within(corners, rows, columns).reshape(rows, _FINE, columns, _FINE).any(axis=(1, 3))
        for (x, y), (to_x, to_y) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            steps = np.linspace(0, 1, 2 + math.ceil(2 * _FINE * math.hypot(to_x - x, to_y - y)))
            along = np.clip(x + steps * (to_x - x), 0, columns - 1e-9), np.clip(y + steps * (to_y - y), 0, rows - 1e-9)
            found[along[1].astype(int), along[0].astype(int)] = True
    found.flags.writeable = False
    return found


def region_score(heatmap: NDArray[np.float32], counted: Cells, inside: Cells) -> float:
    """A memory's score over the `counted` cells alone, of its map `[rows, columns]` over the whole frame; `inside` are
    those that the package inspects. It is never above the whole frame's, and not a number where it cannot be told."""
    counted = counted & inside if counted.shape == inside.shape else counted
    if heatmap.shape != counted.shape or inside.shape != counted.shape or not counted.any():
        return math.nan
    if not np.isfinite(heatmap).all():
        return math.nan
    exact = heatmap.astype(np.float64)
    whole = float(exact.max())
    usual, here = (_largest_mean(exact[cells]) for cells in (inside, counted))
    if here >= usual or usual <= 0:
        return whole
    return here * whole / usual


def inspected_cells(manifest: Manifest) -> Cells:
    """The cells of a map over the whole frame that a package inspects."""
    return manifest.input.place(inside_cells(manifest.input).astype(np.float32)) > 0


def check_region(region: RecipeRegion, package: Package, classifier: Package | None = None) -> None:
    """Raises RegionRefused where the region cannot be applied to this package's findings."""
    manifest = package.manifest
    if classifier or manifest.classes:
        label = (classifier or package).label
        raise RegionRefused(f"{label} judges the frame as a whole: leave the recipe's `region` or the classifier out")
    if manifest.algorithm not in EXACT_ALGORITHMS or manifest.precision not in EXACT_PRECISIONS:
        raise RegionRefused(
            f"{package.label} ({manifest.algorithm}, {manifest.precision}): its score over a region cannot be told "
            "from its heatmap; leave the recipe's `region` out, or train with `--algorithm patchcore` (fp32 or int8)"
        )
    for where, cells in counted_cells(region, inspected_cells(manifest)).items():
        if cells == 0:
            raise RegionRefused(
                f"the recipe's region ({where}) touches nothing that {package.label} inspects; draw it there"
            )


def counted_cells(region: RecipeRegion, inside: Cells) -> dict[str, int]:
    """How many of the cells `inside`, which the package inspects, count: by camera, and `everywhere`."""
    shapes_of = {"everywhere": region.everywhere, **region.cameras}
    return {
        where: int((touched_cells(shapes, *inside.shape) & inside).sum())
        for where, shapes in shapes_of.items() if shapes
    }  # fmt: skip


def can_have_region(manifest: Manifest) -> bool:
    """Whether a recipe with this package alone may have a region."""
    exact = manifest.algorithm in EXACT_ALGORITHMS and manifest.precision in EXACT_PRECISIONS
    return exact and not manifest.classes


@dataclass(frozen=True)
class RegionCount:
    """Counts what a package finds in a region's cells alone. The heatmap stays that of the whole frame."""

    manifest: Manifest

    @cached_property
    def inside(self) -> Cells:
        """The cells that the package inspects."""
        return inspected_cells(self.manifest)

    def count(self, found: ImageFinding, shapes: Shapes | None) -> ImageFinding:
        """What was found, with the score over the shapes; as it is where there are none, or where nothing was found."""
        if shapes is None or found.finding is None:
            return found
        return replace(found, finding=self.narrowed(found.finding, shapes))

    def narrowed(self, finding: Finding, shapes: Shapes) -> Finding:
        """The finding with its score over the shapes; what is not a number stays none."""
        score = region_score(finding.heatmap, touched_cells(shapes, *self.inside.shape), self.inside)
        known = math.isfinite(finding.score) and not finding.also
        return replace(finding, score=score if known else math.nan, frame_score=finding.score)


def _largest_mean(values: NDArray[np.float64]) -> float:
    area = score_area(np.ones(values.size))
    return float(np.partition(values, values.size - area)[values.size - area :].mean())


def _within(corners: NDArray[np.float64], rows: int, columns: int) -> Cells:
    """Which of `_FINE` times as many points a side lie inside a polygon, by the crossings of a ray (even and odd)."""
    x, y = ((np.arange(count * _FINE) + 0.5) / _FINE for count in (columns, rows))
    inside = np.zeros((rows * _FINE, columns * _FINE), dtype=bool)
    for (x_1, y_1), (x_2, y_2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y_1 == y_2:
            continue
        crossed = (y_1 > y) != (y_2 > y)
        at = x_1 + (y - y_1) * (x_2 - x_1) / (y_2 - y_1)
        inside ^= crossed[:, None] & (x[None, :] < at[:, None])
    return inside


def _area(points: Sequence[Point]) -> float:
    return sum(x * to_y - to_x * y for (x, y), (to_x, to_y) in _sides(points)) / 2


def _sides(points: Sequence[Point]) -> list[tuple[Point, Point]]:
    return list(zip(points, [*points[1:], points[0]], strict=True))


def _crosses_itself(points: Sequence[Point]) -> bool:
    sides = _sides(points)
    return any(
        _cross(*one, *other)
        for index, one in enumerate(sides) for other in sides[index + 2 :]
        if not (index == 0 and other is sides[-1])
    )  # fmt: skip


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
