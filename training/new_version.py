"""What every new version of a package has in common: a higher number, a parent, and an evaluation beside it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.layouts import DatasetMissing
from data.splits import SplitFile
from inspection.detector import Detector
from inspection.errors import BadUsage, InspectionError, OutputExists
from inspection.manifest import VERSION_PATTERN, Manifest, RuntimeFigures
from inspection.package import Package
from inspection.runtime import able
from inspection.verdict import Limits
from training.evaluate import Scored, figures, score_images


class VersionNotHigher(InspectionError):
    """A new version has a higher number than the one it is made from."""

    code = "version_not_higher"


class NotFullPrecision(InspectionError):
    """Only an fp32 package is made into a new version."""

    code = "not_full_precision"


class GoldenVerdictFlips(InspectionError):
    """In the new version a golden frame gets another verdict."""

    code = "golden_verdict_flips"


@dataclass(frozen=True)
class Compared:
    """A package on the evaluation images in one runtime: each image's finding, and all figures."""

    runtime: str
    scored: list[Scored]
    figures: dict[str, Any]


def check_full_precision(parent: Manifest, advice: str) -> None:
    """Raise NotFullPrecision, with `advice`, for a package of lower precision."""
    if parent.precision != "fp32":
        raise NotFullPrecision(f"{parent.name} {parent.version} is {parent.precision} already; {advice}")


def check_version(parent: Manifest, version: str) -> None:
    """Raise BadUsage or VersionNotHigher for what cannot be the number of the next version."""
    if not (version.isascii() and re.fullmatch(VERSION_PATTERN, version)):
        raise BadUsage(f"--version must be major.minor.patch, got {version!r}")
    if _numbers(version) <= _numbers(parent.version):
        raise VersionNotHigher(
            f"--version {version} is not above {parent.version}, the package's own; give a higher one"
        )


def check_out(out: Path, package: Path) -> None:
    """Raise BadUsage or OutputExists where the new version of `package` cannot be written to `out`."""
    if out.suffix != ".onnx":
        raise BadUsage(f"--out must end in .onnx, got {out}")
    if out.resolve() == package.resolve():
        raise OutputExists(f"--out {out} is the package itself; a new version is a new file")
    if out.exists():
        raise OutputExists(f"--out {out} exists; a new version is a new file, so choose another name")


def check_images(files: Sequence[SplitFile], root: Path) -> None:
    """Raise DatasetMissing where there are not both good and defective images to compare on."""
    if len({file.defect is None for file in files}) < 2:
        raise DatasetMissing(
            f"{root} has not both good and defective test images; without them nothing can be compared"
        )


def compare(
    parent: Package, child: Package, files: Sequence[SplitFile], root: Path, threads: int | None, *, quiet: bool = True
) -> tuple[Compared, list[Compared]]:
    """The parent in its first runtime, and the new version in every one that computes its precision here.

    Raises GoldenMismatch where one does not give the new version's golden scores, and as `score_images`.
    """

    def evaluated(package: Package, runtime: str) -> Compared:
        detector = Detector(package, runtime, threads)
        scored = score_images(detector, files, root, quiet=quiet)
        return Compared(runtime, scored, figures(scored, detector, root))

    names = able(child.manifest.precision)
    return evaluated(parent, able("fp32")[0]), [evaluated(child, name) for name in names]


def changed_verdicts(parent: Compared, child: Compared, before: Limits, after: Limits) -> list[dict[str, Any]]:
    """Every image whose verdict, at the limits `after`, is another than the parent's at `before`."""
    return [
        {"file": old.file.path, "defect": old.file.defect, "parent": str(was), "version": str(now)}
        for old, new in zip(parent.scored, child.scored, strict=True)
        if (was := old.outcome(before)) is not (now := new.outcome(after))
    ]


def runtime_figures(parent: Compared, child: Compared, before: Limits, after: Limits) -> RuntimeFigures:
    """What a manifest keeps of the comparison in one runtime."""
    old, new = parent.figures, child.figures
    return RuntimeFigures(
        runtime=child.runtime,
        image_auroc=new["image_auroc"],
        parent_image_auroc=old["image_auroc"],
        aupro_30=new["aupro_30"],
        parent_aupro_30=old["aupro_30"],
        defective=new["detection_rate"]["total"],
        defective_stopped=new["detection_rate"]["count"],
        parent_defective_stopped=old["detection_rate"]["count"],
        good=new["false_reject_rate"]["total"],
        good_stopped=new["false_reject_rate"]["count"],
        parent_good_stopped=old["false_reject_rate"]["count"],
        changed_verdicts=len(changed_verdicts(parent, child, before, after)),
    )


def described(package: Package) -> dict[str, str]:
    """What names a package in JSON."""
    manifest = package.manifest
    return {"name": manifest.name, "version": manifest.version, "sha256": package.digest}


def parent_part(parent: Package, old: Compared) -> dict[str, Any]:
    """What a report says of the parent: name, runtime and figures."""
    return described(parent) | {"runtime": old.runtime, "figures": without_images(old)}


def runtimes_part(
    old: Compared, children: Sequence[Compared], before: Limits, after: Limits
) -> dict[str, dict[str, Any]]:
    """What a report says of the new version in each runtime: figures, and every changed verdict by file name."""
    return {
        one.runtime: {
            "figures": without_images(one),
            "changed_verdicts": changed_verdicts(old, one, before, after),
        }
        for one in children
    }


def without_images(compared: Compared) -> dict[str, Any]:
    """The figures without the score of each image."""
    return {key: value for key, value in compared.figures.items() if key not in ("package", "scores", "runtime")}


def figure_lines(figures: Sequence[RuntimeFigures]) -> list[str]:
    """The comparison for a person, a line for each runtime; AUROC and AUPRO in percent."""
    return [
        f"  {part.runtime:<12} image AUROC {_percent(part.parent_image_auroc)} -> {_percent(part.image_auroc)}, "
        f"AUPRO to 30 % FPR {_percent(part.parent_aupro_30)} -> {_percent(part.aupro_30)}, defective stopped "
        f"{part.parent_defective_stopped} -> {part.defective_stopped} of {part.defective}, good stopped "
        f"{part.parent_good_stopped} -> {part.good_stopped} of {part.good}; {part.changed_verdicts} verdicts differ"
        for part in figures
    ]


def change_lines(runtimes: dict[str, dict[str, Any]]) -> list[str]:
    """Every changed verdict of `runtimes_part` for a person."""
    return [
        f"  {runtime}: {change['file']} was {change['parent']}, is {change['version']}"
        for runtime, part in runtimes.items()
        for change in part["changed_verdicts"]
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
