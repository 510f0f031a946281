"""The steps of change control, each by somebody whose role permits it, with a reason and a signature.

draft → evaluated → approved → active → retired. Nobody approves what they registered or evaluated themselves. Whatever
a recipe's activation supersedes is retired by the same step; a rollback brings it back.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from inspection.accounts.roles import Permission
from inspection.archive import Archive
from inspection.challenge.kit import read_kit, stored
from inspection.manifest import Manifest
from inspection.package import Package, open_package, read_package
from inspection.recipe import PackageRef, Recipe, fitting_packages
from inspection.records import AUDIT, Draft, Entry, canonical_json, utc_text
from inspection.registry.attached import ShadowReport
from inspection.registry.content import content_bytes, differences, read_pinned, recipe_content, recipe_of
from inspection.registry.items import (
    PREFIX,
    SHADOW_REPORT,
    Kind,
    State,
    Version,
    Versions,
    find_version,
    read_versions,
    versions_in,
)
from inspection.registry.rules import NEXT, StepRefused, activate, check, retire, roll_back
from inspection.registry.trials import decides_with
from inspection.signatures import Signer, signed_statement
from inspection.signing import SigningKey


@dataclass(frozen=True)
class Registry:
    """The registry of an archive; each step is signed by `signer` and with the archive's `key`. Every method raises
    StepRefused, VersionMissing, SignatureRefused, SignInRefused and ArchiveFault, and then nothing was changed."""

    archive: Archive
    key: SigningKey
    signer: Signer

    def register_package(self, file: Path, why: str) -> Entry:
        """Keep a package file, as a draft. Raises what reading it raises, too."""
        return self.keep_package(read_package(file), why)

    def keep_package(self, package: Package, why: str) -> Entry:
        """The same of a package that was read."""
        manifest, made = package.manifest, {"digest": package.digest}
        return self._register("package", manifest.name, manifest.version, package.model, ".onnx", made, why, manifest)

    def register_recipe(self, file: Path, why: str) -> Entry:
        """Keep a recipe with the digests of its packages, as a draft. Raises what reading them raises, too."""
        return self.keep_recipe(*read_pinned(file), why)

    def keep_recipe(self, recipe: Recipe, packages: Sequence[Package], why: str) -> Entry:
        """The same of a recipe that was read, its packages pinned; a candidate in its shadow must be fixed."""
        if recipe.shadow and not recipe.shadow.package.fixed:
            raise StepRefused(
                f"recipe {recipe.label} names its shadow's candidate by a path alone; add its `sha256`, or name it by "
                "`name` and `version` as it is registered, so that it is known what was approved"
            )
        data = content_bytes(recipe)
        more = {"packages": [package.digest for package in packages], "station": recipe.station}
        return self._register("recipe", recipe.name, recipe.version, data, ".json", more, why, recipe_content(recipe))

    def register_kit(self, file: Path, why: str) -> Entry:
        """Keep a challenge kit with its images, as a draft; it is approved by somebody else. Raises what reading it
        raises, too."""
        self.signer.prove(Permission.DEVELOP, why)  # before anything is stored
        kit = stored(self.archive, *read_kit(file))
        content = kit.model_dump(mode="json")
        more = {"files": kit.files}
        return self._register(
            "kit", kit.name, kit.version, canonical_json(content).encode(), ".json", more, why, content
        )

    def draft_recipe(self, name: str, version: str, new_version: str, why: str, changed: Mapping[str, Any]) -> Entry:
        """Keep a changed copy of a recipe as a draft with the number `new_version`: `changed` has its new `limits`, its
        new `region`, or both (None: none of its own). Raises ConfigInvalid, RegionRefused and what reading the packages
        raises, too."""
        versions = read_versions(self.archive)
        one = find_version(versions, "recipe", name, version)
        content = json.loads(self.archive.images.get(one.content)) | dict(changed) | {"version": new_version}
        recipe = recipe_of(content, f"recipe {name} {new_version}")
        package, classifier = fitting_packages(recipe, partial(self._kept, versions, one))
        return self.keep_recipe(recipe, [package, *([classifier] if classifier else [])], why)

    def _kept(self, versions: Versions, one: Version, ref: PackageRef) -> Package:
        found = next((two for two in versions.values() if two.kind == "package" and two.digest == ref.sha256), None)
        if found is None:
            raise StepRefused(
                f"{one.label} runs the package {str(ref.sha256)[:12]}…, which is not registered; register it first"
            )
        return open_package(self.archive.images.get(found.content), found.label)

    def evaluate(self, kind: Kind, name: str, version: str, why: str, report: Path | bytes | None = None) -> Entry:
        """A draft was evaluated. A package needs the `report` that `inspection evaluate --json` wrote of this very
        file (or its bytes); a recipe's packages must all be."""
        data, figures = (None, None) if report is None else _read_report(report)
        more: dict[str, Any] = {}

        def reported(one: Version) -> None:
            named = (figures or {}).get("package")
            if kind == "package" and (not isinstance(named, dict) or named.get("sha256") != one.digest):
                raise StepRefused(f"{one.label} needs the report that `inspection evaluate --json` wrote of it")

        def keep() -> None:
            if data:
                more["report"] = self.archive.images.put(data, ".json")

        return self._advance("evaluated", kind, name, version, why, reported, more, keep)

    def approve(self, kind: Kind, name: str, version: str, why: str, report: ShadowReport | None = None) -> Entry:
        """An evaluated version was approved, by somebody who neither registered nor evaluated it, with the `report` of
        the shadow in which its package ran in front of them, if there is one."""
        return self._attaching("approved", kind, name, version, why, report)

    def activate(self, name: str, version: str, why: str, report: ShadowReport | None = None) -> Entry:
        """An approved recipe may run from now on, with its packages; the one of the same name and station before it is
        retired, and so are its packages that no active recipe has. A `report` is attached as to an approval."""
        return self._attaching("activated", "recipe", name, version, why, report)

    def retire(self, kind: Kind, name: str, version: str, why: str) -> Entry:
        """A version, whatever its state, is not used any more."""
        return self._step("retired", why, Permission.APPROVE, lambda versions: retire(
            find_version(versions, kind, name, version), versions
        ))  # fmt: skip

    def roll_back(self, name: str, why: str, station: str | None = None) -> Entry:
        """One step: the recipe that was active before runs again, and the one that is now is retired. `station` says
        which one where several run recipes of that name."""
        return self._step("rolled_back", why, Permission.APPROVE, lambda versions: roll_back(name, versions, station))

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

    def _attaching(
        self, step: str, kind: Kind, name: str, version: str, why: str, report: ShadowReport | None
    ) -> Entry:  # fmt: skip
        if report is None:
            return self._advance(step, kind, name, version, why)
        read, more = report.read(), dict[str, Any]()
        one = find_version(read_versions(self.archive), kind, name, version)
        read.check(one, decides_with(self.archive, one))

        def keep() -> None:
            more[SHADOW_REPORT] = read.details(self.archive.images.put(read.data, ".json"))

        return self._advance(step, kind, name, version, why, more=more, proved=keep)

    def _advance(
        self, step: str, kind: Kind, name: str, version: str, why: str,
        also: Callable[[Version], None] | None = None, more: Mapping[str, Any] | None = None,
        proved: Callable[[], None] = lambda: None,
    ) -> Entry:  # fmt: skip
        _, reached, permission = NEXT[step]

        def changes(versions: Versions) -> list[tuple[Version, State]]:
            one = find_version(versions, kind, name, version)
            check(step, one, versions, self.signer.name)
            if also:
                also(one)
            return activate(one, versions) if reached == State.ACTIVE else [(one, reached)]

        return self._step(step, why, permission, changes, more, proved)

    def _step(
        self,
        step: str,
        why: str,
        permission: Permission,
        changes: Any,
        more: Mapping[str, Any] | None = None,
        proved: Callable[[], None] = lambda: None,
    ) -> Entry:
        with self.archive.reader() as connection:
            changes(versions_in(connection))  # so that who is refused need not prove who they are
        user = self.signer.prove(permission, why)
        proved()  # what is stored, by somebody who is known, and without anybody waiting to write
        with self.archive.writing() as write:
            changed = changes(versions_in(write.connection))
            subject = changed[0][0]
            listed = [
                {"kind": one.kind, "name": one.name, "version": one.version, "digest": one.digest, "old": one.state,
                 "new": state}
                for one, state in changed
            ]  # fmt: skip
            attached = (more or {}).get(SHADOW_REPORT, {}).get("sha256")
            said = signed_statement(self.key, user, subject.label, subject.digest, step, why, utc_text(), attached)
            details = {"by": user.name, "why": why, "subject": subject.label, "old": subject.state,
                       "new": changed[0][1], "versions": listed, "statement": said} | dict(more or {})  # fmt: skip
            return write.append([Draft("event", reason=PREFIX + step, details=details)], AUDIT)[0]


def _read_report(report: Path | bytes) -> tuple[bytes, dict[str, Any]]:
    path = "the file" if isinstance(report, bytes) else report
    try:
        data = report if isinstance(report, bytes) else report.read_bytes()
        figures = json.loads(data)
        if not isinstance(figures, dict):
            raise ValueError("no object")
    except (OSError, ValueError, RecursionError) as error:
        raise StepRefused(
            f"{path} cannot be read as a report; give the JSON that `inspection evaluate` wrote"
        ) from error
    return data, figures
