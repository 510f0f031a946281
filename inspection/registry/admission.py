"""What may run: an active recipe, or, in an archive in which nothing was ever activated, one whose user said so."""

from typing import Any

from inspection.archive import Archive
from inspection.errors import InspectionError
from inspection.recipe import Recipe
from inspection.registry.content import recipe_digest
from inspection.registry.items import State, governed, read_versions


class NotApproved(InspectionError):
    """The recipe is not under change control, or not active, or not the one that was approved."""

    code = "not_approved"


def admit(archive: Archive, recipe: Recipe, *, unapproved: bool) -> dict[str, Any]:
    """What is put on record of a recipe, its packages pinned, that may run. Raises NotApproved and ArchiveFault."""
    digest = recipe_digest(recipe)
    versions = read_versions(archive)
    found = versions.get(("recipe", recipe.name, recipe.version))
    if found and found.digest == digest and found.state == State.ACTIVE:
        return {"recipe_sha256": digest, "change_control": "active"}
    if unapproved and not governed(versions):
        return {"recipe_sha256": digest, "change_control": "none"}
    if found is None:
        what = f"recipe {recipe.label} is not registered"
    elif found.digest != digest:
        what = f"recipe {recipe.label} is another than was registered ({digest[:12]}…, not {found.digest[:12]}…)"
    else:
        what = f"recipe {recipe.label} is {found.state}, not active"
    if governed(versions):
        raise NotApproved(f"{what}; only what `inspection registry` has activated runs in this archive")
    raise NotApproved(f"{what}; activate it with `inspection registry`, or try it out with --unapproved")
