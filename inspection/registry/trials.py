"""The trials on record that speak of a version: which of them fit what it decides with, and whether one speaks against
it."""

from collections.abc import Mapping, Sequence
from typing import Any

from inspection.archive import Archive
from inspection.json_files import json_bytes
from inspection.registry.attached import SPEAKS_AGAINST, Decides, ShadowReport, against_sentence, misfit
from inspection.registry.content import recipe_of
from inspection.registry.items import Version, read_versions
from inspection.registry.kept import kept_package, kept_recipe
from inspection.registry.rules import StepRefused
from inspection.shadow.evidence import Evidence
from inspection.shadow.live_answer import live_answer
from inspection.shadow.report import TrialMissing, shadow_report

Answer = Mapping[str, Any]  # of `live_answer`


def decides_with(archive: Archive, one: Version) -> Decides:
    """What a trial must have had to say something of a version: a package's file as its `candidate`; for a recipe the
    same of its package, with the `product`, the `limits` (its own, else those of its package), the `classifier` and the
    `region`. Raises StepRefused where its package is not registered, and ContentUnreadable."""
    if one.kind != "recipe":
        return {"candidate": one.digest}
    recipe = recipe_of(kept_recipe(archive, one), one.label)
    digest = str(recipe.package.sha256)
    packages = (two for two in read_versions(archive).values() if two.kind == "package" and two.digest == digest)
    package = next(packages, None)
    if package is None:
        raise StepRefused(f"{one.label} runs the package {digest[:12]}…, which is not registered; register it first")
    limits = recipe.limits or kept_package(archive, package).manifest.limits
    return {
        "candidate": digest, "product": recipe.product, "limits": limits.model_dump(),
        "classifier": recipe.classifier.sha256 if recipe.classifier else None,
        "region": recipe.region.model_dump(mode="json", exclude_none=True) if recipe.region else None,
    }  # fmt: skip


def fitting(answers: Sequence[Answer], decides: Decides) -> tuple[list[Answer], list[Answer]]:
    """Those trials that fit, the newest first, and those of them that speak against the version."""
    fit = sorted((one for one in answers if not misfit(decides, one)), key=lambda one: one["until"], reverse=True)
    return fit, [one for one in fit if one["verdict"]["word"] in SPEAKS_AGAINST]


def weighed(answers: Sequence[Answer], one: Version, decides: Decides, *, despite: bool) -> tuple[str, tuple[str, ...]]:
    """The id of the newest trial that fits, and those of all that speak against the version: a newer, smaller one hides
    none. Raises TrialMissing where none fits, and StepRefused where one speaks against it and nobody said `despite`."""
    fit, against = fitting(answers, decides)
    if not fit:
        why = next((f" as it decides: {why}" for why in (misfit(decides, each) for each in answers) if why), "")
        raise TrialMissing(f"no shadow has findings of the package of {one.label}{why}")
    if against and not despite:
        raise StepRefused(against_sentence(one, against[0]["trial"], against[0]["verdict"]["sentence"]))
    return fit[0]["trial"], tuple(each["trial"] for each in against)


def report_on_record(archive: Archive, one: Version, *, despite: bool) -> ShadowReport:
    """The report of the newest trial that fits, made of what is on record now, with the default margins. Raises what
    `weighed`, `decides_with` and `shadow_report` raise."""
    decides = decides_with(archive, one)
    evidence = Evidence(archive)
    evidence.update()
    answers = [live_answer(each) for each in evidence.of(decides["candidate"])]
    trial, against = weighed(answers, one, decides, despite=despite)
    return ShadowReport(json_bytes(shadow_report(archive, trial)), despite, against)
