"""The content of packages and recipes as rows that people read: nested keys with dots between, values as text."""

from collections.abc import Mapping
from typing import Any

from inspection.manifest import Manifest
from inspection.records import canonical_json

_LONGEST = 400
# Shown in words of their own on a package's page; the rest is listed key by key.
_TOLD = {
    "name", "version", "product", "algorithm", "backbone", "input", "classes", "limits", "limits_info", "data",
    "golden", "software", "created", "precision", "parent", "schema_version",
}  # fmt: skip


def flattened(content: Mapping[str, Any], place: str = "") -> dict[str, str]:
    """Every value by its key; what is left out (None) is left out."""
    rows: dict[str, str] = {}
    for key, value in content.items():
        name = f"{place}.{key}" if place else str(key)
        if isinstance(value, Mapping) and value:
            rows |= flattened(value, name)
        elif value is not None:
            rows[name] = shown(value)
    return rows


def shown(value: Any) -> str:
    """A value as text, long ones cut."""
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def manifest_rows(manifest: Manifest) -> dict[str, Any]:
    """A manifest's values without what differs between any two packages."""
    return manifest.model_dump(mode="json", exclude={"golden", "schema_version"})


def manifest_rest(manifest: Manifest) -> dict[str, str]:
    """What of a manifest has no words of its own on the page."""
    return flattened(manifest.model_dump(mode="json", exclude=_TOLD))
