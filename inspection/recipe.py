"""The recipe: what a station runs for one product."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from inspection.archive import STATION_NAME
from inspection.combined import detector_of
from inspection.config import read_config
from inspection.detector import Detector
from inspection.errors import InspectionError
from inspection.manifest import NAME_PATTERN, VERSION_PATTERN
from inspection.package import Package, read_package
from inspection.runtimes.names import AUTO, RuntimeName
from inspection.verdict import Limits


class RecipePackageDiffers(InspectionError):
    """The package file is not the one the recipe names."""

    code = "recipe_package_differs"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PackageRef(_Part):
    """A package by its file, relative to the recipe, and optionally by its SHA-256, which then must fit."""

    path: Path
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class CameraConfig(BaseModel):
    """A camera by its kind; the other keys are the options of that kind, checked when it is opened."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str
    name: str = "camera-1"

    @property
    def options(self) -> dict[str, Any]:
        """The keys that belong to the kind."""
        return dict(self.model_extra or {})


class OutputConfig(BaseModel):
    """An output by its kind; the other keys are the options of that kind, checked when it is made."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str
    name: str = "output-1"

    @property
    def options(self) -> dict[str, Any]:
        """The keys that belong to the kind."""
        return dict(self.model_extra or {})


class TriggerConfig(BaseModel):
    """What opens units, by its kind; the other keys are the options of that kind, checked when it is opened."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str

    @property
    def options(self) -> dict[str, Any]:
        """The keys that belong to the kind."""
        return dict(self.model_extra or {})


class Recipe(_Part):
    """A station's work for one product. `package` may be of any kind; a `classifier` names defects beside it, and a
    unit passes only where both pass it. `runtime` is an engine's name or `auto`; `limits` replace those of `package`;
    `deadline_ms` runs from the trigger."""

    name: str = Field(pattern=f"^{NAME_PATTERN}$", max_length=64)
    version: str = Field(pattern=f"^{VERSION_PATTERN}$")
    product: str = Field(max_length=128)
    station: str = Field(default="station-1", pattern=f"^{STATION_NAME.pattern}$")
    package: PackageRef
    classifier: PackageRef | None = None
    camera: CameraConfig | None = None
    runtime: RuntimeName = AUTO
    limits: Limits | None = None
    batch: str | None = Field(default=None, max_length=128)
    deadline_ms: int = Field(default=1000, ge=1)
    queue: int = Field(default=8, ge=1, le=1000)

    @property
    def label(self) -> str:
        """Name and version, as records carry them."""
        return f"{self.name} {self.version}"


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file. Raises ConfigInvalid."""
    return read_config(path, Recipe)


def recipe_package(recipe: Recipe, folder: Path) -> Package:
    """The package a recipe in `folder` names, made for its product.

    Raises RecipePackageDiffers, and what reading a package raises.
    """
    return _package(recipe, recipe.package, folder)


def recipe_detector(recipe: Recipe, folder: Path, runtime: str | None = None, threads: int | None = None) -> Detector:
    """The detector of all that a recipe in `folder` names, proved; `runtime` replaces the recipe's.

    Raises RecipePackageDiffers, NotAClassifier, PackagesDiffer, and what reading and loading a package raises.
    """
    classifier = _package(recipe, recipe.classifier, folder) if recipe.classifier else None
    return detector_of(recipe_package(recipe, folder), classifier, runtime or recipe.runtime, threads)


def _package(recipe: Recipe, ref: PackageRef, folder: Path) -> Package:
    package = read_package(folder / ref.path)
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
