"""What is known beside the records: of packages their held-out and evaluated scores, of recipes deadline and limits."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from inspection.archive import Archive
from inspection.errors import InspectionError
from inspection.image_quality import ImageQuality
from inspection.manifest import Manifest
from inspection.recipe import Recipe
from inspection.registry.items import Versions, read_versions


@dataclass
class Known:
    """By digest and by label; what nobody knows is None or empty. `report` reads the evaluation of a package's digest,
    `content` a recipe's values by its label."""

    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    report: Callable[[str], Mapping[str, Any] | None] = lambda _: None
    content: Callable[[str], Mapping[str, Any] | None] = lambda _: None

    def held_out(self, package: str | None) -> dict[str, Any] | None:
        """What the package's manifest says of the held-out good images its limits were set on."""
        manifest = self.manifests.get(package or "")
        if manifest is None:
            return None
        told = manifest.limits_info
        return {"images": told.held_out_good, "median": told.held_out_median, "maximum": told.held_out_maximum}

    def good_scores(self, package: str | None) -> list[float]:
        """The scores of good images in the package's evaluation, if the registry has it."""
        try:
            told = (self.report(package) if package else None) or {}
            return [float(one["score"]) for one in told.get("scores", ()) if one["defect"] is None]
        except (KeyError, TypeError, ValueError):
            return []

    def deadline_ms(self, recipe: str | None) -> int | None:
        """From trigger to decision."""
        found = self._values(recipe)
        return int(found["deadline_ms"]) if found.get("deadline_ms") else None

    def image_limits(self, recipe: str | None) -> dict[str, Any] | None:
        """The recipe's `image_quality`; None where the recipe has none, or is not known."""
        try:
            found = self._values(recipe).get("image_quality")
            return ImageQuality.model_validate(found).model_dump() if found else None
        except ValidationError:
            return None

    def _values(self, recipe: str | None) -> Mapping[str, Any]:
        running = self.recipes.get(recipe or "")
        return running.model_dump(mode="json") if running else (self.content(recipe) if recipe else None) or {}


def known_in(archive: Archive, recipe: Recipe, manifests: Mapping[str, Manifest]) -> Known:
    """What the archive's registry knows, and a station that runs `recipe` with these packages."""
    read: list[Versions] = []

    def versions() -> Versions:
        if not read:
            read.append(read_versions(archive))
        return read[0]

    def stored(name: str | None) -> Mapping[str, Any] | None:
        try:
            found = json.loads(archive.images.get(name)) if name else None
        except (InspectionError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def report(digest: str) -> Mapping[str, Any] | None:
        kept = [step.details.get("report") for one in versions().values() if one.digest == digest for step in one.steps]
        return stored(next((name for name in reversed(kept) if name), None))

    def content(label: str) -> Mapping[str, Any] | None:
        return stored(next((one.content for one in versions().values()
                            if one.kind == "recipe" and f"{one.name} {one.version}" == label), None))  # fmt: skip

    return Known(manifests, {recipe.label: recipe}, report, content)
