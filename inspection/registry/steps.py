"""The steps of change control, each by somebody whose role permits it, with a reason and a signature.

draft → evaluated → approved → active → retired. Nobody approves what they registered or evaluated themselves. Whatever
a recipe's activation supersedes is retired by the same step; a rollback brings it back.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspection.accounts.roles import Permission
from inspection.archive import Archive
from inspection.errors import InspectionError
from inspection.manifest import Manifest
from inspection.package import read_package
from inspection.records import AUDIT, Draft, Entry, utc_text
from inspection.registry.content import content_bytes, differences, read_pinned, recipe_content
from inspection.registry.items import PREFIX, Kind, State, Version, Versions, find_version, versions_in
from inspection.signatures import Signer, signed_statement
from inspection.signing import SigningKey

_NEXT = {
    "evaluated": (State.DRAFT, State.EVALUATED, Permission.DEVELOP),
    "approved": (State.EVALUATED, State.APPROVED, Permission.APPROVE),
    "activated": (State.APPROVED, State.ACTIVE, Permission.APPROVE),
}


class StepRefused(InspectionError):
    """A package or recipe cannot take this step, or not by this person."""

    code = "step_refused"


@dataclass(frozen=True)
class Registry:
    """The registry of an archive; each step is signed by `signer` and with the archive's `key`. Every method raises
    StepRefused, VersionMissing, SignatureRefused, SignInRefused and ArchiveFault, and then nothing was changed."""

    archive: Archive
    key: SigningKey
    signer: Signer

    def register_package(self, file: Path, why: str) -> Entry:
        """Keep a package file, as a draft. Raises what reading it raises, too."""
        package = read_package(file)
        manifest = package.manifest
        data = file.read_bytes()
        made = {"digest": package.digest}
        return self._register("package", manifest.name, manifest.version, data, ".onnx", made, why, manifest)

    def register_recipe(self, file: Path, why: str) -> Entry:
        """Keep a recipe with the digests of its packages, as a draft. Raises what reading them raises, too."""
        recipe, packages = read_pinned(file)
        data = content_bytes(recipe)
        more = {"packages": [package.digest for package in packages], "station": recipe.station}
        return self._register("recipe", recipe.name, recipe.version, data, ".json", more, why, recipe_content(recipe))

    def evaluate(self, kind: Kind, name: str, version: str, why: str, report: Path | None = None) -> Entry:
        """A draft was evaluated. A package needs the `report` that `inspection evaluate --json` wrote of this very
        file; a recipe's packages must all be."""
        data, figures = _read_report(report) if report else (None, None)
        more: dict[str, Any] = {}

        def check(one: Version, versions: Versions) -> None:
            if kind == "package" and (figures or {}).get("package", {}).get("sha256") != one.digest:
                raise StepRefused(f"{one.label} needs the report that `inspection evaluate --json` wrote of it")
            _packages_at_least(one, versions, (State.EVALUATED, State.APPROVED, State.ACTIVE))
            if data:
                more["report"] = self.archive.images.put(data, ".json")

        return self._advance("evaluated", kind, name, version, why, check, more)

    def approve(self, kind: Kind, name: str, version: str, why: str) -> Entry:
        """An evaluated version was approved, by somebody who neither registered nor evaluated it."""

        def check(one: Version, versions: Versions) -> None:
            own = sorted({step.step for step in one.steps if step.by == self.signer.name})
            if own:
                said = " and ".join(own)
                raise StepRefused(f"{self.signer.name} has {said} {one.label}: nobody approves their own work")
            _packages_at_least(one, versions, (State.APPROVED, State.ACTIVE))

        return self._advance("approved", kind, name, version, why, check)

    def activate(self, name: str, version: str, why: str) -> Entry:
        """An approved recipe may run from now on, with its packages; the one of the same name and station before it is
        retired, and so are its packages that no active recipe has."""

        def check(one: Version, versions: Versions) -> None:
            _packages_at_least(one, versions, (State.APPROVED, State.ACTIVE))

        return self._advance("activated", "recipe", name, version, why, check)

    def retire(self, kind: Kind, name: str, version: str, why: str) -> Entry:
        """A version, whatever its state, is not used any more."""
        return self._step("retired", why, Permission.APPROVE, lambda versions: _retire(
            find_version(versions, kind, name, version), versions
        ))  # fmt: skip

    def roll_back(self, name: str, why: str, station: str | None = None) -> Entry:
        """One step: the recipe that was active before runs again, and the one that is now is retired. `station` says
        which one where several run recipes of that name."""

        def changes(versions: Versions) -> list[tuple[Version, State]]:
            active = [one for one in versions.values() if one.name == name and _active(one)]
            active = [one for one in active if station in (None, one.station)]
            if not active:
                raise StepRefused(f"no version of recipe {name} is active, so none can be rolled back")
            if len(active) > 1:
                several = ", ".join(sorted(str(one.station) for one in active))
                raise StepRefused(f"recipe {name} is active on the stations {several}; say which one is meant")
            [now] = active
            before = _before(now, versions)
            if before is None:
                raise StepRefused(f"no version of recipe {name} was active before {now.version}")
            return _activate(before, versions)

        return self._step("rolled_back", why, Permission.APPROVE, changes)

    def _register(
        self, kind: Kind, name: str, version: str, data: bytes, suffix: str, more: Mapping[str, Any], why: str, new: Any
    ) -> Entry:
        user = self.signer.prove(Permission.DEVELOP, why)
        content = self.archive.images.put(data, suffix)
        digest = more.get("digest", content.partition(".")[0])
        with self.archive.writing() as write:
            versions = versions_in(write.connection)
            if (kind, name, version) in versions:
                raise StepRefused(f"{kind} {name} {version} is registered already; a changed one gets a new version")
            made = {"kind": kind, "name": name, "version": version, "old": None, "new": State.DRAFT, "content": content}
            old = next((one for one in reversed(versions.values()) if (one.kind, one.name) == (kind, name)), None)
            said = signed_statement(self.key, user, f"{kind} {name} {version}", digest, "registered", why)
            details = {"by": user.name, "why": why, "subject": f"{kind} {name} {version}", "statement": said,
                       "versions": [made | {"digest": digest} | dict(more)]}  # fmt: skip
            details |= self._changed(old, new)
            return write.append([Draft("event", reason=f"{PREFIX}registered", details=details)], AUDIT)[0]

    def _changed(self, old: Version | None, new: Any) -> dict[str, Any]:
        if old is None:
            return {}
        if isinstance(new, Manifest):
            return {"old": {"version": old.version, "digest": old.digest}}
        was = json.loads(self.archive.images.get(old.content))
        changed = differences(was, new)
        return {side: {key: pair[index] for key, pair in changed.items()} for index, side in enumerate(("old", "new"))}

    def _advance(
        self, step: str, kind: Kind, name: str, version: str, why: str, check: Any,
        more: Mapping[str, Any] | None = None,
    ) -> Entry:  # fmt: skip
        needed, reached, permission = _NEXT[step]

        def changes(versions: Versions) -> list[tuple[Version, State]]:
            one = find_version(versions, kind, name, version)
            if one.state != needed:
                raise StepRefused(f"{one.label} is {one.state}; only what is {needed} can be {step}")
            check(one, versions)
            return _activate(one, versions) if reached == State.ACTIVE else [(one, reached)]

        return self._step(step, why, permission, changes, more)

    def _step(
        self,
        step: str,
        why: str,
        permission: Permission,
        changes: Any,
        more: Mapping[str, Any] | None = None,
    ) -> Entry:
        with self.archive.reader() as connection:
            changes(versions_in(connection))  # so that who is refused need not prove who they are
        user = self.signer.prove(permission, why)
        with self.archive.writing() as write:
            changed = changes(versions_in(write.connection))
            subject = changed[0][0]
            listed = [
                {"kind": one.kind, "name": one.name, "version": one.version, "digest": one.digest, "old": one.state,
                 "new": state}
                for one, state in changed
            ]  # fmt: skip
            said = signed_statement(self.key, user, subject.label, subject.digest, step, why, utc_text())
            details = {"by": user.name, "why": why, "subject": subject.label, "old": subject.state,
                       "new": changed[0][1], "versions": listed, "statement": said} | dict(more or {})  # fmt: skip
            return write.append([Draft("event", reason=PREFIX + step, details=details)], AUDIT)[0]


def _activate(one: Version, versions: Versions) -> list[tuple[Version, State]]:
    """The recipe and its packages become active; what ran in its place is retired."""
    active = [other for other in versions.values() if _active(other) and other is not one]
    replaced = [other for other in active if (other.name, other.station) == (one.name, one.station)]
    staying = [other for other in active if other not in replaced]
    used = {digest for other in (one, *staying) for digest in other.packages}
    packages = [other for other in versions.values() if other.kind == "package"]
    started = [other for other in packages if other.digest in one.packages and other.state != State.ACTIVE]
    ended = [other for other in packages if other.state == State.ACTIVE and other.digest not in used]
    return [(one, State.ACTIVE), *((other, State.ACTIVE) for other in started),
            *((other, State.RETIRED) for other in (*replaced, *ended))]  # fmt: skip


def _retire(one: Version, versions: Versions) -> list[tuple[Version, State]]:
    if one.state == State.RETIRED:
        raise StepRefused(f"{one.label} is retired already")
    users = [other.label for other in versions.values() if _active(other) and one.digest in other.packages]
    if users:
        raise StepRefused(f"{one.label} is used by {users[0]}; retire or replace that first")
    changed = [(one, State.RETIRED)]
    if _active(one):
        used = {
            digest for other in versions.values() if _active(other) and other is not one for digest in other.packages
        }
        changed += [
            (other, State.RETIRED)
            for other in versions.values()
            if other.kind == "package" and other.state == State.ACTIVE and other.digest not in used
        ]
    return changed


def _before(now: Version, versions: Versions) -> Version | None:
    """The version of the same recipe that was active last before this one, and was not retired on purpose."""
    others = [
        (step.at, one)
        for one in versions.values()
        if one is not now and (one.kind, one.name, one.station) == (now.kind, now.name, now.station)
        for step in one.steps
        if step.old == State.ACTIVE and step.new == State.RETIRED
        if one.steps[-1].step != "retired"
    ]
    return max(others, key=lambda pair: pair[0])[1] if others else None


def _active(one: Version) -> bool:
    return one.kind == "recipe" and one.state == State.ACTIVE


def _packages_at_least(one: Version, versions: Versions, states: Iterable[State]) -> None:
    """Raises StepRefused where a recipe's package is not registered, or not as far."""
    by_digest = {other.digest: other for other in versions.values() if other.kind == "package"}
    for digest in one.packages:
        package = by_digest.get(digest)
        if package is None:
            raise StepRefused(
                f"{one.label} runs the package {digest[:12]}…, which is not registered; register it first"
            )
        if package.state not in states:
            raise StepRefused(f"{one.label} runs {package.label}, which is {package.state}; its turn comes first")


def _read_report(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        data = path.read_bytes()
        figures = json.loads(data)
        if not isinstance(figures, dict):
            raise ValueError("no object")
    except (OSError, ValueError) as error:
        raise StepRefused(
            f"{path} cannot be read as a report; give the JSON that `inspection evaluate` wrote"
        ) from error
    return data, figures
