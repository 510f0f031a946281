"""A new version of a package at a lower precision, compared with its parent and accepted or refused."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import onnx

from data.splits import SplitFile, digest
from inspection import __version__
from inspection.errors import BadUsage, InspectionError
from inspection.manifest import Manifest, QuantizationInfo, SplitDigest
from inspection.package import Package, seal
from inspection.runtime import Precision, able, load_runtime
from training.golden import golden_scores, in_every
from training.new_version import (
    Compared,
    GoldenVerdictFlips,
    check_full_precision,
    check_version,
    described,
    parent_part,
    runtime_figures,
    runtimes_part,
)

GOLDEN_TOLERANCE = 0.02  # of the reject limit: one engine rounds differently on another processor
DETECTION_TOLERANCE = 0.05  # of the defective units: those near a limit go either way


class AccuracyLost(InspectionError):
    """At the lower precision the detector is worth less than the tolerance allows."""

    code = "accuracy_lost"


def as_precision(text: str) -> Precision:
    """The lower precision that a person named. Raises BadUsage."""
    lower: dict[str, Precision] = {"int8": "int8", "bf16": "bf16"}
    if text not in lower:
        raise BadUsage(f"--precision must be int8 or bf16, got {text!r}")
    return lower[text]


def check_request(parent: Manifest, version: str, tolerance: float) -> None:
    """Raise BadUsage, NotFullPrecision, VersionNotHigher for what cannot become a new version."""
    if not (math.isfinite(tolerance) and 0 <= tolerance < 1):
        raise BadUsage(f"--tolerance is a difference of AUROC between 0 and 1, got {tolerance}")
    check_full_precision(parent, "give the fp32 version it was made from")
    check_version(parent, version)


def draft(parent: Package, model: onnx.ModelProto, precision: Precision, version: str, threads: int) -> Manifest:
    """The manifest of a version that runs `model`, with its own golden scores in each engine, at its parent's limits.

    Raises PrecisionUnsupported, RuntimeFault, and GoldenVerdictFlips.
    """
    limits = parent.manifest.limits
    data = model.SerializeToString(deterministic=True)
    in_engines = {
        name: golden_scores(
            load_runtime(name, data, threads, precision), parent.golden, limits, parent.manifest.classes
        )
        for name in able(precision)
    }
    for engine, frames in in_engines.items():
        for old, new in zip(parent.manifest.golden, frames, strict=True):
            if new.outcome is not old.outcome:
                raise GoldenVerdictFlips(
                    f"golden frame {old.name!r} is {new.outcome} at {precision} in {engine} (score {new.score:.4g}) "
                    f"and {old.outcome} in {parent.label} ({old.score:.4g}); keep that version, or fit with another "
                    "--backbone"
                )
    changes = {
        "version": version,
        "precision": precision,
        "parent": parent.digest,
        "golden": in_every(in_engines),
        "golden_tolerance": GOLDEN_TOLERANCE * max(1.0, limits.reject_limit),
        "software": __version__,
        "created": None,
        "update": None,
    }
    return parent.manifest.model_copy(update=changes)


def sealed(
    parent: Package, model: onnx.ModelProto, manifest: Manifest, calibrated_on: Iterable[SplitFile] = ()
) -> bytes:
    """The new version's bytes, with its parent's golden frames and list of training files, to which belong those it
    was calibrated on."""
    return seal(model, manifest, parent.golden, parent.trained | {file.sha256 for file in calibrated_on})


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
    """Raise AccuracyLost where in any runtime the image AUROC falls by more than `tolerance`, or the share of defective
    units that are stopped, at the parent's limits, by more than `DETECTION_TOLERANCE`."""
    before, stopped = parent.figures["image_auroc"], parent.figures["detection_rate"]
    for child in children:
        after = child.figures["image_auroc"]
        if before - after > tolerance:
            raise AccuracyLost(
                f"image AUROC falls from {before:.4f} to {after:.4f} in {child.runtime}, by more than the tolerance of "
                f"{tolerance}; keep the fp32 version, or fit with another --backbone"
            )
        now = child.figures["detection_rate"]
        if stopped["rate"] - now["rate"] > DETECTION_TOLERANCE:
            raise AccuracyLost(
                f"of {now['total']} defective units {stopped['count']} are stopped at fp32 and {now['count']} in "
                f"{child.runtime}, fewer by more than one in twenty; keep the fp32 version, or fit with another "
                "--backbone"
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
        figures=[runtime_figures(parent, child, manifest.limits, manifest.limits) for child in children],
    )


def report(parent: Package, child: Package, old: Compared, new: Sequence[Compared]) -> dict[str, Any]:
    """The comparison in full as plain JSON values."""
    manifest = child.manifest
    info = manifest.quantization
    assert info is not None
    return {
        "schema": "inspection.quantize/1",
        "precision": manifest.precision,
        "parent": parent_part(parent, old),
        "version": described(child),
        "runtimes": runtimes_part(old, new, manifest.limits, manifest.limits),
        "verdicts_that_differ_between_runtimes": between_runtimes(new, manifest),
        "quantization": info.model_dump(mode="json", exclude={"figures"}),
    }
