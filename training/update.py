"""A new version of a package from the package itself and new good images; never from the images it was made from.

What the parent knows of its images stands in it: its memory's rows, and the held-out score of each. The new images'
features come from its own graph, in its own geometry. The learned head and its scale stay as they are.

Limits are set from the parent's held-out scores together with those of the new images, each new one scored by a memory
of the old rows and the other folds' new images. Are the old scores still fair? They were measured with the old memory.
New rows can only bring an old image nearer to the memory: then its score is too high, and the limits too lax. A row
that gave way can move it away, with the plain memory by no more than the distance of that row to the new memory, so at
most `farthest_parent_row`, which the manifest keeps; with a head there is no such bound: its limits are then too
strict. So they are nearly fair where few rows gave way, and not where many did: with 20 simulated vials, a memory of
300 rows and 14 new vials of another light, 69 rows gave way and 6 unseen old vials scored 18.5 -> 19.2 on the mean,
from -2.4 to +2.6 each, at a review limit of 22.6. Without the images nobody can tell for the product at hand, so the
old scores are used as they were measured, `rows_kept` and the farthest row are reported, and labelled images of the
old look are the proof. The error adds up over updates: where many rows have given way, train anew.

The limits hold for old and new units in the proportion of the images. Few new images of a very different look may all
lie above the limit: how many do is reported, and more of them are the remedy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from tqdm import tqdm

from data.layouts import DatasetMissing
from data.splits import SplitFile, digest
from inspection import __version__
from inspection.errors import InspectionError
from inspection.manifest import GoldenFrame, Manifest, SplitDigest, UpdateInfo
from inspection.package import Package, seal
from inspection.verdict import Limits, Outcome
from models.fitting_runtime import load_for_fitting
from models.memory_update import GraphNotUpdatable, MemoryUpdate, distances, read_memory
from training.fit import source_date, spread
from training.folds import held_out_scores, learn
from training.golden import TOLERANCE, golden_scores
from training.images import PreparedImages
from training.limits import set_limits
from training.new_version import GoldenVerdictFlips, check_full_precision, check_version

_PARAMETERS = ("bank", "folds", "memory_mb", "seed")


class NoHeldOutScores(InspectionError):
    """The package was made before packages kept the scores that their limits were set from."""

    code = "no_held_out_scores"


@dataclass(frozen=True)
class Updated:
    """A new version, not yet sealed, and the held-out score of each new image, by path."""

    model: onnx.ModelProto
    manifest: Manifest
    trained: frozenset[str]
    old_held_out: tuple[float, ...]
    held_out: dict[str, float]
    golden: dict[str, NDArray[np.uint8]]

    def sealed(self, info: UpdateInfo) -> bytes:
        """The bytes of the version with what is known of it by now."""
        manifest = self.manifest.model_copy(update={"update": info})
        return seal(self.model, manifest, self.golden, self.trained, [*self.old_held_out, *self.held_out.values()])

    @property
    def info(self) -> UpdateInfo:
        """How it was made."""
        assert self.manifest.update is not None
        return self.manifest.update


def check_parent(parent: Package, version: str) -> None:
    """Raise NotFullPrecision, VersionNotHigher, BadUsage, NoHeldOutScores or GraphNotUpdatable for a
    package that cannot be updated."""
    manifest = parent.manifest
    check_full_precision(manifest, "update the fp32 version it was made from, and quantize that again")
    check_version(manifest, version)
    if not parent.held_out:
        raise NoHeldOutScores(
            f"{parent.label} does not hold the held-out scores of its images, without which no limits can be set; "
            "train anew, with the old and the new images"
        )
    if any(type(manifest.parameters.get(name)) is not int for name in _PARAMETERS):
        raise GraphNotUpdatable(
            f"{manifest.algorithm} of {parent.label} has no memory that could be brought up to date; train anew"
        )


def new_files(parent: Package, files: Sequence[SplitFile]) -> tuple[list[SplitFile], list[SplitFile]]:
    """Those of `files` that are new to the package, in a fixed order that spreads them over the folds, each content
    once; and those it was fitted on already. Raises DatasetMissing where fewer new ones than folds are left."""
    known = [file for file in files if parent.was_trained_on(file.sha256)]
    fresh = spread([file for file in files if not parent.was_trained_on(file.sha256)], _parameter(parent, "seed"))
    folds = _parameter(parent, "folds")
    if len(fresh) < folds:
        but = f" ({len(known)} are among those the package was fitted on)" if known else ""
        raise DatasetMissing(
            f"{len(fresh)} different new good images are too few{but}; at least {folds} are needed, the package's folds"
        )
    return fresh, known


def update_package(
    parent: Package,
    files: Sequence[SplitFile],
    root: Path,
    version: str,
    *,
    false_reject_rate: float | None = None,
    skipped: int = 0,
    quiet: bool = True,
) -> Updated:
    """`parent` brought up to date with the new good images `files`, from `new_files`, under `root`.

    The rate is the parent's where none is given. Raises GraphNotUpdatable, BadUsage, GoldenVerdictFlips, and what
    reading and preparing a frame raises.
    """
    old, created = parent.manifest, source_date()
    rate = old.limits_info.false_reject_rate if false_reject_rate is None else false_reject_rate
    images = PreparedImages(files, root, old.input)
    bank, folds, memory_mb, seed = (_parameter(parent, name) for name in _PARAMETERS)
    model = onnx.load_model_from_string(parent.model)
    memory = MemoryUpdate(model, bank=bank, folds=folds, memory_mb=memory_mb, seed=seed)
    with _bar("features", len(files), quiet) as bar:
        learn(memory, images, folds, bar.update)
    with _bar("held-out scores", len(files), quiet) as bar:
        scores = held_out_scores(memory, images, folds, bar.update)
    graph = memory.graph()
    rows = read_memory(graph)
    together = np.array([*parent.held_out, *scores])
    setting = set_limits(together, rate)
    golden = golden_scores(load_for_fitting(graph).runtime, parent.golden, setting.limits)
    _check_golden(parent, golden)
    kept = {row.tobytes() for row in memory.old} & {row.tobytes() for row in rows}
    added = SplitDigest(files=len(files), sha256=digest(files))
    changes = {
        "version": version,
        "parent": parent.digest,
        "limits": setting.limits,
        "limits_info": setting.info(together, rate),
        "data": old.data.model_copy(update={"splits": {**old.data.splits, f"added {version}": added}}),
        "golden": golden,
        "golden_tolerance": TOLERANCE * max(1.0, setting.limits.reject_limit),
        "software": __version__,
        "created": created,
        "update": UpdateInfo(
            skipped=skipped,
            rows=len(rows),
            rows_kept=len(kept),
            farthest_parent_row=float(distances(memory.old, rows).max()) if len(kept) < len(memory.old) else 0.0,
            held_out_parent=len(parent.held_out),
            held_out_added=len(scores),
            added_above_review=int((scores >= setting.limits.review_limit).sum()),
        ),
    }
    trained = parent.trained | {file.sha256 for file in files}
    held_out = {file.path: float(score) for file, score in zip(files, scores, strict=True)}
    manifest = old.model_copy(update=changes)
    return Updated(graph, manifest, trained, parent.held_out, held_out, parent.golden)


def odd_ones(held_out: dict[str, float], limits: Limits) -> list[str]:
    """The new images that would be rejected, unlike all other good ones, the oddest first."""
    beyond = [path for path, score in held_out.items() if score >= limits.reject_limit]
    return sorted(beyond, key=lambda path: -held_out[path])


def _check_golden(parent: Package, golden: Sequence[GoldenFrame]) -> None:
    """The parent's frames need not score as before, but what passed must pass and what was stopped must not."""
    for old, new in zip(parent.manifest.golden, golden, strict=True):
        if (old.outcome is Outcome.PASS) is not (new.outcome is Outcome.PASS):
            raise GoldenVerdictFlips(
                f"golden frame {old.name!r} is {new.outcome} after the update (score {new.score:.4g}) and "
                f"{old.outcome} in {parent.label} ({old.score:.4g}); are all new images good? If so, train anew"
            )


def _parameter(parent: Package, name: str) -> int:
    return int(parent.manifest.parameters[name])


def _bar(what: str, total: int, quiet: bool) -> "tqdm[Any]":
    return tqdm(total=total, desc=what, unit="image", disable=quiet)
