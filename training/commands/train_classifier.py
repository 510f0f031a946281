"""`inspection train classifier`: from labelled images to a model package that names the defect."""

from pathlib import Path
from typing import Any

import click

from training.commands.options import folder_options


@click.command()
@folder_options()
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The package to write (.onnx)."
)
@click.option(
    "--classes",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML: for each class its severity (critical, major, minor) and action (reject, review) "
    "[default: major, reject].",
)
@click.option("--binary", is_flag=True, help="One class for every defect: defective or not.")
@click.option(
    "--labels",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "single", "multi"]),
    help="Whether a unit may show several defects; auto: where one image does.",
)
@click.option("--backbone", default="efficientnet_lite0", show_default=True, help="A name in the zoo, or an ONNX file.")
@click.option(
    "--beside",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A package that runs in the same recipe: its model input and backbone are taken, so one pass serves both.",
)
@click.option("--size", default=384, show_default=True, help="Side of a square with the model input's area, in pixels.")
@click.option("--region", default="auto", show_default=True, help="What is inspected: as for `train anomaly`.")
@click.option(
    "--colour", default="rgb", show_default=True, type=click.Choice(["rgb", "mono"]), help="What the camera gives."
)
@click.option(
    "--augment", type=click.Path(path_type=Path, dir_okay=False), help="YAML: how training images are varied."
)
@click.option("--steps", type=int, help="Most batches that the head is trained on [default: by the number of images].")
@click.option(
    "--epochs",
    default=0,
    show_default=True,
    help="How often the backbone is then trained on all images; interrupted, the same command goes on.",
)
@click.option("--seed", default=0, show_default=True, help="The same seed on the same machine gives the same file.")
@click.option("--split-seed", default=0, show_default=True, help="Parts the images: train, validation, test.")
@click.option("--false-reject-rate", default=0.02, show_default=True, help="Share of good units that may fail to pass.")
@click.option("--name", help="The package's name (default: category and classifier).")
@click.option("--version", default="1.0.0", show_default=True, help="The package's version, as major.minor.patch.")
@click.option(
    "--tensorboard", type=click.Path(path_type=Path, file_okay=False), help="Keep the losses here, for TensorBoard."
)
@click.option("--quiet", is_flag=True, help="No progress bars.")
def classifier(
    layout: str,
    root: Path,
    category: str | None,
    out: Path,
    classes: Path | None,
    augment: Path | None,
    beside: Path | None,
    split_seed: int,
    tensorboard: Path | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Train a classifier on labelled images, good ones and at least one kind of defect.

    A fifth of the images is kept for evaluation and a fifth decides when to stop and how sure it may be;
    near-duplicates stay together. Writes OUT and, beside it, which image is in which part (.split.json).
    """
    from dataclasses import replace

    from data.augment import Augmentation
    from data.labelled import make_labelled_split
    from inspection.config import read_config
    from inspection.errors import BadUsage
    from inspection.files import make_folder, write_durably
    from inspection.package import read_package, write_package
    from models.backbones import load_backbone
    from training.classifier_options import ClassifierOptions, read_meanings
    from training.fit_classifier import fit_classifier
    from training.scalars import scalars

    if out.suffix != ".onnx":
        raise BadUsage(f"--out must end in .onnx, got {out}")
    augmentation = read_config(augment, Augmentation) if augment else Augmentation()
    meanings = read_meanings(classes) if classes else {}
    chosen = ClassifierOptions(augmentation=augmentation, meanings=meanings, **options)
    if beside:
        other = read_package(beside).manifest
        if load_backbone(chosen.backbone).sha256 != other.backbone.sha256:
            raise BadUsage(f"{beside} has the backbone {other.backbone.name}; name it or its file with --backbone")
        chosen = replace(chosen, geometry=other.input, colour=other.input.colour)
    chosen.check()
    split = make_labelled_split(layout, root, category, split_seed, chosen.colour)
    make_folder(out.parent)
    with scalars(tensorboard) as log:
        fitted = fit_classifier(split, root, chosen, checkpoints=out.parent, say=click.echo, log=log, quiet=quiet)
    digest = write_package(out, fitted.data)
    fitted.checkpoint.unlink(missing_ok=True)
    write_durably(out.with_suffix(".split.json"), split.model_dump_json(indent=1).encode())
    manifest, calibration = fitted.manifest, fitted.manifest.calibration
    assert calibration
    click.echo(f"{out}: {len(fitted.data) / 1e6:.1f} MB, sha256 {digest[:12]}")
    click.echo(
        f"review from {manifest.limits.review_limit:.3f}, reject from {manifest.limits.reject_limit:.3f}: "
        f"{manifest.limits_info.held_out_above_review} of {manifest.limits_info.held_out_good} good validation images "
        f"would not pass, and {fitted.would_pass} of {fitted.defective} defective ones would; "
        f"temperature {calibration.temperature:.2f}, calibration error "
        f"{100 * calibration.error_before:.1f} -> {100 * calibration.error:.1f} %"
    )
