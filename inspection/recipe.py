"""The recipe: what a station runs for one product."""

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from inspection.archive import STATION_NAME
from inspection.combined import detector_of
from inspection.config import read_config
from inspection.detector import Detector
from inspection.errors import InspectionError
from inspection.image_quality import ImageQuality
from inspection.manifest import NAME_PATTERN, VERSION_PATTERN
from inspection.package import Package, read_package
from inspection.recipe_region import RecipeRegion, check_region
from inspection.recipe_shadow import ShadowConfig
from inspection.records import AUDIT
from inspection.runtimes.names import AUTO, RuntimeName
from inspection.verdict import Limits, Outcome


class RecipePackageDiffers(InspectionError):
    """The package file is not the one the recipe names."""

    code = "recipe_package_differs"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PackageRef(_Part):
    """A package by its file, relative to the recipe, and optionally by its SHA-256, which then must fit."""

    path: Path
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class _OfAKind(BaseModel):
    """Something by its kind; the other keys are the options of that kind, checked when it is made."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str

    @property
    def options(self) -> dict[str, Any]:
        """The keys that belong to the kind."""
        return dict(self.model_extra or {})


class TriggerConfig(_OfAKind):
    """What opens units."""


class CameraConfig(_OfAKind):
    """A camera; its name is on the record of each of its frames."""

    name: str = Field(default="camera-1", pattern=f"^{NAME_PATTERN}$", max_length=64)


class OutputConfig(_OfAKind):
    """Who is told of each unit. Only a `gate` lets a unit through: a PASS that it did not acknowledge is none."""

    name: str = Field(default="output-1", pattern=f"^{NAME_PATTERN}$", max_length=64)
    gate: bool = True


class Ejector(_Part):
    """Where a unit is pushed off: `distance_mm` behind the trigger, on a line that moves at `speed_mm_s`; it must know
    `needs_ms` before the unit is there."""

    distance_mm: float = Field(gt=0, le=1e6)
    speed_mm_s: float = Field(gt=0, le=1e6)
    needs_ms: float = Field(default=0.0, ge=0)

    @property
    def deadline_ms(self) -> int:
        """From the trigger until a unit must be decided, recorded and told."""
        return math.floor(1000 * self.distance_mm / self.speed_mm_s - self.needs_ms)


class Keep(_Part):
    """What is kept of units that pass: of a share of them, `passes_in_full`, image and heatmap; of the others a JPEG
    whose longer side has `thumbnail_px` pixels. Rejected and undecided units are always kept in full. Which passes are
    in the sample follows from station and unit id, so that everybody can tell."""

    passes_in_full: float = Field(default=1.0, ge=0, le=1)
    thumbnail_px: int = Field(default=256, ge=32, le=1024)

    def in_full(self, station: str, unit: str, outcome: Outcome) -> bool:
        """Whether a unit's images are kept in full."""
        if outcome is not Outcome.PASS or self.passes_in_full >= 1:
            return True
        drawn = hashlib.sha256(f"{station}/{unit}".encode()).digest()
        return int.from_bytes(drawn[:8], "big") < self.passes_in_full * 2**64


class ChallengeConfig(_Part):
    """When known units must prove the station: `kit` is the name of a challenge kit, of which the version approved last
    is taken where none is named. Before every `batch`, or every `shift` of so many hours, or `none`: then it can be
    run, and nothing is blocked where it was not."""

    kit: str = Field(pattern=f"^{NAME_PATTERN}$", max_length=64)
    version: str | None = Field(default=None, pattern=f"^{VERSION_PATTERN}$")
    every: Literal["batch", "shift", "none"] = "batch"
    shift_hours: float = Field(default=8.0, gt=0, le=168)


class Recipe(_Part):
    """A station's work for one product. `package` may be of any kind; a `classifier` names defects beside it, and a
    unit passes only where both pass it. `runtime` is an engine's name or `auto`; `limits` replace those of `package`;
    where there is a `region`, what is found outside it does not count;
    a `challenge` says when known units must prove the station; a `shadow` looks at the same frames and decides nothing;
    an image that is not of the `image_quality` is not judged, and its unit rejected;
    `deadline_ms` runs from the trigger; an `ejector` says it instead. At most `queue` units are on their way at once.
    The station stops after `consecutive_rejects` units in a row that did not pass (0: never). `lanes` frames are looked
    at side by side, each on `threads` cores (left out: all of them)."""

    name: str = Field(pattern=f"^{NAME_PATTERN}$", max_length=64)
    version: str = Field(pattern=f"^{VERSION_PATTERN}$")
    product: str = Field(max_length=128)
    station: str = Field(default="station-1", pattern=f"^{STATION_NAME.pattern}$")
    package: PackageRef
    classifier: PackageRef | None = None
    camera: CameraConfig | None = None
    cameras: tuple[CameraConfig, ...] = ()
    trigger: TriggerConfig | None = None
    outputs: tuple[OutputConfig, ...] = ()
    runtime: RuntimeName = AUTO
    limits: Limits | None = None
    region: RecipeRegion | None = None
    image_quality: ImageQuality | None = None
    keep: Keep = Keep()
    batch: str | None = Field(default=None, max_length=128)
    deadline_ms: int = Field(default=1000, ge=1)
    ejector: Ejector | None = None
    queue: int = Field(default=32, ge=1, le=1000)
    consecutive_rejects: int = Field(default=0, ge=0)
    lanes: int = Field(default=1, ge=1, le=64)
    threads: int | None = Field(default=None, ge=1, le=256)
    challenge: ChallengeConfig | None = None
    shadow: ShadowConfig | None = None

    @field_validator("station")
    @classmethod
    def _not_people_s(cls, station: str) -> str:
        if station == AUDIT:
            msg = f"{AUDIT!r} is the chain of what people do, which is never shortened; give the station another name"
            raise ValueError(msg)
        return station

    @model_validator(mode="after")
    def _one_camera_or_several(self) -> "Recipe":
        if self.camera and self.cameras:
            msg = "a recipe has either `camera` or `cameras`"
            raise ValueError(msg)
        if self.camera:
            object.__setattr__(self, "cameras", (self.camera,))
        for what, parts in (("cameras", self.cameras), ("outputs", self.outputs)):
            names = [part.name for part in parts]
            if len(set(names)) < len(names):
                msg = f"{what} must have different names, not {', '.join(names)}"
                raise ValueError(msg)
        if len(self.cameras) > 1 and not self.trigger:
            msg = "with several cameras a `trigger` must open the units"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _region_of_its_cameras(self) -> "Recipe":
        known = [camera.name for camera in self.cameras]
        unknown = [name for name in (self.region.cameras if self.region else ()) if known and name not in known]
        if unknown:
            msg = f"the region names a camera {unknown[0]!r}, and the recipe has {', '.join(known)}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _batches_are_begun_where_each_is_challenged(self) -> "Recipe":
        if self.batch is not None and self.challenge and self.challenge.every == "batch":
            msg = "with a challenge before every batch a recipe has no `batch`: somebody begins each of them"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _deadline_at_the_ejector(self) -> "Recipe":
        if self.ejector is None:
            return self
        if "deadline_ms" in self.model_fields_set:
            msg = "a recipe has either `deadline_ms` or an `ejector`"
            raise ValueError(msg)
        if self.ejector.deadline_ms < 1:
            msg = "the ejector is so near that no time is left; `distance_mm` / `speed_mm_s` must be above `needs_ms`"
            raise ValueError(msg)
        object.__setattr__(self, "deadline_ms", self.ejector.deadline_ms)
        return self

    @property
    def label(self) -> str:
        """Name and version, as records carry them."""
        return f"{self.name} {self.version}"


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file. Raises ConfigInvalid."""
    return read_config(path, Recipe)


def recipe_packages(recipe: Recipe, folder: Path) -> tuple[Package, Package | None]:
    """The package a recipe in `folder` names, made for its product, and the classifier beside it, if it names one.

    Raises RecipePackageDiffers, RegionRefused, and what reading a package raises.
    """
    return fitting_packages(recipe, lambda ref: read_package(folder / ref.path))


def fitting_packages(recipe: Recipe, read: Callable[[PackageRef], Package]) -> tuple[Package, Package | None]:
    """The same, whoever reads them."""
    classifier = _fitting(recipe, recipe.classifier, read) if recipe.classifier else None
    package = _fitting(recipe, recipe.package, read)
    if recipe.region:
        check_region(recipe.region, package, classifier)
    return package, classifier


def pinned(recipe: Recipe, package: Package, classifier: Package | None) -> Recipe:
    """The recipe with the digests of the packages that were read: read again, no other file is taken for them."""
    refs = {"package": PackageRef(path=recipe.package.path, sha256=package.digest)}
    if classifier and recipe.classifier:
        refs["classifier"] = PackageRef(path=recipe.classifier.path, sha256=classifier.digest)
    return recipe.model_copy(update=refs)


def recipe_detector(
    recipe: Recipe, folder: Path, runtime: str | None = None, threads: int | None = None, parallel: int = 1
) -> Detector:
    """The detector of all that a recipe in `folder` names, proved; `runtime` and `threads` replace the recipe's,
    `parallel` says how many calls at once are worth preparing for.

    Raises RecipePackageDiffers, RegionRefused, NotAClassifier, PackagesDiffer, and what reading and loading a
    package raises.
    """
    package, classifier = recipe_packages(recipe, folder)
    return detector_of(package, classifier, runtime or recipe.runtime, threads or recipe.threads, parallel)


def _fitting(recipe: Recipe, ref: PackageRef, read: Callable[[PackageRef], Package]) -> Package:
    package = read(ref)
    wanted = ref.sha256
    if wanted and package.digest != wanted:
        raise RecipePackageDiffers(
            f"{package.source} has SHA-256 {package.digest[:12]}…, and recipe {recipe.label} asks for {wanted[:12]}…; "
            "put the approved file there"
        )
    if package.manifest.product != recipe.product:
        raise RecipePackageDiffers(
            f"{package.source} was made for product {package.manifest.product!r}, and recipe {recipe.label} is for "
            f"{recipe.product!r}; put the right package there, or name its product"
        )
    return package
