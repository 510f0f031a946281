"""The candidate of a shadow: read, and seen to fit what the active package looks at."""

from dataclasses import dataclass
from pathlib import Path

from inspection.archive import Archive
from inspection.config import ConfigInvalid
from inspection.errors import InspectionError
from inspection.package import Package, open_package
from inspection.preprocess import ASPECT_TOLERANCE
from inspection.recipe import PackageRef, Recipe, recipe_packages
from inspection.registry.items import find_version, read_versions


class CandidateDiffers(InspectionError):
    """A candidate cannot look at the frames that the active package looks at."""

    code = "candidate_differs"


@dataclass(frozen=True)
class Candidate:
    """A candidate as a recipe of its own, which `recipe_detector` loads: with the recipe's classifier and region, and
    the limits that decide for the candidate (None: its package's own)."""

    recipe: Recipe
    package: Package
    classifier: Package | None


def read_candidate(recipe: Recipe, folder: Path, archive: Archive, scratch: Path) -> Candidate:
    """The candidate that the `shadow` of a recipe in `folder` names. One that the archive's registry keeps is written
    to the folder `scratch`, where a process can read it.

    Raises ConfigInvalid without a `shadow`, CandidateDiffers, RecipePackageDiffers, RegionRefused, VersionMissing,
    ArchiveFault, and what reading packages raises.
    """
    if recipe.shadow is None:
        raise ConfigInvalid(f"recipe {recipe.label} has no `shadow`, so it has no candidate")
    named = recipe.shadow.package
    path, digest = named.path, named.sha256
    if path is None:
        one = find_version(read_versions(archive), "package", str(named.name), str(named.version))
        data = archive.images.get(one.content)
        digest = open_package(data, one.label).digest
        path = scratch / "candidate.onnx"
        path.write_bytes(data)
    updates = {"package": PackageRef(path=path, sha256=digest), "limits": recipe.shadow.limits, "shadow": None}
    own = recipe.model_copy(update=updates | {"image_quality": None})  # which the active one has judged by
    package, classifier = recipe_packages(own, folder)
    _check(package, recipe, recipe_packages(recipe, folder)[0])
    fixed = PackageRef(path=path, sha256=package.digest)
    return Candidate(own.model_copy(update={"package": fixed}), package, classifier)


def _check(candidate: Package, recipe: Recipe, active: Package) -> None:
    if candidate.digest == active.digest and recipe.shadow and recipe.shadow.limits in (None, recipe.limits):
        raise CandidateDiffers(f"{candidate.label} is the active package itself; name the one that may replace it")
    one, two = candidate.manifest.input, active.manifest.input
    if one.colour != two.colour:
        raise CandidateDiffers(f"{candidate.label} wants {one.colour} frames, and {active.label} {two.colour} ones")
    if abs(one.aspect / two.aspect - 1) > ASPECT_TOLERANCE:
        raise CandidateDiffers(
            f"{candidate.label} was made for frames with a width-to-height ratio of {one.aspect:.3f}, and "
            f"{active.label} for {two.aspect:.3f}; train it on this line's frames"
        )
