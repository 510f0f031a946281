"""What the registry keeps of a version, as pages show it: a package's manifest and golden frames, a recipe's content,
an evaluation's report. What has a digest for a name cannot change, so the last ones that were read stay in memory."""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from inspection.archive import Archive
from inspection.errors import InspectionError
from inspection.frames import Pixels
from inspection.manifest import Manifest
from inspection.package import Package, open_package
from inspection.registry.items import Version, Versions

_MOST = 16


class ContentUnreadable(InspectionError):
    """What the registry keeps of a version cannot be read."""

    code = "content_unreadable"


@dataclass(frozen=True)
class KeptPackage:
    """A package without its graph."""

    digest: str
    manifest: Manifest
    golden: dict[str, Pixels]
    held_out: tuple[float, ...]
    size: int


_packages: "OrderedDict[str, KeptPackage]" = OrderedDict()
_lock = threading.Lock()


def kept_package(archive: Archive, one: Version) -> KeptPackage:
    """A registered package. Raises ContentUnreadable."""
    with _lock:
        found = _packages.get(one.digest)
    if found is None:
        package = stored_package(archive, one)
        found = KeptPackage(one.digest, package.manifest, package.golden, package.held_out, len(package.model))
        with _lock:
            _packages[one.digest] = found
            while len(_packages) > _MOST:
                _packages.popitem(last=False)
    return found


def stored_package(archive: Archive, one: Version) -> Package:
    """The package itself. Raises ContentUnreadable."""
    try:
        package = open_package(archive.images.get(one.content), one.label)
    except InspectionError as error:
        raise ContentUnreadable(f"{one.label} cannot be read ({error})") from error
    if package.digest != one.digest:
        raise ContentUnreadable(f"{one.label} is another file than was registered; run `inspection verify`")
    return package


def kept_recipe(archive: Archive, one: Version) -> dict[str, Any]:
    """The content of a registered recipe. Raises ContentUnreadable."""
    return kept_json(archive, one.content, one.label)


def kept_report(archive: Archive, one: Version) -> dict[str, Any] | None:
    """The report that came with the last step `evaluated`; None where there is none. Raises ContentUnreadable."""
    name = next((step.details["report"] for step in reversed(one.steps) if step.details.get("report")), None)
    return kept_json(archive, str(name), f"the report of {one.label}") if name else None


def packages_of(one: Version, versions: Versions) -> list[Version]:
    """The registered packages that a recipe runs, in its order."""
    by_digest = {other.digest: other for other in versions.values() if other.kind == "package"}
    return [by_digest[digest] for digest in one.packages if digest in by_digest]


def kept_json(archive: Archive, name: str, label: str) -> dict[str, Any]:
    """An object that is kept as JSON; `label` names it in messages. Raises ContentUnreadable."""
    try:
        content = json.loads(archive.images.get(name))
    except (InspectionError, ValueError) as error:
        raise ContentUnreadable(f"{label} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise ContentUnreadable(f"{label} is no object")
    return content
