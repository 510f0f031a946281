"""What the registry knows of each version: its state, and every step that brought it there.

Steps are events in the chain `audit`; there is no other table. The content of a version (a package file, or a recipe as
canonical JSON) lies in the image store under its SHA-256.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import Connection, select

from inspection.archive import Archive, ArchiveFault
from inspection.errors import InspectionError
from inspection.records import AUDIT, Entry, from_row
from inspection.schema import entries
from inspection.signatures import statement_fault

PREFIX = "registry_"
SHADOW_REPORT = "shadow_report"  # the key of a report that is attached to a step, in its details
Kind = Literal["package", "recipe", "kit"]


class State(StrEnum):
    """Where a version stands."""

    DRAFT = "draft"
    EVALUATED = "evaluated"
    APPROVED = "approved"
    ACTIVE = "active"
    RETIRED = "retired"


class VersionMissing(InspectionError):
    """The registry has no such package or recipe."""

    code = "version_missing"


@dataclass(frozen=True)
class Step:
    """One signed step of a version. `record` names its entry; `statement` is what was signed."""

    record: str
    step: str
    by: str
    full_name: str
    at: str
    why: str
    old: str | None
    new: str
    statement: dict[str, Any]
    details: dict[str, Any]


@dataclass
class Version:
    """A version of a package, recipe or challenge kit. `digest` is the package file's SHA-256, or that of the content;
    a recipe has the digests of its `packages` and its `station`."""

    kind: Kind
    name: str
    version: str
    digest: str
    content: str
    state: State
    packages: tuple[str, ...] = ()
    station: str | None = None
    steps: list[Step] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it."""
        return self.kind, self.name, self.version

    @property
    def label(self) -> str:
        """How people name it."""
        return f"{self.kind} {self.name} {self.version}"

    def described(self) -> dict[str, Any]:
        """Plain values."""
        return vars(self) | {"packages": list(self.packages), "steps": [vars(step) for step in self.steps]}


Versions = dict[tuple[str, str, str], Version]


def read_versions(archive: Archive) -> Versions:
    """All versions by kind, name and version, in the order in which they were registered. Raises ArchiveFault."""
    with archive.reader() as connection:
        return versions_in(connection)


def versions_in(connection: Connection) -> Versions:
    """The same, within a transaction."""
    query = select(entries).where(
        entries.c.kind == "event", entries.c.reason >= PREFIX, entries.c.reason < PREFIX + "~",
        entries.c.station == AUDIT,
    )  # fmt: skip
    found: Versions = {}
    for row in connection.execute(query.order_by(entries.c.sequence)).mappings():
        _apply(found, from_row(row))
    return found


def find_version(versions: Versions, kind: Kind, name: str, version: str) -> Version:
    """One of them. Raises VersionMissing."""
    found = versions.get((kind, name, version))
    if found is None:
        known = ", ".join(one.label for one in versions.values() if one.kind == kind) or f"no {kind} at all"
        raise VersionMissing(f"{kind} {name} {version} is not registered; the registry has {known}")
    return found


def governed(versions: Versions) -> bool:
    """Whether anything was ever activated: from then on nothing else runs."""
    return any(step.new == State.ACTIVE for version in versions.values() for step in version.steps)


def step_fault(entry: Entry, keys: Collection[str] = ()) -> str:
    """Why a step's record is not what somebody signed, with one of `keys` if there are any, or an empty text."""
    details = entry.details
    step = str(entry.reason).removeprefix(PREFIX)
    fault = statement_fault(details, details["subject"], details["versions"][0]["digest"], step, keys)
    return fault or _attached_fault(details)


def _attached_fault(details: Mapping[str, Any]) -> str:
    """A report that is attached is the one that the signature names, and kept under its own digest."""
    report, signed = details.get(SHADOW_REPORT), details["statement"].get("attached")
    kept = (None, None) if report is None else (report["sha256"], str(report["file"]).partition(".")[0])
    return "" if kept == (signed, signed) else "has another report attached than was signed"


def contents_of(row: Mapping[str, Any]) -> list[str]:
    """The files that a row keeps for change control: packages, recipes, reports of evaluations and of shadows,
    challenge kits with their images."""
    if row["kind"] != "event" or not str(row["reason"]).startswith(PREFIX):
        return []
    details = json.loads(row["details"])
    named = [*(changed.get("content") for changed in details["versions"]), details.get("report")]
    named += [details[SHADOW_REPORT]["file"]] if SHADOW_REPORT in details else []
    named += [name for changed in details["versions"] for name in changed.get("files", ())]
    return [str(name) for name in named if name is not None]


def _apply(found: Versions, entry: Entry) -> None:
    try:
        details = entry.details
        if fault := step_fault(entry):
            raise ValueError(fault)
        for changed in details["versions"]:
            key = (changed["kind"], changed["name"], changed["version"])
            if changed["old"] is None:
                packages, station = tuple(changed.get("packages", ())), changed.get("station")
                found[key] = Version(*key, changed["digest"], changed["content"], State.DRAFT, packages, station)
            found[key].state = State(changed["new"])
            found[key].steps.append(_step(entry, changed))
    except (KeyError, TypeError, ValueError) as error:
        raise ArchiveFault(f"{entry.name} is no step of change control; run `inspection verify`") from error


def _step(entry: Entry, changed: Mapping[str, Any]) -> Step:
    details = entry.details
    statement = details["statement"]
    more = {key: value for key, value in details.items() if key not in ("statement", "versions", "by", "why")}
    return Step(
        entry.name, str(entry.reason).removeprefix(PREFIX), details["by"], statement["full_name"], entry.recorded_at,
        details["why"], changed["old"], changed["new"], statement, more,
    )  # fmt: skip
