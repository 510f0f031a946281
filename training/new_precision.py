"""A new version of a package at a lower precision, compared with its parent and accepted or refused."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from data.layouts import DatasetMissing
from data.splits import SplitFile, digest
from inspection import __version__
from inspection.detector import Detector
from inspection.errors import BadUsage, InspectionError
from inspection.manifest import GoldenFrame, Manifest, QuantizationInfo, RuntimeFigures, SplitDigest
from inspection.package import Package, open_package, seal
from inspection.runtime import Precision, able, load_runtime
from inspection.verdict import decide
from training.evaluate import Scored, figures, score_images

GOLDEN_TOLERANCE = 0.02  # of the reject limit: engines round int8 and bf16 differently


class VersionNotHigher(InspectionError):
    """A new version has a higher number than the one it is made from."""

    code = "version_not_higher"


class NotFullPrecision(InspectionError):
    """Only an fp32 package is made into one of lower precision."""

    code = "not_full_precision"


class AccuracyLost(InspectionError):
    """At the lower precision the detector is worth less than the tolerance allows."""

    code = "accuracy_lost"


class GoldenVerdictFlips(InspectionError):
    """At the lower precision a golden frame gets another verdict."""

    code = "golden_verdict_flips"


@dataclass(frozen=True)
class Compared:
    """A package on the evaluation images in one runtime: each image's finding, and all figures."""

    runtime: str
    scored: list[Scored]
    figures: dict[str, Any]


def as_precision(text: str) -> Precision:
    """The lower precision that a person named. Raises BadUsage."""
    lower: dict[str, Precision] = {"int8": "int8", "bf16": "bf16"}
    if text not in lower:
        raise BadUsage(f"--precision must be int8 or bf16, got {text!r}")
    return lower[text]


def check_images(files: Sequence[SplitFile], root: Path) -> None:
    """Raise DatasetMissing where there are not both good and defective images to compare on."""
    if len({file.defect is None for file in files}) < 2:
        raise DatasetMissing(
            f"{root} has not both good and defective test images; without them nothing can be compared"
        )


def check_request(parent: Manifest, version: str, tolerance: float) -> None:
    """Raise BadUsage, NotFullPrecision, VersionNotHigher for what cannot become a new version."""
    if not (math.isfinite(tolerance) and 0 <= tolerance < 1):
        raise BadUsage(f"--tolerance is a difference of AUROC between 0 and 1, got {tolerance}")
    if parent.precision != "fp32":
        raise NotFullPrecision(
            f"{parent.name} {parent.version} is {parent.precision} already; give the fp32 version it was made from"
        )
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise BadUsage(f"--version must be major.minor.patch, got {version!r}")
    if _numbers(version) <= _numbers(parent.version):
        raise VersionNotHigher(
            f"--version {version} is not above {parent.version}, the package's own; give a higher one"
        )


def draft(parent: Package, model: onnx.ModelProto, precision: Precision, version: str, threads: int) -> Manifest:
    """The manifest of a version that runs `model`, with its own golden scores, at its parent's limits.

    Raises PrecisionUnsupported, RuntimeFault, and GoldenVerdictFlips.
    """
    limits = parent.manifest.limits
    runtime = load_runtime(able(precision)[0], model.SerializeToString(deterministic=True), threads, precision)
    golden = []
    for old in parent.manifest.golden:
        score = float(runtime.run(parent.golden[old.name][None])["score"][0])
        outcome = decide(score, limits).outcome
        if outcome is not old.outcome:
            raise GoldenVerdictFlips(
                f"golden frame {old.name!r} is {outcome} at {precision} (score {score:.4g}) and {old.outcome} in "
                f"{parent.label} ({old.score:.4g}); keep that version, or fit with another --backbone"
            )
        golden.append(GoldenFrame(name=old.name, score=score, outcome=outcome))
    changes = {
        "version": version,
        "precision": precision,
        "parent": parent.digest,
        "golden": golden,
        "golden_tolerance": GOLDEN_TOLERANCE * max(1.0, limits.reject_limit),
        "software": __version__,
        "created": None,
    }
    return parent.manifest.model_copy(update=changes)


def sealed(parent: Package, model: onnx.ModelProto, manifest: Manifest) -> bytes:
    """The new version's bytes, with its parent's golden frames and list of training files."""
    return seal(model, manifest, parent.golden, parent.trained)


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


def changed_verdicts(parent: Compared, child: Compared, manifest: Manifest) -> list[dict[str, Any]]:
    """Every image whose verdict is another than the parent's."""
    return [
        {"file": old.file.path, "defect": old.file.defect, "parent": str(before), "version": str(after)}
        for old, new in zip(parent.scored, child.scored, strict=True)
        if (before := old.outcome(manifest.limits)) is not (after := new.outcome(manifest.limits))
    ]


def between_runtimes(children: Sequence[Compared], manifest: Manifest) -> list[dict[str, Any]]:
    """Every image on which the runtimes do not agree about the new version's verdict."""
    found = []
    for same in zip(*(child.scored for child in children), strict=True):
        outcomes = [item.outcome(manifest.limits) for item in same]
        if len(set(outcomes)) > 1:
            found.append({"file": same[0].file.path, "defect": same[0].file.defect}
                         | {child.runtime: str(o) for child, o in zip(children, outcomes, strict=True)})  # fmt: skip
    return found


def accept(parent: Compared, children: Sequence[Compared], tolerance: float) -> None:
    """Raise AccuracyLost where the image AUROC falls by more than `tolerance` in any runtime."""
    before = parent.figures["image_auroc"]
    for child in children:
        after = child.figures["image_auroc"]
        if before - after > tolerance:
            raise AccuracyLost(
                f"image AUROC falls from {before:.4f} to {after:.4f} in {child.runtime}, by more than the tolerance of "
                f"{tolerance}; keep the fp32 version, or fit with another --backbone"
            )


def quantization(
    parent: Compared,
    children: Sequence[Compared],
    manifest: Manifest,
    method: str,
    calibration: SplitDigest | None,
    files: Sequence[SplitFile],
    tolerance: float,
) -> QuantizationInfo:
    """What the manifest keeps of the comparison."""
    return QuantizationInfo(
        method=method,
        calibration=calibration,
        evaluation=SplitDigest(files=len(files), sha256=digest(files)),
        auroc_tolerance=tolerance,
        figures=[_figures(parent, child, manifest) for child in children],
    )


def described(package: Package) -> dict[str, str]:
    """What names a package in JSON."""
    manifest = package.manifest
    return {"name": manifest.name, "version": manifest.version, "sha256": package.digest}


def report(parent: Package, child: Package, old: Compared, new: Sequence[Compared]) -> dict[str, Any]:
    """The comparison in full as plain JSON values."""
    manifest = child.manifest
    info = manifest.quantization
    assert info is not None
    return {
        "schema": "inspection.quantize/1",
        "precision": manifest.precision,
        "parent": described(parent) | {"runtime": old.runtime, "figures": _without_images(old)},
        "version": described(child),
        "runtimes": {
            one.runtime: {"figures": _without_images(one), "changed_verdicts": changed_verdicts(old, one, manifest)}
            for one in new
        },
        "verdicts_that_differ_between_runtimes": between_runtimes(new, manifest),
        "quantization": info.model_dump(mode="json", exclude={"figures"}),
    }


def reopened(data: bytes, out: Path) -> Package:
    """The new version as whoever reads `out` will have it."""
    return open_package(data, str(out))


def _figures(parent: Compared, child: Compared, manifest: Manifest) -> RuntimeFigures:
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
        changed_verdicts=len(changed_verdicts(parent, child, manifest)),
    )


def _without_images(compared: Compared) -> dict[str, Any]:
    return {key: value for key, value in compared.figures.items() if key not in ("package", "scores", "runtime")}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
