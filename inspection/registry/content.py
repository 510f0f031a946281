"""What of a recipe is approved: all that decides how units are judged, and nothing that changes with each run."""

import hashlib
from pathlib import Path
from typing import Any

from inspection.package import Package
from inspection.recipe import Recipe, pinned, read_recipe, recipe_packages
from inspection.records import canonical_json


def recipe_content(recipe: Recipe) -> dict[str, Any]:
    """A recipe whose packages are pinned, as plain values: packages by their SHA-256 alone, wherever their files lie,
    and without the batch."""
    values = recipe.model_dump(mode="json", exclude={"batch", "camera"})
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


def read_pinned(recipe_file: Path) -> tuple[Recipe, list[Package]]:
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
