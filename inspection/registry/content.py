"""What of a recipe is approved: all that decides how units are judged, and nothing that changes with each run."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from inspection.config import ConfigInvalid, parse_mapping, validate
from inspection.package import Package, open_package
from inspection.recipe import PackageRef, Recipe, fitting_packages, pinned, read_recipe, recipe_packages
from inspection.recipe_shadow import shadow_values
from inspection.records import canonical_json

PinnedRecipe = tuple[Recipe, list[Package]]


def recipe_content(recipe: Recipe) -> dict[str, Any]:
    """A recipe whose packages are pinned, as plain values: packages by their SHA-256 alone, wherever their files lie,
    and without the batch."""
    values = recipe.model_dump(mode="json", exclude={"batch", "camera", "shadow"})
    for name in ("region", "challenge"):
        if values[name] is None:
            del values[name]  # recipes that were approved before there were any keep their digest
    if recipe.shadow:
        values["shadow"] = recipe.shadow.content()
    for name in ("package", "classifier"):
        if values[name]:
            values[name] = values[name]["sha256"]
    return values


def recipe_digest(recipe: Recipe) -> str:
    """SHA-256 in hex of the content of a recipe whose packages are pinned."""
    return hashlib.sha256(content_bytes(recipe)).hexdigest()


def content_bytes(recipe: Recipe) -> bytes:
    """The content as canonical JSON: what is stored, and what the digest is of."""
    return canonical_json(recipe_content(recipe)).encode()


def recipe_values(content: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's content as the keys of a recipe's file: read again, it gives the same content. Packages are named by
    their SHA-256, and by a file that somebody has to put beside it."""
    values = {key: value for key, value in content.items() if value is not None}
    for name in ("package", "classifier"):
        if name in values:
            values[name] = {"path": f"{name}-{values[name][:12]}.onnx", "sha256": values[name]}
    if "shadow" in values:
        values["shadow"] = shadow_values(values["shadow"])
    if "ejector" in values:
        del values["deadline_ms"]  # which follows from it
    return values


def recipe_of(content: Mapping[str, Any], source: str) -> Recipe:
    """The recipe of a content, its packages pinned; `source` is named in messages. Raises ConfigInvalid."""
    return validate(recipe_values(content), Recipe, source)


def recipe_yaml(content: Mapping[str, Any]) -> str:
    """A recipe's content as the text of a recipe's file."""
    return yaml.safe_dump(recipe_values(content), sort_keys=False, allow_unicode=True)


def read_uploaded(text: bytes, uploaded: Mapping[str, bytes], kept: Callable[[str], Package | None]) -> PinnedRecipe:
    """A recipe's file that came without a folder, its packages pinned, and these: each of those `uploaded` under the
    name of the file that the recipe names, or the registered one of the digest that it names, by `kept`.

    Raises ConfigInvalid, RecipePackageDiffers, RegionRefused, and what reading a package raises.
    """
    recipe = validate(parse_mapping(text, "the recipe"), Recipe, "the recipe")

    def read(ref: PackageRef) -> Package:
        name = ref.path.name
        if name in uploaded:
            return open_package(uploaded[name], name)
        found = kept(ref.sha256) if ref.sha256 else None
        if found is None:
            raise ConfigInvalid(
                f"the recipe names the package {name}, which came with it neither as a file nor, by `sha256`, as one "
                "that is registered; add the file"
            )
        return found

    package, classifier = fitting_packages(recipe, read)
    return pinned(recipe, package, classifier), [package, *([classifier] if classifier else [])]


def read_pinned(recipe_file: Path) -> PinnedRecipe:
    """A recipe with the digests of its packages, and these. Raises what reading them raises."""
    recipe = read_recipe(recipe_file)
    package, classifier = recipe_packages(recipe, recipe_file.parent)
    return pinned(recipe, package, classifier), [package, *([classifier] if classifier else [])]


def differences(old: Any, new: Any, place: str = "") -> dict[str, list[Any]]:
    """Old and new value of every key that differs, nested keys with dots between them; None where there is none."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted({*old, *new})
        parts = [differences(old.get(key), new.get(key), f"{place}.{key}" if place else key) for key in keys]
        return {key: value for part in parts for key, value in part.items()}
    return {} if old == new else {place: [old, new]}
